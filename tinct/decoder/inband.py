"""Restoration of in-band files: each frame from itself and the frames around it, in order of time.

A network gets decoded frames, never its own output, so a cut shows the same frames as the whole
video. `restorer` does the files with a colour track.
"""

from collections import deque
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from itertools import islice

from tinct.decoder.levels import Levels
from tinct.decoder.losses import LossLog
from tinct.decoder.postfilter import Judge, PostFilter, finish_when_done
from tinct.frames import Frame, VideoInfo
from tinct.limits import max_judged_frames
from tinct.media.planes import Planes
from tinct.motion.views import KeyView
from tinct.networks.interface import InBandColouriser


@dataclass(frozen=True)
class _PendingFrame:
    """A frame that is being restored; `second` counts from the start of the video.

    `restored` are the planes after the network, and after the post-filter unless they are to be
    judged; None where the frame is shown as decoded.
    """

    view: KeyView
    second: int
    restored: Future[Planes] | None

    @property
    def decoded(self) -> Planes:
        return self.view.luma.y, self.view.cb, self.view.cr

    @property
    def is_done(self) -> bool:
        return self.restored is None or self.restored.done()

    def wait(self) -> Planes:
        """Return the planes that `restored` stands for; block until they are done."""
        return self.decoded if self.restored is None else self.restored.result()


class InBandRestorer:
    """Takes decoded pictures in order of time, cropped to the video, and returns finished frames.

    Those before tick `start` serve others alone.

    `post_filter` says how each second is shown. With `judge` each second is compared with its
    originals, and the strengths are chosen; where a second has more frames than
    `limits.max_judged_frames`, its first ones are compared. At most `pending_frames`
    wait for their turn before `push` blocks, or as many as a judge needs. `levels` know how coarse
    each picture is, and `losses` are told of the frames that each frame is restored from.
    """

    def __init__(
        self,
        info: VideoInfo,
        around: InBandColouriser,
        pool: Executor,
        *,
        levels: Levels,
        post_filter: PostFilter,
        judge: Judge | None,
        pending_frames: int,
        losses: LossLog,
        start: int,
    ) -> None:
        self._info, self._around, self._pool = info, around, pool
        self._levels, self._losses = levels, losses
        self._post_filter, self._judge = post_filter, judge
        self._pending_frames = pending_frames
        self._max_judged = max_judged_frames(info.width, info.height)
        self._reach, self._start = around.reach, start
        self._pictures: deque[KeyView] = deque()  # from `reach` frames before the next to start
        self._next = 0  # index in `_pictures` of the next frame to start
        self._pending: deque[_PendingFrame] = deque()
        self._judged_second = -1  # the latest one

    def push(self, view: KeyView) -> list[Frame]:
        """Take the next decoded picture; return the frames that are finished by now."""
        pts = view.luma.pts
        luma = replace(view.luma, level=self._levels.take(pts))
        self._pictures.append(replace(view, luma=luma))
        if pts < self._start:
            if len(self._pictures) > self._reach:
                self._pictures.popleft()
            self._next = len(self._pictures)
            return []
        if len(self._pictures) - self._next > self._reach:
            self._start_next()
        return self._pop_finished(self._pending_frames, is_last=False)

    def flush(self) -> list[Frame]:
        """Return the remaining frames, after the last picture."""
        while self._next < len(self._pictures):
            self._start_next()
        return self._pop_finished(0, is_last=True)

    def _start_next(self) -> None:
        """Start to restore the next frame from the frames on either side of it."""
        first = max(self._next - self._reach, 0)
        window = list(islice(self._pictures, first, self._next + self._reach + 1))
        view = self._pictures[self._next]
        second = int(view.luma.pts * self._info.time_base)
        restored = None
        if self._judge is not None or self._post_filter.needs_network(second):
            restored = self._around.start_frame(window, self._next - first, pool=self._pool)
            times = [one.luma.pts for one in window]
            self._losses.add_window(view.luma.pts, times, self._reach)
        frame = _PendingFrame(view, second, restored)
        if self._judge is None:
            frame = replace(frame, restored=self._start_filter(frame))
        self._pending.append(frame)
        if self._next == self._reach:
            self._pictures.popleft()
        else:
            self._next += 1

    def _start_filter(self, frame: _PendingFrame) -> Future[Planes] | None:
        """Start the post-filter of a frame, after the network where that runs."""
        if frame.restored is not None:
            return finish_when_done(frame.restored, lambda planes: self._filter(frame, planes))
        if any(any(one.smoothing) for one in self._post_filter.find(frame.second)):
            return self._pool.submit(self._filter, frame, frame.decoded)
        return None

    def _filter(self, frame: _PendingFrame, restored: Planes) -> Planes:
        depth = self._info.bit_depth
        return self._post_filter.apply(restored, frame.decoded, frame.second, depth=depth)

    def _pop_finished(self, keep: int, *, is_last: bool) -> list[Frame]:
        """Return finished frames in order. Block while more than `keep` frames are pending.

        With a judge, a second's frames stay until the second is complete.
        """
        frames: list[Frame] = []
        while self._pending:
            first = self._pending[0]
            if self._judge is not None and first.second > self._judged_second:
                if not is_last and not self._is_complete(first.second):
                    break
                self._judge_second(self._judge, first.second)
            elif len(self._pending) <= keep and not first.is_done:
                break
            frames.append(self._finish_frame(self._pending.popleft()))
        return frames

    def _is_complete(self, second: int) -> bool:
        """Return whether all frames of `second` are pending, or as many as may be judged."""
        return self._pending[-1].second > second or len(self._pending) >= self._max_judged

    def _judge_second(self, judge: Judge, second: int) -> None:
        """Choose how strongly each plane is filtered in `second`."""
        members = [frame for frame in self._pending if frame.second == second]
        restored = [frame.wait() for frame in members]
        times = [frame.view.luma.pts for frame in members]
        decoded = [frame.decoded for frame in members]
        self._post_filter.judge(judge, second, times=times, restored=restored, prior=decoded)
        self._judged_second = second

    def _finish_frame(self, frame: _PendingFrame) -> Frame:
        planes = frame.wait()
        y, cb, cr = planes if self._judge is None else self._filter(frame, planes)
        return Frame(y, cb, cr, pts=frame.view.luma.pts, info=self._info)
