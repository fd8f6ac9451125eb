"""Frames that are sent after all: what interpolation made of them is far worse than its neighbours.

A mean over frames hides a transparent hand. `view` asks here with what the decoder will show.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tinct.decoder.filling import list_places
from tinct.frames import Frame
from tinct.motion.interpolation import match
from tinct.motion.views import KeyView, LumaView
from tinct.networks.interface import Interpolator
from tinct.psnr import Psnr, squared_error

BOUND_DB = 3.0  # of PSNR-Y, below the mean of the sent frames around an interpolated one


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Interpolated frames between two others, and their bound: the lowest PSNR-Y, in dB."""

    before: KeyView
    after: KeyView
    between: Sequence[KeyView]
    bound_db: float


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
    run next to one the other end counts, between two of them `usual_db`, a PSNR-Y.
    """
    interpolated = set(times)
    ends = [n for n, view in enumerate(shown) if view.luma.pts not in interpolated]

    def find(first: int, last: int) -> list[int]:
        ends_db = [
            _luma_db(originals[view.luma.pts], view)
            for view in (shown[first], shown[last])
            if view.luma.pts not in keys
        ]
        run = _Run(
            before=shown[first],
            after=shown[last],
            between=shown[first + 1 : last],
            bound_db=float(np.mean(ends_db or [usual_db])) - BOUND_DB,
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
    worst = min(run.between, key=lambda view: _luma_db(originals[view.luma.pts], view))
    at = worst.luma.pts
    if _luma_db(originals[at], worst) >= run.bound_db:
        return []
    stand_in = _view(originals[at])
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
            bound_db=run.bound_db,
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


def _view(frame: Frame) -> KeyView:
    return KeyView(LumaView(frame.y, frame.info.bit_depth, frame.pts), frame.cb, frame.cr)


def _luma_db(original: Frame, shown: KeyView) -> float:
    error = squared_error(original.y, shown.luma.y, original.info.bit_depth)
    return Psnr.of([error]).mean_db
