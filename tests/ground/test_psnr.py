"""PSNR of planes in both poolings, and the squared errors that it is made of."""

import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic import draw_clip, make_frames, make_info

from tinct.psnr import PERFECT_DB, Psnr, plane_errors, squared_error


def test_poolings_differ_as_they_should() -> None:
    """Errors of 1 and 100: the mean of 48.13 and 28.13 dB, and the PSNR of an error of 50.5."""
    found = Psnr.of([1, 100])
    assert found.mean_db == pytest.approx(20 * math.log10(255) - 10)
    assert found.pooled_db == pytest.approx(20 * math.log10(255) - 10 * math.log10(50.5))


def test_a_plane_without_error_counts_as_perfect() -> None:
    found = Psnr.of([0, 0])
    assert (found.mean_db, found.pooled_db) == pytest.approx((PERFECT_DB, PERFECT_DB))


def test_errors_are_in_8_bit_levels_and_ignore_padding() -> None:
    plane = np.full((4, 6), 100, np.uint8)
    padded = np.full((5, 8), 103, np.uint8)
    assert squared_error(plane, padded, 8) == 9
    deep = plane.astype(np.uint16) * 4
    assert squared_error(deep, deep + 12, 10) == 9


def test_each_plane_has_its_own_error() -> None:
    about = make_info()
    (first,) = make_frames(draw_clip(1), about)
    second = replace(first, cb=first.cb + 1, cr=first.cr + 2)
    assert plane_errors(first, second) == pytest.approx((0, 1, 4))
