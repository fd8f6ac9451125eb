"""In-band files: each frame restored from itself and from the frames around it, in order of time.

What a network starts from is what was decoded, never what it made before, so a cut shows what the whole video does.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import islice

from tinct.frames import Frame, VideoInfo
from tinct.limits import judged_frames
from tinct.media.planes import Planes
from tinct.motion.references import REACH
from tinct.motion.views import KeyView
from tinct.networks.interface import Around, Judge, pass_by, shown


@dataclass(frozen=True)
class _Waiting:
    """A frame that is being restored; `restored` is None where every plane stays as it was coded. `second` is of the video."""

    view: KeyView
    second: int
    restored: Future[Planes] | None

    @property
    def coded(self) -> Planes:
        return self.view.luma.y, self.view.cb, self.view.cr

    @property
    def done(self) -> bool:
        return self.restored is None or self.restored.done()


class InBand:
    """Takes pictures in order of time, cropped to the video, and gives finished frames.

    `plain` says in which seconds a plane stays as it was coded. With `judge` that is decided here, by the first frames of each
    second (all, unless they are large or many), and added.
    """

    def __init__(
        self,
        info: VideoInfo,
        around: Around,
        plain: Sequence[set[int]],
        judge: Judge | None,
        pool: Executor,
        *,
        pending_frames: int,
    ) -> None:
        self._info, self._around, self._judge, self._pool = info, around, judge, pool
        self._plain, self._pending_frames = plain, pending_frames
        self._most_judged = judged_frames(info.width, info.height)
        self._views: deque[KeyView] = deque()  # from REACH before the frame that is begun next
        self._next = 0  # its place in them
        self._waiting: deque[_Waiting] = deque()
        self._judged = -1  # the latest second

    def push(self, view: KeyView) -> list[Frame]:
        self._views.append(view)
        if len(self._views) - self._next > REACH:
            self._begin()
        return self._finished(self._pending_frames, last=False)

    def flush(self) -> list[Frame]:
        while self._next < len(self._views):
            self._begin()
        return self._finished(0, last=True)

    def _begin(self) -> None:
        first = max(self._next - REACH, 0)
        window = list(islice(self._views, first, self._next + REACH + 1))
        view = self._views[self._next]
        second = int(view.luma.pts * self._info.time_base)
        passed_by = all(second in seconds for seconds in self._plain)
        restored = None if passed_by else self._around(window, self._next - first, self._pool)
        self._waiting.append(_Waiting(view, second, restored))
        if self._next == REACH:
            self._views.popleft()
        else:
            self._next += 1

    def _finished(self, keep: int, *, last: bool) -> list[Frame]:
        """Frames at the front that are done; waits for them while more than `keep` wait, or to judge a second that is whole."""
        frames: list[Frame] = []
        while self._waiting:
            front = self._waiting[0]
            if self._judge is not None and front.second > self._judged:
                whole = (
                    last
                    or self._waiting[-1].second > front.second
                    or len(self._waiting) >= self._most_judged
                )
                if not whole:
                    break
                self._decide(self._judge, front.second)
            elif len(self._waiting) <= keep and not front.done:
                break
            frames.append(self._shown(self._waiting.popleft()))
        return frames

    def _decide(self, judge: Judge, second: int) -> None:
        group = [waiting for waiting in self._waiting if waiting.second == second]
        made = [
            waiting.restored.result() if waiting.restored is not None else waiting.coded
            for waiting in group
        ]
        times = [waiting.view.luma.pts for waiting in group]
        pass_by(self._plain, second, judge(times, made, [waiting.coded for waiting in group]))
        self._judged = second

    def _shown(self, waiting: _Waiting) -> Frame:
        made = waiting.coded if waiting.restored is None else waiting.restored.result()
        y, cb, cr = shown(made, waiting.coded, self._plain, waiting.second)
        return Frame(y, cb, cr, waiting.view.luma.pts, self._info)
