"""Which frames between key frames are sent; the decoder interpolates the others.

A frame is sent where interpolation would spoil it by more than its bits are worth, judged on small
copies of the source (`keyframes.Group`). What the decoder then shows is looked at again by
`late`, since a mean hides an ugly frame; a blind encode has a bound on each frame here instead.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tinct.encoder.cost import FLAT_ERROR
from tinct.encoder.intra_error import estimate_luma_error
from tinct.encoder.keyframes import Group
from tinct.motion.interpolation import interpolate_frame, match
from tinct.motion.views import KeyView
from tinct.psnr import PLANE_WEIGHTS

JUDGED_FRAMES = 3  # of a longer run, which stand for all of its frames


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How frames to send are chosen.

    With a `step` every step-th frame of a group is sent, 1 for all. With a `price` instead, the
    error that one more sent frame must save: `weights` say what squared errors of Y, Cb and Cr on
    the small copies count in it. A frame whose weighted error is beyond `bound` is sent in any
    case. With a `qp` the weights are scaled, group by group: 1 for the error that it gives there.
    """

    step: int | None = 1
    price: float = 0.0
    weights: tuple[float, float, float] = (6 / 8, 1 / 8, 1 / 8)
    bound: float = math.inf
    qp: int | None = None

    @property
    def is_full(self) -> bool:
        """Return whether every frame is sent."""
        return self.step == 1

    @property
    def is_weighed(self) -> bool:
        """Return whether errors of interpolation count."""
        return self.price < math.inf or self.bound < math.inf


SEND_ALL = Sending()


def choose_sent(group: Group, sending: Sending) -> frozenset[int]:
    """Return the indices of the group's frames that are sent, its key frame included.

    The last frame of an open group is always sent: nothing follows it in its shot.
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
        sending = _scale_weights(sending, group)
        for run in pairwise(sorted(sent)):
            sent |= set(_split(group.small, run, sending)[1])
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
    small: tuple[KeyView, ...], ends: tuple[int, int], sending: Sending
) -> tuple[float, list[int]]:
    """Return what the frames between two that are sent cost, and which of them are sent.

    All are interpolated, or the middle one is sent and both halves are looked at in the same way.
    """
    first, last = ends
    if last - first < 2:
        return 0.0, []
    mean, worst = _measure_run(small, ends, sending)
    whole = mean * (last - first - 1)
    if worst > sending.bound:
        whole = math.inf
    elif whole <= sending.price:
        return whole, []
    middle = (first + last) // 2
    left, right = (_split(small, half, sending) for half in ((first, middle), (middle, last)))
    parted = left[0] + sending.price + right[0]
    if whole < math.inf and whole <= parted:
        return whole, []
    return parted, [*left[1], middle, *right[1]]


def _measure_run(
    small: tuple[KeyView, ...], ends: tuple[int, int], sending: Sending
) -> tuple[float, float]:
    """Estimate the weighted squared error of a frame between two that are sent: mean and most."""
    first, last = ends
    before, after = small[first], small[last]
    motion = match(before, after)
    count = last - first - 1
    judged = sorted({first + 1 + round(place) for place in _spread(count)})
    errors: list[float] = []
    for index in judged:
        if errors and errors[-1] > sending.bound:
            break  # the run is parted, whatever the others are
        share = _share(small[index], before, after)
        shown = interpolate_frame(before, after, motion=motion, share=share)
        planes = (small[index].luma.y, small[index].cb, small[index].cr)
        errors.append(
            sum(
                weight * float(np.mean(np.square(plane.astype(np.float32) - made)))
                for weight, plane, made in zip(sending.weights, planes, shown, strict=True)
            )
        )
    return float(np.mean(errors)), max(errors)


def _share(frame: KeyView, before: KeyView, after: KeyView) -> float:
    """Return how far a frame lies from one that is sent to the next, 0 to 1."""
    return (frame.luma.pts - before.luma.pts) / (after.luma.pts - before.luma.pts)


def _spread(count: int) -> list[float]:
    """Return at most JUDGED_FRAMES places of 0 to count - 1, evenly spread."""
    wanted = min(count, JUDGED_FRAMES)
    return [(n + 0.5) * count / wanted - 0.5 for n in range(wanted)]
