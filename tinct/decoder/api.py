"""`tinct.decode`: decode a file to an ordinary video in colour. `video` has the frames."""

from dataclasses import dataclass

from tinct.decoder.damage import Damage
from tinct.decoder.video import Video
from tinct.files import check_output
from tinct.frames import Progress
from tinct.media.movie_codecs import Coding
from tinct.media.sink import check_coding, open_sink


@dataclass(frozen=True)
class DecodeReport:
    """Outcome of `decode`.

    `tinct` is False for a file without Tinct. `notes` name what is converted or left out of such a
    file, and what the output's format cannot hold.
    """

    frames: int
    tinct: bool
    damage: Damage
    notes: list[str]


def decode(
    source: str,
    destination: str,
    *,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    codec: str | None = None,
    crf: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DecodeReport:
    """Write the video of `source` in colour to `destination`, in the format of its name.

    `media.sink.open_sink` lists the formats; `codec` and `crf` replace the usual codec and quality
    of a movie (`media.movie_codecs`). Undamaged parts of a damaged file are decoded; the
    report counts the damage.
    """
    check_output(destination, source, overwrite=overwrite)
    coding = Coding(codec=codec, crf=crf)
    check_coding(destination, coding)
    video = Video(source, start_seconds=start_seconds, duration_seconds=duration_seconds)
    extras = None if source == "-" else source
    count = 0
    with open_sink(
        destination,
        video.info,
        extras,
        start_seconds=video.start_seconds,
        duration_seconds=duration_seconds,
        coding=coding,
        overwrite=overwrite,
    ) as sink:
        for frame in video:
            sink.write(frame)
            count += 1
            if progress is not None:
                progress(count, video.info.frame_count)
    return DecodeReport(
        frames=count,
        tinct=video.manifest is not None,
        damage=video.damage,
        notes=[*video.notes, *sink.notes],
    )
