"""Restoration: decoded pictures of a file's tracks in, finished frames in order of time out.

The decoder and the encoder's view of its own packets share this code, so that the encoder measures
exactly what the decoder shows. `inband` does the files without a colour track.
"""

import os
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from tinct.bitstream.base import unstack_chroma
from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import COLOUR, Layout
from tinct.decoder.filling import fill, find_gaps, set_distances
from tinct.decoder.inband import InBandRestorer
from tinct.decoder.losses import LossLog
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.limits import max_held_frames
from tinct.media.planes import Planes
from tinct.motion.interpolation import interpolate_frame
from tinct.motion.views import MIDDLE_QP, KeyView, LumaView
from tinct.networks.interface import (
    Colouriser,
    InBandColouriser,
    Interpolator,
    Judge,
    PlainPlaces,
    mark_plain,
    propagate_group,
    select_planes,
)

# Frames that may be pending beside the first pending group and the group that is coming in.
PENDING_FRAMES = 24

# Takes the frames of a group as they are shown, in order of time, the times of those that were
# interpolated, and of the key frames around them; returns times and planes, padded as coded, of
# frames that are sent after all.
Inspect = Callable[[Sequence[KeyView], Sequence[int], set[int]], Sequence[tuple[int, Planes]]]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """The frames of a group that were sent, without its key frame, as decoded.

    `key_pts` is the time of the key frame, None for frames before the first one and for a key frame
    itself. `keys` give colour. The frames at `times` are interpolated from the others, and from the
    key frames `before` and `after` them, which are None where they are of another shot.
    """

    key_pts: int | None
    luma: Sequence[LumaView]
    keys: Sequence[KeyView] = ()
    times: Sequence[int] = ()
    before: KeyView | None = None
    after: KeyView | None = None


@dataclass(frozen=True)
class _PendingGroup:
    """A group whose frames are being restored.

    `restored` are the planes after the network, `prior` those after propagation alone, None where
    they are not needed.
    """

    group: _Group
    restored: list[Future[Planes]]
    prior: list[Future[Planes]] | None

    @property
    def is_done(self) -> bool:
        return all(future.done() for future in (*self.restored, *(self.prior or ())))


