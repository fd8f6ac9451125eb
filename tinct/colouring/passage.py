"""Colour carried through a video from its references, both ways, in memory that does not grow with it.

span       the frames from one reference to the next, or to the end of a shot
window     some frames of a span, held while the trails of both references run through them
backward   the later reference is followed from its frame to the first; where the span is longer than a window, that is done
           once ahead, and where each window ends the trail is put on the shelf
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from tinct.colouring.follow import Trail, begin, follow
from tinct.colouring.mixing import Mix, Reference, Side, mix
from tinct.colouring.shelf import Shelf
from tinct.colouring.survey import Survey
from tinct.frames import Frame, VideoInfo
from tinct.media.source import Source
from tinct.motion.views import LumaView

WINDOW_SAMPLES = 16_000_000  # of luma that a window holds: 17 frames of 1280x720
WINDOW_FRAMES = (8, 128)
AHEAD_WINDOWS = 8  # windows whose luma, as it is matched, is held on the way ahead: a seek costs the frames before it


@dataclass(frozen=True)
class Span:
    """Frames, and the numbers of the references before (its first frame) and behind (the frame after its last); None: none."""

    frames: range
    before: int | None
    behind: int | None

    def windows(self, length: int) -> list[range]:
        edges = [*range(self.frames.start, self.frames.stop, length), self.frames.stop]
        return [range(*pair) for pair in pairwise(edges)]


@dataclass(frozen=True)
class Coloured:
    """A finished frame and how far its colour can be trusted, [h, w] float32, 0 to 1, at chroma resolution."""

    frame: Frame
    trust: np.ndarray


def spans(shots: Sequence[range], references: Sequence[int]) -> list[Span]:
    """A video cut where its shots begin and where its references lie."""
    found = []
    for shot in shots:
        own = [number for number in references if number in shot]
        edges = sorted({shot.start, *own, shot.stop})
        for first, stop in pairwise(edges):
            found.append(
                Span(
                    range(first, stop),
                    first if first in own else None,
                    stop if stop in own else None,
                )
            )
    return found


def window_length(info: VideoInfo) -> int:
    shortest, longest = WINDOW_FRAMES
    return max(shortest, min(longest, WINDOW_SAMPLES // (info.width * info.height)))


class Passage:
    """One pass over a video, its references on the shelf (`put_away`). Use as a context manager: its threads end with it.

    `frames` within one shot are all that is passed, if given; `correct` has the last word on each frame's colour.
    """

    def __init__(
        self,
        source: Source,
        found: Survey,
        references: Sequence[int],
        shelf: Shelf,
        *,
        frames: range | None = None,
        correct: Callable[[LumaView, Mix], Mix] | None = None,
    ) -> None:
        self._source, self._found, self._shelf, self._correct = source, found, shelf, correct
        self._spans = spans(found.shots if frames is None else [frames], references)
        self._length = window_length(source.info)
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1))

    def __enter__(self) -> "Passage":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[Coloured]:
        """Every frame in order; a window is under way while the caller has the one before."""
        first, stop = self._spans[0].frames.start, self._spans[-1].frames.stop
        whole = stop - first == len(self._found.ticks)
        frames = (
            iter(self._source)
            if whole
            else self._source.between(*self._found.ticks[[first, stop - 1]].tolist())
        )
        waiting: deque[_Window] = deque()
        for span in self._spans:
            for window in self._begun(span, frames):
                waiting.append(window)
                if len(waiting) > 1:
                    yield from self._finished(waiting.popleft())
        while waiting:
            yield from self._finished(waiting.popleft())

    def _begun(self, span: Span, frames: Iterator[Frame]) -> Iterator["_Window"]:
        before = None if span.before is None else take_down(self._shelf, span.before)
        behind = None if span.behind is None else take_down(self._shelf, span.behind)
        windows = span.windows(self._length)
        if behind is not None and len(windows) > 1:
            self._follow_ahead(behind, windows)
        trail: Future[_Followed] | None = None
        for window in windows:
            held = list(islice(frames, len(window)))
            lumas = [LumaView(frame.y, frame.info.bit_depth, frame.pts) for frame in held]
            sides: list[_Way] = []
            if before is not None:
                trail = self._pool.submit(
                    _forward, before, lumas, window.start == before.number, trail
                )
                sides.append(_Way(before, trail))
            if behind is not None:
                start = (
                    begin(behind.luma.matched)
                    if window is windows[-1]
                    else self._trail(behind.number, window.stop)
                )
                sides.append(_Way(behind, self._pool.submit(_backward, behind, lumas, start)))
            yield _Window(window, held, lumas, sides)

    def _finished(self, window: "_Window") -> Iterator[Coloured]:
        ways = [(way.reference, way.followed.result().flows) for way in window.ways]
        mixed = [
            self._pool.submit(
                self._mixed,
                luma,
                [
                    Side(reference, flows[i], abs(reference.number - number))
                    for reference, flows in ways
                ],
            )
            for i, (number, luma) in enumerate(zip(window.numbers, window.lumas, strict=False))
        ]
        for frame, future in zip(window.frames, mixed, strict=True):
            yield finished(frame, future.result())

    def _mixed(self, luma: LumaView, sides: Sequence[Side]) -> Mix:
        mixed = mix(luma, sides)
        return self._correct(luma, mixed) if sides and self._correct is not None else mixed

    def _follow_ahead(self, reference: Reference, windows: Sequence[range]) -> None:
        """From the reference back to the end of the first window; the trails at the ends of windows go on the shelf."""
        target = reference.luma.matched
        trail = begin(target)
        wanted = {window.start for window in windows[1:]}
        for chunk in _joined(windows[1:], AHEAD_WINDOWS):
            ticks = self._found.ticks[chunk.start : chunk.stop]
            stretch = self._source.between(int(ticks[0]), int(ticks[-1]))
            held = [
                (frame.pts, LumaView(frame.y, frame.info.bit_depth, frame.pts).matched)
                for frame in stretch
            ]
            for tick, luma in reversed(held):
                trail = follow(luma, trail, target)
                number = int(np.searchsorted(self._found.ticks, tick))
                if number in wanted:
                    self._put(reference.number, number, trail)

    def _put(self, reference: int, number: int, trail: Trail) -> None:
        flow = np.empty(0, np.float16) if trail.flow is None else trail.flow.astype(np.float16)
        self._shelf.put((reference, number), flow, trail.luma)

    def _trail(self, reference: int, number: int) -> Trail:
        flow, luma = self._shelf.get((reference, number))
        return Trail(flow.astype(np.float32) if flow.size else None, luma)


@dataclass(frozen=True)
class _Followed:
    """Flows of a window's frames to one reference, in the frames' order, and where the trail is at its end."""

    flows: list[np.ndarray | None]
    end: Trail


@dataclass(frozen=True)
class _Way:
    reference: Reference
    followed: Future[_Followed]


@dataclass(frozen=True)
class _Window:
    numbers: range
    frames: list[Frame]
    lumas: list[LumaView]
    ways: list[_Way]


def finished(frame: Frame, mixed: Mix) -> Coloured:
    """The frame with its own luma and the mixed colour."""
    unit = 1 << (frame.info.bit_depth - 8)
    levels = (
        np.rint((mixed.colour + np.float32(128)) * unit)
        .clip(0, 256 * unit - 1)
        .astype(frame.y.dtype)
    )
    coloured = Frame(frame.y, levels[..., 0].copy(), levels[..., 1].copy(), frame.pts, frame.info)
    return Coloured(coloured, mixed.trust)


def put_away(shelf: Shelf, reference: Reference) -> None:
    depth = np.array([reference.luma.bit_depth, reference.luma.pts])
    weight = np.rint(reference.weight * 255).astype(np.uint8)
    shelf.put(
        reference.number, depth, reference.luma.y, reference.colour.astype(np.float16), weight
    )


def take_down(shelf: Shelf, number: int) -> Reference:
    (depth, pts), y, colour, weight = shelf.get(number)
    return Reference(
        number,
        LumaView(y, int(depth), int(pts)),
        colour.astype(np.float32),
        weight.astype(np.float32) / 255,
    )


def _forward(
    reference: Reference,
    lumas: Sequence[LumaView],
    at_reference: bool,
    before: Future[_Followed] | None,
) -> _Followed:
    target = reference.luma.matched
    trail = begin(target) if before is None else before.result().end
    flows = []
    for position, luma in enumerate(lumas):
        if not (at_reference and position == 0):  # which the trail begins at
            trail = follow(luma.matched, trail, target)
        flows.append(_kept(trail))
    return _Followed(flows, trail)


def _backward(reference: Reference, lumas: Sequence[LumaView], trail: Trail) -> _Followed:
    flows = []
    for luma in reversed(lumas):
        trail = follow(luma.matched, trail, reference.luma.matched)
        flows.append(_kept(trail))
    return _Followed(flows[::-1], trail)


def _kept(trail: Trail) -> np.ndarray | None:
    return (
        None if trail.flow is None else trail.flow.astype(np.float16)
    )  # half the memory; 1/128 of a sample at motion of 8


def _joined(windows: Sequence[range], several: int) -> list[range]:
    """Windows, the last first, taken together by several."""
    ends = [windows[max(0, i - several + 1) : i + 1] for i in range(len(windows) - 1, -1, -several)]
    return [range(group[0].start, group[-1].stop) for group in ends]
