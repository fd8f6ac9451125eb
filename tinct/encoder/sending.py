"""Which frames between key frames are sent; the decoder interpolates the others.

A frame is sent where interpolation would spoil it by more than its bits are worth, judged on small
copies of the source (`keyframes.Group`). What the decoder then shows is looked at again by
`late`, since a mean hides an ugly frame; a blind encode has a bound on each frame here instead.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from tinct.encoder.cost import FLAT_ERROR
from tinct.encoder.intra_error import estimate_luma_error
from tinct.encoder.keyframes import Group
from tinct.motion.interpolation import Place, interpolate_frame, match
from tinct.motion.views import KeyView
from tinct.psnr import PLANE_WEIGHTS

BLOCK = 8  # samples a side, on the small copies
JUDGED_FRAMES = 3  # of a longer run, which stand for all of its frames


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How frames to send are chosen.

    With a `step` every step-th frame of a group is sent, 1 for all. With a `price` instead, the
    error that one more sent frame must save: `weights` say what squared errors of Y, Cb and Cr on
    the small copies count in it. A frame whose weighted error is beyond `bound` is sent in any
    case, and one with a block whose error of Y is beyond `block_bound`, weighted likewise. With a
    `qp` the weights are scaled, group by group: 1 for the error that it gives there.
    """

    step: int | None = 1
    price: float = 0.0
    weights: tuple[float, float, float] = (6 / 8, 1 / 8, 1 / 8)
    bound: float = math.inf
    block_bound: float = math.inf
    qp: int | None = None

    @property
    def is_full(self) -> bool:
        """Return whether every frame is sent."""
        return self.step == 1

    @property
    def is_weighed(self) -> bool:
        """Return whether errors of interpolation count."""
        return min(self.price, self.bound, self.block_bound) < math.inf


SEND_ALL = Sending()


# By the times of two frames: squared errors [N, 4] of some frames between them, on the small
# copies: of Y, Cb and Cr, and of Y in the worst block.
RunErrors = dict[tuple[int, int], np.ndarray]


def choose_sent(group: Group, sending: Sending, known: RunErrors | None = None) -> frozenset[int]:
    """Return the indices of the group's frames that are sent, its key frame included.

    The last frame of an open group is always sent: nothing follows it in its shot. `known` are
    errors that were found in the same video before; more are added.
    """
    count = len(group.frames)
    if sending.is_full:
        return frozenset(range(count))
    last = count if group.closed else count - 1
    sent = {0, last}
    if sending.step is not None:
        sent |= set(range(0, count, sending.step))
        sending = replace(sending, price=math.inf)
    if sending.is_weighed:
        scaled = _scale_weights(sending, group)
        judge = _Judge(scaled, {} if known is None else known)
        for run in pairwise(sorted(sent)):
            sent |= set(_split(group.small, run, judge)[1])
    return frozenset(sent & set(range(count)))


def _scale_weights(sending: Sending, group: Group) -> Sending:
    """Return the weights for the error that the QP, if any, gives on the group's first frame."""
    if sending.qp is None:
        return sending
    error = max(estimate_luma_error(group.frames[0], sending.qp), FLAT_ERROR)
    luma, cb, cr = (weight / sending.weights[0] / error for weight in sending.weights)
    share = PLANE_WEIGHTS[0]
    return replace(sending, weights=(share * luma, share * cb, share * cr))


def _split(
    small: tuple[KeyView, ...], ends: tuple[int, int], judge: "_Judge"
) -> tuple[float, list[int]]:
    """Return what the frames between two that are sent cost, and which of them are sent.

    All are interpolated, or the middle one is sent and both halves are looked at in the same way.
    """
    first, last = ends
    if last - first < 2:
        return 0.0, []
    whole, price = judge.run_error(small, ends), judge.sending.price
    if whole <= price and whole < math.inf:
        return whole, []
    middle = (first + last) // 2
    left, right = (_split(small, half, judge) for half in ((first, middle), (middle, last)))
    parted = left[0] + price + right[0]
    if whole <= parted and whole < math.inf:
        return whole, []
    return parted, [*left[1], middle, *right[1]]


@dataclass(frozen=True)
class _Judge:
    """Judges runs of frames by `sending`; `known` are the errors found before."""

    sending: Sending
    known: RunErrors

    def run_error(self, small: tuple[KeyView, ...], ends: tuple[int, int]) -> float:
        """Estimate the weighted squared error summed over the frames between two.

        It is infinite where one of them is beyond the bound.
        """
        first, last = ends
        times = (small[first].luma.pts, small[last].luma.pts)
        if times not in self.known:
            self.known[times] = _measure_run(small, ends)
        *planes, block = self.known[times].T
        errors = self.sending.weights @ np.array(planes)
        blocks = self.sending.weights[0] / PLANE_WEIGHTS[0] * block
        if errors.max() > self.sending.bound or blocks.max() > self.sending.block_bound:
            return math.inf
        return float(errors.mean()) * (last - first - 1)


def _measure_run(small: tuple[KeyView, ...], ends: tuple[int, int]) -> np.ndarray:
    """Return the squared errors [N, 4] of some of the frames between two, interpolated."""
    first, last = ends
    before, after = small[first], small[last]
    motion = match(before, after)
    judged = sorted({first + 1 + round(place) for place in _spread(last - first - 1)})
    errors = []
    for index in judged:
        place = _find_place(small, index, ends)
        shown = interpolate_frame(before, after, motion=motion, place=place)
        planes = (small[index].luma.y, small[index].cb, small[index].cr)
        luma, *colour = (
            np.square(plane.astype(np.float32) - made)
            for plane, made in zip(planes, shown, strict=True)
        )
        worst = cv2.blur(luma, (BLOCK, BLOCK)).max()
        errors.append([luma.mean(), *(plane.mean() for plane in colour), worst])
    return np.array(errors)


def _find_place(small: tuple[KeyView, ...], index: int, ends: tuple[int, int]) -> Place:
    """Return where frame `index` lies between the two frames `ends` that are sent."""
    first, last = ends
    start, at, end = (small[number].luma.pts for number in (first, index, last))
    return Place(share=(at - start) / (end - start), distances=(index - first, last - index))


def _spread(count: int) -> list[float]:
    """Return at most JUDGED_FRAMES places of 0 to count - 1, evenly spread."""
    wanted = min(count, JUDGED_FRAMES)
    return [(n + 0.5) * count / wanted - 0.5 for n in range(wanted)]
