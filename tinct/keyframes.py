"""Which frames carry colour: a video cut into groups, each a key frame and the frames up to the next key.

Shots end where a frame cannot be predicted from the one before; within a shot key frames are spaced so that what a
key frame's bits cost and what its colour saves in error balance. `plan` knows the prices, `propagate` the errors.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from tinct.frames import Frame
from tinct.propagate import MIN_FLOW_SIDE, KeyView, LumaView, blend, motion, warp

AUTO_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # frames from key to key that `auto` weighs
LONGEST_RESTORED = 48  # one more where luma is restored, too: its keys are dear
CUT_SIDE = 96  # pixels of the longer side on which cuts are looked for
CUT_MISMATCH = 0.25  # share of a picture's variance that its predecessor fails to predict; 0.26 to 7.6 at real cuts
CUT_RISE = 4.0  # times the shot's recent mismatch: fast motion stays high, a cut stands alone
CUT_MEMORY = 5  # frames
FLAT_VARIANCE = 25.0  # squared 8-bit levels; keeps noise in a flat picture from looking like a cut


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
        enough = min(small.luma.y.shape) >= MIN_FLOW_SIDE  # without flow every motion would look like a cut
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
    return sum(w * float(e) for w, e in zip(spacing.weights, picture.mean((0, 1)), strict=True) if w)


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
