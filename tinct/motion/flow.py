"""Optical flow between luma planes, and pictures moved along it."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from functools import lru_cache

import cv2
import numpy as np

from tinct.motion.views import KeyView, LumaView

MIN_FLOW_SIDE = 32  # pixels; DIS (OpenCV 5.0) crashes on wide pictures below, which are copied without motion instead


def motion(luma: LumaView, reference: LumaView) -> np.ndarray | None:
    """Where each chroma sample of `luma` lies in `reference`: displacement [h, w, 2] (x, y) in chroma samples.

    None where the picture is too small for optical flow.
    """
    # a new object each time: a call on a small picture changes its settings for good
    target, source = luma.matched, reference.matched
    if min(target.shape) < MIN_FLOW_SIDE:
        return None
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST).calc(
        target, source, None
    )  # type: ignore[call-overload]
    return scaled_flow(flow, luma.half.shape)


def scaled_flow(flow: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The same motion on planes of `shape` (height, width): as large, half or twice as large, odd sides rounded up."""
    height, width = flow.shape[:2]
    if (height, width) == tuple(shape[:2]):
        return flow
    smaller = shape[1] < width
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    scaled = cv2.resize(flow, (shape[1], shape[0]), interpolation=interpolation)
    return np.multiply(scaled, np.float32(0.5 if smaller else 2.0), out=scaled)


def warp(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Bilinear samples of `picture` [h, w, c] at the places that `flow` points to; beyond the border, its edge.

    The flow is as large as the picture, half or twice as large.
    """
    places = scaled_flow(flow, picture.shape)
    places = cv2.add(
        places, _grid(*picture.shape[:2]), None if places is flow else places
    )  # in place: fresh memory takes time
    return cv2.remap(picture, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> np.ndarray:
    """Each sample's own place (x, y), [h, w, 2]."""
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    return np.dstack((columns, rows))


STILL_WINDOW = 9  # samples a side, over which standing still is judged
STILL_GAIN = 1.1  # motion has to lower the mismatch by this factor
STILL_FLOOR = 0.2  # and by this much, in 8-bit levels: coding noise alone makes flow wander
REFINEMENTS = 0  # iterations, variational, of a fine search: half of its time goes there, and pictures are no better for it
Flow = (
    np.ndarray | None
)  # [h, w, 2] float16 at the resolution of `LumaView.matched`; None where a picture is too small


def track(lumas: Iterable[LumaView], key: LumaView, *, fine: bool = False) -> list[Flow]:
    """Motion from each of `lumas`, nearest first, to `key`: each search starts from what the last one found.

    Where a picture stands still it is told so, since a search between coarse and fine luma wanders with the noise. A `fine` search
    is for luma that has been restored.
    """
    flows: list[Flow] = []
    before: Flow = None
    for luma in lumas:
        target, source = luma.matched, key.matched
        if min(target.shape) < MIN_FLOW_SIDE:
            flows.append(None)
            continue
        # a new object each time: a call on a small picture changes its settings for good
        search = cv2.DISOpticalFlow.create(
            cv2.DISOPTICAL_FLOW_PRESET_MEDIUM if fine else cv2.DISOPTICAL_FLOW_PRESET_FAST
        )
        if fine:
            search.setVariationalRefinementIterations(REFINEMENTS)
        flow = search.calc(target, source, None if before is None else before.copy())  # type: ignore[arg-type]
        before = stilled(target, source, flow)
        flows.append(_converted(before, cv2.CV_16F))
    return flows


def track_both(
    group: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor
) -> tuple[Future[list[Flow]], Future[list[Flow]]]:
    """Flows of the frames between two key frames to each of them, in the frames' order; one key a thread."""
    return (
        pool.submit(track, group, keys[0].luma),
        pool.submit(lambda: track(group[::-1], keys[1].luma)[::-1]),
    )


def track_restored(
    group: Sequence[Future[KeyView]], keys: Sequence[KeyView], pool: Executor
) -> tuple[Future[list[Flow]], Future[list[Flow]]]:
    """The same on frames that a first pass is restoring: finer luma is worth a finer search."""

    def views() -> list[LumaView]:
        return [view.result().luma for view in group]

    return (
        pool.submit(lambda: track(views(), keys[0].luma, fine=True)),
        pool.submit(lambda: track(views()[::-1], keys[1].luma, fine=True)[::-1]),
    )


def stilled(target: np.ndarray, source: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The flow, but none where standing still explains the picture about as well."""
    window = (STILL_WINDOW, STILL_WINDOW)
    moved, still = (
        cv2.blur(cv2.absdiff(p, target).astype(np.float32), window)
        for p in (warp(source, flow), source)
    )
    moving = cv2.blur((still >= moved * STILL_GAIN + STILL_FLOOR).astype(np.float32), (5, 5))
    return cv2.multiply(flow, cv2.merge((moving, moving)))


def _converted(flow: np.ndarray, depth: int) -> np.ndarray:
    """A flow in another of OpenCV's types: it converts to and from half precision some times faster than NumPy."""
    return cv2.multiply(flow, (1.0, 1.0), dtype=depth)  # type: ignore[call-overload]