class Restorer:
    """Takes pictures of a file's tracks, each track in order of time, and returns finished frames.

    `colouriser` finishes the frames between key frames, `around` restores those of an in-band file,
    which are shown as decoded without it. `open_keys` are the times of the key frames of open
    groups. `qps` (time, QP of key frames, QP of the others) tell a network what luma was coded at
    from each time on. `losses` are told of what did not arrive, and know the key frames whose
    colour does not decode; their luma has the QP of key frames. An encoder extends `open_keys` and
    `qps` while it runs.

    `plain` are, for Y, Cb and Cr, the groups (times of key frames) or in-band the seconds in which
    that plane leaves the network out. An encoder gives a `judge` that decides this here, group by
    group, and reads the result from `plain`.

    `interpolated` are the times of frames that were never sent, ascending; `interpolate` makes
    them, and with `losses.fills_gaps` those that were lost between frames of one shot. An encoder's
    `inspect` may have frames of a group sent after all; with `most_pending` 0 that is done before
    `push` returns. Use as a context manager: its threads end with it.
    """

    def __init__(
        self,
        info: VideoInfo,
        layout: Layout,
        *,
        colouriser: Colouriser = propagate_group,
        around: InBandColouriser | None = None,
        open_keys: Collection[int] = (),
        qps: Sequence[tuple[int, int, int]] = (),
        losses: LossLog | None = None,
        plain: PlainPlaces = ((), (), ()),
        judge: Judge | None = None,
        interpolated: Sequence[int] = (),
        interpolate: Interpolator = interpolate_frame,
        inspect: Inspect | None = None,
        most_pending: int = PENDING_FRAMES,
    ) -> None:
        self._most_pending, self._interpolate = most_pending, interpolate
        self._interpolated, self._inspect = interpolated, inspect
        self._info, self._row = info, LAYOUTS[layout]
        self._luma_shape = (info.height, info.width)
        self._colouriser, self._judge = colouriser, judge
        self._open_keys, self._qps = open_keys, qps
        self._losses = LossLog() if losses is None else losses
        self.plain: tuple[set[int], ...] = tuple(set(places) for places in plain)
        self._max_held = max_held_frames(info.width, info.height)
        self._luma: deque[LumaView] = deque()  # of frames from the current key frame on
        self._colour: deque[tuple[int, Planes]] = deque()  # of key frames after the current one
        self._key: KeyView | None = None  # the current key frame
        self._is_merged = False  # the luma of a key frame after the current one is lost
        self._last_luma_pts = self._last_colour_pts = -1
        self._pending: deque[_PendingGroup] = deque()
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._in_band: InBandRestorer | None = None
        if around is not None:
            self._in_band = InBandRestorer(
                info,
                around,
                self._pool,
                plain=self.plain,
                judge=judge,
                pending_frames=PENDING_FRAMES,
                losses=self._losses,
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
            self._add_luma(self._crop(planes[0], self._luma_shape), pts)
        self._start_groups(is_last=False)
        return self._pop_finished(self._most_pending)

    def flush(self) -> list[Frame]:
        """Return the remaining frames, after the last picture of every track."""
        if self._in_band is not None:
            return self._in_band.flush()
        self._start_groups(is_last=True)
        return self._pop_finished(0)

    def _push_in_band(self, pts: int, planes: Planes) -> list[Frame]:
        y, cb, cr = self._crop_picture(planes)
        if self._in_band is not None:
            return self._in_band.push(KeyView(self._make_view(y, pts), cb, cr))
        return [Frame(y, cb, cr, pts=pts, info=self._info)]

    def _add_key_picture(self, pts: int, planes: Planes) -> None:
        """Take a picture of the colour track: a whole key frame, or its stacked chroma."""
        if self._row.whole_keys:
            y, cb, cr = self._crop_picture(planes)
            self._add_luma(y, pts)
            self._colour.append((pts, (cb, cr)))
            return
        height, width = self._info.chroma_shape
        self._check(planes[0], (2 * height, width))
        self._colour.append((pts, unstack_chroma(planes[0], (height, width))))

    def _add_luma(self, y: np.ndarray, pts: int) -> None:
        # whole key frames arrive ahead of the luma track
        insort(self._luma, self._make_view(y, pts), key=lambda view: view.pts)

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
            self._pending.append(_wrap_key_frame(self._key))
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
            is_plain=all(self._key_pts in places for places in self.plain),
        )
        group = _Group(
            key_pts=self._key_pts,
            luma=[self._correct_qp(view) for view in views],
            keys=[key for key in (self._key, after) if key is not None],
            times=gaps.times,
            before=before,
            after=after,
        )
        self._pending.append(self._restore(group))

    def _restore(self, group: _Group) -> _PendingGroup:
        """Start to restore the frames of a group that were sent."""
        luma, keys = set_distances(group.luma, group.times), group.keys
        is_plain = [group.key_pts in places for places in self.plain]
        prior = None
        if self._colouriser is propagate_group or not keys or all(is_plain):
            restored = propagate_group(luma, keys, self._pool)
        else:
            restored = self._colouriser(luma, keys, self._pool)
            if any(is_plain) or self._judge is not None:
                prior = propagate_group(luma, keys, self._pool)
        return _PendingGroup(group, restored, prior)

    @property
    def _key_pts(self) -> int | None:
        return None if self._key is None else self._key.luma.pts

    def _correct_qp(self, view: LumaView) -> LumaView:
        """Return the view of a frame between key frames, with the QP its luma was coded at."""
        if not self._losses.has_lost_key(view.pts):
            return view
        return replace(view, qp=self._find_qp(view.pts, is_key=True))

    def _pop_finished(self, keep: int) -> list[Frame]:
        """Return finished frames in order. Block while `keep` or more follow the first group."""
        frames: list[Frame] = []
        following = sum(len(pending.group.luma) for pending in self._pending)
        while self._pending:
            following -= len(self._pending[0].group.luma)
            if following < keep and not self._pending[0].is_done:
                break
            frames += self._finish_group(self._pending.popleft())
        return frames

    def _finish_group(self, pending: _PendingGroup) -> list[Frame]:
        """Return the frames of a group: restored, or interpolated between these."""
        shown = self._show_group(pending)
        group = pending.group
        around = {key.luma.pts for key in (group.before, group.after) if key is not None}
        while self._inspect is not None and pending.group.times:
            late = self._inspect(shown, pending.group.times, around)
            if not late:
                break
            views = [
                self._make_view(self._crop(planes[0], self._luma_shape), pts)
                for pts, planes in late
            ]
            pending = self._restore(_send_late(pending.group, views))
            shown = self._show_group(pending)
        return [
            Frame(view.luma.y, view.cb, view.cr, pts=view.luma.pts, info=self._info)
            for view in shown
            if view.luma.pts not in around
        ]

    def _show_group(self, pending: _PendingGroup) -> list[KeyView]:
        """Return the frames of a group as they are shown, with the key frames around them.

        Each plane is from the network or the prior.
        """
        group = pending.group
        planes = [future.result() for future in pending.restored]
        if pending.prior is not None and planes:
            prior = [future.result() for future in pending.prior]
            if self._judge is not None and group.key_pts is not None:
                is_better_plain = self._judge([view.pts for view in group.luma], planes, prior)
                mark_plain(self.plain, group.key_pts, is_better_plain)
            planes = [
                select_planes(restored, without, plain=self.plain, place=group.key_pts)
                for restored, without in zip(planes, prior, strict=True)
            ]
        shown = [
            KeyView(replace(view, y=y), cb, cr)
            for (y, cb, cr), view in zip(planes, group.luma, strict=True)
        ]
        if not group.times:
            return shown
        before = [key for key in (group.before,) if key is not None]
        after = [key for key in (group.after,) if key is not None]
        return fill(
            [*before, *shown, *after],
            group.times,
            interpolate=self._interpolate,
            pool=self._pool,
        )

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
        shapes = (self._luma_shape, self._info.chroma_shape, self._info.chroma_shape)
        return tuple(self._crop(plane, shape) for plane, shape in zip(planes, shapes, strict=True))

    def _crop(self, plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        self._check(plane, shape)
        height, width = shape
        return np.ascontiguousarray(plane[:height, :width])

    def _check(self, plane: np.ndarray, shape: tuple[int, int]) -> None:
        """Raise CodecError where a plane is smaller than `shape` or of another bit depth."""
        dtype = np.uint8 if self._info.bit_depth == 8 else np.uint16
        height, width = shape
        if plane.shape[0] < height or plane.shape[1] < width or plane.dtype != dtype:
            raise CodecError(
                f"expected pictures of {width}x{height}, {self._info.bit_depth} bit to the end; "
                f"found {plane.shape[1]}x{plane.shape[0]}, {8 * plane.itemsize} bit; "
                "get the file again"
            )


def _wrap_key_frame(key: KeyView) -> _PendingGroup:
    """Return a key frame as a group that is finished: its planes are shown as decoded."""
    done: Future[Planes] = Future()
    done.set_result((key.luma.y, key.cb, key.cr))
    return _PendingGroup(_Group(key_pts=None, luma=[key.luma]), [done], None)


def _send_late(group: _Group, late: Sequence[LumaView]) -> _Group:
    """Return the group with frames that were interpolated and are sent after all."""
    sent = {view.pts for view in late}
    return replace(
        group,
        luma=sorted([*group.luma, *late], key=lambda view: view.pts),
        times=[pts for pts in group.times if pts not in sent],
    )
