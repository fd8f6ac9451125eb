"""Restoration: decoded pictures of a file's tracks in, finished frames in order of time out.

The decoder and the encoder's view of its own packets share this code, so that the encoder measures
exactly what the decoder shows. `inband` does the files without a colour track.
"""

import os
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain, islice, repeat

import numpy as np

from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import COLOUR
from tinct.bitstream.pictures import unstack_chroma
from tinct.bitstream.schema import Layout
from tinct.decoder.filling import find_gaps, set_distances, start_filling
from tinct.decoder.inband import InBandRestorer
from tinct.decoder.levels import Levels
from tinct.decoder.losses import LossLog
from tinct.decoder.padding import check_plane, crop_plane
from tinct.decoder.pending import WHOLE, Cut, Group, PendingFrame, PendingGroup
from tinct.decoder.postfilter import Judge, PostFilter
from tinct.frames import Frame, VideoInfo
from tinct.limits import max_held_frames
from tinct.media.planes import Planes
from tinct.motion.interpolation import interpolate_frame
from tinct.motion.views import MIDDLE_QP, KeyView, LumaView
from tinct.networks.interface import (
    Colouriser,
    InBandColouriser,
    Interpolator,
    propagate_group,
)

# Frames that may be pending beside the first pending group and the group that is coming in.
PENDING_FRAMES = 24

# Takes the frames of a group as they are shown, in order of time, the times of those that were
# interpolated, and of the key frames around them; returns times and planes, padded as coded, of
# frames that are sent after all.
Inspect = Callable[[Sequence[KeyView], Sequence[int], set[int]], Sequence[tuple[int, Planes]]]


