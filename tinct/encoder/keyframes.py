"""Which frames are key frames: a video cut into groups, each a key frame and what follows it.

Key frames carry colour, the others only luma. Shots end where a frame cannot be predicted from the
one before (`motion.shots`). Within a shot key frames are spaced so that the bits of a key frame and
the error that its colour saves balance: `plan` has the prices, `motion.prior` the errors. A frame
with a block to which no colour can be carried is a key frame too, where the spacing has a bound.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from tinct.frames import Frame
from tinct.motion.prior import blend
from tinct.motion.shots import ScannedFrame
from tinct.motion.views import KeyView

AUTO_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # frames from key to key, tried by `auto`
LONGEST_RESTORED = 48  # one more length where luma is restored: its key frames take many bits
BLOCK = 4  # samples a side of a small copy's colour, a block of 16 of luma at 352x288
TWO_FRAMES_FROM = 6  # a group this long is judged by two of its frames, a shorter one by one


@dataclass(frozen=True)
class Group:
    """A key frame, first of `frames`, and those that follow it.

    A group is `closed` where the next key frame shows the same shot: colour also comes from there.
    `small` are the small copies of its frames, and where it is closed of the next key frame.
    """

    frames: tuple[Frame, ...]
    closed: bool
    small: tuple[KeyView, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spacing:
    """How far apart key frames stand: `group` frames, or by the price of a key frame in bits.

    `slope` is the error that one bit a frame must save; `weights` say what squared errors of Y, Cb
    and Cr count in it, a plane's share over plain HEVC's error. That of luma is 0 unless a network
    restores luma from key frames. `block_bound` is the squared error of Cb and Cr together that a
    block may have, in 8-bit levels.
    """

    group: int | Literal["auto"]
    slope: float = 0.0
    key_bits: float = 0.0
    weights: tuple[float, float, float] = (0.0, 1 / 8, 1 / 8)
    block_bound: float = math.inf
    end_keys: bool = True  # whether a shot's last frame may be a key frame too

    @property
    def lengths(self) -> tuple[int, ...]:
        """Return the lengths of a group that `auto` tries."""
        return (*AUTO_LENGTHS, LONGEST_RESTORED) if self.weights[0] else AUTO_LENGTHS

    @property
    def reach(self) -> int:
        """Return the frames of the longest group."""
        return self.lengths[-1] if self.group == "auto" else self.group


def cut_groups(frames: Iterable[ScannedFrame], spacing: Spacing) -> Iterator[Group]:
    """Cut a video into groups; hold `spacing.reach` + 1 frames at most."""
    shot: list[ScannedFrame] = []
    for seen in frames:
        if seen.starts_shot:
            yield from _finish_shot(shot, spacing)
            shot = []
        shot.append(seen)
        if len(shot) > spacing.reach:
            length = _shorten(shot, _choose_length(shot, spacing), spacing)
            yield _make_group(shot, length)
            shot = shot[length:]
    yield from _finish_shot(shot, spacing)


def _make_group(shot: Sequence[ScannedFrame], length: int) -> Group:
    """Return the first frames of a shot as a group, closed where the shot goes on."""
    return Group(
        tuple(seen.frame for seen in shot[:length]),
        closed=length < len(shot),
        small=tuple(seen.small for seen in shot[: length + 1]),
    )


def _finish_shot(shot: list[ScannedFrame], spacing: Spacing) -> Iterator[Group]:
    while shot:
        length = len(shot) if len(shot) == 1 else _choose_last_length(shot, spacing)
        length = _shorten(shot, length, spacing)
        yield _make_group(shot, length)
        shot = shot[length:]


def _choose_length(shot: list[ScannedFrame], spacing: Spacing) -> int:
    """Return the frames to the next key frame; the shot goes on for `reach` frames or more."""
    if spacing.group != "auto":
        return spacing.group
    best, best_cost = 1, float("inf")
    for length in spacing.lengths:
        cost = (_group_error(shot, length, spacing) + spacing.slope * spacing.key_bits) / length
        if cost > best_cost:
            break  # error grows with distance: longer groups only cost more
        best, best_cost = length, cost
    return best


def _choose_last_length(shot: list[ScannedFrame], spacing: Spacing) -> int:
    """Return the same near a shot's end.

    All that is left may be one open group, or the shot's last frame may be a key frame.
    """
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


def _shorten(shot: list[ScannedFrame], length: int, spacing: Spacing) -> int:
    """Return `length`, or a shorter one within which no block's colour is beyond its bound.

    Where colour fails, the frame that it fails most on becomes the next key frame: what enters the
    picture there, such as a hand, has its colour from then on.
    """
    while length > 1 and spacing.block_bound < math.inf:
        keys = [seen.small for seen in (shot[0], *shot[length : length + 1])]
        worst = [_worst_block(seen, keys) for seen in shot[1:length]]
        if max(worst) <= spacing.block_bound:
            break
        length = 1 + worst.index(max(worst))
    return length


def _worst_block(seen: ScannedFrame, keys: Sequence[KeyView]) -> float:
    """Return the squared error of a prior's colour in its worst block, in 8-bit levels."""
    error = np.square(blend(seen.small.luma, keys) - seen.small.picture)
    return float(cv2.blur(error[..., 1] + error[..., 2], (BLOCK, BLOCK)).max())


def _group_error(shot: list[ScannedFrame], length: int, spacing: Spacing) -> float:
    """Estimate the error summed over the frames between the key frames shot[0] and shot[length]."""
    if length == 1:
        return 0.0
    keys = (shot[0].small, shot[length].small)
    middle = _error(shot[length // 2], keys, spacing)
    if length < TWO_FRAMES_FROM:
        return middle * (length - 1)
    return (middle + 2 * _error(shot[length // 4], keys, spacing)) / 3 * (length - 1)


def _open_error(shot: list[ScannedFrame], spacing: Spacing) -> float:
    """Estimate the same with one key frame, shot[0]: error grows about evenly with distance."""
    return _error(shot[len(shot) // 2], (shot[0].small,), spacing) * (len(shot) - 1)


def _error(seen: ScannedFrame, keys: Sequence[KeyView], spacing: Spacing) -> float:
    """Return the weighted squared error of a frame's prior, on small copies."""
    picture = np.square(blend(seen.small.luma, keys) - seen.small.picture)
    errors = zip(spacing.weights, picture.mean((0, 1)), strict=True)
    return sum(weight * float(error) for weight, error in errors if weight)
