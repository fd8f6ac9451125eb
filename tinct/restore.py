"""From base layer to finished frames: decoded pictures of both tracks in, frames in order of time out.

The decoder and the encoder's own view of what it has sent are this same code, so that what the encoder measured is
what the decoder shows.
"""

import os
from bisect import insort
from collections import deque
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tinct.base import unstack_chroma
from tinct.colouriser import COLOURISERS, Prior
from tinct.config import MAX_GROUP
from tinct.container import COLOUR, Layout
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.planes import Planes
from tinct.propagate import KeyView, LumaView, propagate

PENDING_FRAMES = 24  # being propagated or waiting for their turn, beside the group that is still coming in


@dataclass(frozen=True)
class _Waiting:
    """A group whose frames are being propagated; `chroma` resolves to (cb, cr) of each frame."""

    luma: tuple[LumaView, ...]
    keys: tuple[KeyView, ...]
    chroma: tuple[Future[Planes], ...]


class Restorer:
    """Takes pictures of a file's tracks, each track in order of time, and gives finished frames.

    `open_keys` are the times of the key frames whose group takes no colour from the next key frame; an encoder adds to
    them as it goes along. Holds the group that is coming in and PENDING_FRAMES at most. Use as a context manager: its
    threads end with it. `colourless` counts frames that came out grey, as no key frame near them was left.
    """

    def __init__(self, info: VideoInfo, layout: Layout, *, colouriser: str = "none", open_keys: Collection[int] = ()) -> None:
        self._info, self._layout = info, layout
        self._colourise = COLOURISERS[colouriser]
        self._open_keys = open_keys
        self._luma: deque[LumaView] = deque()  # of frames from the current key frame on
        self._chroma: deque[tuple[int, Planes]] = deque()  # of key frames after the current one
        self._key: KeyView | None = None
        self.colourless = 0
        self._luma_seen = self._colour_seen = -1  # latest pts of each track
        self._waiting: deque[_Waiting] = deque()
        self._pool = ThreadPoolExecutor(os.cpu_count())

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
        insort(self._luma, view, key=lambda other: other.pts)  # whole key frames come ahead of the luma track

    def _begin_groups(self, *, last: bool) -> None:
        """Start to propagate every group that is whole: the next key frame and everything before it are here.

        The tracks lie side by side in the file: what has not come within the longest group and some more does not come,
        such as luma beside whole key frames in a row.
        """
        while self._chroma and (last or self._luma_seen > self._chroma[0][0] or len(self._luma) > 2 * MAX_GROUP):
            pts, (cb, cr) = self._chroma.popleft()
            members = []
            while self._luma and self._luma[0].pts < pts:
                members.append(self._luma.popleft())
            if not (self._luma and self._luma[0].pts == pts):  # the key frame's luma is lost: it cannot be aligned
                self._luma.extendleft(reversed(members))
                continue
            key = KeyView(self._luma[0], cb, cr)
            self._begin(members, key)
            self._key = key
        if self._luma and (last or len(self._luma) > 2 * MAX_GROUP):
            self._begin(list(self._luma), None)
            self._luma.clear()

    def _begin(self, members: list[LumaView], following: KeyView | None) -> None:
        if not members:
            return
        usable = [self._key] if self._key is not None else []
        if following is not None and not (self._key is not None and self._key.luma.pts in self._open_keys):
            usable.append(following)
        if not usable:
            self.colourless += len(members)
        keys = tuple(usable)
        chroma = tuple(self._pool.submit(_chroma_of, view, keys) for view in members)
        self._waiting.append(_Waiting(tuple(members), keys, chroma))

    def _finished(self, keep: int) -> list[Frame]:
        """Frames of the groups at the front that are done; waits for them while more than `keep` frames are pending."""
        frames: list[Frame] = []
        pending = sum(len(group.luma) for group in self._waiting)
        while self._waiting and (pending > keep or all(f.done() for f in self._waiting[0].chroma)):
            group = self._waiting.popleft()
            pending -= len(group.luma)
            prior = Prior(group.luma, tuple(f.result() for f in group.chroma), group.keys)
            planes = self._colourise(prior)
            frames += [Frame(y, cb, cr, view.pts, self._info) for (y, cb, cr), view in zip(planes, group.luma, strict=True)]
        return frames

    def _view(self, y: np.ndarray, pts: int) -> LumaView:
        shape = (self._info.height, self._info.width)
        self._check(y, shape)
        return LumaView(np.ascontiguousarray(y[: shape[0], : shape[1]]), self._info.bit_depth, pts)

    def _cropped(self, planes: Planes) -> Planes:
        shapes = ((self._info.height, self._info.width), self._info.chroma_shape, self._info.chroma_shape)
        for plane, shape in zip(planes, shapes, strict=True):
            self._check(plane, shape)
        return tuple(np.ascontiguousarray(p[:h, :w]) for p, (h, w) in zip(planes, shapes, strict=True))

    def _check(self, plane: np.ndarray, shape: tuple[int, int]) -> None:
        dtype = np.uint8 if self._info.bit_depth == 8 else np.uint16
        if plane.shape[0] < shape[0] or plane.shape[1] < shape[1] or plane.dtype != dtype:
            raise CodecError(
                f"expected pictures of {shape[1]}x{shape[0]}, {self._info.bit_depth} bit to the end; "
                f"found {plane.shape[1]}x{plane.shape[0]}, {8 * plane.itemsize} bit; get the file again"
            )


def _chroma_of(luma: LumaView, keys: tuple[KeyView, ...]) -> Planes:
    if not keys:
        height, width = luma.y.shape
        grey = np.full(((height + 1) // 2, (width + 1) // 2), 1 << (luma.bit_depth - 1), luma.y.dtype)
        return grey, grey
    for key in keys:
        if key.luma.pts == luma.pts:
            return key.cb, key.cr
    return propagate(luma, keys)
