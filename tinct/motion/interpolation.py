"""Frames between two frames that are known: both are moved to the time between, and mixed.

The decoder makes frames that were never sent this way (`decoder.restorer`); the encoder looks at
what they would be before it decides which frames it sends (`encoder.sending`). `flow` searches.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tinct.motion.flow import Flow, convert_flow, make_grid, scale_flow, track, warp
from tinct.motion.views import KeyView

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]
MATCH_WINDOW = 7  # luma samples a side of the window over which a motion is judged
MATCH_FLOOR = 2.0  # 8-bit levels; a mismatch below coding noise says nothing


@dataclass(frozen=True)
class Match:
    """The motion between two frames, found once for all frames between them.

    `forward` leads from the earlier frame to the later one, `backward` from the later one to the
    earlier; None where the pictures are too small for optical flow.
    """

    forward: Flow
    backward: Flow


def match(before: KeyView, after: KeyView) -> Match:
    """Return the motion between two frames, by fine searches in both directions."""
    return Match(
        track([before.luma], after.luma, fine=True)[0],
        track([after.luma], before.luma, fine=True)[0],
    )


def interpolate_frame(before: KeyView, after: KeyView, *, motion: Match, share: float) -> Planes:
    """Return Y [H, W], Cb and Cr [h, w] of the frame at `share` (0 to 1) of the time between.

    The planes have the type of the frames' own. There are two guesses at each sample's motion, that
    of the earlier frame and that of the later one; each is weighed by how well both frames agree
    along it.
    """
    pictures = [(frame.luma.y, cv2.merge((frame.cb, frame.cr))) for frame in (before, after)]
    if motion.forward is None or motion.backward is None:
        luma, colour = (
            _mix(first.astype(np.float32), second.astype(np.float32), share)
            for first, second in zip(*pictures, strict=True)
        )
    else:
        guesses = (
            _shift(motion.forward, share),
            np.negative(_shift(motion.backward, 1 - share)),
        )
        luma, colour = _mix_guesses(pictures, guesses, share)
    dtype = before.luma.y.dtype
    cb, cr = cv2.split(np.rint(colour))
    return np.rint(luma).astype(dtype), cb.astype(dtype), cr.astype(dtype)


def _shift(flow: np.ndarray, share: float) -> np.ndarray:
    """Return a flow, float32, at the samples where it has brought its content at `share` of it."""
    full = convert_flow(flow, cv2.CV_32F)
    positions = make_grid(*full.shape[:2]) - np.float32(share) * full
    return cv2.remap(  # type: ignore[call-overload]
        full, positions, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _mix_guesses(
    pictures: list[tuple[np.ndarray, np.ndarray]],
    guesses: tuple[np.ndarray, np.ndarray],
    share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return luma [H, W] and colour [h, w, 2], float32, of both guesses at the motion."""
    (luma, colour), (later_luma, later_colour) = pictures
    scale = 1.0 if luma.dtype == np.uint8 else 0.25  # to 8-bit levels
    mixed, doubts = [], []
    for flow in guesses:
        back, forth = (scale_flow(part, luma.shape) for part in (-share * flow, (1 - share) * flow))
        first, second = _move(luma, back), _move(later_luma, forth)
        doubts.append(_measure_doubt(first, second, scale))
        chroma = _mix(_move(colour, back), _move(later_colour, forth), share)
        mixed.append((_mix(first, second, share), chroma))
    trust = doubts[0] / (doubts[0] + doubts[1])  # in the later frame's guess
    small = cv2.resize(trust, colour.shape[1::-1], interpolation=cv2.INTER_AREA)
    return (
        cv2.blendLinear(mixed[0][0], mixed[1][0], 1 - trust, trust),
        cv2.blendLinear(mixed[0][1], mixed[1][1], 1 - small, small),
    )


def _move(plane: np.ndarray, flow: np.ndarray) -> np.ndarray:
    return warp(plane.astype(np.float32), flow)


def _measure_doubt(first: np.ndarray, second: np.ndarray, scale: float) -> np.ndarray:
    """Return a weight, float32 [H, W], that grows where two pictures of one moment differ."""
    window = (MATCH_WINDOW, MATCH_WINDOW)
    return np.square(np.float32(scale) * cv2.blur(cv2.absdiff(first, second), window) + MATCH_FLOOR)


def _mix(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    return cv2.addWeighted(first, 1 - share, second, share, 0)
