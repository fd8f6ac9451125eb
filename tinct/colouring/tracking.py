"""Optical flow to one reference, tracked frame by frame over any distance.

`motion.flow` tracks the few frames between two key frames. Over hundreds of frames a search in the
reference alone loses what has moved far, and motion that is only summed drifts. Each step here
computes both flows and keeps, per pixel, the one that explains the luma better.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tinct.motion.flow import MIN_FLOW_SIDE, warp, zero_still_flow

MATCH_WINDOW = 9  # samples a side, over which the mismatches of the two flows are compared
CHAIN_GAIN, CHAIN_FLOOR = 0.95, 0.1  # the summed flow has to win by this much: it may drift
EDGE_BLUR = 5  # samples a side, over which the two flows cross-fade, so that no seam shows


@dataclass(frozen=True)
class TrackedFlow:
    """How far a reference has been tracked, at the resolution of `LumaView.matched`.

    `flow` [h, w, 2] float32 points from the last tracked frame to the reference, in samples; None
    where the picture is too small for optical flow. `luma` [h, w] is that of the last tracked
    frame, uint8.
    """

    flow: np.ndarray | None
    luma: np.ndarray


def start_tracking(reference: np.ndarray) -> TrackedFlow:
    """Return the state at the reference itself, given as luma [h, w]: no motion."""
    small = min(reference.shape) < MIN_FLOW_SIDE
    return TrackedFlow(None if small else np.zeros((*reference.shape, 2), np.float32), reference)


def track_frame(luma: np.ndarray, tracked: TrackedFlow, reference: np.ndarray) -> TrackedFlow:
    """Track one frame on, to the neighbour of the last tracked frame that has this luma [h, w]."""
    if tracked.flow is None:
        return TrackedFlow(None, luma)
    step = _search_flow(luma, tracked.luma, preset=cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    chained = step + warp(tracked.flow, step)
    direct = _search_flow(
        luma,
        reference,
        preset=cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
        first_guess=chained.copy(),
    )
    chain_mismatch, direct_mismatch = (
        _measure_mismatch(warp(reference, flow), luma) for flow in (chained, direct)
    )
    chain = (chain_mismatch < direct_mismatch * CHAIN_GAIN - CHAIN_FLOOR).astype(np.float32)
    share = cv2.blur(chain, (EDGE_BLUR, EDGE_BLUR))[..., None]
    flow = chained * share + direct * (1 - share)
    return TrackedFlow(zero_still_flow(luma, reference, flow), luma)


def _search_flow(
    target: np.ndarray, source: np.ndarray, *, preset: int, first_guess: np.ndarray | None = None
) -> np.ndarray:
    # DIS objects are not reused: a call on a small picture changes their settings for good.
    return cv2.DISOpticalFlow.create(preset).calc(target, source, first_guess)  # type: ignore[arg-type]


def _measure_mismatch(warped: np.ndarray, luma: np.ndarray) -> np.ndarray:
    return cv2.blur(cv2.absdiff(warped, luma).astype(np.float32), (MATCH_WINDOW, MATCH_WINDOW))
