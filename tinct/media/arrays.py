"""Frames as programs have them, NumPy arrays or PyTorch tensors, as a source that is read once.

`source` reads files. RGB is converted to 4:2:0 just as RGB in a file is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from numbers import Rational, Real
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import av
import numpy as np

from tinct.colour import BT601, BT709
from tinct.errors import CodecError, OptionError
from tinct.frames import ColourTags, Frame, VideoInfo
from tinct.limits import MAX_RATE
from tinct.media.conversion import describe_conversion, is_rgb
from tinct.media.planes import pixel_format, to_av_frame
from tinct.media.source import Source
from tinct.media.timing import Timing, find_usual_rate, make_pipe_timing

if TYPE_CHECKING:
    import torch

# What a frame may be: R'G'B' [H, W, 3] or [3, H, W]; planes Y, Cb and Cr; or a frame that Tinct
# decoded.
FrameLike: TypeAlias = Union[
    "Frame",
    np.ndarray,
    "torch.Tensor",
    tuple[np.ndarray, np.ndarray, np.ndarray],
    "tuple[torch.Tensor, torch.Tensor, torch.Tensor]",
    "Picture",
]
WANTED = (
    "a frame: R'G'B' [H, W, 3] or [3, H, W], uint8 or uint16, or planes Y [H, W], Cb and Cr "
    "[ceil(H/2), ceil(W/2)], uint8 or 10 bit in uint16"
)
MAX_DENOMINATOR = 100_000  # of a rate given as a float
RGB_FORMATS = {np.dtype(np.uint8): "rgb24", np.dtype(np.uint16): "rgb48le"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A copy of a frame: FFmpeg's, and what else of `Frame.info` it came with, if anything."""

    raw: av.VideoFrame
    info: VideoInfo | None

    @property
    def kind(self) -> tuple[int, int, str]:
        """Return width, height and pixel format."""
        return self.raw.width, self.raw.height, self.raw.format.name


def copy_picture(frame: FrameLike) -> Picture:
    """Return a copy of a frame. Raise CodecError for what is none."""
    if isinstance(frame, Picture):
        return frame
    if isinstance(frame, Frame):
        picture = _copy_planes((frame.y, frame.cb, frame.cr))
        picture.raw.pts = frame.pts
        return replace(picture, info=frame.info)
    if isinstance(frame, tuple | list):
        return _copy_planes(tuple(map(_to_array, frame)))
    return _copy_rgb(_to_array(frame))


def open_frames(frames: Iterable[FrameLike], rate: float | Fraction | None) -> Source:
    """Return a source of frames that come one by one, `rate` a second; it is read once.

    Without a rate frames that Tinct decoded keep their times, counted from the first. Raise
    CodecError where there is no frame, for frames that differ in size or type, and OptionError for
    a rate that is none.
    """
    pictures = _check_alike(map(copy_picture, frames))
    first = next(pictures, None)
    if first is None:
        raise CodecError("expected frames to encode, found none")
    timing = _make_timing(first, rate)
    info = replace(
        first.info or _describe_picture(first.raw),
        time_base=timing.time_base,
        frame_rate=timing.rate,
        frame_count=None,
        duration_seconds=None,
    )
    return Source(
        "the frames",
        info,
        timing,
        notes=describe_conversion(first.raw.format, info),
        start_seconds=0,
        duration_seconds=None,
        pipe=_take_raw(chain([first], pictures), is_counted=rate is not None),
        is_cut_off=lambda: False,
    )


def read_rate(rate: float | Fraction | None) -> Fraction:
    """Return a rate in frames a second as a fraction: 29.97 is 30000/1001.

    Raise OptionError for what is no rate.
    """
    expected = f"frames a second, above 0 and up to {MAX_RATE:,}"
    if not isinstance(rate, Real) or isinstance(rate, bool):
        raise OptionError("rate", expected, "none" if rate is None else repr(rate))
    if not 0 < rate <= MAX_RATE:
        raise OptionError("rate", expected, str(rate))
    if isinstance(rate, Rational):
        return Fraction(int(rate.numerator), int(rate.denominator))
    return find_usual_rate(Fraction(float(rate)).limit_denominator(MAX_DENOMINATOR))


