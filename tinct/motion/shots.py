"""Shots: each frame looked at once, for a small copy of it and for whether a shot starts with it.

`encoder.keyframes` decides on these copies where key frames stand.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from tinct.frames import Frame
from tinct.motion.flow import MIN_FLOW_SIDE, estimate_flow, warp
from tinct.motion.views import KeyView, LumaView

CUT_SIDE = 96  # samples of the longer side of the plane on which cuts are looked for
# Share of a picture's variance that its predecessor fails to predict: 0.26 to 7.6 at real cuts.
CUT_MISMATCH = 0.25
CUT_RISE = 4.0  # times the shot's recent mismatch: fast motion stays high, a cut stands alone
CUT_MEMORY = 5  # frames that the recent mismatch is averaged over
FLAT_VARIANCE = 25.0  # squared 8-bit levels; keeps noise in a flat picture from looking like a cut


@dataclass(frozen=True)
class ScannedFrame:
    """A frame, whether a shot starts with it, and the small copy on which decisions are made.

    `small` has luma at chroma resolution and chroma at half of that, 8 bit. `unpredicted` is the
    share of the frame's variance that motion from the frame before does not explain.
    """

    frame: Frame
    small: KeyView
    starts_shot: bool
    unpredicted: float


def scan_frames(
    frames: Iterable[Frame], *, most_samples: float = math.inf
) -> Iterator[ScannedFrame]:
    """Yield each frame with a small copy, and whether the frame before predicts it.

    Copies of more than `most_samples` of luma are halved until they are smaller.
    """
    previous: LumaView | None = None
    recent: deque[float] = deque(maxlen=CUT_MEMORY)
    for frame in frames:
        small = _shrink_frame(frame)
        while small.luma.y.size > most_samples:
            small = _halve(small)
        view = _shrink_for_cuts(frame, small)
        unpredicted = 0.0 if previous is None else _measure_unpredicted(view, previous)
        usual = sum(recent) / len(recent) if recent else 0.0
        is_cut = unpredicted > CUT_MISMATCH and unpredicted > CUT_RISE * usual
        if is_cut:
            recent.clear()
        else:
            recent.append(unpredicted)
        previous = view
        yield ScannedFrame(frame, small, starts_shot=is_cut, unpredicted=unpredicted)


def _shrink_frame(frame: Frame) -> KeyView:
    """Return a copy at half the width and height, 8 bit."""
    depth = frame.info.bit_depth
    half = LumaView(frame.y, depth, frame.pts).half
    size = ((half.shape[1] + 1) // 2, (half.shape[0] + 1) // 2)
    planes = (LumaView(plane, depth, frame.pts).full for plane in (frame.cb, frame.cr))
    cb, cr = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes)
    return KeyView(LumaView(half, 8, frame.pts), cb, cr)


def _halve(small: KeyView) -> KeyView:
    """Return an 8-bit copy of half the width and height."""
    luma, cb, cr = (
        LumaView(plane, 8, small.luma.pts) for plane in (small.luma.y, small.cb, small.cr)
    )
    return KeyView(LumaView(luma.half, 8, luma.pts), cb.half, cr.half)


def _shrink_for_cuts(frame: Frame, small: KeyView) -> LumaView:
    """Return luma whose `half`, on which cuts are looked for, has CUT_SIDE samples a side or less.

    It is made from the small copy where that is large enough for optical flow: without flow every
    motion would look like a cut.
    """
    has_flow = min(small.luma.y.shape) >= MIN_FLOW_SIDE
    luma = small.luma if has_flow else LumaView(frame.y, frame.info.bit_depth, frame.pts)
    height, width = luma.full.shape
    scale = 2 * CUT_SIDE / max(height, width)
    if scale >= 1:
        return luma
    size = (max(MIN_FLOW_SIDE, round(width * scale)), max(MIN_FLOW_SIDE, round(height * scale)))
    return LumaView(cv2.resize(luma.full, size, interpolation=cv2.INTER_AREA), 8, luma.pts)


def _measure_unpredicted(luma: LumaView, previous: LumaView) -> float:
    """Return the share of the variance of `luma` left after motion compensation from `previous`."""
    flow = estimate_flow(luma, previous)
    predicted = previous.half if flow is None else warp(previous.half, flow)
    half = luma.half.astype(np.float32)
    error = np.mean(np.square(half - predicted))
    return float(error / (half.var() + FLAT_VARIANCE))
