"""`tinct.decode`: decode a file to an ordinary video in colour. `video` has the frames."""

from dataclasses import dataclass

from tinct.decoder.damage import Damage
from tinct.decoder.video import Video
from tinct.files import check_output
from tinct.frames import Progress
from tinct.media.file_objects import (
    Format,
    Input,
    Output,
    choose_suffix,
    hold_input,
    hold_output,
)
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
    source: Input,
    destination: Output,
    *,
    format: Format | None = None,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    codec: str | None = None,
    crf: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DecodeReport:
    """Write the video of `source` in colour to `destination`, in the format of its name.

    `source` is the path of a Tinct file or of any other video, a binary file object of one, or "-"
    for YUV4MPEG2 on stdin. `destination` is a path ending in .mkv, .mp4, .mov, .webm or .y4m, a
    folder for PNGs, "-" for YUV4MPEG2 on stdout, or a binary file object, whose `format` has to be
    named unless its own name says it. It is there whole or not at all. `codec` (h264, hevc, av1,
    vp9, ffv1) and `crf` replace the usual codec and quality of a movie.

    The cut of `duration_seconds` from `start_seconds` on consists of whole frames. `progress` takes
    frames done and frames in all, where known. Undamaged parts of a damaged file are decoded; the
    report counts the damage. Raise CodecError on bad input and what the disk refuses: FileError
    for a file, OptionError for a format.
    """
    suffix = choose_suffix(destination, format)
    with hold_input(source) as path, hold_output(destination, suffix) as target:
        return _decode(
            path,
            target,
            start_seconds=start_seconds,
            duration_seconds=duration_seconds,
            coding=Coding(codec=codec, crf=crf),
            overwrite=overwrite,
            progress=progress,
        )


def _decode(
    source: str,
    destination: str,
    *,
    start_seconds: float,
    duration_seconds: float | None,
    coding: Coding,
    overwrite: bool,
    progress: Progress | None,
) -> DecodeReport:
    """Decode a file to a file."""
    check_output(destination, source, overwrite=overwrite)
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
