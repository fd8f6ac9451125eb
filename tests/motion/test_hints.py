"""A hint is taken where it is far from what was carried, and not where coding noise explains it."""

import numpy as np
import pytest

from tinct.motion.hints import TOLERANCE, take_hint


def flat(value: int, dtype: type = np.uint8) -> np.ndarray:
    return np.full((12, 16), value, dtype)


@pytest.mark.parametrize(
    ("far", "share"),
    [(TOLERANCE, 0.0), (1.5 * TOLERANCE, 0.5), (2 * TOLERANCE, 1.0), (5 * TOLERANCE, 1.0)],
)
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_the_share_of_a_hint_grows_with_its_distance(
    far: float, share: float, bit_depth: int
) -> None:
    dtype, scale = (np.uint8, 1) if bit_depth == 8 else (np.uint16, 4)
    carried = flat(100 * scale, dtype), flat(90 * scale, dtype)
    hint = flat(round((100 + far) * scale), dtype), flat(90 * scale, dtype)
    cb, cr = take_hint(carried, hint, bit_depth=bit_depth)
    assert cb.dtype == dtype
    assert (cb == round((100 + share * far) * scale)).all()
    assert np.array_equal(cr, carried[1])


def test_both_planes_tell_the_distance() -> None:
    """Neither plane alone is farther than what is tolerated."""
    off = round(0.9 * TOLERANCE)
    carried, hint = (flat(100), flat(100)), (flat(100 + off), flat(100 - off))
    cb, cr = take_hint(carried, hint, bit_depth=8)
    assert (cb > 100).all()
    assert (cr < 100).all()


def test_a_sample_alone_is_noise_and_a_block_is_not() -> None:
    """Where the hint is taken it brings its detail, and elsewhere nothing changes."""
    carried, hint = (flat(100), flat(100)), (flat(100), flat(100))
    hint[0][2, 3] = 160
    assert np.array_equal(take_hint(carried, hint, bit_depth=8)[0], carried[0])
    hint[0][4:10, 6:12] = 160
    hint[0][6, 9] = 170
    cb, cr = take_hint(carried, hint, bit_depth=8)
    assert np.array_equal(cb[5:9, 7:11], hint[0][5:9, 7:11])
    assert (cb[:, :3] == 100).all()
    assert (cr == 100).all()
