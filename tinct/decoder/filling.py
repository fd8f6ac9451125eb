"""Interpolated frames of a group: their times, and their pictures from the frames around them.

`motion.interpolation` makes one frame; `restorer` asks here, when the frames that were sent are
finished.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tinct.decoder.pending import WHOLE, Cut, PendingFrame
from tinct.limits import MAX_INTERPOLATED_RUN
from tinct.media.planes import Planes
from tinct.motion.flow import Flow
from tinct.motion.interpolation import Match, Place, search_motion
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
    known = [PendingFrame.of(view) for view in shown]
    frames = list(start_filling(known, times, interpolate=interpolate, pool=pool))
    return [frame.wait() for frame in frames]


def start_filling(
    known: Iterable[PendingFrame],
    times: Sequence[int],
    *,
    interpolate: Interpolator,
    pool: Executor,
    cut: Cut = WHOLE,
    ahead: int = 0,
) -> Iterator[PendingFrame]:
    """Yield `known` frames and, at `times` between them, frames that are being interpolated.

    They come in order of time; each is started when it is asked for. Of those between, only the
    ones in `cut` are made. So many more known frames as `ahead` says are taken, and with that
    started, before the frames between two: their tasks wait for both, and a thread that waits is
    lost to others.
    """
    taken: deque[PendingFrame] = deque()  # from the one that was yielded last on

    def pass_one() -> Iterator[PendingFrame]:
        ends = taken.popleft(), taken[0]
        yield from _start_run(ends, times, interpolate=interpolate, pool=pool, cut=cut)
        yield taken[0]

    for number, frame in enumerate(known):
        taken.append(frame)
        if number == 0:
            yield frame
        elif len(taken) > ahead + 1:
            yield from pass_one()
    while len(taken) > 1:
        yield from pass_one()


def _start_run(
    ends: tuple[PendingFrame, PendingFrame],
    times: Sequence[int],
    *,
    interpolate: Interpolator,
    pool: Executor,
    cut: Cut,
) -> Iterator[PendingFrame]:
    """Yield the frames of `cut` between two frames, each started when it is asked for."""
    before, after = ends
    first, last = bisect_right(times, before.luma.pts), bisect_left(times, after.luma.pts)
    run = times[first:last]
    places = list_places(before, after, run)
    wanted = [(pts, at) for pts, at in zip(run, places, strict=True) if pts in cut]
    if not wanted:
        return
    motions = [
        pool.submit(_search_motion, *searched) for searched in ((before, after), (after, before))
    ]

    def make(place: Place) -> Planes:
        forward, backward = (motion.result() for motion in motions)
        motion = Match(forward, backward)
        return interpolate(before.wait(), after.wait(), motion=motion, place=place)

    for pts, at in wanted:
        luma = LumaView(after.luma.y, after.luma.bit_depth, pts)
        yield PendingFrame(luma, pool.submit(make, at))


def list_places(
    before: KeyView | PendingFrame, after: KeyView | PendingFrame, times: Sequence[int]
) -> list[Place]:
    """Return where frames at all the `times` between two frames lie."""
    duration = after.luma.pts - before.luma.pts
    return [
        Place(share=(pts - before.luma.pts) / duration, distances=(number + 1, len(times) - number))
        for number, pts in enumerate(times)
    ]


def _search_motion(target: PendingFrame, source: PendingFrame) -> Flow:
    return search_motion(target.wait(), source.wait())
