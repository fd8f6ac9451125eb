"""PSNR of planes, pooled over frames in both ways that are in use."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from tinct.frames import Frame

PLANE_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)  # of Y, Cb and Cr, as in JVET's common test conditions
PERFECT_DB = 100.0  # the PSNR of a plane without error


@dataclass(frozen=True)
class Psnr:
    """PSNR of one plane in dB.

    `mean_db` is the mean of the frames' PSNR, `pooled_db` the PSNR of the squared error over all
    frames.
    """

    mean_db: float
    pooled_db: float

    @classmethod
    def of(cls, errors: Iterable[float]) -> "Psnr":
        """Compute both from each frame's mean squared error in 8-bit levels."""
        mse = np.maximum(np.asarray(errors, np.float64), 255**2 / 10 ** (PERFECT_DB / 10))
        return cls(
            float(np.mean(10 * np.log10(255**2 / mse))), float(10 * np.log10(255**2 / mse.mean()))
        )


def squared_error(a: np.ndarray, b: np.ndarray, bit_depth: int) -> float:
    """Return the mean squared error in 8-bit levels; `b` may be padded below and on the right."""
    height, width = a.shape
    return cv2.norm(a, b[:height, :width], cv2.NORM_L2SQR) / a.size / 4.0 ** (bit_depth - 8)


def plane_errors(a: Frame, b: Frame) -> tuple[float, float, float]:
    """Return the mean squared error of Y, Cb and Cr in 8-bit levels."""
    assert a.info.bit_depth == b.info.bit_depth, (a.info.bit_depth, b.info.bit_depth)
    planes = ((a.y, b.y), (a.cb, b.cb), (a.cr, b.cr))
    y, cb, cr = (squared_error(p, q, a.info.bit_depth) for p, q in planes)
    return y, cb, cr
