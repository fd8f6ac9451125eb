"""The interface of the colourisers: what finishes a frame, from its luma to Y, Cb and Cr.

`propagate_group`, the colouriser `none`, needs no network; `compact` and `gan` make those that do.
`decoder.restorer` calls a Colouriser, `decoder.inband` an InBandColouriser, `decoder.filling` an
Interpolator. All are plain functions. Planes of one frame are Y [H, W], Cb and Cr [h, w], in the
video's own type.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tinct.media.planes import Planes
from tinct.motion.interpolation import Match, Place
from tinct.motion.prior import propagate
from tinct.motion.views import KeyView, LumaView


class Colouriser(Protocol):
    """Finish the frames between two key frames, of a video whose colour has a track of its own."""

    def __call__(
        self, luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor, /, *, wanted: range
    ) -> Iterable[Future[Planes]]:
        """Start tasks in `pool` and return the finished planes of the frames `wanted` of `luma`.

        `luma` are the decoded frames between two key frames, in order of time. `keys` are those two
        key frames, one where the group is open, or none where both were lost. The task of a frame
        may start when the caller asks for it; where no frame is wanted, a network is only loaded.
        A task waits only for tasks that were submitted
        before it, so a pool of any size works through them.
        """


class StartFrame(Protocol):
    """Restore one frame of a video whose colour was coded in the pictures."""

    def __call__(
        self, frames: Sequence[KeyView], index: int, /, *, pool: Executor
    ) -> Future[Planes]:
        """Start a task in `pool` and return the restored planes of frame `index` of `frames`.

        `frames` are decoded frames in order of time, up to the colouriser's reach on either side of
        the one that is restored, with their levels.
        """


@dataclass(frozen=True)
class InBandColouriser:
    """Restores the frames of a video whose colour was coded in the pictures.

    Each is restored from up to `reach` frames on either side.
    """

    start_frame: StartFrame
    reach: int


class Interpolator(Protocol):
    """Make one frame between two frames that are shown."""

    def __call__(
        self, before: KeyView, after: KeyView, /, *, motion: Match, place: Place
    ) -> Planes:
        """Return the planes of the frame at `place`; `motion` is that between both frames.

        `motion.interpolation.interpolate_frame` does it without a network.
        """


def propagate_group(
    luma: Sequence[LumaView],
    keys: Sequence[KeyView],
    pool: Executor,
    *,
    wanted: range | None = None,
) -> Iterable[Future[Planes]]:
    """Finish frames by propagation alone: the Colouriser `none`, which every network has to beat.

    Luma stays as it was decoded; chroma is grey where there is no key frame.
    """
    indices = range(len(luma)) if wanted is None else wanted
    return (pool.submit(_propagate_frame, luma[index], keys) for index in indices)


def _propagate_frame(luma: LumaView, keys: Sequence[KeyView]) -> Planes:
    if not keys:
        height, width = luma.y.shape
        middle = 1 << (luma.bit_depth - 1)
        grey = np.full(((height + 1) // 2, (width + 1) // 2), middle, luma.y.dtype)
        return luma.y, grey, grey
    return luma.y, *propagate(luma, keys)
