"""From base layer to finished frames: decoded pictures of both tracks in, frames in order of time out.

The decoder and the encoder's own view of what it has sent are this same code, so that what the encoder measured is
what the decoder shows.
"""

import os
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from tinct.bitstream.hevc import unstack_chroma
from tinct.bitstream.manifest import COLOUR, Layout
from tinct.decoder.inband import InBand
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.limits import held_frames
from tinct.media.planes import Planes
from tinct.motion.views import MIDDLE_QP, KeyView, LumaView
from tinct.networks.interface import Around, Colouriser, Judge, Plain, none, pass_by, shown

PENDING_FRAMES = 24  # being restored or waiting for their turn, beside the group that is next and the one that is coming in


@dataclass(frozen=True)
class _Waiting:
    """A group whose frames are being restored: of each, what the network makes and, where that may count, what it starts from.

    `key` is the time of the group's key frame, None before the first one.
    """

    key: int | None
    luma: Sequence[LumaView]
    restored: list[Future[Planes]]
    prior: list[Future[Planes]] | None

    @property
    def done(self) -> bool:
        return all(future.done() for future in (*self.restored, *(self.prior or ())))


class Restorer:
    """Takes pictures of a file's tracks, each track in order of time, and gives finished frames.

    `around` restores the frames of an in-band file, if anything does; `colouriser` those of any other. `open_keys` are the
    times of the key frames whose group takes no colour from the next key frame. `qps` (time, QP, QP) say what luma is coded at
    from a time on, that of key frames and that of the others, which a network is told. An encoder adds to both as it goes
    along, as a decoder does to `lost_keys`, the times of key frames whose colour does not decode: their luma is as fine as any
    key frame's. `plain` says in which groups a plane passes the network by; with `judge`, which an encoder gives, that is
    decided here: it sees the times of the frames between key frames, what the network made of them and what it started from,
    and says which of Y, Cb and Cr are better off without. Use as a context manager: its threads end with it. `colourless`
    counts frames that came out grey, as no key frame near them was left.
    """

    def __init__(
        self,
        info: VideoInfo,
        layout: Layout,
        *,
        colouriser: Colouriser = none,
        around: Around | None = None,
        open_keys: Collection[int] = (),
        qps: Sequence[tuple[int, int, int]] = (),
        lost_keys: Collection[int] = (),
        plain: Plain = ((), (), ()),
        judge: Judge | None = None,
    ) -> None:
        self._info, self._layout = info, layout
        self._colouriser, self._judge = colouriser, judge
        self._open_keys, self._qps, self._lost_keys = open_keys, qps, lost_keys
        self.plain: tuple[set[int], ...] = tuple(set(times) for times in plain)
        self._most_held = held_frames(info.width, info.height)
        self._luma: deque[LumaView] = deque()  # of frames from the current key frame on
        self._chroma: deque[tuple[int, Planes]] = deque()  # of key frames after the current one
        self._key: KeyView | None = None
        self.colourless = 0
        self._luma_seen = self._colour_seen = -1  # latest pts of each track
        self._waiting: deque[_Waiting] = deque()
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._in_band: InBand | None = None
        if around is not None:
            self._in_band = InBand(
                info, around, self.plain, judge, self._pool, pending_frames=PENDING_FRAMES
            )

    def __enter__(self) -> "Restorer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def push(self, track: str, pts: int, planes: Planes) -> list[Frame]:
        """A picture of a track, padded as it was coded; returns what is finished by now.

        A picture that is not later than the one before it on its track is dropped.
        """
        if pts <= (self._colour_seen if track == COLOUR else self._luma_seen):
            return []
        if self._layout == "in-band":
            self._luma_seen = pts
            y, cb, cr = self._cropped(planes)
            if self._in_band is not None:
                return self._in_band.push(
                    KeyView(
                        LumaView(y, self._info.bit_depth, pts, self._qp(pts, key=False)), cb, cr
                    )
                )
            return [Frame(y, cb, cr, pts, self._info)]
        if track == COLOUR:
            self._colour_seen = pts
            self._take_key(pts, planes)
        else:
            self._luma_seen = pts
            self._insert(self._view(planes[0], pts))
        self._begin_groups(last=False)
        return self._finished(PENDING_FRAMES)

    def flush(self) -> list[Frame]:
        """The rest, when both tracks have ended."""
        if self._in_band is not None:
            return self._in_band.flush()
        self._begin_groups(last=True)
        return self._finished(0)

    def _take_key(self, pts: int, planes: Planes) -> None:
        if self._layout == "full":
            y, cb, cr = self._cropped(planes)
            self._insert(self._view(y, pts))
            self._chroma.append((pts, (cb, cr)))
            return
        height, width = self._info.chroma_shape
        self._check(planes[0], (2 * height, width))
        self._chroma.append((pts, unstack_chroma(planes[0], (height, width))))

    def _insert(self, view: LumaView) -> None:
        insort(
            self._luma, view, key=lambda other: other.pts
        )  # whole key frames come ahead of the luma track

    def _begin_groups(self, *, last: bool) -> None:
        """Start to propagate every group that is whole: the next key frame and everything before it are here.

        The tracks lie side by side in the file: what has not come within the longest group and some more does not come,
        such as luma beside whole key frames in a row.
        """
        while self._chroma and (
            last
            or self._luma_seen > self._chroma[0][0]
            or max(len(self._luma), len(self._chroma)) > self._most_held
        ):
            pts, (cb, cr) = self._chroma.popleft()
            members = []
            while self._luma and self._luma[0].pts < pts:
                members.append(self._luma.popleft())
            if not (
                self._luma and self._luma[0].pts == pts
            ):  # the key frame's luma is lost: it cannot be aligned
                self._luma.extendleft(reversed(members))
                continue
            key = KeyView(replace(self._luma[0], qp=self._qp(pts, key=True)), cb, cr)
            self._luma[0] = key.luma
            self._begin(members, key)
            self._key = key
        if self._luma and (last or len(self._luma) > self._most_held):
            self._begin(list(self._luma), None)
            self._luma.clear()

    def _begin(self, members: list[LumaView], following: KeyView | None) -> None:
        if not members:
            return
        usable = [self._key] if self._key is not None else []
        if following is not None and not (
            self._key is not None and self._key.luma.pts in self._open_keys
        ):
            usable.append(following)
        if not usable:
            self.colourless += len(members)
        first = (
            self._key if self._key is not None and members[0].pts == self._key.luma.pts else None
        )
        between = members if first is None else members[1:]
        between = [
            replace(view, qp=self._qp(view.pts, key=True)) if view.pts in self._lost_keys else view
            for view in between
        ]
        past = [self._key is not None and self._key.luma.pts in times for times in self.plain]
        passed_by = self._colouriser is none or not usable or all(past)
        restored = (none if passed_by else self._colouriser)(between, usable, self._pool)
        prior = (
            none(between, usable, self._pool)
            if not passed_by and (any(past) or self._judge is not None)
            else None
        )
        if first is not None:
            self._waiting.append(
                _Waiting(None, [first.luma], [_known((first.luma.y, first.cb, first.cr))], None)
            )
        self._waiting.append(
            _Waiting(
                self._key.luma.pts if self._key is not None else None, between, restored, prior
            )
        )

    def _finished(self, keep: int) -> list[Frame]:
        """Frames of the groups at the front that are done; waits for them while more than `keep` frames wait behind the first."""
        frames: list[Frame] = []
        behind = sum(len(group.luma) for group in self._waiting)
        while self._waiting:
            behind -= len(self._waiting[0].luma)
            if behind < keep and not self._waiting[0].done:
                break
            frames += self._shown(self._waiting.popleft())
        return frames

    def _shown(self, group: _Waiting) -> list[Frame]:
        planes = [future.result() for future in group.restored]
        if group.prior is not None and planes:
            prior = [future.result() for future in group.prior]
            if self._judge is not None and group.key is not None:
                pass_by(
                    self.plain,
                    group.key,
                    self._judge([view.pts for view in group.luma], planes, prior),
                )
            planes = [
                shown(made, start, self.plain, group.key)
                for made, start in zip(planes, prior, strict=True)
            ]
        return [
            Frame(y, cb, cr, view.pts, self._info)
            for (y, cb, cr), view in zip(planes, group.luma, strict=True)
        ]

    def _view(self, y: np.ndarray, pts: int) -> LumaView:
        shape = (self._info.height, self._info.width)
        self._check(y, shape)
        return LumaView(
            np.ascontiguousarray(y[: shape[0], : shape[1]]),
            self._info.bit_depth,
            pts,
            self._qp(pts, key=False),
        )

    def _qp(self, pts: int, *, key: bool) -> int:
        """About what luma at a time was coded at."""
        if not self._qps:
            return MIDDLE_QP
        _, of_keys, of_others = self._qps[
            max(bisect_right(self._qps, pts, key=lambda row: row[0]) - 1, 0)
        ]
        return of_keys if key else of_others

    def _cropped(self, planes: Planes) -> Planes:
        shapes = (
            (self._info.height, self._info.width),
            self._info.chroma_shape,
            self._info.chroma_shape,
        )
        for plane, shape in zip(planes, shapes, strict=True):
            self._check(plane, shape)
        return tuple(
            np.ascontiguousarray(p[:h, :w]) for p, (h, w) in zip(planes, shapes, strict=True)
        )

    def _check(self, plane: np.ndarray, shape: tuple[int, int]) -> None:
        dtype = np.uint8 if self._info.bit_depth == 8 else np.uint16
        if plane.shape[0] < shape[0] or plane.shape[1] < shape[1] or plane.dtype != dtype:
            raise CodecError(
                f"expected pictures of {shape[1]}x{shape[0]}, {self._info.bit_depth} bit to the end; "
                f"found {plane.shape[1]}x{plane.shape[0]}, {8 * plane.itemsize} bit; get the file again"
            )


def _known(planes: Planes) -> Future[Planes]:
    future: Future[Planes] = Future()
    future.set_result(planes)
    return future
