"""The post-filter: golden values by hand, where its strengths hold, and what it needs."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tinct.bitstream.strengths import NEUTRAL, UNIT, Strengths
from tinct.decoder.postfilter import (
    PostFilter,
    filter_plane,
    finish_when_done,
    smooth_within_edges,
)

PRIOR = np.array([[10, 10, 10, 50], [10, 10, 10, 50], [10, 30, 10, 50]], np.uint8)
RESTORED = PRIOR + 8


@pytest.mark.parametrize(
    ("share", "more"), [(0, 0), (UNIT, 8), (4, 4), (16, 16), (1, 1)], ids="share {}".format
)
def test_a_share_of_what_the_network_changes_is_shown(share: int, more: int) -> None:
    shown = filter_plane(RESTORED, PRIOR, Strengths(share), depth=8)
    assert shown.dtype == np.uint8
    assert np.array_equal(shown, PRIOR + more)


def test_a_share_is_rounded_half_up() -> None:
    prior = np.array([[100, 100, 100, 100]], np.uint8)
    restored = np.array([[101, 99, 103, 97]], np.uint8)  # a half, minus a half, 1.5, minus 1.5
    shown = filter_plane(restored, prior, Strengths(4), depth=8)
    assert shown.tolist() == [[101, 100, 102, 99]]


@pytest.mark.parametrize(
    ("strengths", "expected"),
    [
        # along rows the last 10 becomes 10 + 40 / 4, and 50 becomes 50 - 40 / 4, edges repeated
        (Strengths(rows=UNIT), [10, 10, 20, 40]),
        (Strengths(rows=-UNIT), [10, 10, 0, 60]),
        (Strengths(rows=4), [10, 10, 15, 45]),
        # along columns 10 above 30 becomes 10 + 20 / 4
        (Strengths(columns=UNIT), [10, 15, 10, 50]),
        (Strengths(rows=UNIT, columns=UNIT), [10, 15, 20, 40]),
    ],
)
def test_smoothing_along_lines(strengths: Strengths, expected: list[int]) -> None:
    shown = filter_plane(PRIOR, PRIOR, strengths, depth=8)
    assert shown[1].tolist() == expected


def test_what_is_sharpened_stays_within_the_range() -> None:
    black_white = np.array([[0, 255, 0, 255]] * 3, np.uint8)
    assert np.array_equal(
        filter_plane(black_white, black_white, Strengths(rows=-32), depth=8), black_white
    )
    high = (black_white.astype(np.uint16) << 2) | 3
    shown = filter_plane(high, high, Strengths(rows=-32), depth=10)
    assert (shown.dtype, int(shown.max())) == (np.uint16, 1023)


def test_noise_is_smoothed_and_an_edge_is_not() -> None:
    """A weight of the bilateral filter falls with the difference: 8 levels are near, 100 far."""
    random = np.random.default_rng(0)
    plane = np.full((16, 32), 60, np.uint8)
    plane[:, 16:] = 160
    noisy = (plane + random.integers(-3, 4, plane.shape)).astype(np.uint8)
    shown = filter_plane(noisy, noisy, Strengths(edges=UNIT), depth=8)
    assert np.array_equal(shown, smooth_within_edges(noisy, depth=8))
    assert np.abs(shown.astype(int) - plane).max() <= 3
    before, after = (np.square(one.astype(float) - plane).mean() for one in (noisy, shown))
    assert after < 0.3 * before


def test_ten_bits_are_filtered_as_eight() -> None:
    """Four times the levels give four times the result, but for what 8 bits round."""
    random = np.random.default_rng(1)
    plane = random.integers(90, 110, (20, 24)).astype(np.uint8)
    strengths = Strengths(edges=5, rows=-3, columns=2)
    eight = filter_plane(plane, plane, strengths, depth=8)
    high = plane.astype(np.uint16) << 2
    ten = filter_plane(high, high, strengths, depth=10)
    assert np.abs(ten / 4 - eight).max() <= 1


CHANGES = ([(3, Strengths(rows=1)), (7, Strengths(4))], [], [(5, Strengths(edges=-2))])
ALONG = PostFilter.of(({7, 9}, (), {5}), CHANGES)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (None, [NEUTRAL, NEUTRAL, NEUTRAL]),
        (2, [NEUTRAL, NEUTRAL, NEUTRAL]),
        (3, [Strengths(rows=1), NEUTRAL, NEUTRAL]),
        (6, [Strengths(rows=1), NEUTRAL, Strengths(edges=-2)]),
        (5, [Strengths(rows=1), NEUTRAL, Strengths(0, edges=-2)]),  # plain there
        (7, [Strengths(0), NEUTRAL, Strengths(edges=-2)]),
        (8, [Strengths(4), NEUTRAL, Strengths(edges=-2)]),
    ],
)
def test_strengths_hold_from_their_place_on(place: int | None, expected: list[Strengths]) -> None:
    assert ALONG.find(place) == expected


def test_what_is_needed_follows_from_the_shares() -> None:
    assert [place for place in range(2, 10) if ALONG.needs_prior(place)] == [5, 7, 8, 9]
    nothing = PostFilter.of(({1}, {1}, {1}), ((), (), ()))
    assert [nothing.needs_network(place) for place in (0, 1, 2)] == [True, False, True]


def test_each_plane_has_its_own_strengths() -> None:
    planes = tuple(np.full((4, 4), base, np.uint8) for base in (10, 20, 30))
    other = tuple(plane + 40 for plane in planes)
    shown = PostFilter.of(({7}, (), ()), ((), [(0, Strengths(4))], ())).apply(
        other, planes, 7, depth=8
    )
    assert [int(plane.mean()) for plane in shown] == [10, 40, 70]


def say(*chosen: Strengths) -> Any:
    """Return a judge that chooses these, and keeps what it was told in `told`."""

    def judge(times: Any, restored: Any, prior: Any, *, current: Any) -> list[Strengths]:
        judge.told = list(current)  # type: ignore[attr-defined]
        return list(chosen)

    return judge


def test_only_changes_are_noted() -> None:
    """A plain place keeps the share that holds elsewhere."""
    noted = PostFilter()
    sharp = Strengths(rows=-1)
    for place, chosen in (
        (0, (NEUTRAL, sharp, Strengths(0))),
        (4, (NEUTRAL, sharp, NEUTRAL)),
        (8, (Strengths(0, rows=-1), sharp, NEUTRAL)),
    ):
        noted.judge(say(*chosen), place, times=[], restored=[], prior=[])
    assert noted.plain == ({8}, set(), {0})
    assert noted.changes == ([(8, sharp)], [(0, sharp)], [])
    assert noted.find(8) == [Strengths(0, rows=-1), sharp, NEUTRAL]


def test_a_place_that_is_judged_again_forgets_what_was_said() -> None:
    """Frames that are sent late are judged with the others of their group."""
    noted = PostFilter()
    first, second = say(*[Strengths(edges=1)] * 3), say(NEUTRAL, Strengths(edges=2), NEUTRAL)
    for judge in (first, second):
        noted.judge(judge, 4, times=[], restored=[], prior=[])
    assert second.told == [NEUTRAL] * 3
    assert noted.changes == ([], [(4, Strengths(edges=2))], [])


def test_an_error_of_the_filter_reaches_who_waits_for_the_planes() -> None:
    with ThreadPoolExecutor(1) as pool:
        planes = (np.zeros((2, 2), np.uint8),)
        assert finish_when_done(pool.submit(lambda: planes), lambda done: done).result() is planes
        failed = finish_when_done(pool.submit(lambda: planes), lambda done: done[1:][0])
        with pytest.raises(IndexError):
            failed.result(timeout=5)
