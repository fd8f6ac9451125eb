"""Optical flow on pictures of any shape: it ends no process, and gives the same answer every time."""

import numpy as np
import pytest

from tinct.motion.prior import propagate
from tinct.motion.views import KeyView, LumaView


def view(height: int, width: int, pts: int, seed: int = 0) -> LumaView:
    texture = np.random.default_rng(seed).integers(0, 255, (height + 8, width + 8), np.uint8)
    return LumaView(np.ascontiguousarray(texture[pts : pts + height, :width]), 8, pts)


def key(height: int, width: int, pts: int) -> KeyView:
    plane = np.full(((height + 1) // 2, (width + 1) // 2), 90 + pts, np.uint8)
    return KeyView(view(height, width, pts), plane, plane + 50)


@pytest.mark.parametrize(
    ("height", "width"), [(16, 500), (20, 400), (24, 192), (31, 96), (48, 192), (90, 728), (1, 500)]
)
def test_a_strip_takes_its_keys_colour(height: int, width: int) -> None:
    """Optical flow used to end the process on pictures 16 to 31 rows high."""
    cb, cr = propagate(view(height, width, 1), [key(height, width, 0), key(height, width, 2)])
    assert 90 <= cb.min() <= cb.max() <= 92
    assert 140 <= cr.min() <= cr.max() <= 142


def test_a_small_picture_leaves_no_trace() -> None:
    """A flow object used to keep what a small picture had changed in it."""
    noisy = KeyView(
        view(96, 96, 0), *np.random.default_rng(1).integers(0, 255, (2, 48, 48), np.uint8)
    )
    before = propagate(view(96, 96, 3), [noisy])
    for side in (32, 40):
        propagate(view(side, side, 1), [key(side, side, 0)])
    assert all(
        np.array_equal(a, b)
        for a, b in zip(before, propagate(view(96, 96, 3), [noisy]), strict=True)
    )
