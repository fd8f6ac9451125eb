"""A look at each frame once: a small copy, and whether a shot starts with it."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from tinct.frames import Frame
from tinct.motion.flow import MIN_FLOW_SIDE, motion, warp
from tinct.motion.views import KeyView, LumaView

CUT_SIDE = 96  # pixels of the longer side on which cuts are looked for
CUT_MISMATCH = 0.25  # share of a picture's variance that its predecessor fails to predict; 0.26 to 7.6 at real cuts
CUT_RISE = 4.0  # times the shot's recent mismatch: fast motion stays high, a cut stands alone
CUT_MEMORY = 5  # frames
FLAT_VARIANCE = 25.0  # squared 8-bit levels; keeps noise in a flat picture from looking like a cut


@dataclass(frozen=True)
class Seen:
    """A frame, whether a shot starts with it, and the small copy on which decisions are made.

    `small` has luma at chroma resolution and chroma at half of that. `unpredicted` is the share of the frame's variance that
    motion from the frame before does not explain.
    """

    frame: Frame
    small: KeyView
    starts_shot: bool
    unpredicted: float


def look(frames: Iterable[Frame]) -> Iterator[Seen]:
    """Look at each frame once: a small copy, and whether the frame before predicts it."""
    before: LumaView | None = None
    recent: deque[float] = deque(maxlen=CUT_MEMORY)
    for frame in frames:
        small = _small(frame)
        enough = (
            min(small.luma.y.shape) >= MIN_FLOW_SIDE
        )  # without flow every motion would look like a cut
        view = _tiny(small.luma if enough else LumaView(frame.y, frame.info.bit_depth, frame.pts))
        unpredicted = 0.0 if before is None else _unpredicted(view, before)
        usual = sum(recent) / len(recent) if recent else 0.0
        cut = unpredicted > CUT_MISMATCH and unpredicted > CUT_RISE * usual
        if cut:
            recent.clear()
        else:
            recent.append(unpredicted)
        before = view
        yield Seen(frame, small, cut, unpredicted)


def _small(frame: Frame) -> KeyView:
    depth = frame.info.bit_depth
    half = LumaView(frame.y, depth, frame.pts).half
    size = ((half.shape[1] + 1) // 2, (half.shape[0] + 1) // 2)
    planes = (LumaView(p, depth, frame.pts).full for p in (frame.cb, frame.cr))
    cb, cr = (cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in planes)
    return KeyView(LumaView(half, 8, frame.pts), cb, cr)


def _unpredicted(luma: LumaView, before: LumaView) -> float:
    """Share of the variance of `luma` that remains after motion compensation from `before`."""
    flow = motion(luma, before)
    predicted = before.half if flow is None else warp(before.half, flow)
    error = np.mean(np.square(luma.half.astype(np.float32) - predicted))
    return float(error / (luma.half.astype(np.float32).var() + FLAT_VARIANCE))


def _tiny(luma: LumaView) -> LumaView:
    """A copy whose `half` (what cuts are looked for on) has CUT_SIDE pixels on its longer side, or less."""
    height, width = luma.full.shape
    scale = 2 * CUT_SIDE / max(height, width)
    if scale >= 1:
        return luma
    size = (max(MIN_FLOW_SIDE, round(width * scale)), max(MIN_FLOW_SIDE, round(height * scale)))
    return LumaView(cv2.resize(luma.full, size, interpolation=cv2.INTER_AREA), 8, luma.pts)
