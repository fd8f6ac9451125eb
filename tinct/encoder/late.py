"""Frames that are sent after all: what interpolation made of them is far worse than its neighbours.

A mean over frames hides a transparent hand. `view` asks here with what the decoder will show.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import cv2
import numpy as np

from tinct.decoder.filling import list_places
from tinct.frames import Frame
from tinct.motion.interpolation import match
from tinct.motion.views import KeyView, LumaView
from tinct.networks.interface import Interpolator
from tinct.psnr import Psnr

BLOCK = 16  # samples a side, anywhere in a frame
# Bounds on how many dB of PSNR-Y an interpolated frame, and its worst block, may be below what the
# sent frames around it have on average. A hand fills a few blocks, of which a mean tells nothing.
FRAME_BOUND_DB, BLOCK_BOUND_DB = 3.0, 7.0


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Interpolated frames between two others, and the least that they have to reach."""

    before: KeyView
    after: KeyView
    between: Sequence[KeyView]
    bound: "_Quality"


def find_late(
    shown: Sequence[KeyView],
    times: Sequence[int],
    *,
    keys: Collection[int],
    originals: Mapping[int, Frame],
    usual_db: float,
    interpolate: Interpolator,
) -> list[int]:
    """Return the times of interpolated frames to send after all, ascending.

    `shown` are the frames of a group as the decoder shows them, those at `times` interpolated, by
    `interpolate`. Key frames, at the times `keys`, are finer than what is sent beside them: of a
    run next to one the other end counts; between two of them that is the later one, moved to
    `usual_db`, a PSNR-Y. `originals` need not have the first of `shown`, which may be a key frame.
    """
    interpolated = set(times)
    ends = [n for n, view in enumerate(shown) if view.luma.pts not in interpolated]

    def find(first: int, last: int) -> list[int]:
        around = [view for view in (shown[first], shown[last]) if view.luma.pts not in keys]
        usual = [_measure(originals[view.luma.pts], view) for view in around]
        if not usual:  # the first key frame is shown by now, and its original gone
            usual = [_measure(originals[shown[last].luma.pts], shown[last]).move_to(usual_db)]
        run = _Run(
            before=shown[first],
            after=shown[last],
            between=shown[first + 1 : last],
            bound=_Quality(
                frame_db=fmean(one.frame_db for one in usual) - FRAME_BOUND_DB,
                block_db=fmean(one.block_db for one in usual) - BLOCK_BOUND_DB,
            ),
        )
        return _find_in_run(run, originals, interpolate)

    runs = [(first, last) for first, last in pairwise(ends) if last - first > 1]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [pts for late in pool.map(find, *zip(*runs, strict=True)) for pts in late]


def _find_in_run(run: _Run, originals: Mapping[int, Frame], interpolate: Interpolator) -> list[int]:
    """Return the times of the worst frame of a run and of those that are too bad even then.

    The original stands for the frame that is sent: what it will be like is not known yet.
    """
    if not run.between:
        return []
    spare_db = {
        view.luma.pts: _measure(originals[view.luma.pts], view).above(run.bound)
        for view in run.between
    }
    at = min(spare_db, key=lambda pts: spare_db[pts])
    if spare_db[at] >= 0:
        return []
    stand_in = _make_view(originals[at])
    late = [at]
    for before, after in ((run.before, stand_in), (stand_in, run.after)):
        times = [
            view.luma.pts
            for view in run.between
            if before.luma.pts < view.luma.pts < after.luma.pts
        ]
        half = _Run(
            before=before,
            after=after,
            between=_interpolate_run(before, after, times, interpolate=interpolate),
            bound=run.bound,
        )
        late += _find_in_run(half, originals, interpolate)
    return sorted(late)


def _interpolate_run(
    before: KeyView, after: KeyView, times: Sequence[int], *, interpolate: Interpolator
) -> list[KeyView]:
    """Return the frames at `times` between two others."""
    if not times:
        return []
    motion = match(before, after)
    made = []
    for pts, place in zip(times, list_places(before, after, times), strict=True):
        y, cb, cr = interpolate(before, after, motion=motion, place=place)
        made.append(KeyView(LumaView(y, before.luma.bit_depth, pts), cb, cr))
    return made


def _make_view(frame: Frame) -> KeyView:
    return KeyView(LumaView(frame.y, frame.info.bit_depth, frame.pts), frame.cb, frame.cr)


@dataclass(frozen=True, kw_only=True)
class _Quality:
    """PSNR-Y of a frame and of the worst of its blocks, in dB."""

    frame_db: float
    block_db: float

    def above(self, bound: "_Quality") -> float:
        """Return by how many dB this is better than `bound`, where it is nearest to it."""
        return min(self.frame_db - bound.frame_db, self.block_db - bound.block_db)

    def move_to(self, frame_db: float) -> "_Quality":
        """Return what a frame that is coded at another quality is expected to have."""
        return _Quality(frame_db=frame_db, block_db=self.block_db + frame_db - self.frame_db)


def _measure(original: Frame, shown: KeyView) -> _Quality:
    """Return the quality of a frame's luma."""
    scale = 1 << (original.info.bit_depth - 8)
    error = np.square((original.y.astype(np.float32) - shown.luma.y) / scale)
    worst = cv2.blur(error, (BLOCK, BLOCK)).max()
    return _Quality(
        frame_db=Psnr.of([float(error.mean())]).mean_db, block_db=Psnr.of([float(worst)]).mean_db
    )
