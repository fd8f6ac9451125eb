"""Propagation: the colour of key frames carried to the frames between them along the motion of the luma.

Only decoded luma and decoded key-frame colour go in, so encoder and decoder compute the same prior. `keyframes` decides
which frames are keys, `colouriser` finishes what comes out of here.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from tinct.motion.flow import motion, warp
from tinct.motion.views import KeyView, LumaView

MATCH_WINDOW = 5  # chroma samples a side, over which a match is judged
MATCH_FLOOR = 4.0  # squared 8-bit levels; a mismatch below coding noise says nothing


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
            np.float32(abs(luma.pts - key.luma.pts))
            * np.square(mismatch(luma, warped) + MATCH_FLOOR)
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


def _rounded(plane: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return np.rint(plane).astype(dtype)  # blends of valid samples stay in range
