"""Which frames of a group are interpolated, and from which of their neighbours."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinct.decoder.filling import Gaps, fill, find_gaps, set_distances
from tinct.limits import MAX_INTERPOLATED_RUN
from tinct.motion.interpolation import interpolate_frame
from tinct.motion.views import KeyView, LumaView


@pytest.mark.parametrize(
    ("known", "interpolated", "fills", "gaps"),
    [
        ([0, 4], (1, 2, 3), True, Gaps([1, 2, 3])),
        ([0, 2, 4], (1, 3, 5), True, Gaps([1, 3])),
        ([0, 4], (), True, Gaps([1, 2, 3], lost=3, touched=[1, 2, 3])),
        ([0, 4], (1, 3), True, Gaps([1, 2, 3], lost=1, touched=[1, 2, 3])),
        ([0, 4, 6], (1, 3, 5), True, Gaps([1, 2, 3, 5], lost=1, touched=[1, 2, 3])),
        ([0, 100], (33, 66), False, Gaps([33, 66])),
        ([0, 1000], (1, 2), True, Gaps([1, 2])),  # a gap too long to be lost packets
        ([7], (1, 9), True, Gaps([])),
    ],
)
def test_times_between_frames_that_arrived(
    known: list[int], interpolated: tuple[int, ...], fills: bool, gaps: Gaps
) -> None:
    assert find_gaps(known, interpolated, fills=fills, most=1000) == gaps


def test_a_run_is_never_longer_than_its_limit() -> None:
    gaps = find_gaps([0, 100_000], range(1, 100_000), fills=False, most=1000)
    assert gaps.times == list(range(1, MAX_INTERPOLATED_RUN + 1))


def test_a_group_has_no_more_than_a_decoder_holds() -> None:
    gaps = find_gaps(range(0, 10_000, 2), range(1, 10_000, 2), fills=False, most=192)
    assert gaps.times == list(range(1, 2 * 192, 2))


def luma(pts: int, level: int = 100) -> LumaView:
    return LumaView(np.full((16, 16), level, np.uint8), 8, pts)


def test_distances_count_the_frames_between() -> None:
    group = [luma(2), luma(4)]
    assert [view.distances for view in set_distances(group, [])] == [None, None]
    assert [view.distances for view in set_distances(group, [1, 3, 5])] == [(2, 4), (4, 2)]


def test_frames_come_in_order_of_time_each_from_its_neighbours() -> None:
    chroma = np.full((8, 8), 128, np.uint8)
    levels = ((0, 100), (4, 140), (5, 60), (7, 80))
    shown = [KeyView(luma(pts, level), chroma, chroma) for pts, level in levels]
    with ThreadPoolExecutor(1) as pool:
        filled = fill(shown, [1, 3, 6], interpolate=interpolate_frame, pool=pool)
    found = [(view.luma.pts, int(view.luma.y[8, 8])) for view in filled]
    assert found == [(0, 100), (1, 110), (3, 130), (4, 140), (5, 60), (6, 70), (7, 80)]
