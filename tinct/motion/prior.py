"""The prior: colour of key frames propagated to the frames between them along the motion of luma.

It is made from decoded luma and decoded key-frame colour alone, so encoder and decoder compute the
same. `encoder.keyframes` decides which frames are key frames; `networks.interface` has the
colourisers, which start from the prior.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from tinct.motion.flow import estimate_flow, warp
from tinct.motion.views import KeyView, LumaView

MATCH_WINDOW = 5  # chroma samples a side of the window over which a match is judged
MATCH_FLOOR = 4.0  # squared 8-bit levels; a mismatch below coding noise says nothing


def propagate(luma: LumaView, keys: Sequence[KeyView]) -> tuple[np.ndarray, np.ndarray]:
    """Return the prior of one frame: Cb and Cr [h, w] in the type of the key frames' own.

    `keys` are one or two key frames of the frame's own shot.
    """
    _, cb, cr = cv2.split(blend(luma, keys))
    return _round_plane(cb, keys[0].cb.dtype), _round_plane(cr, keys[0].cr.dtype)


def blend(luma: LumaView, keys: Sequence[KeyView]) -> np.ndarray:
    """Return the aligned `picture` of each key frame, blended per sample, float32 [h, w, 3].

    A key frame's weight is 1 / (distance in time * (mismatch + MATCH_FLOOR)^2).
    """
    assert 1 <= len(keys) <= 2, len(keys)
    blended = align(luma, keys[0])
    if len(keys) == 2:
        other = align(luma, keys[1])
        doubt, other_doubt = (
            np.float32(abs(luma.pts - key.luma.pts))
            * np.square(measure_mismatch(luma, warped) + MATCH_FLOOR)
            for key, warped in zip(keys, (blended, other), strict=True)
        )
        share = doubt / (doubt + other_doubt)
        blended = cv2.blendLinear(blended, other, 1 - share, share)
    return blended


def align(luma: LumaView, key: KeyView) -> np.ndarray:
    """Return the key frame's `picture`, warped to where `luma` has its content: [h, w, 3]."""
    flow = estimate_flow(luma, key.luma)
    return key.picture.copy() if flow is None else warp(key.picture, flow)


def measure_mismatch(luma: LumaView, warped: np.ndarray) -> np.ndarray:
    """Return the mean squared luma error of an aligned picture around each chroma sample.

    It is float32 [h, w], in squared 8-bit levels.
    """
    error = warped[..., 0] - luma.half
    return cv2.blur(error * error, (MATCH_WINDOW, MATCH_WINDOW), borderType=cv2.BORDER_REPLICATE)


def _round_plane(plane: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return np.rint(plane).astype(dtype)  # blends of valid samples stay in range
