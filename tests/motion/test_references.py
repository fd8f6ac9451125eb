"""The references of a network: which source stands where, and what the network is told."""

from dataclasses import replace

import numpy as np
import pytest

from tinct.motion.references import (
    References,
    gather_in_band_references,
    gather_pyramid_references,
    gather_references,
    gather_second_references,
)
from tinct.motion.views import KeyView, LumaView

SIDE = 32


def flat_view(level: int, qp: int = 32) -> KeyView:
    """A flat frame: luma of a level, Cb 100 above it, Cr 150 above it; nothing moves in it."""
    luma = LumaView(np.full((SIDE, SIDE), level, np.uint8), 8, level, qp)
    cb, cr = (np.full((SIDE // 2, SIDE // 2), level + more, np.uint8) for more in (100, 150))
    return KeyView(luma, cb, cr)


def levels_of(references: References) -> tuple[list[int], list[int], list[int]]:
    """Return which frame each source of luma, Cb and Cr is, by its level."""
    luma = [int(plane.mean()) for plane in references.luma]
    cb = [int(planes[0].mean()) - 100 for planes in references.chroma]
    cr = [int(planes[1].mean()) - 150 for planes in references.chroma]
    return luma, cb, cr


# Frames 0 and 5 are key frames. The later one is the finer, so that a mix-up shows.
KEYS = (flat_view(0, qp=22), flat_view(5, qp=12))
GROUP = [flat_view(level, qp=41) for level in (1, 2, 3, 4)]
STILL = [np.zeros((SIDE, SIDE, 2), np.float16)] * len(GROUP)
FLOWS = (STILL, STILL)


@pytest.mark.parametrize(
    ("index", "distances", "conditions"),
    [(0, (1, 4), [0.0, 0.5, -1.0, 0.9]), (3, (4, 1), [0.5, 0.0, -1.0, 0.9])],
    ids=["beside the earlier key frame", "beside the later key frame"],
)
def test_the_earlier_key_frame_comes_first(
    index: int, distances: tuple[int, int], conditions: list[float]
) -> None:
    """In the sources, in the distances, and in what the network is told: log2(distance) / 4."""
    lumas = [view.luma for view in GROUP]
    found = gather_references(lumas, index, keys=KEYS, flows=FLOWS)
    assert levels_of(found) == ([index + 1, 0, 5, 0, 5], [0, 5, 0, 5], [0, 5, 0, 5])
    assert found.distances == distances
    assert found.qps == (22, 41)
    assert found.conditions.dtype == np.float32
    assert found.conditions == pytest.approx(conditions)


@pytest.mark.parametrize(
    ("index", "neighbours"), [(0, [0, 2]), (1, [1, 3]), (3, [3, 5])], ids=["first", "inner", "last"]
)
def test_a_second_pass_also_sees_the_restored_neighbours(index: int, neighbours: list[int]) -> None:
    """Restored frames are told from decoded ones by 10 levels more."""
    lumas = [view.luma for view in GROUP]
    restored = [flat_view(level + 10) for level in (1, 2, 3, 4)]
    found = gather_second_references(lumas, restored, index, keys=KEYS, flows=FLOWS)
    own = index + 1
    near = [level if level in (0, 5) else level + 10 for level in neighbours]
    others = [0, 5, 0, 5, *near]
    assert levels_of(found) == ([own + 10, own, *others], [own + 10, *others], [own + 10, *others])
    assert found.distances == (own, 5 - own)
    assert found.qps == (22, 41)


@pytest.mark.parametrize(
    ("index", "ends", "near"), [(0, (0, 2), (0, 1)), (3, (1, 5), (2, 4)), (6, (4, 6), (5, 6))]
)
def test_an_in_band_frame_is_restored_from_two_on_either_side(
    index: int, ends: tuple[int, int], near: tuple[int, int]
) -> None:
    views = [flat_view(level, qp=20 + level) for level in range(7)]
    found = gather_in_band_references(views, index)
    others = [*ends, *ends, *near]
    assert levels_of(found) == ([index, index, *others], [index, *others], [index, *others])
    assert found.distances == (max(1, index - ends[0]), max(1, ends[1] - index))
    assert found.qps == (20 + ends[0], 20 + index)


# Levels of frames in order of time: a regular pyramid, and one with B pictures as x265 has it.
REGULAR = [0, 3, 2, 3, 1, 3, 2, 3] * 2 + [0, 3, 2, 3, 1]
PREDICTED = [0, 2, 1, 2, 0, 2, 1, 2, 2, 0, 0, 2, 0]


@pytest.mark.parametrize(
    ("levels", "index", "near", "far"),
    [
        (REGULAR, 9, (8, 10), (6, 12)),
        (REGULAR, 10, (8, 12), (4, 16)),
        (REGULAR, 12, (8, 16), (4, 20)),  # the next level 0 is 12 away, out of reach
        (REGULAR, 16, (8, 20), (8, 20)),
        (REGULAR, 0, (0, 8), (0, 8)),
        (REGULAR, 1, (0, 2), (0, 4)),
        (PREDICTED, 5, (4, 6), (2, 9)),  # the frames of level 1 too serve one of level 2
        (PREDICTED, 6, (4, 9), (0, 10)),
        (PREDICTED, 9, (4, 10), (1, 12)),
        (PREDICTED, 12, (10, 12), (9, 12)),
        ([0] * 5, 2, (1, 3), (0, 4)),  # without B pictures
    ],
)
def test_a_frame_of_a_pyramid_is_restored_from_finer_ones(
    levels: list[int], index: int, near: tuple[int, int], far: tuple[int, int]
) -> None:
    views = []
    for place, level in enumerate(levels):
        view = flat_view(place, qp=33)
        views.append(replace(view, luma=replace(view.luma, level=level)))
    found = gather_pyramid_references(views, index, moved_pairs=2)
    sources = [index, *near, *near, *far]
    assert levels_of(found) == (sources, sources, sources)
    apart = max(index - near[0], near[1] - index)
    assert found.distances == (apart, apart)
    assert found.qps == (33, 33)
    smaller = gather_pyramid_references(views, index, moved_pairs=1)
    assert levels_of(smaller) == (sources[:5], sources[:5], sources[:5])


def test_key_frames_are_moved_along_their_own_flow() -> None:
    """A flow of 2 takes each sample from 2 columns further right in the key frame."""
    ramp = np.tile(np.arange(SIDE, dtype=np.uint8), (SIDE, 1))
    half = ramp[: SIDE // 2, : SIDE // 2]
    key = KeyView(LumaView(ramp, 8, 0), half, half + 100)
    right, left = ([np.full((SIDE, SIDE, 2), (dx, 0), np.float16)] for dx in (2, -2))
    found = gather_references([key.luma], 0, keys=(key, key), flows=(right, left))
    inner = np.s_[:, 4:-4]
    assert np.array_equal(found.luma[3][inner], ramp[inner] + 2)
    assert np.array_equal(found.luma[4][inner], ramp[inner] - 2)
    assert np.array_equal(found.chroma[2, 0][inner], half[inner] + 1)
    assert np.array_equal(found.chroma[3, 1][inner], half[inner] + 99)


def test_conditions_are_logarithms_of_distances_and_qps_around_32() -> None:
    references = References(np.zeros(0), np.zeros(0), distances=(2, 16), qps=(22, 42))
    assert references.conditions.tolist() == [0.25, 1.0, -1.0, 1.0]
