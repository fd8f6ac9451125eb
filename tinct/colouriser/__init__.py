"""The seat of the networks: a colouriser takes what the decoder has between two key frames and gives finished frames.

`none`, propagation alone, is the bar that every network must beat; `compact` is the network that ships.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

import numpy as np

from tinct.planes import Planes
from tinct.propagate import KeyView, LumaView, propagate

# the frames between two key frames (or beside one, or near none), their key frames, and where to work: to Y, Cb and Cr of each.
# Tasks wait only for tasks that were submitted before them, so any number of threads gets through.
Colouriser = Callable[[Sequence[LumaView], Sequence[KeyView], Executor], list[Future[Planes]]]


def none(luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor) -> list[Future[Planes]]:
    """Propagation alone: decoded luma, propagated chroma; grey where there is no key frame."""
    return [pool.submit(_propagated, view, keys) for view in luma]


def _propagated(luma: LumaView, keys: Sequence[KeyView]) -> Planes:
    if not keys:
        height, width = luma.y.shape
        grey = np.full(((height + 1) // 2, (width + 1) // 2), 1 << (luma.bit_depth - 1), luma.y.dtype)
        return luma.y, grey, grey
    return luma.y, *propagate(luma, keys)
