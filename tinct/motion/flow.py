"""Optical flow between luma planes, and pictures warped along it.

A flow is an array [h, w, 2] of displacements (x, y), in samples of its own grid: a sample of the
target lies in the source at its own position plus the displacement. The search is OpenCV's DIS
(Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016). `views` has the planes that
it compares.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np

from tinct.motion.views import KeyView, LumaView

# Samples. DIS (OpenCV 5.0) crashes on wide pictures below this height; they are copied without
# motion instead.
MIN_FLOW_SIDE = 32

STILL_WINDOW = 9  # samples a side of the window over which standing still is judged
STILL_GAIN = 1.1  # factor by which motion has to lower the mismatch
STILL_FLOOR = 0.2  # 8-bit levels that it has to lower it by: flow follows coding noise
# Variational iterations of a fine search. They take half of its time and pictures gain nothing.
REFINEMENTS = 0

# float16 [h, w, 2] at the resolution of `LumaView.matched`; None where a picture is too small.
Flow = np.ndarray | None


class Flows(Protocol):
    """Flows from the frames of a group to a key frame: a list, or a Track."""

    def __getitem__(self, index: int, /) -> Flow: ...


FlowPair = tuple[Flows, Flows]  # to the earlier and to the later key frame


def estimate_flow(target: LumaView, source: LumaView) -> np.ndarray | None:
    """Return the flow from `target` to `source` at chroma resolution, float32 [h, w, 2].

    None where the pictures are too small for optical flow.
    """
    if min(target.matched.shape) < MIN_FLOW_SIDE:
        return None
    search = _create_search(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow = search.calc(target.matched, source.matched, None)  # type: ignore[call-overload]
    return scale_flow(flow, target.half.shape)


def scale_flow(flow: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the same motion on planes of `shape` (height, width).

    They are as large as the flow, half or twice as large, odd sides rounded up.
    """
    height, width = flow.shape[:2]
    if (height, width) == tuple(shape[:2]):
        return flow
    smaller = shape[1] < width
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    scaled = cv2.resize(flow, (shape[1], shape[0]), interpolation=interpolation)
    return np.multiply(scaled, np.float32(0.5 if smaller else 2.0), out=scaled)


def warp(
    picture: np.ndarray, flow: np.ndarray, *, share: float = 1.0, sharp: bool = False
) -> np.ndarray:
    """Return `picture` [h, w] or [h, w, c], sampled where `share` times `flow` points to.

    Samples are bilinear; with `sharp` bicubic (a = -0.75), which keeps fine detail and takes half
    as long again. Beyond the border the picture's edge is repeated. The flow, float32, is as large
    as the picture, half or twice as large.
    """
    scaled = scale_flow(flow, picture.shape)
    # the sum overwrites a scaled copy: fresh memory takes time
    out = None if scaled is flow else scaled
    positions = cv2.scaleAdd(scaled, share, make_grid(*picture.shape[:2]), out)
    method = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    return cv2.remap(  # type: ignore[call-overload]
        picture, positions, None, method, borderMode=cv2.BORDER_REPLICATE
    )


@lru_cache(maxsize=4)
def make_grid(height: int, width: int) -> np.ndarray:
    """Return each sample's own position (x, y), float32 [h, w, 2]."""
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    return np.dstack((columns, rows))


def track(lumas: Iterable[LumaView], key: LumaView, *, fine: bool = False) -> list[Flow]:
    """Return the flow from each of `lumas` to `key`; they come in order of distance, nearest first.

    Each search starts from the flow found before it. Where a picture stands still its flow is set
    to zero, since a search between coarsely and finely coded luma follows the noise. A `fine`
    search is for luma that has been restored.
    """
    flows: list[Flow] = []
    previous: np.ndarray | None = None
    for luma in lumas:
        previous = _search_moving(luma, key, previous, fine=fine)
        flows.append(_shorten(previous))
    return flows


