"""NumPy planes in and out of FFmpeg's frames, whose rows are padded and may run upwards."""

from typing import Any

import av
import numpy as np

Planes = tuple[np.ndarray, ...]  # luma alone, or Y, Cb and Cr in 4:2:0


def pixel_format(bit_depth: int, *, grey: bool = False) -> str:
    """Return FFmpeg's name for 4:2:0, or for luma alone."""
    return ("gray" if grey else "yuv420p") + ("" if bit_depth == 8 else "10le")


def colour_range(full_range: bool | None) -> int:
    """Return FFmpeg's number for a range (AVColorRange)."""
    return {None: 0, False: 1, True: 2}[full_range]


def view_rows(plane: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """Return a view of a plane's memory [H, W and padding], top row first."""
    memory = np.frombuffer(plane, dtype).reshape(-1, abs(plane.line_size) // dtype.itemsize)
    return memory[::-1] if plane.line_size < 0 else memory


def to_av_frame(planes: Planes, format_name: str, shape: tuple[int, int]) -> av.VideoFrame:
    """Return an FFmpeg frame of `shape` (height, width of luma); smaller planes are padded."""
    frame = av.VideoFrame(shape[1], shape[0], format_name)
    assert len(frame.planes) == len(planes), (format_name, len(planes))
    for target, plane in zip(frame.planes, planes, strict=True):
        size = (target.height, target.width)
        view_rows(target, plane.dtype)[: size[0], : size[1]] = pad_plane(plane, size)
    return frame


def from_av_frame(frame: av.VideoFrame, count: int | None = None) -> Planes:
    """Return contiguous copies of the first `count` planes of a gray or 4:2:0 frame."""
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else "<u2")
    planes = frame.planes[:count]
    return tuple(view_rows(p, dtype)[: p.height, : p.width].copy() for p in planes)


def pad_plane(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Repeat the last row and column downwards and to the right up to `shape`."""
    below, right = shape[0] - plane.shape[0], shape[1] - plane.shape[1]
    if below == 0 and right == 0:
        return plane
    return np.pad(plane, ((0, below), (0, right)), mode="edge")
