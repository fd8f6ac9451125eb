"""Frames and groups that are being restored, and the part of a video whose frames are asked for.

`restorer` starts groups and pops their frames, `filling` adds the interpolated ones.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from tinct.decoder.postfilter import Judge, PostFilter, finish_when_done
from tinct.media.planes import Planes
from tinct.motion.hints import take_hint
from tinct.motion.views import KeyView, LumaView

# Takes a frame's planes after the network and those without it; returns the ones to show.
Finish = Callable[[Planes, Planes], Planes]


@dataclass(frozen=True)
class Cut:
    """The frames that are asked for: those from tick `start` on, and before `end` where it is set.

    `pts in cut` is whether the frame at that tick is among them.
    """

    start: int = 0
    end: int | None = None

    def __contains__(self, pts: int) -> bool:
        return self.start <= pts and not self.is_before(pts)

    def is_before(self, pts: int) -> bool:
        """Return whether the cut ends at or before a tick."""
        return self.end is not None and pts >= self.end


WHOLE = Cut()


class PendingFrame:
    """A frame whose planes a task makes; any thread may wait for it.

    `luma` has its time, its QP and its hint of colour. `finish` makes what is shown of the task's
    planes and those of `prior`: when the frame is first waited for where there is one, else at the
    end of the task.
    """

    def __init__(
        self,
        luma: LumaView,
        restored: Future[Planes],
        *,
        prior: Future[Planes] | None = None,
        finish: Finish | None = None,
    ) -> None:
        self.luma, self.restored, self.prior = luma, restored, prior
        self._finish = finish
        if finish is not None and prior is None:
            self.restored = finish_when_done(restored, lambda planes: finish(planes, planes))
        self._view: KeyView | None = None

    @classmethod
    def of(cls, view: KeyView) -> "PendingFrame":
        """Return a frame that is finished, such as a key frame."""
        done: Future[Planes] = Future()
        done.set_result((view.luma.y, view.cb, view.cr))
        frame = cls(view.luma, done)
        frame._view = view
        return frame

    @property
    def is_done(self) -> bool:
        return self.restored.done() and (self.prior is None or self.prior.done())

    def wait(self) -> KeyView:
        """Return the frame as it is shown; block until it is finished."""
        if self._view is None:
            planes = self.restored.result()
            if self.prior is not None and self._finish is not None:
                planes = self._finish(planes, self.prior.result())
            y, cb, cr = planes
            if self.luma.hint is not None:
                cb, cr = take_hint((cb, cr), self.luma.hint, bit_depth=self.luma.bit_depth)
            self._view = KeyView(replace(self.luma, y=y, hint=None), cb, cr)
        return self._view


@dataclass(frozen=True, kw_only=True)
class Group:
    """The frames of a group that were sent, without its key frame, as decoded.

    `key_pts` is the time of the key frame, None for frames before the first one. `keys` give
    colour. The frames at `times` are interpolated from the others, and from the key frames `before`
    and `after` them, which are None where they are of another shot.
    """

    key_pts: int | None
    luma: Sequence[LumaView]
    keys: Sequence[KeyView] = ()
    times: Sequence[int] = ()
    before: KeyView | None = None
    after: KeyView | None = None

    @property
    def around(self) -> set[int]:
        """Times of the key frames around it, which are no part of the group."""
        return {key.luma.pts for key in (self.before, self.after) if key is not None}

    def shows(self, pts: int, cut: Cut) -> bool:
        """Return whether the frame at a tick is one of this group's that a cut shows."""
        return pts in cut and pts not in self.around

    def find_needed(self, cut: Cut) -> range:
        """Return which frames of `luma` a cut needs: its own, and those it interpolates from."""
        sent = [view.pts for view in self.luma]
        shown = [pts for pts in (*sent, *self.times) if pts in cut]
        if not shown:
            return range(0)
        first = max(bisect_right(sent, min(shown)) - 1, 0)
        return range(first, min(bisect_left(sent, max(shown)) + 1, len(sent)))

    def send_late(self, late: Sequence[LumaView]) -> "Group":
        """Return the group with frames that were interpolated and are sent after all."""
        sent = {view.pts for view in late}
        return replace(
            self,
            luma=sorted([*self.luma, *late], key=lambda view: view.pts),
            times=[pts for pts in self.times if pts not in sent],
        )


@dataclass
class PendingGroup:
    """A group whose frames are being made.

    `frames` are those that remain to be shown, in order of time, and `rest` those after them, each
    started when it is asked for. Where an encoder has to look at the group first there are none
    yet, and `sent` are the frames that were sent.
    """

    group: Group
    sent: list[PendingFrame] = field(default_factory=list)
    frames: deque[PendingFrame] = field(default_factory=deque)
    rest: Iterator[PendingFrame] = field(default_factory=lambda: iter(()))

    @property
    def size(self) -> int:
        """Frames that are held."""
        return max(len(self.sent), len(self.frames))

    def start_rest(self) -> None:
        """Start what has not been started."""
        self.frames.extend(self.rest)

    def judge_by(self, judge: Judge, post_filter: PostFilter) -> None:
        """Let an encoder choose how strongly each plane is filtered."""
        place = self.group.key_pts
        priors = [frame.prior.result() for frame in self.sent if frame.prior is not None]
        if priors and place is not None:
            restored = [frame.restored.result() for frame in self.sent]
            times = [frame.luma.pts for frame in self.sent]
            post_filter.judge(judge, place, times=times, restored=restored, prior=priors)

    @property
    def is_done(self) -> bool:
        """Return whether all frames that were sent are finished."""
        return all(frame.is_done for frame in self.sent)
