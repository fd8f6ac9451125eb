"""Colour of a frame blended from references warped onto it, and how far it can be trusted.

Saturation falls where nothing matches: a wrong colour that moves disturbs more than a faint one.
`tracking` finds the motion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np

from tinct.motion.flow import warp
from tinct.motion.prior import MATCH_FLOOR, MATCH_WINDOW
from tinct.motion.views import LumaView

REGION = (
    1 / 3
)  # of the width: window in which references are compared, too; samples match by chance
DETAIL_WINDOW = 9  # chroma samples a side, over which the luma's own variance is measured
DETAIL_FLOOR = (
    100.0  # squared 8-bit levels added to that variance: flat areas differ by noise alone
)
DOUBT = 0.2  # trust is 1 / (1 + DOUBT x mismatch / detail): see docs/colourise.md for the fit
LOST_WINDOW = 25  # chroma samples a side, over which content may be missing from a reference
LOST = 0.8  # share of detail in that window above which mismatch lowers trust further
LOST_DOUBT = 6.0  # how much further, times the square of the excess
NEAREST = 0.25  # frames: the distance of a reference from its own frame
TONE_GAINS = (0.25, 4.0)  # gains of brightness between two frames outside which none is applied
TONE_STEP = 4  # samples: gain and offset are fitted on each fourth row and column


@dataclass(frozen=True)
class Reference:
    """A coloured picture registered onto the frame that it shows (see `registration`).

    `number` is the frame's, from 0, and `luma` its own. `colour` [h, w, 2] is Cb and Cr about 0 in
    8-bit levels, float32. `weight` [h, w] is 1 where the picture shows the frame, 0 where it does
    not, float32.
    """

    number: int
    luma: LumaView
    colour: np.ndarray
    weight: np.ndarray

    @cached_property
    def picture(self) -> np.ndarray:
        """Luma, Cb, Cr and weight at chroma resolution, [h, w, 4] float32: what is warped."""
        return np.dstack((self.luma.half.astype(np.float32), self.colour, self.weight))


@dataclass(frozen=True)
class ReferenceFlow:
    """A reference, the flow from one frame to it (see `TrackedFlow`), and their distance in frames.

    `flow` is None where the picture is too small for optical flow; the reference is then not moved.
    """

    reference: Reference
    flow: np.ndarray | None
    distance: int


@dataclass(frozen=True)
class BlendedColour:
    """Colour of one frame: Cb and Cr [h, w, 2] about 0 in 8-bit levels, and `trust` [h, w], 0 to 1.

    Both are float32. Saturation is already lowered by trust.
    """

    colour: np.ndarray
    trust: np.ndarray


Correction: TypeAlias = Callable[[LumaView, BlendedColour], BlendedColour]


def blend_references(luma: LumaView, flows: Sequence[ReferenceFlow]) -> BlendedColour:
    """Return the colour of one frame from the references around it; grey where there is none.

    A reference's weight is 1 / (distance x mismatch at the sample x mismatch in the region).
    """
    own = luma.half.astype(np.float32)
    total: np.ndarray = np.full(own.shape, 1e-12, np.float32)
    trust: np.ndarray = np.zeros(own.shape, np.float32)
    colour: np.ndarray = np.zeros((*own.shape, 2), np.float32)
    detail, region = measure_variance(own) + DETAIL_FLOOR, round(REGION * own.shape[1])
    lost_detail = average_window(detail, LOST_WINDOW)
    for one in flows:
        warped = _warp_reference(one)
        weight = np.clip(warped[..., 3], 0, 1)
        squared = np.square(match_tone(own, warped[..., 0]) - own)
        error = average_window(squared, MATCH_WINDOW)
        share = weight / (
            max(one.distance, NEAREST)
            * (error + MATCH_FLOOR)
            * (average_window(squared, region) + MATCH_FLOOR)
        )
        total += share
        colour += share[..., None] * warped[..., 1:3]
        lost = np.maximum(average_window(squared, LOST_WINDOW) / lost_detail - LOST, 0)
        trust += share * weight / (1 + DOUBT * error / detail + LOST_DOUBT * lost * lost)
    trust = average_window(trust / total, MATCH_WINDOW)
    return BlendedColour(colour * (trust / total)[..., None], trust)


def measure_mismatch(own: np.ndarray, warped: np.ndarray) -> np.ndarray:
    """Return the mean squared error of a warped luma [h, w] around each sample.

    The warped luma first gets the frame's brightness and contrast.
    """
    return average_window(np.square(match_tone(own, warped) - own), MATCH_WINDOW)


def average_window(plane: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of the `window` x `window` samples around each, edges repeated."""
    return cv2.blur(plane, (max(window, 1), max(window, 1)), borderType=cv2.BORDER_REPLICATE)


def match_tone(own: np.ndarray, warped: np.ndarray) -> np.ndarray:
    """Return `warped` with the gain and offset that fit it best to `own`, outliers left out.

    Exposure drifts and film flickers. Fits outside `TONE_GAINS` are not applied.
    """
    x, y = (plane[::TONE_STEP, ::TONE_STEP].ravel() for plane in (warped, own))
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(2):
        error = np.abs(gain * x + offset - y)
        agree = error <= 2 * np.median(error) + 1
        spread = float(np.var(x[agree]))
        gain = float(np.cov(x[agree], y[agree])[0, 1]) / spread if spread > 1 else 1.0
        if not TONE_GAINS[0] <= gain <= TONE_GAINS[1]:
            return warped
        offset = float(y[agree].mean() - gain * x[agree].mean())
    return gain * warped + np.float32(offset)


def measure_variance(plane: np.ndarray) -> np.ndarray:
    """Return the variance of the samples around each, [h, w]."""
    mean = average_window(plane, DETAIL_WINDOW)
    return np.maximum(average_window(plane * plane, DETAIL_WINDOW) - np.square(mean), 0)


def _warp_reference(one: ReferenceFlow) -> np.ndarray:
    picture = one.reference.picture
    return picture if one.flow is None else warp(picture, one.flow.astype(np.float32))
