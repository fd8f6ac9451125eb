"""Frames that are sent after all: what interpolation made of them is far worse than its neighbours.

A mean over frames hides a transparent hand. `view` asks here with what the decoder will show.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tinct.frames import Frame
from tinct.motion.views import KeyView
from tinct.psnr import Psnr, squared_error

BOUND_DB = 3.0  # of PSNR-Y, below the mean of the sent frames around an interpolated one


def find_late(
    shown: Sequence[KeyView],
    times: Sequence[int],
    *,
    originals: Mapping[int, Frame],
    usual_db: float,
) -> list[int]:
    """Return the times of interpolated frames to send after all: the worst of each run, or none.

    `shown` are the frames of a group as the decoder shows them, those at `times` interpolated.
    `usual_db` is the PSNR-Y that stands for a key frame, which is finer than what is sent beside
    it.
    """
    quality_db = {
        view.luma.pts: _luma_db(originals[view.luma.pts], view)
        for view in shown
        if view.luma.pts in originals
    }
    interpolated = set(times)
    sent = [view.luma.pts for view in shown if view.luma.pts not in interpolated]
    late = []
    for before, after in pairwise(sent):
        run = times[bisect_left(times, before) : bisect_left(times, after)]
        if not run:
            continue
        around_db = [quality_db.get(pts, usual_db) for pts in (before, after)]
        worst = min(run, key=lambda pts: quality_db[pts])
        if quality_db[worst] < sum(around_db) / 2 - BOUND_DB:
            late.append(worst)
    return late


def _luma_db(original: Frame, shown: KeyView) -> float:
    error = squared_error(original.y, shown.luma.y, original.info.bit_depth)
    return Psnr.of([error]).mean_db
