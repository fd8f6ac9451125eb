"""Propagation: the colour of key frames carried to the frames between them along the motion of the luma.

Only decoded luma and decoded key-frame colour go in, so encoder and decoder compute the same prior. `keyframes` decides
which frames are keys, `colouriser` finishes what comes out of here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np

MIN_FLOW_SIDE = 32  # pixels; DIS (OpenCV 5.0) crashes on wide pictures below, which are copied without motion instead
FULL_FLOW_AREA = 640 * 360  # luma samples; larger pictures are matched at half the resolution, at no measured loss
MATCH_WINDOW = 5  # chroma samples a side, over which a match is judged
MIDDLE_QP = 32  # of luma whose QP nobody asks for
MATCH_FLOOR = 4.0  # squared 8-bit levels; a mismatch below coding noise says nothing


@dataclass(frozen=True)
class LumaView:
    """One luma plane as propagation looks at it: `y` [H, W] of `bit_depth` bits, `pts` in ticks, about the `qp` it was coded at."""

    y: np.ndarray
    bit_depth: int
    pts: int
    qp: int = MIDDLE_QP

    @cached_property
    def full(self) -> np.ndarray:
        """8-bit luma, [H, W]."""
        return self.y if self.bit_depth == 8 else (self.y >> (self.bit_depth - 8)).astype(np.uint8)

    @cached_property
    def half(self) -> np.ndarray:
        """8-bit luma at chroma resolution, [ceil(H/2), ceil(W/2)]."""
        height, width = self.y.shape
        return cv2.resize(self.full, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)

    @property
    def matched(self) -> np.ndarray:
        """The plane that optical flow is computed on."""
        return self.full if self.y.size <= FULL_FLOW_AREA else self.half


@dataclass(frozen=True)
class KeyView:
    """A key frame: its luma and its colour, `cb` and `cr` [h, w], uint8 or uint16."""

    luma: LumaView
    cb: np.ndarray
    cr: np.ndarray

    @cached_property
    def picture(self) -> np.ndarray:
        """Luma, Cb and Cr at chroma resolution, [h, w, 3] float32: what is warped."""
        return cv2.merge((self.luma.half, self.cb, self.cr) if self.luma.bit_depth == 8 else self._deep()).astype(np.float32)

    def _deep(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.luma.half.astype(np.uint16), self.cb, self.cr


def propagate(luma: LumaView, keys: Sequence[KeyView]) -> tuple[np.ndarray, np.ndarray]:
    """The prior of one frame, Cb and Cr in the keys' own type. `keys` are one or two, none from another shot."""
    _, cb, cr = cv2.split(blend(luma, keys))
    return _rounded(cb, keys[0].cb.dtype), _rounded(cr, keys[0].cr.dtype)


def blend(luma: LumaView, keys: Sequence[KeyView]) -> np.ndarray:
    """The `picture` of each key aligned, then blended per pixel, [h, w, 3] float32.

    A key's weight is 1 / (distance in time x squared mismatch^2).
    """
    assert 1 <= len(keys) <= 2, len(keys)
    blended = align(luma, keys[0])
    if len(keys) == 2:
        other = align(luma, keys[1])
        doubt, other_doubt = (
            np.float32(abs(luma.pts - key.luma.pts)) * np.square(mismatch(luma, warped) + MATCH_FLOOR)
            for key, warped in zip(keys, (blended, other), strict=True)
        )
        share = doubt / (doubt + other_doubt)
        blended = cv2.blendLinear(blended, other, 1 - share, share)
    return blended


def align(luma: LumaView, key: KeyView) -> np.ndarray:
    """The key frame's `picture` moved to where `luma` shows its content, [h, w, 3] float32."""
    flow = motion(luma, key.luma)
    return key.picture.copy() if flow is None else warp(key.picture, flow)


def mismatch(luma: LumaView, warped: np.ndarray) -> np.ndarray:
    """Mean squared luma error of an aligned key around each chroma sample, [h, w], in 8-bit levels."""
    error = warped[..., 0] - luma.half
    return cv2.blur(error * error, (MATCH_WINDOW, MATCH_WINDOW), borderType=cv2.BORDER_REPLICATE)


def motion(luma: LumaView, reference: LumaView) -> np.ndarray | None:
    """Where each chroma sample of `luma` lies in `reference`: displacement [h, w, 2] (x, y) in chroma samples.

    None where the picture is too small for optical flow.
    """
    # a new object each time: a call on a small picture changes its settings for good
    target, source = luma.matched, reference.matched
    if min(target.shape) < MIN_FLOW_SIDE:
        return None
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST).calc(target, source, None)  # type: ignore[call-overload]
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
    places = cv2.add(places, _grid(*picture.shape[:2]), None if places is flow else places)  # in place: fresh memory takes time
    return cv2.remap(picture, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> np.ndarray:
    """Each sample's own place (x, y), [h, w, 2]."""
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack((columns, rows))


def _rounded(plane: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return np.rint(plane).astype(dtype)  # blends of valid samples stay in range
