"""Colour of a frame as one array, and frames made of luma and such an array."""

import numpy as np

from tinct.frames import Frame, VideoInfo

MIDDLE = np.float32(128)  # 8-bit level of Cb and Cr without colour


def stack_chroma(frame: Frame) -> np.ndarray:
    """Return Cb and Cr of a frame in 8-bit levels, [h, w, 2] float32; `MIDDLE` is grey."""
    unit = 1 << (frame.info.bit_depth - 8)
    return np.dstack((frame.cb, frame.cr)).astype(np.float32) / unit


def replace_chroma(frame: Frame, colour: np.ndarray) -> Frame:
    """Return the frame with `colour` [h, w, 2], about 0 in 8-bit levels, rounded and clipped."""
    unit = 1 << (frame.info.bit_depth - 8)
    levels = np.rint((colour + MIDDLE) * unit).clip(0, 256 * unit - 1).astype(frame.y.dtype)
    cb, cr = levels[..., 0].copy(), levels[..., 1].copy()
    return Frame(frame.y, cb, cr, pts=frame.pts, info=frame.info)


def make_grey_frame(y: np.ndarray, pts: int, info: VideoInfo) -> Frame:
    """Return a frame of luma `y` [H, W] without colour."""
    flat = np.full(info.chroma_shape, 128 << (info.bit_depth - 8), y.dtype)
    return Frame(y, flat, flat, pts=pts, info=info)