def _take_raw(pictures: Iterable[Picture], *, is_counted: bool) -> Iterator[av.VideoFrame]:
    for number, picture in enumerate(pictures):
        if is_counted:
            picture.raw.pts = number
        yield picture.raw


def _make_timing(first: Picture, rate: float | Fraction | None) -> Timing:
    if rate is not None or first.info is None:
        return make_pipe_timing(read_rate(rate))
    base = first.info.time_base
    return Timing(
        stream_base=base,
        rate=first.info.frame_rate,
        zero=(first.raw.pts or 0) * base,
        delay=0,
        ticks=None,
        timed=True,
    )


def _describe_picture(raw: av.VideoFrame) -> VideoInfo:
    """Return a picture's properties; its times are not known yet."""
    colour = ColourTags()
    if is_rgb(raw.format):
        colour = ColourTags(matrix=BT709 if raw.height >= 720 else BT601, full_range=False)
    return VideoInfo(
        width=raw.width,
        height=raw.height,
        bit_depth=10 if max(part.bits for part in raw.format.components) > 8 else 8,
        time_base=Fraction(1),
        frame_rate=None,
        frame_count=None,
        duration_seconds=None,
        colour=colour,
    )


def _check_alike(pictures: Iterable[Picture]) -> Iterator[Picture]:
    kind = None
    for number, picture in enumerate(pictures):
        kind = kind or picture.kind
        if picture.kind != kind:
            raise CodecError(
                "expected {}x{} {} to the end, ".format(*kind)
                + "found {}x{} {} in frame ".format(*picture.kind)
                + f"{number}; scale or convert it first"
            )
        yield picture


def _to_array(frame: Any) -> np.ndarray:
    """Return an array; a tensor of PyTorch comes to the processor."""
    if hasattr(frame, "detach"):
        frame = frame.detach().cpu().numpy()
    if not isinstance(frame, np.ndarray):
        raise CodecError(f"expected {WANTED}; found {type(frame).__name__}")
    return frame


def _copy_rgb(rgb: np.ndarray) -> Picture:
    if rgb.ndim == 3 and rgb.shape[2] != 3 and rgb.shape[0] == 3:
        rgb = rgb.transpose(1, 2, 0)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0 or rgb.dtype not in RGB_FORMATS:
        raise CodecError(f"expected {WANTED}; found {rgb.dtype} {list(rgb.shape)}")
    rgb = np.ascontiguousarray(rgb)
    return Picture(raw=av.VideoFrame.from_ndarray(rgb, RGB_FORMATS[rgb.dtype]), info=None)


def _copy_planes(planes: tuple[np.ndarray, ...]) -> Picture:
    found = ", ".join(f"{plane.dtype} {list(plane.shape)}" for plane in planes)
    if len(planes) != 3 or planes[0].ndim != 2 or planes[0].size == 0:
        raise CodecError(f"expected {WANTED}; found {found or 'no plane'}")
    height, width = planes[0].shape
    half = ((height + 1) // 2, (width + 1) // 2)
    has_shapes = [plane.shape for plane in planes[1:]] == [half, half]
    dtypes = {plane.dtype for plane in planes}
    if not has_shapes or len(dtypes) != 1 or not dtypes <= set(RGB_FORMATS):
        raise CodecError(f"expected {WANTED}; found {found}")
    bit_depth = 8 if planes[0].dtype == np.uint8 else 10
    if bit_depth == 10 and (highest := max(int(plane.max()) for plane in planes)) > 1023:
        raise CodecError(f"expected planes of 10 bit, 0 to 1023, found {highest}; scale them first")
    return Picture(raw=to_av_frame(planes, pixel_format(bit_depth), (height, width)), info=None)
