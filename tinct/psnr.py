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
        mse = _bound_errors(errors)
        return cls(float(to_db(mse).mean()), float(to_db([mse.mean()])[0]))


def to_db(errors: Iterable[float]) -> np.ndarray:
    """Return the PSNR of each mean squared error in 8-bit levels, at most PERFECT_DB."""
    return 10 * np.log10(255**2 / _bound_errors(errors))


def _bound_errors(errors: Iterable[float]) -> np.ndarray:
    return np.maximum(np.asarray(errors, np.float64), 255**2 / 10 ** (PERFECT_DB / 10))


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
