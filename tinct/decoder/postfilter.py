"""The post-filter: the planes that are shown, from a network's planes and those without it.

The file says how strongly: by plane, from a place on. A place is the time in ticks of a group's key
frame, or in-band a second of the video. An encoder finds the strengths, see `encoder.strengths`.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np

from tinct.bitstream.strengths import NEUTRAL, UNIT, Changes, Strengths
from tinct.limits import MAX_PLAIN_PLACES, MAX_STRENGTHS
from tinct.media.planes import Planes

EDGE_LEVELS, EDGE_RANGE, EDGE_DIAMETER = 8.0, 3.0, 5  # of the bilateral filter, in 8-bit levels
PLANES = 3


class Judge(Protocol):
    """Compare what a network made with the originals, which only an encoder has."""

    def __call__(
        self,
        times: Sequence[int],
        restored: Sequence[Planes],
        prior: Sequence[Planes],
        /,
        *,
        current: Sequence[Strengths],
    ) -> Sequence[Strengths]:
        """Return the strengths of Y, Cb and Cr that are best for some frames.

        `times` are the frames' times in ticks, `restored` their planes after the network, `prior`
        the planes without it: propagation, or in-band what was decoded. `current` are the strengths
        of the place before.
        """


@dataclass(frozen=True)
class PostFilter:
    """The strengths of Y, Cb and Cr along a video.

    `plain` are the places where a plane is shown without the network, whatever its share. `changes`
    hold from their place on; the strengths are NEUTRAL before the first.
    """

    plain: tuple[set[int], ...] = field(default_factory=lambda: (set(), set(), set()))
    changes: tuple[list[tuple[int, Strengths]], ...] = field(default_factory=lambda: ([], [], []))

    @classmethod
    def of(cls, plain: Sequence[Collection[int]], changes: Sequence[Changes]) -> "PostFilter":
        return cls(tuple(map(set, plain)), tuple(map(list, changes)))

    def find(self, place: int | None) -> list[Strengths]:
        """Return the strengths of each plane at a place, None for what is before the first one."""
        if place is None:
            return [NEUTRAL] * PLANES
        found = [_find_change(changes, place) for changes in self.changes]
        return [
            replace(strengths, network=0) if place in places else strengths
            for strengths, places in zip(found, self.plain, strict=True)
        ]

    def needs_network(self, place: int | None) -> bool:
        return any(strengths.network for strengths in self.find(place))

    def needs_prior(self, place: int | None) -> bool:
        return any(strengths.network != UNIT for strengths in self.find(place))

    def judge(
        self,
        judge: Judge,
        place: int,
        *,
        times: Sequence[int],
        restored: Sequence[Planes],
        prior: Sequence[Planes],
    ) -> None:
        """Let an encoder choose the strengths from `place` on, the latest so far.

        MAX_PLAIN_PLACES and MAX_STRENGTHS are noted, which a manifest holds.
        """
        for places, changes in zip(self.plain, self.changes, strict=True):
            places.discard(place)
            if changes and changes[-1][0] == place:
                changes.pop()  # it was judged before
        current = [_find_change(changes, place) for changes in self.changes]
        chosen = judge(times, restored, prior, current=current)
        planes = zip(self.plain, self.changes, current, chosen, strict=True)
        for places, changes, before, strengths in planes:
            after = strengths
            if strengths.network == 0:
                after = replace(strengths, network=before.network)
                if len(places) < MAX_PLAIN_PLACES:
                    places.add(place)
            if after != before and len(changes) < MAX_STRENGTHS:
                changes.append((place, after))

    def apply(self, restored: Planes, prior: Planes, place: int | None, *, depth: int) -> Planes:
        """Return the planes to show of a frame at a place; `depth` is in bits.

        `prior` may be anything of its size where `needs_prior` is False, and `restored` where
        `needs_network` is.
        """
        return tuple(
            filter_plane(with_it, without, strengths, depth=depth)
            for with_it, without, strengths in zip(restored, prior, self.find(place), strict=True)
        )


def _find_change(changes: Changes, place: int) -> Strengths:
    at = bisect_right(changes, place, key=lambda change: change[0])
    return changes[at - 1][1] if at else NEUTRAL


def filter_plane(
    restored: np.ndarray, prior: np.ndarray, strengths: Strengths, *, depth: int
) -> np.ndarray:
    """Return one plane [H, W] of the planes with and without a network, in their type."""
    mixed = mix_planes(restored, prior, strengths.network, depth=depth)
    if not any(strengths.smoothing):
        return mixed
    edges, rows, columns = (strength / UNIT for strength in strengths.smoothing)
    kernel = np.zeros((3, 3), np.float32)
    kernel[1, ::2], kernel[::2, 1] = rows / 4, columns / 4
    kernel[1, 1] = 1 - edges - rows / 2 - columns / 2
    shown = cv2.filter2D(mixed, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
    if edges:
        shown = shown + np.float32(edges) * smooth_within_edges(mixed, depth=depth)
    peak = (1 << depth) - 1
    return np.clip(np.rint(shown), 0, peak).astype(mixed.dtype)


def mix_planes(restored: np.ndarray, prior: np.ndarray, share: int, *, depth: int) -> np.ndarray:
    """Return `prior` and a share of what the network changes in it, rounded."""
    if share in (0, UNIT):
        return restored if share else prior
    change = restored.astype(np.int32) - prior
    mixed = prior + (share * change + UNIT // 2) // UNIT
    return np.clip(mixed, 0, (1 << depth) - 1).astype(prior.dtype)


def smooth_within_edges(plane: np.ndarray, *, depth: int) -> np.ndarray:
    """Return a plane after a bilateral filter: uint8 of 8 bits, else float32."""
    scaled = plane if depth == 8 else plane.astype(np.float32)
    levels = EDGE_LEVELS * (1 << (depth - 8))
    return cv2.bilateralFilter(
        scaled, EDGE_DIAMETER, levels, EDGE_RANGE, borderType=cv2.BORDER_REPLICATE
    )


def smooth_lines(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 planes smoothed along rows and along columns, by 1/4, 1/2, 1/4."""
    taps, one = np.array([0.25, 0.5, 0.25], np.float32), np.ones(1, np.float32)
    rows = cv2.sepFilter2D(plane, cv2.CV_32F, taps, one, borderType=cv2.BORDER_REPLICATE)
    columns = cv2.sepFilter2D(plane, cv2.CV_32F, one, taps, borderType=cv2.BORDER_REPLICATE)
    return rows, columns


def finish_when_done(
    restored: Future[Planes], finish: Callable[[Planes], Planes]
) -> Future[Planes]:
    """Return what `finish` makes of the planes of a task, on the thread that runs the task."""
    finished: Future[Planes] = Future()

    def pass_on(task: Future[Planes]) -> None:
        try:
            finished.set_result(finish(task.result()))
        except Exception as error:  # noqa: BLE001  raised where the planes are waited for
            finished.set_exception(error)

    restored.add_done_callback(pass_on)
    return finished
