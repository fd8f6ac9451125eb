"""Motion to one reference, followed away from it frame by frame over any distance; a trail can be put away and taken up again.

`references` tracks the few frames between two key frames. Over hundreds of frames a search in the reference alone loses what has
moved far, and motion that is only added up drifts: here each step does both, and keeps what explains the luma better.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tinct.motion.flow import MIN_FLOW_SIDE, stilled, warp

MATCH_WINDOW = 9  # samples a side, over which the two searches are compared
CHAIN_GAIN, CHAIN_FLOOR = (
    0.95,
    0.1,
)  # what motion added up has to lower the mismatch by: the search itself does not drift
EDGE_BLUR = 5  # samples a side; between the two, so that no seam shows


@dataclass(frozen=True)
class Trail:
    """How far a reference has been followed: `flow` [h, w, 2] from the frame reached to it, and the `luma` [h, w] of that frame.

    Both at the resolution of `LumaView.matched`. `flow` is None where the picture is too small for optical flow.
    """

    flow: np.ndarray | None
    luma: np.ndarray


def begin(reference: np.ndarray) -> Trail:
    """At the reference itself, given as luma [h, w]."""
    small = min(reference.shape) < MIN_FLOW_SIDE
    return Trail(None if small else np.zeros((*reference.shape, 2), np.float32), reference)


def follow(luma: np.ndarray, trail: Trail, reference: np.ndarray) -> Trail:
    """One frame on, to the neighbour that `luma` [h, w] shows."""
    if trail.flow is None:
        return Trail(None, luma)
    step = _search(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST, luma, trail.luma, None)
    chained = step + warp(trail.flow, step)
    direct = _search(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, luma, reference, chained.copy())
    by_chain, by_search = (_mismatch(warp(reference, flow), luma) for flow in (chained, direct))
    chain = (by_chain < by_search * CHAIN_GAIN - CHAIN_FLOOR).astype(np.float32)
    share = cv2.blur(chain, (EDGE_BLUR, EDGE_BLUR))[..., None]
    return Trail(stilled(luma, reference, chained * share + direct * (1 - share)), luma)


def _search(
    preset: int, target: np.ndarray, source: np.ndarray, first_guess: np.ndarray | None
) -> np.ndarray:
    # a new object each time: a call on a small picture changes its settings for good
    return cv2.DISOpticalFlow.create(preset).calc(target, source, first_guess)  # type: ignore[arg-type]


def _mismatch(warped: np.ndarray, luma: np.ndarray) -> np.ndarray:
    return cv2.blur(cv2.absdiff(warped, luma).astype(np.float32), (MATCH_WINDOW, MATCH_WINDOW))
