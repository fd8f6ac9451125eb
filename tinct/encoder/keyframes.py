"""Which frames carry colour: a video cut into groups, each a key frame and the frames up to the next key.

Shots end where a frame cannot be predicted from the one before; within a shot key frames are spaced so that what a
key frame's bits cost and what its colour saves in error balance. `plan` knows the prices, `propagate` the errors.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tinct.frames import Frame
from tinct.motion.prior import blend
from tinct.motion.shots import Seen
from tinct.motion.views import KeyView

AUTO_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # frames from key to key that `auto` weighs
LONGEST_RESTORED = 48  # one more where luma is restored, too: its keys are dear


@dataclass(frozen=True)
class Group:
    """A key frame, first of `frames`, and those that follow it.

    `closed`: the next group's key frame shows the same shot, so colour also comes back from it.
    """

    frames: tuple[Frame, ...]
    closed: bool


@dataclass(frozen=True)
class Spacing:
    """How far apart key frames stand: `group` frames, or by the price of a key frame in bits.

    `slope` is the error that one bit a frame must save, `weights` what squared errors of Y, Cb and Cr count in it; that of
    luma is 0 unless a network restores luma from key frames.
    """

    group: int | Literal["auto"]
    slope: float = 0.0
    key_bits: float = 0.0
    weights: tuple[float, float, float] = (0.0, 1 / 8, 1 / 8)
    end_keys: bool = True  # whether a shot's last frame may be a key frame too

    @property
    def lengths(self) -> tuple[int, ...]:
        """What `auto` weighs."""
        return (*AUTO_LENGTHS, LONGEST_RESTORED) if self.weights[0] else AUTO_LENGTHS

    @property
    def reach(self) -> int:
        return self.lengths[-1] if self.group == "auto" else self.group


def groups(frames: Iterable[Seen], spacing: Spacing) -> Iterator[Group]:
    """Cut a video into groups; holds `spacing.reach` + 1 frames at most."""
    shot: list[Seen] = []
    for seen in frames:
        if seen.starts_shot:
            yield from _finish_shot(shot, spacing)
            shot = []
        shot.append(seen)
        if len(shot) > spacing.reach:
            length = _best_length(shot, spacing)
            yield _group(shot[:length], closed=True)
            shot = shot[length:]
    yield from _finish_shot(shot, spacing)


def _group(seen: Sequence[Seen], *, closed: bool) -> Group:
    return Group(tuple(s.frame for s in seen), closed)


def _finish_shot(shot: list[Seen], spacing: Spacing) -> Iterator[Group]:
    while shot:
        length = len(shot) if len(shot) == 1 else _best_last_length(shot, spacing)
        yield _group(shot[:length], closed=length < len(shot))
        shot = shot[length:]


def _best_length(shot: list[Seen], spacing: Spacing) -> int:
    """Frames to the next key frame, where the shot goes on for at least `reach` frames more."""
    if spacing.group != "auto":
        return spacing.group
    best, best_cost = 1, float("inf")
    for length in spacing.lengths:
        cost = (_group_error(shot, length, spacing) + spacing.slope * spacing.key_bits) / length
        if cost > best_cost:
            break  # error grows with distance: longer groups only cost more
        best, best_cost = length, cost
    return best


def _best_last_length(shot: list[Seen], spacing: Spacing) -> int:
    """As `_best_length`, near a shot's end: all that is left may be one open group, or its last frame a key frame."""
    left = len(shot)
    if spacing.group != "auto" and left > spacing.group:
        return spacing.group
    if not spacing.end_keys:
        return left
    price = spacing.slope * spacing.key_bits
    costs = {left: (_open_error(shot, spacing) + price) / left}
    costs[left - 1] = (_group_error(shot, left - 1, spacing) + 2 * price) / left
    if spacing.group == "auto":
        for length in spacing.lengths:
            if length < left - 1:
                costs[length] = (_group_error(shot, length, spacing) + price) / length
    return min(costs, key=lambda length: costs[length])


def _group_error(shot: list[Seen], length: int, spacing: Spacing) -> float:
    """Estimated error, summed over the frames between the keys shot[0] and shot[length], from two of them."""
    if length == 1:
        return 0.0
    keys = (shot[0].small, shot[length].small)
    middle = _error(shot[length // 2], keys, spacing)
    if length < 6:
        return middle * (length - 1)
    return (middle + 2 * _error(shot[length // 4], keys, spacing)) / 3 * (length - 1)


def _open_error(shot: list[Seen], spacing: Spacing) -> float:
    """The same where only shot[0] is a key: error grows about evenly with distance."""
    return _error(shot[len(shot) // 2], (shot[0].small,), spacing) * (len(shot) - 1)


def _error(seen: Seen, keys: Sequence[KeyView], spacing: Spacing) -> float:
    picture = np.square(blend(seen.small.luma, keys) - seen.small.picture)
    return sum(
        w * float(e) for w, e in zip(spacing.weights, picture.mean((0, 1)), strict=True) if w
    )
