"""Second pass: colour propagated from the references to every frame, in bounded memory.

span       the frames from one reference to the next, or to the end of a shot
window     frames of a span that are held in memory while both references are tracked through them
backward   the later reference is tracked from its frame to the span's first. In a span of several
           windows that is done once ahead, and the flow at the end of each window goes into the
           scratch file
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from tinct.colouring.analysis import VideoAnalysis
from tinct.colouring.blending import (
    BlendedColour,
    Correction,
    Reference,
    ReferenceFlow,
    blend_references,
)
from tinct.colouring.chroma import replace_chroma
from tinct.colouring.scratch import ScratchFile, load_flow, load_reference, store_flow
from tinct.colouring.tracking import TrackedFlow, start_tracking, track_frame
from tinct.frames import Frame, VideoInfo
from tinct.media.source import Source
from tinct.motion.views import LumaView

WINDOW_SAMPLES = 16_000_000  # luma samples in a window: 17 frames of 1280x720
WINDOW_FRAMES = (8, 128)  # fewest and most frames in a window
AHEAD_WINDOWS = 8  # windows whose matched luma is held when tracking ahead: each part costs a seek


@dataclass(frozen=True)
class ColouredFrame:
    """A frame with its colour, and its `trust` [h, w] float32, 0 to 1, at chroma resolution."""

    frame: Frame
    trust: np.ndarray


@dataclass(frozen=True)
class Span:
    """Frames without a reference between them, and the numbers of the references at both ends.

    `before` is the first frame, `behind` the frame after the last; each is None where that frame
    is no reference.
    """

    frames: range
    before: int | None
    behind: int | None

    def split_windows(self, length: int) -> list[range]:
        """Return the span's frames in windows of `length`, the last one shorter."""
        edges = [*range(self.frames.start, self.frames.stop, length), self.frames.stop]
        return [range(*pair) for pair in pairwise(edges)]


def split_spans(shots: Sequence[range], references: Sequence[int]) -> list[Span]:
    """Return the spans of a video: it is cut where a shot starts and at each reference."""
    spans = []
    for shot in shots:
        own = [number for number in references if number in shot]
        for first, stop in pairwise(sorted({shot.start, *own, shot.stop})):
            before = first if first in own else None
            behind = stop if stop in own else None
            spans.append(Span(range(first, stop), before, behind))
    return spans


