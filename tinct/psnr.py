"""PSNR of each plane, in both poolings that are in use."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from tinct.frames import Frame

PLANE_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)  # of Y, Cb and Cr, as in JVET's common test conditions
PERFECT_DB = 100.0  # what a plane without error counts


@dataclass(frozen=True)
class Psnr:
    """dB of one plane: the mean of the frames' PSNR, and the PSNR of the mean squared error over all frames."""

    mean_db: float
    pooled_db: float

    @classmethod
    def of(cls, errors: Iterable[float]) -> "Psnr":
        """From each frame's mean squared error in 8-bit levels."""
        mse = np.maximum(np.asarray(errors, np.float64), 255**2 / 10 ** (PERFECT_DB / 10))
        return cls(
            float(np.mean(10 * np.log10(255**2 / mse))), float(10 * np.log10(255**2 / mse.mean()))
        )


def squared_error(a: np.ndarray, b: np.ndarray, bit_depth: int) -> float:
    """Mean squared error in 8-bit levels; `b` may be padded below and to the right."""
    height, width = a.shape
    return cv2.norm(a, b[:height, :width], cv2.NORM_L2SQR) / a.size / 4.0 ** (bit_depth - 8)


def plane_errors(a: Frame, b: Frame) -> tuple[float, float, float]:
    """Mean squared error of Y, Cb and Cr in 8-bit levels."""
    assert a.info.bit_depth == b.info.bit_depth, (a.info.bit_depth, b.info.bit_depth)
    planes = ((a.y, b.y), (a.cb, b.cb), (a.cr, b.cr))
    y, cb, cr = (squared_error(p, q, a.info.bit_depth) for p, q in planes)
    return y, cb, cr
