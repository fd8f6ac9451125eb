"""Pictures on their way into and out of a base codec: packets, formats, and stacked chroma.

`base` codes them.
"""

from dataclasses import dataclass

import av
import numpy as np


@dataclass(frozen=True)
class Packet:
    """One coded picture: Annex B bytes without repeated parameter sets.

    Times are in ticks of the video's time base.
    """

    data: bytes
    pts: int
    dts: int
    keyframe: bool


@dataclass(frozen=True)
class PictureKind:
    """Properties that all pictures of a track share; `pixels` is FFmpeg's name of their format."""

    width: int
    height: int
    pixels: str

    @classmethod
    def of(cls, picture: "av.VideoFrame | av.VideoCodecContext") -> "PictureKind":
        pixels = picture.format.name if picture.format is not None else ""
        return cls(picture.width, picture.height, pixels)


def stack_chroma(cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """Return Cb above Cr as one grey picture [2 h, w], from planes [h, w]."""
    return np.concatenate((cb, cr))


def unstack_chroma(picture: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of Cb and Cr, each of `shape`, from a stacked picture that may be padded."""
    height, width = shape
    return picture[:height, :width].copy(), picture[height : 2 * height, :width].copy()