def choose_window_length(info: VideoInfo) -> int:
    """Return the number of frames in a window."""
    fewest, most = WINDOW_FRAMES
    return max(fewest, min(most, WINDOW_SAMPLES // (info.width * info.height)))


def apply_colour(frame: Frame, blended: BlendedColour) -> ColouredFrame:
    """Return the frame with its own luma and the blended colour."""
    return ColouredFrame(replace_chroma(frame, blended.colour), blended.trust)


class Propagation:
    """One pass that colours a video. A context manager: its threads end with it.

    `references` are the numbers of references in the scratch file (see `store_reference`). `frames`
    limits the pass to frames of one shot. `correct` changes the colour of each frame last.
    """

    def __init__(
        self,
        source: Source,
        analysis: VideoAnalysis,
        scratch: ScratchFile,
        *,
        references: Sequence[int],
        frames: range | None = None,
        correct: Correction | None = None,
    ) -> None:
        self._source, self._scratch, self._correct = source, scratch, correct
        self._ticks = analysis.ticks
        self._spans = split_spans(analysis.shots if frames is None else [frames], references)
        self._length = choose_window_length(source.info)
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1))

    def __enter__(self) -> "Propagation":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[ColouredFrame]:
        """Yield every frame in order. The next window is tracked while this one is yielded."""
        frames = self._read_frames()
        pending: deque[_Window] = deque()
        for span in self._spans:
            for window in self._start_windows(span, frames):
                pending.append(window)
                if len(pending) > 1:
                    yield from self._finish_window(pending.popleft())
        while pending:
            yield from self._finish_window(pending.popleft())

    def _read_frames(self) -> Iterator[Frame]:
        first, stop = self._spans[0].frames.start, self._spans[-1].frames.stop
        if stop - first == len(self._ticks):
            return iter(self._source)
        return self._source.read_between(*self._ticks[[first, stop - 1]].tolist())

    def _start_windows(self, span: Span, frames: Iterator[Frame]) -> Iterator["_Window"]:
        """Read the windows of a span one by one and start tracking its references in each."""
        before, behind = (
            None if number is None else load_reference(self._scratch, number)
            for number in (span.before, span.behind)
        )
        windows = span.split_windows(self._length)
        if behind is not None and len(windows) > 1:
            self._track_ahead(behind, windows)
        previous: Future[_WindowFlows] | None = None
        for window in windows:
            held = list(islice(frames, len(window)))
            lumas = [LumaView(frame.y, frame.info.bit_depth, frame.pts) for frame in held]
            tracked: list[_TrackedReference] = []
            if before is not None:
                previous = self._pool.submit(
                    _track_forward,
                    before,
                    lumas,
                    at_reference=window.start == before.number,
                    previous=previous,
                )
                tracked.append(_TrackedReference(before, previous))
            if behind is not None:
                start = (
                    start_tracking(behind.luma.matched)
                    if window is windows[-1]
                    else load_flow(self._scratch, (behind.number, window.stop))
                )
                flows = self._pool.submit(_track_backward, behind, lumas, start)
                tracked.append(_TrackedReference(behind, flows))
            yield _Window(window, held, lumas=lumas, references=tracked)

    def _finish_window(self, window: "_Window") -> Iterator[ColouredFrame]:
        """Wait for a window's flows, then yield its coloured frames."""
        found = [(one.reference, one.flows.result().flows) for one in window.references]
        futures = []
        for i, (number, luma) in enumerate(zip(window.numbers, window.lumas, strict=False)):
            moved = [
                ReferenceFlow(reference, flows[i], abs(reference.number - number))
                for reference, flows in found
            ]
            futures.append(self._pool.submit(self._blend, luma, moved))
        for frame, future in zip(window.frames, futures, strict=True):
            yield apply_colour(frame, future.result())

    def _blend(self, luma: LumaView, flows: Sequence[ReferenceFlow]) -> BlendedColour:
        blended = blend_references(luma, flows)
        return self._correct(luma, blended) if flows and self._correct is not None else blended

    def _track_ahead(self, reference: Reference, windows: Sequence[range]) -> None:
        """Track a reference back to the end of the first window; store its flow at each window."""
        target = reference.luma.matched
        tracked = start_tracking(target)
        wanted = {window.start for window in windows[1:]}
        for part in _merge_backwards(windows[1:], AHEAD_WINDOWS):
            ticks = self._ticks[part.start : part.stop]
            lumas = [
                (frame.pts, LumaView(frame.y, frame.info.bit_depth, frame.pts).matched)
                for frame in self._source.read_between(int(ticks[0]), int(ticks[-1]))
            ]
            for tick, luma in reversed(lumas):
                tracked = track_frame(luma, tracked, target)
                number = int(np.searchsorted(self._ticks, tick))
                if number in wanted:
                    store_flow(self._scratch, (reference.number, number), tracked)


@dataclass(frozen=True)
class _WindowFlows:
    """Flows of a window's frames to one reference, in order of time; `end` is the last state."""

    flows: list[np.ndarray | None]
    end: TrackedFlow


@dataclass(frozen=True)
class _TrackedReference:
    reference: Reference
    flows: Future[_WindowFlows]


@dataclass(frozen=True)
class _Window:
    """Frames that are held, their numbers and luma, and the references that are tracked in them."""

    numbers: range
    frames: list[Frame]
    lumas: list[LumaView]
    references: list[_TrackedReference]


def _track_forward(
    reference: Reference,
    lumas: Sequence[LumaView],
    *,
    at_reference: bool,
    previous: Future[_WindowFlows] | None,
) -> _WindowFlows:
    """Track a reference through a window, on from the end of the previous one.

    `at_reference` says that the window's first frame is the reference's own.
    """
    target = reference.luma.matched
    tracked = start_tracking(target) if previous is None else previous.result().end
    flows = []
    for position, luma in enumerate(lumas):
        if not (at_reference and position == 0):
            tracked = track_frame(luma.matched, tracked, target)
        flows.append(_halve_precision(tracked.flow))
    return _WindowFlows(flows, tracked)


def _track_backward(
    reference: Reference, lumas: Sequence[LumaView], tracked: TrackedFlow
) -> _WindowFlows:
    """Track a reference through a window from its last frame to its first."""
    flows = []
    for luma in reversed(lumas):
        tracked = track_frame(luma.matched, tracked, reference.luma.matched)
        flows.append(_halve_precision(tracked.flow))
    return _WindowFlows(flows[::-1], tracked)


def _halve_precision(flow: np.ndarray | None) -> np.ndarray | None:
    """Return a flow in half the memory, exact to 1/128 of a sample at motion of 8 samples."""
    return None if flow is None else flow.astype(np.float16)


def _merge_backwards(windows: Sequence[range], several: int) -> list[range]:
    """Return neighbouring windows merged by `several`, the last windows first."""
    ends = range(len(windows) - 1, -1, -several)
    return [range(windows[max(0, i - several + 1)].start, windows[i].stop) for i in ends]
