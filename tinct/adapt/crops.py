"""Crops of a frame beside what `compact` sees of it: the samples that it learns from.

`CropCollector` gathers them from the one video that an update is learnt on; `training.samples` cuts
them from many. `compact_loss` makes batches of them.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from tinct.frames import Frame
from tinct.motion.references import References
from tinct.networks.compact_config import CELL

SIDE = 128  # luma samples
CROPS_PER_FRAME = 4
MAX_FRAMES = 192  # whose crops are kept; beyond it every second frame is dropped


class Crop(NamedTuple):
    """The references of one place of a frame, and the original as the last source.

    `luma` is [S + 1, H, W] and `chroma` [S' + 1, 2, H / 2, W / 2], in the video's own type;
    `conditions` [4] as in `References`.
    """

    luma: np.ndarray
    chroma: np.ndarray
    conditions: np.ndarray


def cut_crops(
    original: Frame, references: References, random: np.random.Generator, *, side: int, count: int
) -> Iterator[Crop]:
    """Yield `count` crops of `side` luma samples, or less where the frame is smaller.

    They lie at random multiples of CELL.
    """
    height, width = (length // CELL * CELL for length in original.y.shape)
    luma = np.concatenate((references.luma, original.y[None]))
    chroma = np.concatenate((references.chroma, np.stack((original.cb, original.cr))[None]))
    for _ in range(count):
        top, left = (
            int(random.integers(0, (length - min(side, length)) // CELL + 1)) * CELL
            for length in (height, width)
        )
        bottom, right = min(top + side, height), min(left + side, width)
        yield Crop(
            luma[:, top:bottom, left:right],
            chroma[:, :, top // 2 : bottom // 2, left // 2 : right // 2],
            references.conditions,
        )


def stack_crops(crops: Iterable[Crop]) -> Crop:
    """Return the arrays of many crops, stacked along a new first axis."""
    return Crop(*(np.stack(part) for part in zip(*crops, strict=True)))


class CropCollector:
    """Crops of the frames of one video, spread over all of it, in bounded memory.

    `cut` is called by whichever thread restores a frame, `keep` in order of time once the frame is
    finished. Beyond MAX_FRAMES the crops of every second frame are dropped, again and again; they
    lie in arrays of a fixed size.
    """

    def __init__(self) -> None:
        self._cut: dict[int, Crop] = {}  # by time; CROPS_PER_FRAME crops of each frame, stacked
        self._kept: Crop | None = None  # [MAX_FRAMES + 1, CROPS_PER_FRAME, ...]
        self._count = 0  # frames in use of `_kept`
        self._every, self._finished = 1, 0  # every how many of the finished frames one is kept

    def cut(self, original: Frame, references: References) -> None:
        """Cut crops of a frame that is being restored."""
        random = np.random.default_rng(original.pts)  # independent of the order of the threads
        crops = cut_crops(original, references, random, side=SIDE, count=CROPS_PER_FRAME)
        self._cut[original.pts] = stack_crops(crops)

    def keep(self, pts: int) -> None:
        """Keep or drop the crops of the frame at `pts`; a key frame has none."""
        crops = self._cut.pop(pts, None)
        if crops is None:
            return
        if self._finished % self._every == 0:
            self._store(crops)
        self._finished += 1

    def list_crops(self) -> list[Crop]:
        """Return all crops that were kept, in order of time."""
        if self._kept is None:
            return []
        parts = (part[: self._count].reshape(-1, *part.shape[2:]) for part in self._kept)
        return [Crop(*crop) for crop in zip(*parts, strict=True)]

    def _store(self, crops: Crop) -> None:
        """Append the crops of one frame; drop those of every second one where there is no room."""
        if self._kept is None:
            self._kept = Crop(
                *(np.empty((MAX_FRAMES + 1, *part.shape), part.dtype) for part in crops)
            )
        for kept, part in zip(self._kept, crops, strict=True):
            kept[self._count] = part
        self._count += 1
        if self._count > MAX_FRAMES:
            for kept in self._kept:
                for target, source in enumerate(range(0, self._count, 2)):
                    kept[target] = kept[source]
            self._count, self._every = (self._count + 1) // 2, 2 * self._every
