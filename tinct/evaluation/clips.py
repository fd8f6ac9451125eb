"""The clips of a sweep: what the codecs read, cut and lossless, and what they decode.

`measurement` runs the codecs in between.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from tinct.errors import CodecError
from tinct.evaluation.codecs import INPUT
from tinct.frames import Frame, VideoInfo
from tinct.media.sink import open_sink
from tinct.media.source import open_source


@dataclass(frozen=True)
class Clip:
    """A source's first frames, lossless, inside the results folder."""

    name: str
    path: str
    info: VideoInfo


def name_clip(path: str | Path) -> str:
    """Return a clip's name in results: its file's name without suffix."""
    return Path(path).stem


def cut_clip(path: str, target: str, frames: int | None, *, square: bool = False) -> Clip:
    """Write the first frames of a video (None for all) as lossless Matroska without sound.

    `square` keeps the largest square in the middle of each. A target that exists is used as it is.
    """
    if not Path(target).exists():
        source = open_source(path)
        info = replace(source.info, frame_count=frames)
        taken: Iterable[Frame] = islice(source, frames)
        if square:
            side = min(info.width, info.height) // 2 * 2
            info = replace(info, width=side, height=side)
            taken = (_crop_middle(frame, info) for frame in taken)
        write_frames(target, info, taken)
    return Clip(name_clip(path), target, open_source(target).info)


def _crop_middle(frame: Frame, info: VideoInfo) -> Frame:
    """Return the middle of a frame in the size of `info`, at even places."""
    sizes = zip(frame.y.shape, (info.height, info.width), strict=True)
    top, left = ((full - side) // 4 for full, side in sizes)  # in samples of chroma

    def cut(plane: np.ndarray, scale: int) -> np.ndarray:
        rows = slice(scale * top, scale * top + info.height * scale // 2)
        columns = slice(scale * left, scale * left + info.width * scale // 2)
        return np.ascontiguousarray(plane[rows, columns])

    planes = cut(frame.y, 2), cut(frame.cb, 1), cut(frame.cr, 1)
    return Frame(*planes, pts=frame.pts, info=info)


def write_input(clip: Clip, folder: Path, suffix: str) -> None:
    """Put the clip into a folder under the name INPUT, in the form that a codec reads.

    `suffix` is .mkv (a link), .y4m, or .yuv (the planes of each frame and nothing else).
    """
    target = folder / f"{INPUT}{suffix}"
    if suffix == ".mkv":
        target.symlink_to(Path(clip.path).absolute())
    elif suffix == ".y4m":
        write_frames(str(target), clip.info, open_source(clip.path))
    else:
        with target.open("wb") as file:
            for frame in open_source(clip.path):
                for plane in (frame.y, frame.cb, frame.cr):
                    file.write(plane.tobytes())


def write_frames(target: str, info: VideoInfo, frames: Iterable[Frame]) -> None:
    """Write frames to a file of the kind that its suffix names."""
    with open_sink(target, info) as sink:
        for frame in frames:
            sink.write(frame)


def read_decoded(path: Path, info: VideoInfo) -> Iterator[Frame]:
    """Yield a decoder's frames, cropped to the source's size.

    Raise CodecError where their number, bit depth or size (but for padding) is not that of the
    source, whose properties are `info`.
    """
    source = open_source(str(path))
    found = source.info
    if found.frame_count != info.frame_count:
        numbers = f"{info.frame_count} decoded frames, found {found.frame_count}"
        raise CodecError(f"expected {numbers}; the point is refused")
    padding = (found.width - info.width, found.height - info.height)
    if found.bit_depth != info.bit_depth or not set(padding) <= {0, 1}:
        formats = f"{_describe(info)}, found {_describe(found)}"
        raise CodecError(f"expected decoded frames of {formats}; the point is refused")
    for frame in source:
        yield crop_frame(frame, frame.pts, info)


def crop_frame(frame: Frame, pts: int, info: VideoInfo) -> Frame:
    """Return the top left of a frame, with the time and the properties of a source's frame.

    The properties matter for colour: YUV4MPEG2 names no matrix, so that the source's is used.
    """
    height, width = info.chroma_shape
    return Frame(
        y=frame.y[: info.height, : info.width],
        cb=frame.cb[:height, :width],
        cr=frame.cr[:height, :width],
        pts=pts,
        info=info,
    )


def _describe(info: VideoInfo) -> str:
    return f"{info.width}x{info.height} of {info.bit_depth} bit"
