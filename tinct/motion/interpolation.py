"""Frames between two frames that are known: both are moved to the time between, and mixed.

The decoder makes frames that were never sent this way (`decoder.restorer`); the encoder looks at
what they would be before it decides which frames it sends (`encoder.sending`). `flow` searches.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tinct.motion.flow import Flow, convert_flow, scale_flow, track, warp
from tinct.motion.references import References
from tinct.motion.views import KeyView, LumaView

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
    return Match(search_motion(before, after), search_motion(after, before))


def search_motion(target: KeyView, source: KeyView) -> Flow:
    """Return the motion from one frame to another, by a fine search."""
    return track([target.luma], source.luma, fine=True)[0]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a frame lies between two that are shown.

    `share` is the share of the time that has passed at it, 0 to 1; `distances` are the frames to
    the one before and to the one after, 1 or more.
    """

    share: float
    distances: tuple[int, int]


@dataclass(frozen=True)
class _Moved:
    """Both frames moved to the time between along one guess: luma [H, W] and colour [h, w, 2]."""

    luma: tuple[np.ndarray, np.ndarray]
    colour: tuple[np.ndarray, np.ndarray]


def interpolate_frame(before: KeyView, after: KeyView, *, motion: Match, place: Place) -> Planes:
    """Return Y [H, W], Cb and Cr [h, w] of the frame at `place`, in the type of the frames' own.

    There are two guesses at each sample's motion, that of the earlier frame and that of the later
    one; each is weighed by how well both frames agree along it.
    """
    return _mix_guesses(_move_both(before, after, motion, share=place.share), place.share)


def gather_between_references(
    before: KeyView, after: KeyView, *, motion: Match, place: Place
) -> References:
    """Return the references of the frame at `place`: 5 luma and 5 chroma sources.

    Sources in order: what `interpolate_frame` makes, both frames moved along the earlier frame's
    guess, both moved along the later one's. The QPs are the finer and the coarser of both frames.
    """
    moved = _move_both(before, after, motion, share=place.share)
    y, cb, cr = _mix_guesses(moved, place.share)
    low, high = sorted((before.luma.qp, after.luma.qp))
    return References(
        luma=np.stack([y, *(luma for guess in moved for luma in guess.luma)]),
        chroma=np.stack(
            [
                np.stack((cb, cr)),
                *(colour.transpose(2, 0, 1) for guess in moved for colour in guess.colour),
            ]
        ),
        distances=place.distances,
        qps=(low, high),
    )


def _move_both(
    before: KeyView, after: KeyView, motion: Match, *, share: float
) -> tuple[_Moved, _Moved]:
    """Return both frames moved along the guess of the earlier one, and along that of the later."""
    luma = before.luma.y, after.luma.y
    colour = cv2.merge((before.cb, before.cr)), cv2.merge((after.cb, after.cr))
    if motion.forward is None or motion.backward is None:
        return _Moved(luma, colour), _Moved(luma, colour)
    guesses = _shift(motion.forward, share), np.negative(_shift(motion.backward, 1 - share))
    moved = []
    for flow in guesses:
        fine, coarse = (scale_flow(flow, plane.shape) for plane in (luma[0], colour[0]))
        moved.append(
            _Moved(
                (
                    _move_luma(before.luma, fine, share=-share),
                    _move_luma(after.luma, fine, share=1 - share),
                ),
                (warp(colour[0], coarse, share=-share), warp(colour[1], coarse, share=1 - share)),
            )
        )
    return moved[0], moved[1]


def _move_luma(luma: LumaView, flow: np.ndarray, *, share: float) -> np.ndarray:
    """Return a luma plane moved along a flow; what overshoots at sharp edges is cut to the peak."""
    moved = warp(luma.y, flow, share=share, sharp=True)
    return moved if luma.bit_depth == 8 else np.minimum(moved, (1 << luma.bit_depth) - 1, out=moved)


def _shift(flow: np.ndarray, share: float) -> np.ndarray:
    """Return a flow, float32, at the samples where it has brought its content at `share` of it."""
    full = convert_flow(flow, cv2.CV_32F)
    return warp(full, full, share=-share)


def _mix_guesses(moved: tuple[_Moved, _Moved], share: float) -> Planes:
    """Return the planes mixed of both guesses, each weighed by its agreement."""
    first, second = moved
    doubts = [_measure_doubt(*guess.luma) for guess in moved]
    trust = doubts[0] / (doubts[0] + doubts[1])  # in the later frame's guess
    luma = cv2.blendLinear(_mix(first.luma, share), _mix(second.luma, share), 1 - trust, trust)
    small = cv2.resize(trust, first.colour[0].shape[1::-1], interpolation=cv2.INTER_AREA)
    colour = cv2.blendLinear(
        _mix(first.colour, share), _mix(second.colour, share), 1 - small, small
    )
    dtype = first.luma[0].dtype
    cb, cr = cv2.split(np.rint(colour))
    return np.rint(luma).astype(dtype), cb.astype(dtype), cr.astype(dtype)


def _measure_doubt(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a weight, float32 [H, W], that grows where two pictures of one moment differ."""
    scale = 1.0 if first.dtype == np.uint8 else 0.25  # to 8-bit levels
    difference = cv2.boxFilter(cv2.absdiff(first, second), cv2.CV_32F, (MATCH_WINDOW, MATCH_WINDOW))
    return np.square(np.float32(scale) * difference + MATCH_FLOOR)


def _mix(pictures: tuple[np.ndarray, np.ndarray], share: float) -> np.ndarray:
    """Return the mean of two pictures, float32, by their distance in time."""
    return cv2.addWeighted(pictures[0], 1 - share, pictures[1], share, 0, dtype=cv2.CV_32F)
