"""The prior: where propagated colour must arrive, and where it must stay as it is."""

import numpy as np
import pytest
from helpers import measure_psnr
from synthetic import cut_view, draw_texture, make_info

from tinct.frames import Frame
from tinct.motion.prior import propagate
from tinct.motion.views import KeyView, LumaView


def key(shift: int, pts: int, bit_depth: int = 8) -> KeyView:
    y, cb, cr = cut_view(shift, bit_depth)
    return KeyView(LumaView(y, bit_depth, pts), cb, cr)


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_colour_follows_a_moving_texture(bit_depth: int) -> None:
    y, *wanted = cut_view(6, bit_depth)
    peak = 255 << (bit_depth - 8)
    found = propagate(LumaView(y, bit_depth, 1), [key(0, 0, bit_depth)])
    for plane, truth, still in zip(found, wanted, cut_view(0, bit_depth)[1:], strict=True):
        assert plane.dtype == truth.dtype
        inner = np.s_[4:-4, 4:-8]  # content that enters at the right edge is in no key frame
        assert 38 < measure_psnr(plane[inner], truth[inner], peak) < 80
        assert measure_psnr(still[inner], truth[inner], peak) < 25  # copied, it would not fit


def test_a_second_key_frame_shows_what_the_first_lacks() -> None:
    y, cb, _ = cut_view(10)
    one = propagate(LumaView(y, 8, 1), [key(0, 0)])[0]
    two = propagate(LumaView(y, 8, 1), [key(0, 0), key(20, 2)])[0]
    assert measure_psnr(two[:, -5:], cb[:, -5:]) > measure_psnr(one[:, -5:], cb[:, -5:]) + 3
    assert 35 < measure_psnr(two, cb) < 80


def flat_key(luma: int, cb: int, pts: int) -> KeyView:
    """A flat picture of 16 x 16 samples, which is too small for optical flow."""
    chroma = np.full((8, 8), cb, np.uint8)
    return KeyView(LumaView(np.full((16, 16), luma, np.uint8), 8, pts), chroma, chroma)


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (flat_key(100, 60, 0), flat_key(100, 120, 4), 75),
        (flat_key(100, 60, -2), flat_key(100, 120, 2), 105),
        (flat_key(104, 60, 0), flat_key(100, 120, 6), 110),
    ],
    ids=["distances 1 and 3", "distances 3 and 1", "a mismatch of 16"],
)
def test_the_weight_of_a_key_frame(earlier: KeyView, later: KeyView, expected: int) -> None:
    """Golden values of 1 / (distance * (mismatch + 4)^2).

    A mismatch of 16 at distance 1 weighs 1/400, none at distance 5 weighs 1/80.
    """
    luma = LumaView(np.full((16, 16), 100, np.uint8), 8, 1)
    for planes in (propagate(luma, [earlier, later]), propagate(luma, [later, earlier])):
        assert [set(np.unique(plane)) for plane in planes] == [{expected}] * 2


def test_the_better_match_wins_over_the_nearer_key() -> None:
    y, cb, cr = cut_view(0)
    other = KeyView(LumaView(255 - y, 8, 2), 255 - cb, 255 - cr)
    found = propagate(LumaView(y, 8, 1), [key(0, -3), other])
    assert 40 < measure_psnr(found[0], cb) <= 200
    assert 40 < measure_psnr(found[1], cr) <= 200


def test_a_still_picture_keeps_its_colour_to_the_bit() -> None:
    y, cb, cr = cut_view(0)
    found = propagate(LumaView(y, 8, 1), [key(0, 0), key(0, 2)])
    assert np.array_equal(found[0], cb)
    assert np.array_equal(found[1], cr)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (15, 15), (15, 200), (200, 15)])
def test_small_pictures_are_copied(size: tuple[int, int]) -> None:
    width, height = size
    rng = np.random.default_rng(0)
    shape = make_info(width, height).chroma_shape
    cb, cr = rng.integers(0, 256, (2, *shape), np.uint8)
    luma, other = rng.integers(0, 256, (2, height, width), np.uint8)
    found = propagate(LumaView(luma, 8, 1), [KeyView(LumaView(other, 8, 0), cb, cr)])
    assert np.array_equal(found[0], cb)
    assert np.array_equal(found[1], cr)


@pytest.mark.parametrize("size", [(17, 33), (33, 17), (641, 361)])
def test_odd_sizes_keep_their_shape_and_their_flat_colour(size: tuple[int, int]) -> None:
    width, height = size
    luma = draw_texture(height, width)
    shape = make_info(width, height).chroma_shape
    flat = KeyView(
        LumaView(luma, 8, 0), np.full(shape, 90, np.uint8), np.full(shape, 170, np.uint8)
    )
    cb, cr = propagate(LumaView(luma, 8, 1), [flat])
    Frame(luma, cb, cr, 1, make_info(width, height))  # checks the shapes
    assert set(np.unique(cb)) == {90}
    assert set(np.unique(cr)) == {170}


def test_extreme_samples_stay_in_range() -> None:
    y, *_ = cut_view(4)
    black, white = np.zeros((48, 64), np.uint16), np.full((48, 64), 1023, np.uint16)
    deep = (y.astype(np.uint16) << 2) | 3
    cb, cr = propagate(LumaView(deep, 10, 1), [KeyView(LumaView(deep, 10, 0), black, white)])
    assert cb.max() == 0
    assert cr.min() == 1023
