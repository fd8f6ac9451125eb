"""Interpolated frames of a group: their times, and their pictures from the frames around them.

`motion.interpolation` makes one frame; `restorer` asks here, when the frames that were sent are
finished.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tinct.limits import MAX_INTERPOLATED_RUN
from tinct.media.planes import Planes
from tinct.motion.interpolation import Match, Place, match
from tinct.motion.views import KeyView, LumaView
from tinct.networks.interface import Interpolator


@dataclass(frozen=True)
class Gaps:
    """What lies between the frames of a group that arrived: `times` of frames to interpolate.

    `lost` counts those that nobody promised: frames that were sent and did not arrive. `touched`
    are the times of all that are made from frames further away for want of one of these.
    """

    times: list[int]
    lost: int = 0
    touched: list[int] = field(default_factory=list)


def find_gaps(known: Sequence[int], interpolated: Sequence[int], *, fills: bool, most: int) -> Gaps:
    """Return the times between the frames of a group that stand at the times `known`.

    These are the times of `interpolated`; with `fills`, at a constant rate, all others too. There
    are at most `most`, which no encoder exceeds: a decoder holds the frames of a whole group.
    """
    times: list[int] = []
    touched: list[int] = []
    lost = 0
    for before, after in pairwise(known):
        first, last = bisect_right(interpolated, before), bisect_left(interpolated, after)
        due = list(interpolated[first : min(last, first + MAX_INTERPOLATED_RUN)])
        ticks = after - before - 1
        if fills and len(due) < ticks <= MAX_INTERPOLATED_RUN:
            lost += ticks - len(due)
            due = list(range(before + 1, after))
            touched += due
        times += due
    return Gaps(times[:most], lost, touched)


def set_distances(group: Sequence[LumaView], times: Sequence[int]) -> list[LumaView]:
    """Return the frames of a group with their distances to both key frames.

    `times` are those of the frames between them that are interpolated.
    """
    if not times:
        return list(group)
    count = len(group) + len(times)
    places = (index + bisect_left(times, view.pts) for index, view in enumerate(group))
    return [
        replace(view, distances=(place + 1, count - place))
        for view, place in zip(group, places, strict=True)
    ]


def fill(
    shown: Sequence[KeyView], times: Sequence[int], *, interpolate: Interpolator, pool: Executor
) -> list[KeyView]:
    """Return finished frames and, at `times` between them, interpolated ones, in order of time."""
    tasks: list[list[tuple[int, Future[Planes]]]] = []
    for before, after in pairwise(shown):
        first, last = bisect_right(times, before.luma.pts), bisect_left(times, after.luma.pts)
        between = times[first:last]
        motion = pool.submit(match, before, after) if between else None
        tasks.append(
            [
                (pts, pool.submit(_make_frame, interpolate, (before, after), motion=motion, at=at))
                for pts, at in zip(between, list_places(before, after, between), strict=True)
                if motion is not None
            ]
        )
    filled = list(shown[:1])
    for after, made in zip(shown[1:], tasks, strict=True):
        for pts, task in made:
            y, cb, cr = task.result()
            filled.append(KeyView(LumaView(y, after.luma.bit_depth, pts), cb, cr))
        filled.append(after)
    return filled


def list_places(before: KeyView, after: KeyView, times: Sequence[int]) -> list[Place]:
    """Return where frames at all the `times` between two frames lie."""
    duration = after.luma.pts - before.luma.pts
    return [
        Place(share=(pts - before.luma.pts) / duration, distances=(number + 1, len(times) - number))
        for number, pts in enumerate(times)
    ]


def _make_frame(
    interpolate: Interpolator,
    ends: tuple[KeyView, KeyView],
    *,
    motion: "Future[Match]",
    at: Place,
) -> Planes:
    return interpolate(*ends, motion=motion.result(), place=at)