class Track:
    """Flows from the frames of a group to one key frame, each searched when it is first needed.

    They are those of `track`, so that the frames between a frame and the key frame are searched
    before it. `get_luma` returns a frame of the group by its index, of `count` frames in order of
    time; `is_backward` where the key frame follows them. Any thread may ask for a flow.
    """

    def __init__(
        self,
        get_luma: Callable[[int], LumaView],
        count: int,
        key: LumaView,
        *,
        is_backward: bool,
        fine: bool,
    ) -> None:
        self._get_luma, self._count, self._key = get_luma, count, key
        self._is_backward, self._fine = is_backward, fine
        self._flows: list[Flow] = []  # nearest frame first
        self._previous: np.ndarray | None = None  # the last of them, float32
        self._turn = threading.Lock()

    def __getitem__(self, index: int) -> Flow:
        """Return the flow of frame `index`."""
        place = self._order(index)
        self.search(place + 1)
        return self._flows[place]

    def search(self, count: int) -> None:
        """Search the flows of the `count` frames that are nearest to the key frame."""
        while len(self._flows) < count:
            with self._turn:  # for one search at a time: what was found is read without a turn
                if len(self._flows) < count:
                    luma = self._get_luma(self._order(len(self._flows)))
                    self._previous = _search_moving(
                        luma, self._key, self._previous, fine=self._fine
                    )
                    self._flows.append(_shorten(self._previous))

    def _order(self, index: int) -> int:
        """Return the place of a frame among those by distance, or the frame at a place."""
        return self._count - 1 - index if self._is_backward else index


def track_both(
    group: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor, *, wanted: range
) -> tuple[Track, Track]:
    """Start to track the frames between two key frames towards each of them, one key a thread.

    Flows are indexed by the frame; those of the frames `wanted` come first.
    """
    return _start_tracks(group.__getitem__, len(group), keys, pool=pool, wanted=wanted, fine=False)


def track_restored(
    group: Sequence[Future[KeyView]], keys: Sequence[KeyView], pool: Executor, *, wanted: range
) -> tuple[Track, Track]:
    """Start the same for frames that a first pass is restoring, by a fine search."""

    def wait_for_luma(index: int) -> LumaView:
        return group[index].result().luma

    return _start_tracks(wait_for_luma, len(group), keys, pool=pool, wanted=wanted, fine=True)


def _start_tracks(
    get_luma: Callable[[int], LumaView],
    count: int,
    keys: Sequence[KeyView],
    *,
    pool: Executor,
    wanted: range,
    fine: bool,
) -> tuple[Track, Track]:
    """Return the tracks to both key frames, and start to search the flows of the frames `wanted`.

    The first of these needs all flows to the key frame behind, and only its own and earlier ones
    to the key frame before. That key frame's thread searches no longer than the other one; what is
    left is searched when it is needed.
    """
    before, after = (
        Track(get_luma, count, key.luma, is_backward=is_backward, fine=fine)
        for key, is_backward in ((keys[0], False), (keys[1], True))
    )
    behind = count - wanted.start
    pool.submit(after.search, behind)
    pool.submit(before.search, min(wanted.stop, max(wanted.start + 1, behind)))
    return before, after


def zero_still_flow(target: np.ndarray, source: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return `flow` [h, w, 2], faded to zero where standing still fits about as well.

    `target` and `source` are luma planes, uint8 [h, w].
    """
    moving_error, still_error = (
        _average_difference(picture, target) for picture in (warp(source, flow), source)
    )
    is_moving = still_error >= moving_error * STILL_GAIN + STILL_FLOOR
    share = cv2.blur(is_moving.astype(np.float32), (5, 5))
    return cv2.multiply(flow, cv2.merge((share, share)))


def convert_flow(flow: np.ndarray, depth: int) -> np.ndarray:
    """Return a flow in another of OpenCV's types, such as `cv2.CV_16F`.

    OpenCV converts to and from half precision several times faster than NumPy.
    """
    return cv2.multiply(flow, (1.0, 1.0), dtype=depth)  # type: ignore[call-overload]


def _search_moving(
    luma: LumaView, key: LumaView, start: np.ndarray | None, *, fine: bool
) -> np.ndarray | None:
    """Return the flow from `luma` to `key`, float32, zero where nothing moves; None if too small.

    The search begins at the flow `start`.
    """
    target, source = luma.matched, key.matched
    if min(target.shape) < MIN_FLOW_SIDE:
        return None
    preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM if fine else cv2.DISOPTICAL_FLOW_PRESET_FAST
    search = _create_search(preset)
    if fine:
        search.setVariationalRefinementIterations(REFINEMENTS)
    guess = None if start is None else start.copy()
    flow = search.calc(target, source, guess)  # type: ignore[arg-type]
    return zero_still_flow(target, source, flow)


def _shorten(flow: np.ndarray | None) -> Flow:
    """Return a flow in half precision."""
    return None if flow is None else convert_flow(flow, cv2.CV_16F)


def _create_search(preset: int) -> cv2.DISOpticalFlow:
    """Return a search that nobody has used: one call on a small picture changes its settings."""
    return cv2.DISOpticalFlow.create(preset)


def _average_difference(picture: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference around each sample, float32 [h, w]."""
    difference = cv2.absdiff(picture, target).astype(np.float32)
    return cv2.blur(difference, (STILL_WINDOW, STILL_WINDOW))
