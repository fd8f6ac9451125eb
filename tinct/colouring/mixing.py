"""A frame's colour mixed from references moved onto it, and how far it can be trusted.

Where nothing matches, saturation falls: a wrong colour that moves is worse to look at than a faint one. `follow` has the motion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from tinct.motion.flow import warp
from tinct.motion.prior import MATCH_FLOOR, MATCH_WINDOW
from tinct.motion.views import LumaView

REGION = (
    1 / 3
)  # of the width: which reference matches there decides, too; alone, a sample matches by chance
DETAIL_WINDOW = 9  # chroma samples a side, over which a picture's own detail is judged
DETAIL_FLOOR = 100.0  # squared 8-bit levels, added to the variance of the luma: flat pictures match by their noise alone
DOUBT = 0.2  # trust is 1 / (1 + DOUBT x mismatch / detail): see docs/colourise.md for the fit
LOST_WINDOW = 25  # chroma samples a side, over which nothing at all may match
LOST, LOST_DOUBT = (
    0.8,
    6.0,
)  # where mismatch there exceeds this share of detail, trust falls with the excess squared
NEAREST = 0.25  # frames: the distance that a reference has to its own frame
TONE_SPAN = (0.25, 4.0)  # gains between two frames' brightness that are believed
TONE_STEP = 4  # every so many samples a side tell the tone


@dataclass(frozen=True)
class Reference:
    """A coloured picture laid onto the frame that it names (`registration`).

    `luma` is the frame's own; `colour` [h, w, 2] is Cb and Cr about 0 in 8-bit levels, float32; `weight` [h, w] from 0, where the
    picture says nothing of the frame, to 1.
    """

    number: int  # of the frame, from 0
    luma: LumaView
    colour: np.ndarray
    weight: np.ndarray

    @cached_property
    def picture(self) -> np.ndarray:
        """Luma, Cb, Cr and weight at chroma resolution, [h, w, 4] float32: what is moved."""
        return np.dstack((self.luma.half.astype(np.float32), self.colour, self.weight))


@dataclass(frozen=True)
class Side:
    """A reference as one frame sees it: motion to it (`follow.Trail`), and how many frames lie between."""

    reference: Reference
    flow: np.ndarray | None
    distance: int


@dataclass(frozen=True)
class Mix:
    """`colour` [h, w, 2] about 0 in 8-bit levels, trust already in it, and `trust` [h, w], 0 to 1. Both float32."""

    colour: np.ndarray
    trust: np.ndarray


def mix(luma: LumaView, sides: Sequence[Side]) -> Mix:
    """The colour of one frame from the references before and after it; grey where there is none."""
    own = luma.half.astype(np.float32)
    total: np.ndarray = np.full(own.shape, 1e-12, np.float32)
    trust: np.ndarray = np.zeros(own.shape, np.float32)
    colour: np.ndarray = np.zeros((*own.shape, 2), np.float32)
    detail, region = variance(own) + DETAIL_FLOOR, round(REGION * own.shape[1])
    lost_detail = around(detail, LOST_WINDOW)
    for side in sides:
        moved = _moved(side, own.shape)
        weight = np.clip(moved[..., 3], 0, 1)
        squared = np.square(toned(own, moved[..., 0]) - own)
        error = around(squared, MATCH_WINDOW)
        share = weight / (
            max(side.distance, NEAREST)
            * (error + MATCH_FLOOR)
            * (around(squared, region) + MATCH_FLOOR)
        )
        total += share
        colour += share[..., None] * moved[..., 1:3]
        lost = np.maximum(around(squared, LOST_WINDOW) / lost_detail - LOST, 0)
        trust += share * weight / (1 + DOUBT * error / detail + LOST_DOUBT * lost * lost)
    trust = around(trust / total, MATCH_WINDOW)
    return Mix(colour * (trust / total)[..., None], trust)


def mismatch(own: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Mean squared error around each sample of a moved luma [h, w], once it has the frame's brightness and contrast."""
    return around(np.square(toned(own, moved) - own), MATCH_WINDOW)


def around(plane: np.ndarray, window: int) -> np.ndarray:
    """The mean of `window` x `window` samples around each, edges repeated."""
    return cv2.blur(plane, (max(window, 1), max(window, 1)), borderType=cv2.BORDER_REPLICATE)


def toned(own: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """`moved` with the gain and offset that fit it to `own` best, by the samples that agree: exposure drifts, film flickers."""
    x, y = (plane[::TONE_STEP, ::TONE_STEP].ravel() for plane in (moved, own))
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(2):
        error = np.abs(gain * x + offset - y)
        agree = error <= 2 * np.median(error) + 1
        spread = float(np.var(x[agree]))
        gain = float(np.cov(x[agree], y[agree])[0, 1]) / spread if spread > 1 else 1.0
        if not TONE_SPAN[0] <= gain <= TONE_SPAN[1]:
            return moved
        offset = float(y[agree].mean() - gain * x[agree].mean())
    return gain * moved + np.float32(offset)


def _moved(side: Side, shape: tuple[int, ...]) -> np.ndarray:
    picture = side.reference.picture
    return picture if side.flow is None else warp(picture, side.flow.astype(np.float32))


def variance(plane: np.ndarray) -> np.ndarray:
    """Of the samples around each."""
    return np.maximum(
        around(plane * plane, DETAIL_WINDOW) - np.square(around(plane, DETAIL_WINDOW)), 0
    )