class Restorer:
    """Takes pictures of a file's tracks, each track in order of time, and returns finished frames.

    `colouriser` finishes the frames between key frames, `around` restores those of an in-band file,
    which are shown as decoded without it, and needs `levels`, which its caller tells of the
    packets. `open_keys` are the times of the key frames of open groups. `qps` (time, QP of key
    frames, QP of the others) tell a network what luma was coded at from each time on. `losses` are
    told of what did not arrive, and know the key frames whose colour does not decode; their luma
    has the QP of key frames. An encoder adds to both.

    `post_filter` says how what the network gives is shown, group by group or in-band second by
    second. An encoder's `judge` decides this here.

    `interpolated` are the times of frames that were never sent, ascending; `interpolate` makes
    them, and with `losses.fills_gaps` those that were lost between frames of one shot. An encoder's
    `inspect` may have frames of a group sent after all; with `most_pending` 0 that is done before
    `push` returns. With `has_hints` the luma track has coarse colour, see `motion.hints`.

    Only the frames of `cut` come out, of an in-band file those after it too, and only what they
    need is restored. When `is_over`, all of them are started. A context manager, for its threads.
    """

    def __init__(
        self,
        info: VideoInfo,
        layout: Layout,
        *,
        colouriser: Colouriser = propagate_group,
        around: InBandColouriser | None = None,
        levels: Levels | None = None,
        open_keys: Collection[int] = (),
        qps: Sequence[tuple[int, int, int]] = (),
        losses: LossLog | None = None,
        post_filter: PostFilter | None = None,
        judge: Judge | None = None,
        interpolated: Sequence[int] = (),
        interpolate: Interpolator = interpolate_frame,
        inspect: Inspect | None = None,
        most_pending: int = PENDING_FRAMES,
        has_hints: bool = False,
        cut: Cut = WHOLE,
    ) -> None:
        self._cut, self.is_over, self._has_shown = cut, False, False
        self._most_pending, self._interpolate = most_pending, interpolate
        self._interpolated, self._inspect = interpolated, inspect
        self._info, self._row, self._has_hints = info, LAYOUTS[layout], has_hints
        self._colouriser, self._judge = colouriser, judge
        self._open_keys, self._qps = open_keys, qps
        self._losses = LossLog() if losses is None else losses
        self.post_filter = PostFilter() if post_filter is None else post_filter
        self._max_held = max_held_frames(info.width, info.height)
        self._luma: deque[LumaView] = deque()  # of frames from the current key frame on
        self._colour: deque[tuple[int, Planes]] = deque()  # of key frames after the current one
        self._key: KeyView | None = None  # the current key frame
        self._is_merged = False  # the luma of a key frame after the current one is lost
        self._last_luma_pts = self._last_colour_pts = -1
        self._pending: deque[PendingGroup] = deque()
        self._threads = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads)
        self._in_band: InBandRestorer | None = None
        if around is not None:
            assert levels is not None
            self._in_band = InBandRestorer(
                info,
                around,
                self._pool,
                levels=levels,
                post_filter=self.post_filter,
                judge=judge,
                pending_frames=PENDING_FRAMES,
                losses=self._losses,
                start=cut.start,
            )

    def __enter__(self) -> "Restorer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def push(self, track: str, pts: int, planes: Planes) -> list[Frame]:
        """Take a picture of a track, padded as it was coded; return frames finished by now.

        A picture that is not later than the one before it on its track is dropped. Raises
        CodecError where a picture is smaller than the video or of another bit depth.
        """
        if pts <= (self._last_colour_pts if track == COLOUR else self._last_luma_pts):
            return []
        if not self._row.has_colour_track:
            self._last_luma_pts = pts
            return self._push_in_band(pts, planes)
        if track == COLOUR:
            self._last_colour_pts = pts
            self._add_key_picture(pts, planes)
        else:
            self._last_luma_pts = pts
            self._add_luma(self._view_picture(planes, pts))
        self._start_groups(is_last=False)
        return self._pop_finished(self._most_pending)

    def flush(self) -> Iterator[Frame]:
        """Yield the remaining frames, after the last picture of every track.

        The first frame of a cut is not kept waiting for the others.
        """
        if self._in_band is not None:
            yield from self._in_band.flush()
            return
        if not self.is_over:
            self._start_groups(is_last=True)
        while frames := self._pop_finished(0):
            yield from frames

    def _push_in_band(self, pts: int, planes: Planes) -> list[Frame]:
        y, cb, cr = self._crop_picture(planes)
        if self._in_band is None:
            return [Frame(y, cb, cr, pts=pts, info=self._info)]
        return self._in_band.push(KeyView(self._make_view(y, pts), cb, cr))

    def _add_key_picture(self, pts: int, planes: Planes) -> None:
        """Take a picture of the colour track: a whole key frame, or its stacked chroma."""
        if not self._colour and self._key is None and pts < self._cut.start:
            # the cut begins within a group: the network is loaded while its frames are decoded
            self._colouriser((), (), self._pool, wanted=range(0))
        if self._row.whole_keys:
            y, cb, cr = self._crop_picture(planes)
            self._add_luma(self._make_view(y, pts))
            self._colour.append((pts, (cb, cr)))
            return
        height, width = self._info.chroma_shape
        check_plane(planes[0], (2 * height, width), self._info)
        self._colour.append((pts, unstack_chroma(planes[0], (height, width))))

    def _add_luma(self, view: LumaView) -> None:
        # whole key frames arrive ahead of the luma track
        insort(self._luma, view, key=lambda view: view.pts)

    def _start_groups(self, *, is_last: bool) -> None:
        """Start to restore every complete group: its frames and the next key frame have arrived.

        The file interleaves its tracks, so what is missing when more frames are held than fit in
        two groups never comes: whole key frames in a row, for example, have no luma after them.
        """
        while self._colour and (
            is_last
            or self._last_luma_pts > self._colour[0][0]
            or max(len(self._luma), len(self._colour)) > self._max_held
        ):
            pts, (cb, cr) = self._colour.popleft()
            views = []
            while self._luma and self._luma[0].pts < pts:
                views.append(self._luma.popleft())
            if not self._luma or self._luma[0].pts != pts:
                # the key frame's luma is lost, so its colour cannot be moved: the group goes on
                self._luma.extendleft(reversed(views))
                self._is_merged = True
                continue
            next_luma = replace(self._luma[0], qp=self._find_qp(pts, is_key=True))
            self._luma[0] = next_luma
            next_key = KeyView(next_luma, cb, cr)
            self._start_group(views, next_key)
            self._key, self._is_merged = next_key, False
            self.is_over = self._cut.is_before(pts)
        if self._luma and (is_last or len(self._luma) > self._max_held):
            self._start_group(list(self._luma), None, is_cut_off=not is_last)
            self._luma.clear()

    def _start_group(
        self, views: list[LumaView], next_key: KeyView | None, *, is_cut_off: bool = False
    ) -> None:
        """Start to restore frames from the current key frame on; `next_key` follows them."""
        if not views:
            return
        before = None
        after = None if self._key_pts in self._open_keys else next_key
        if self._key is not None and views[0].pts == self._key.luma.pts:
            before = self._key
            self._start_key_frame(self._key)
            views = views[1:]
        ends = [[key.luma.pts] if key is not None else [] for key in (before, after)]
        known = [*ends[0], *(view.pts for view in views), *ends[1]]
        fills = self._losses.fills_gaps
        gaps = find_gaps(known, self._interpolated, fills=fills, most=self._max_held)
        self._losses.add_group(
            before.luma.pts if before is not None else None,
            [view.pts for view in views],
            next_key.luma.pts if next_key is not None else None,
            gaps=gaps,
            is_merged=self._is_merged,
            is_cut_off=is_cut_off,
            is_plain=not self.post_filter.needs_network(self._key_pts),
        )
        group = Group(
            key_pts=self._key_pts,
            luma=[self._correct_qp(view) for view in views],
            keys=[key for key in (self._key, after) if key is not None],
            times=gaps.times,
            before=before,
            after=after,
        )
        self._pending.append(self._restore(group))

    def _start_key_frame(self, key: KeyView) -> None:
        """Let a key frame be shown as decoded."""
        if key.luma.pts in self._cut:
            frame = PendingFrame.of(key)
            group = Group(key_pts=None, luma=[key.luma])
            self._pending.append(PendingGroup(group, sent=[frame], frames=deque([frame])))

    def _restore(self, group: Group) -> PendingGroup:
        """Start to restore what the cut needs of a group, and to interpolate frames between.

        Nothing is interpolated yet where an encoder still has a say in what is shown.
        """
        sent = self._restore_sent(group)
        if self._waits_for_groups:
            return PendingGroup(group, sent=list(sent))
        # a program may want the first frame of a cut and no other: it is started alone
        is_first = self._cut.start > 0 and not self._has_shown
        frames = self._fill(group, sent, ahead=0 if is_first else self._threads - 1)
        shown = (frame for frame in frames if group.shows(frame.luma.pts, self._cut))
        return PendingGroup(group, frames=deque(islice(shown, 1 if is_first else None)), rest=shown)

    def _restore_sent(self, group: Group) -> Iterator[PendingFrame]:
        """Start to restore the frames of a group that the cut needs, as they are asked for."""
        wanted = group.find_needed(self._cut)
        if not wanted:
            return
        luma, keys = set_distances(group.luma, group.times), group.keys
        place = group.key_pts
        prior: Iterable[Future[Planes] | None] = repeat(None, len(wanted))
        needs_network = keys and self.post_filter.needs_network(place)
        colouriser = self._colouriser if needs_network else propagate_group
        restored = colouriser(luma, keys, self._pool, wanted=wanted)
        if colouriser is not propagate_group and (
            self._judge is not None or self.post_filter.needs_prior(place)
        ):
            prior = propagate_group(luma, keys, self._pool, wanted=wanted)

        finish = partial(self.post_filter.apply, place=place, depth=self._info.bit_depth)
        for index, planes, without in zip(wanted, restored, prior, strict=True):
            yield PendingFrame(group.luma[index], planes, prior=without, finish=finish)

    def _fill(
        self, group: Group, sent: Iterable[PendingFrame], *, ahead: int = 0
    ) -> Iterator[PendingFrame]:
        """Yield frames that were sent, key frames around them, and interpolated ones between."""
        before, after = (
            [] if key is None else [PendingFrame.of(key)] for key in (group.before, group.after)
        )
        known, interpolate = chain(before, sent, after), self._interpolate
        return start_filling(
            known, group.times, interpolate=interpolate, pool=self._pool, cut=self._cut, ahead=ahead
        )

    @property
    def _key_pts(self) -> int | None:
        return None if self._key is None else self._key.luma.pts

    def _correct_qp(self, view: LumaView) -> LumaView:
        """Return the view of a frame between key frames, with the QP its luma was coded at."""
        if not self._losses.has_lost_key(view.pts):
            return view
        return replace(view, qp=self._find_qp(view.pts, is_key=True))

    @property
    def _waits_for_groups(self) -> bool:
        """Return whether a group has to be finished before any of its frames is shown."""
        return self._judge is not None or self._inspect is not None

    def _pop_finished(self, keep: int) -> list[Frame]:
        """Return finished frames in order. Block while `keep` or more follow the first group.

        The first frame of all is waited for and comes alone.
        """
        frames: list[Frame] = []
        had_shown = self._has_shown
        for pending in self._pending if had_shown else ():
            pending.start_rest()
        following = sum(pending.size for pending in self._pending)
        while self._pending:
            pending = self._pending[0]
            following -= pending.size
            must_wait = following >= keep
            if self._waits_for_groups:
                if not must_wait and not pending.is_done:
                    break
                frames += self._finish_group(pending)
            else:
                frames += self._pop_frames(pending, must_wait=must_wait)
                if pending.frames or (frames and not had_shown):
                    break
            self._pending.popleft()
        return frames

    def _pop_frames(self, pending: PendingGroup, *, must_wait: bool) -> list[Frame]:
        """Return the first frames of a group that are finished, all of them with `must_wait`."""
        frames: list[Frame] = []
        while pending.frames and (must_wait or not self._has_shown or pending.frames[0].is_done):
            frames.append(self._to_frame(pending.frames.popleft().wait()))
            self._has_shown = True
        return frames

    def _finish_group(self, pending: PendingGroup) -> list[Frame]:
        """Return the frames of a group: restored, or interpolated between these."""
        shown = self._show_group(pending)
        around = pending.group.around
        while self._inspect is not None and pending.group.times:
            late = self._inspect(shown, pending.group.times, around)
            if not late:
                break
            views = [self._view_picture(planes, pts) for pts, planes in late]
            pending = self._restore(pending.group.send_late(views))
            shown = self._show_group(pending)
        return [self._to_frame(view) for view in shown if view.luma.pts not in around]

    def _show_group(self, pending: PendingGroup) -> list[KeyView]:
        """Return the frames of a group as they are shown, with the key frames around them."""
        if self._judge is not None:
            pending.judge_by(self._judge, self.post_filter)
        frames = pending.sent
        if pending.group.times:
            frames = list(self._fill(pending.group, frames))
        return [frame.wait() for frame in frames]

    def _to_frame(self, view: KeyView) -> Frame:
        return Frame(view.luma.y, view.cb, view.cr, pts=view.luma.pts, info=self._info)

    def _view_picture(self, planes: Planes, pts: int) -> LumaView:
        """Return the view of a picture of the luma track, padded as it was coded."""
        y, *hint = self._crop_picture(planes if self._has_hints else planes[:1])
        return replace(self._make_view(y, pts), hint=(hint[0], hint[1]) if hint else None)

    def _make_view(self, y: np.ndarray, pts: int) -> LumaView:
        qp = self._find_qp(pts, is_key=False)
        return LumaView(y, bit_depth=self._info.bit_depth, pts=pts, qp=qp)

    def _find_qp(self, pts: int, *, is_key: bool) -> int:
        """Return about the QP that luma at a time was coded at."""
        if not self._qps:
            return MIDDLE_QP
        row = max(bisect_right(self._qps, pts, key=lambda qps: qps[0]) - 1, 0)
        _, of_keys, of_others = self._qps[row]
        return of_keys if is_key else of_others

    def _crop_picture(self, planes: Planes) -> Planes:
        """Return the part that is shown of a picture, padded as coded: Y alone, or all planes."""
        info = self._info
        shapes = ((info.height, info.width), info.chroma_shape, info.chroma_shape)[: len(planes)]
        return tuple(crop_plane(*pair, info) for pair in zip(planes, shapes, strict=True))
