"""Frames and the properties of a video; `colour` converts frames to R'G'B'.

Samples are planar 4:2:0 integers as coded: uint8 for 8 bit, uint16 for 10 bit. Code numbers of
colour tags are those of ITU-T H.273. Times are whole ticks of `VideoInfo.time_base`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from tinct.errors import CodecError
from tinct.limits import MAX_PIXELS, MAX_RATE, MAX_SIDE

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ColourTags:
    """Colour tags as H.273 code numbers; 2 is "unspecified".

    `full_range` is None where the source does not say.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool | None = None


@dataclass(frozen=True)
class Hdr:
    """HDR10 metadata in x265's text form.

    `master_display` is G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min), `max_cll` is "cll,fall".
    """

    master_display: str | None = None
    max_cll: str | None = None


# Where chroma lies among luma: chroma_sample_loc_type of H.264 and HEVC, by FFmpeg's names.
CHROMA_LOCATIONS = {"center": 1, "topleft": 2, "top": 3, "bottomleft": 4, "bottom": 5}


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Properties of one video track.

    `frame_rate` is None for a variable rate; then `time_base` is a millisecond, otherwise exactly
    1 / frame_rate. `frame_count` is None where it cannot be known before decoding (a pipe).
    `rotation` is in degrees clockwise, as players apply it: 0, 90, 180 or 270. `chroma_location` is
    a key of CHROMA_LOCATIONS, None for the usual "left".
    """

    width: int
    height: int
    bit_depth: int
    time_base: Fraction
    frame_rate: Fraction | None
    frame_count: int | None
    duration_seconds: float | None
    colour: ColourTags = ColourTags()
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation: int = 0
    chroma_location: str | None = None
    hdr: Hdr = Hdr()

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise CodecError(
                f"expected a frame of 1 to {MAX_SIDE} pixels a side, "
                f"found {self.width}x{self.height}"
            )
        if self.width * self.height > MAX_PIXELS:
            raise CodecError(
                f"expected a frame of at most {MAX_PIXELS:,} pixels, "
                f"found {self.width}x{self.height}; scale it down first"
            )
        assert self.bit_depth in (8, 10), self.bit_depth

    @property
    def mean_rate(self) -> Fraction:
        """Frames per second; the mean of a variable rate, 25 where that is not known.

        Frames of a variable rate are milliseconds apart: a higher mean is a false frame count's.
        """
        if self.frame_rate is not None:
            return self.frame_rate
        if not self.frame_count or not self.duration_seconds:
            return Fraction(25)
        rate = Fraction(self.frame_count / self.duration_seconds).limit_denominator(MAX_RATE)
        return min(max(rate, Fraction(1, MAX_RATE)), Fraction(MAX_RATE))

    @property
    def chroma_shape(self) -> tuple[int, int]:
        """Height and width of a 4:2:0 chroma plane, odd sides rounded up."""
        return (self.height + 1) // 2, (self.width + 1) // 2


# Receives the progress of work on a video: frames done, and frames in all where known.
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Frame:
    """One 4:2:0 picture: `y` is [H, W], `cb` and `cr` are [ceil(H/2), ceil(W/2)].

    `pts` is in ticks of `info.time_base`.
    """

    y: np.ndarray
    cb: np.ndarray
    cr: np.ndarray
    pts: int
    info: VideoInfo

    def __post_init__(self) -> None:
        dtype = np.uint8 if self.info.bit_depth == 8 else np.uint16
        assert self.y.shape == (self.info.height, self.info.width), (self.y.shape, self.info)
        assert self.cb.shape == self.cr.shape == self.info.chroma_shape, (
            self.cb.shape,
            self.cr.shape,
        )
        assert self.y.dtype == self.cb.dtype == self.cr.dtype == dtype, (
            self.y.dtype,
            self.cb.dtype,
        )

    @property
    def pts_seconds(self) -> float:
        """When the frame is shown, in seconds."""
        return float(self.pts * self.info.time_base)

    def rgb(self) -> np.ndarray:
        """Return R'G'B' [H, W, 3], uint8 of 0 to 255, by the video's matrix and range.

        Raise CodecError for the few matrices that R'G'B' cannot be computed of, such as ICtCp.
        """
        from tinct.colour import to_rgb

        return to_rgb(self)

    def rgb16(self) -> np.ndarray:
        """Return R'G'B' [H, W, 3], uint16 of 0 to 65535, in which 10 bits lose nothing."""
        from tinct.colour import to_rgb16

        return to_rgb16(self)

    def to_torch(self) -> "torch.Tensor":
        """Return R'G'B' as a tensor [3, H, W], uint8 of 0 to 255 (needs PyTorch)."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.rgb().transpose(2, 0, 1)))

    def planes_to_torch(self) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """Return Y [H, W], Cb and Cr [ceil(H/2), ceil(W/2)] as tensors (needs PyTorch).

        They are copies in the type of the planes: uint8, or uint16 of 0 to 1023 for 10 bit.
        """
        import torch

        y, cb, cr = (torch.from_numpy(plane.copy()) for plane in (self.y, self.cb, self.cr))
        return y, cb, cr
