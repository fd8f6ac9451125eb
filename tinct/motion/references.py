"""References: a group's key frames laid onto each frame between them, along motion that is tracked away from the key.

A network chooses between what lies here (`colouriser.compact`). `propagate` has the plain way, one flow and a blend.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tinct.motion.flow import Flow, _converted, track, warp
from tinct.motion.views import KeyView, LumaView

DISTANCE_SCALE, QP_SCALE, QP_ZERO = (
    4,
    10,
    32,
)  # of what a network is told, see `References.conditions`
REACH = 2  # frames before and behind that a frame coded with its colour is restored from


@dataclass(frozen=True)
class References:
    """What one frame can be made of, in the video's own type: `luma` [S, H, W] and `chroma` [S', 2, h, w].

    Sources in order: for luma the frame's own first; then the earlier and the later key frame as they stand, then both moved.
    `distances` are those to the two key frames, in frames; `qps` the QPs of the earlier one's luma and of the frame's own.
    """

    luma: np.ndarray
    chroma: np.ndarray
    distances: tuple[int, int]
    qps: tuple[int, int]

    @property
    def conditions(self) -> np.ndarray:
        """Distances and QPs as a network is told of them: [4], float32, -4 to 4."""
        distances, qps = (
            np.log2(self.distances) / DISTANCE_SCALE,
            (np.array(self.qps) - QP_ZERO) / QP_SCALE,
        )
        return np.concatenate((distances, qps)).astype(np.float32)


def reference(
    group: Sequence[LumaView],
    index: int,
    keys: Sequence[KeyView],
    flows: tuple[Sequence[Flow], Sequence[Flow]],
) -> References:
    """Of one frame of those between two key frames (the same one twice where the group is open): 5 luma and 4 chroma sources."""
    own = group[index]
    moved = [_moved(key, flow[index]) for key, flow in zip(keys, flows, strict=True)]
    pictures = [(key.luma.y, _colour(key)) for key in keys] + moved
    luma, chroma = np.stack([own.y, *(y for y, _ in pictures)]), np.stack([c for _, c in pictures])
    return References(luma, chroma, (index + 1, len(group) - index), (keys[0].luma.qp, own.qp))


def second_reference(
    group: Sequence[LumaView],
    first: Sequence[KeyView],
    index: int,
    keys: Sequence[KeyView],
    flows: tuple[Sequence[Flow], Sequence[Flow]],
) -> References:
    """The same when `first` has been restored once, and `flows` are of that: 8 luma and 7 chroma sources.

    What the first pass made comes first, the restored frames before and after it come last.
    """
    own = first[index]
    neighbours = [
        first[index - 1] if index else keys[0],
        first[index + 1] if index + 1 < len(first) else keys[1],
    ]
    moved = [_moved(key, flow[index]) for key, flow in zip(keys, flows, strict=True)]
    moved += [_towards(own, near) for near in neighbours]
    return _again(own, group[index], keys, moved, (index + 1, len(group) - index))


def in_band_reference(frames: Sequence[KeyView], index: int) -> References:
    """Of a frame that was coded with its colour, one of `frames` in order of time: a second pass after a first that did nothing.

    The frames REACH before and behind stand for the key frames; where there is none, the furthest there is, or the frame itself.
    """
    own, last = frames[index], len(frames) - 1
    before, behind = max(index - REACH, 0), min(index + REACH, last)
    ends = (frames[before], frames[behind])
    moved = [
        _towards(own, other)
        for other in (*ends, frames[max(index - 1, 0)], frames[min(index + 1, last)])
    ]
    return _again(own, own.luma, ends, moved, (max(index - before, 1), max(behind - index, 1)))


def _again(
    own: KeyView,
    coded: LumaView,
    ends: Sequence[KeyView],
    moved: Sequence[tuple[np.ndarray, np.ndarray]],
    distances: tuple[int, int],
) -> References:
    """References of a second pass: the frame as it is by now, its luma as coded, what stands at both ends, what was moved."""
    pictures = [*((end.luma.y, _colour(end)) for end in ends), *moved]
    luma = np.stack([own.luma.y, coded.y, *(y for y, _ in pictures)])
    chroma = np.stack([_colour(own), *(c for _, c in pictures)])
    return References(luma, chroma, distances, (ends[0].luma.qp, coded.qp))


def _towards(own: KeyView, other: KeyView) -> tuple[np.ndarray, np.ndarray]:
    """Luma and colour of `other`, moved onto `own`."""
    return _moved(other, track([own.luma], other.luma, fine=True)[0])


def _colour(key: KeyView) -> np.ndarray:
    return np.stack((key.cb, key.cr))


def _moved(key: KeyView, flow: Flow) -> tuple[np.ndarray, np.ndarray]:
    """Luma [H, W] and colour [2, h, w] of a key frame, along a flow."""
    if flow is None:
        return key.luma.y, _colour(key)
    flow = _converted(flow, cv2.CV_32F)
    return warp(key.luma.y, flow), warp(cv2.merge((key.cb, key.cr)), flow).transpose(2, 0, 1)
