"""Decoded planes without the padding that they were coded with."""

import numpy as np

from tinct.errors import CodecError
from tinct.frames import VideoInfo


def crop_plane(plane: np.ndarray, shape: tuple[int, int], info: VideoInfo) -> np.ndarray:
    """Return the part of a plane that is shown, of `shape` (height, width), contiguous.

    Raise CodecError as `check_plane` does.
    """
    check_plane(plane, shape, info)
    height, width = shape
    return np.ascontiguousarray(plane[:height, :width])


def check_plane(plane: np.ndarray, shape: tuple[int, int], info: VideoInfo) -> None:
    """Raise CodecError where a plane is smaller than `shape` or of another bit depth."""
    dtype = np.uint8 if info.bit_depth == 8 else np.uint16
    height, width = shape
    if plane.shape[0] < height or plane.shape[1] < width or plane.dtype != dtype:
        raise CodecError(
            f"expected pictures of {width}x{height}, {info.bit_depth} bit to the end; "
            f"found {plane.shape[1]}x{plane.shape[0]}, {8 * plane.itemsize} bit; "
            "get the file again"
        )
