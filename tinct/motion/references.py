"""References: what a network mixes a frame from, itself and others moved onto it.

`networks.compact` mixes them. `flow` tracks the motion; `prior` blends key frames without a
network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tinct.motion.flow import Flow, FlowPair, convert_flow, track, warp
from tinct.motion.views import KeyView, LumaView

# Scales of what a network is told, see `References.conditions`.
DISTANCE_SCALE = 4
QP_SCALE = 10
QP_ZERO = 32

REACH = 2  # frames before and after an in-band frame that it is restored from
PYRAMID_REACH = 8  # the same where pictures form a pyramid
PYRAMID_LEVELS = 3  # of a regular pyramid, above level 0

Moved = tuple[np.ndarray, np.ndarray]  # luma [H, W] and colour [2, h, w] of one frame


@dataclass(frozen=True)
class References:
    """The sources that one frame is mixed from, in the video's own type.

    `luma` is [S, H, W]: the frame's own first, then the earlier and the later key frame where they
    stand, then both moved onto the frame. `chroma` is [S - 1, 2, h, w], Cb and Cr of the same
    sources but the first. A second pass has more, see `gather_second_references`. `distances` are
    frames to the earlier and to the later key frame, 1 or more; `qps` the QPs of the earlier key
    frame's luma and of the frame's own.
    """

    luma: np.ndarray
    chroma: np.ndarray
    distances: tuple[int, int]
    qps: tuple[int, int]

    @property
    def conditions(self) -> np.ndarray:
        """What a network is told of the frame, float32 [4]: log2(distance) / 4, (QP - 32) / 10."""
        distances = np.log2(self.distances) / DISTANCE_SCALE
        qps = (np.array(self.qps) - QP_ZERO) / QP_SCALE
        return np.concatenate((distances, qps)).astype(np.float32)


def find_pyramid_level(place: int) -> int:
    """Return the level of a picture by its place after the entry point.

    One at an odd multiple of 2^n is coarser than those 2^n before and after it.
    """
    apart = place & -place or 1 << PYRAMID_LEVELS
    return max(PYRAMID_LEVELS + 1 - apart.bit_length(), 0)


def gather_references(
    group: Sequence[LumaView], index: int, *, keys: Sequence[KeyView], flows: FlowPair
) -> References:
    """Return the references of frame `index` of those between two key frames.

    They are 5 luma and 4 chroma sources. `flows` lead from each frame of the group to the earlier
    and to the later key frame; in an open group both are the same key frame.
    """
    own = group[index]
    moved = [_move_along(key, flow[index]) for key, flow in zip(keys, flows, strict=True)]
    sources = [(key.luma.y, _stack_colour(key)) for key in keys] + moved
    return References(
        luma=np.stack([own.y, *(luma for luma, _ in sources)]),
        chroma=np.stack([colour for _, colour in sources]),
        distances=_key_distances(group, index),
        qps=(keys[0].luma.qp, own.qp),
    )


def gather_second_references(
    group: Sequence[LumaView],
    restored: Sequence[KeyView],
    index: int,
    *,
    keys: Sequence[KeyView],
    flows: FlowPair,
) -> References:
    """Return the references of frame `index` for a second pass: 8 luma and 7 chroma sources.

    `restored` are the frames of the group after the first pass, and `flows` lead from them. Sources
    in order: the frame after the first pass, its luma as decoded, the key frames where they stand,
    both moved, the restored frames before and after it moved.
    """
    own = restored[index]
    is_first, is_last = index == 0, index == len(restored) - 1
    neighbours = [
        keys[0] if is_first else restored[index - 1],
        keys[1] if is_last else restored[index + 1],
    ]
    moved = [_move_along(key, flow[index]) for key, flow in zip(keys, flows, strict=True)]
    moved += [_move_onto(own, neighbour) for neighbour in neighbours]
    return _make_second_references(
        own, group[index], keys=keys, moved=moved, distances=_key_distances(group, index)
    )


def gather_in_band_references(frames: Sequence[KeyView], index: int) -> References:
    """Return the references of an in-band frame, one of `frames` in order of time.

    They are those of a second pass after a first that changed nothing. The frames REACH before and
    after stand for the key frames: near an end of `frames` the furthest there is, or the frame
    itself.
    """
    own, last = frames[index], len(frames) - 1
    before, after = max(index - REACH, 0), min(index + REACH, last)
    ends = (frames[before], frames[after])
    neighbours = (frames[max(index - 1, 0)], frames[min(index + 1, last)])
    return _make_second_references(
        own,
        own.luma,
        keys=ends,
        moved=[_move_onto(own, other) for other in (*ends, *neighbours)],
        distances=(max(index - before, 1), max(after - index, 1)),
    )


def gather_pyramid_references(
    frames: Sequence[KeyView], index: int, *, moved_pairs: int
) -> References:
    """Return the references of a frame of a pyramid, one of `frames` in order of time.

    Sources in order: the frame itself, the nearest finer frame before it and behind it where they
    stand, both moved, and with two `moved_pairs` the next finer ones moved. See `_find_finer`.
    """
    own = frames[index]
    sides = [_find_finer(frames, index, step)[:moved_pairs] for step in (-1, 1)]
    pairs = list(zip(*sides, strict=True))
    apart = max(abs(place - index) for place in pairs[0])
    others = [frames[place] for pair in pairs for place in pair]
    sources = [(view.luma.y, _stack_colour(view)) for view in (own, *others[:2])]
    sources += [_move_onto(own, other) for other in others]
    return References(
        luma=np.stack([luma for luma, _ in sources]),
        chroma=np.stack([colour for _, colour in sources]),
        distances=(max(apart, 1), max(apart, 1)),
        qps=(own.luma.qp, own.luma.qp),
    )


def _find_finer(frames: Sequence[KeyView], index: int, step: int) -> tuple[int, int]:
    """Return the places of the two nearest frames that are finer than frame `index`.

    `step` is 1 behind it and -1 before it. Beside the finest those of their own level count. Where
    there are fewer within PYRAMID_REACH, the furthest frame there stands for them.
    """
    level = frames[index].luma.level
    places = range(index + step, index + step * (PYRAMID_REACH + 1), step)
    within = [place for place in places if 0 <= place < len(frames)]
    finer = [place for place in within if frames[place].luma.level < max(level, 1)]
    furthest = within[-1] if within else index
    near, next_near, *_ = *finer, furthest, furthest
    return near, next_near


def _make_second_references(
    own: KeyView,
    decoded: LumaView,
    *,
    keys: Sequence[KeyView],
    moved: Sequence[Moved],
    distances: tuple[int, int],
) -> References:
    """Return a second pass's references, in the order of `gather_second_references`."""
    sources = [*((key.luma.y, _stack_colour(key)) for key in keys), *moved]
    return References(
        luma=np.stack([own.luma.y, decoded.y, *(luma for luma, _ in sources)]),
        chroma=np.stack([_stack_colour(own), *(colour for _, colour in sources)]),
        distances=distances,
        qps=(keys[0].luma.qp, decoded.qp),
    )


def _key_distances(group: Sequence[LumaView], index: int) -> tuple[int, int]:
    """Return the frames from frame `index` to the key frame before the group and to that after."""
    return group[index].distances or (index + 1, len(group) - index)


def _move_onto(own: KeyView, other: KeyView) -> Moved:
    """Return luma and colour of `other`, moved onto `own` along a fine search."""
    return _move_along(other, track([own.luma], other.luma, fine=True)[0])


def _move_along(key: KeyView, flow: Flow) -> Moved:
    """Return luma and colour of a frame, moved along a flow; as they are where there is none."""
    if flow is None:
        return key.luma.y, _stack_colour(key)
    flow = convert_flow(flow, cv2.CV_32F)
    return warp(key.luma.y, flow), warp(cv2.merge((key.cb, key.cr)), flow).transpose(2, 0, 1)


def _stack_colour(key: KeyView) -> np.ndarray:
    return np.stack((key.cb, key.cr))
