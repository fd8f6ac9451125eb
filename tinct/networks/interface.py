"""The seat of the networks: a colouriser takes what the decoder has between two key frames and gives finished frames.

`none`, propagation alone, is the bar that every network must beat; `compact` is the network that ships.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future

import numpy as np

from tinct.media.planes import Planes
from tinct.motion.prior import propagate
from tinct.motion.views import KeyView, LumaView

# the frames between two key frames (or beside one, or near none), their key frames, and where to work: to Y, Cb and Cr of each.
# Tasks wait only for tasks that were submitted before them, so any number of threads gets through.
Colouriser = Callable[[Sequence[LumaView], Sequence[KeyView], Executor], list[Future[Planes]]]
Around = Callable[
    [Sequence[KeyView], int, Executor], Future[Planes]
]  # in-band: frames, which of them to finish, where to work
# for Y, Cb and Cr, times of the key frames in whose group the plane passes the network by; in-band, seconds of the video
Plain = Sequence[Collection[int]]
# an encoder's: from the times of frames, what a network made of them and what it started from, which planes are better off without
Judge = Callable[[Sequence[int], Sequence[Planes], Sequence[Planes]], tuple[bool, ...]]


def none(luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor) -> list[Future[Planes]]:
    """Propagation alone: decoded luma, propagated chroma; grey where there is no key frame."""
    return [pool.submit(_propagated, view, keys) for view in luma]


def pass_by(plain: Sequence[set[int]], place: int, better_off: Sequence[bool]) -> None:
    """Note for each plane that is better off without a network that it passes it by at `place`, a time or a second."""
    for places, without in zip(plain, better_off, strict=True):
        if without:
            places.add(place)


def shown(made: Planes, start: Planes, plain: Plain, place: int | None) -> Planes:
    """What a network made, and what it started from where a plane passes it by."""
    return tuple(
        b if place in places else a for a, b, places in zip(made, start, plain, strict=True)
    )


def _propagated(luma: LumaView, keys: Sequence[KeyView]) -> Planes:
    if not keys:
        height, width = luma.y.shape
        grey = np.full(
            ((height + 1) // 2, (width + 1) // 2), 1 << (luma.bit_depth - 1), luma.y.dtype
        )
        return luma.y, grey, grey
    return luma.y, *propagate(luma, keys)
