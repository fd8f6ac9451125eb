"""All that a page says of a file, computed: what is in it, and each frame's bytes and quality.

`page` draws it.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from tinct.decoder.damage import Damage
from tinct.decoder.inspection import FileInfo, info, pair_frames
from tinct.decoder.video import Video
from tinct.filepage.packets import FramePackets, read_frame_packets
from tinct.filepage.pictures import Album, Shown
from tinct.frames import Frame, Progress
from tinct.psnr import Psnr, plane_errors

PLANES = ("Y", "U", "V")


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How far the frames are from the source: by plane, the squared error of each in 8-bit levels.

    `worst` is the number of the frame with the largest error of luma.
    """

    errors: dict[str, "array[float]"]
    psnr: dict[str, Psnr]
    worst: int


@dataclass(frozen=True, kw_only=True)
class FileFigures:
    """A file's contents; of each frame when it is shown, its packets and its quality; pictures."""

    info: FileInfo
    seconds: "array[float]"
    packets: FramePackets
    quality: Quality | None
    pictures: list[Shown]
    damage: Damage
    notes: list[str]


def measure_file(path: str, source: str | None, *, progress: Progress | None) -> FileFigures:
    """Decode every frame of a file, and compare it with that of the source where one is given.

    Memory grows by some numbers a frame alone. Raises CodecError where `path` is no video, or the
    source has other frames.
    """
    contents, video = info(path), Video(path)
    ticks = array("q")
    errors = {name: array("d") for name in PLANES}
    with Album(video) as album:
        for number, (decoded, original) in enumerate(_read_pairs(video, source)):
            ticks.append(decoded.pts)
            found = (0.0, 0.0, 0.0) if original is None else plane_errors(decoded, original)
            for name, error in zip(PLANES, found, strict=True):
                errors[name].append(error)
            album.add(number, decoded, original, error=found[0])
            if progress is not None:
                progress(number + 1, video.info.frame_count)
        pictures = album.finish()
    return FileFigures(
        info=contents,
        seconds=array("d", (float(tick * video.info.time_base) for tick in ticks)),
        packets=read_frame_packets(path, video.manifest, info=video.info, ticks=ticks),
        quality=None if source is None else _sum_up(errors),
        pictures=pictures,
        damage=video.damage,
        notes=video.notes,
    )


def _read_pairs(video: Video, source: str | None) -> Iterator[tuple[Frame, Frame | None]]:
    if source is not None:
        yield from pair_frames(video, source)
        return
    for frame in video:
        yield frame, None


def _sum_up(errors: dict[str, "array[float]"]) -> Quality:
    luma = errors[PLANES[0]]
    return Quality(
        errors=errors,
        psnr={name: Psnr.of(found) for name, found in errors.items()},
        worst=max(range(len(luma)), key=luma.__getitem__),
    )
