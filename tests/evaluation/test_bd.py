"""Bjøntegaard deltas: known values, undefined ones, refusals; and the paper's printed ones."""

import numpy as np
import pytest

from tinct.errors import CodecError
from tinct.evaluation.bd import Curve, quality_delta, rate_delta
from tinct.evaluation.published import read_means, read_sequences

RATES = (100.0, 200.0, 400.0, 800.0)
QUALITIES = (30.0, 33.0, 36.0, 39.0)


def curve(scale: float = 1.0, shift: float = 0.0) -> Curve:
    points = zip(RATES, QUALITIES, strict=True)
    return Curve.of([(scale * rate, quality + shift) for rate, quality in points])


@pytest.mark.parametrize("method", ["pchip", "cubic"])
def test_a_tenth_less_rate_is_minus_ten_percent(method: str) -> None:
    found = rate_delta(curve(), curve(scale=0.9), method)  # type: ignore[arg-type]
    assert found.value == pytest.approx(-10, abs=1e-9)
    assert found.overlap == 1


@pytest.mark.parametrize("method", ["pchip", "cubic"])
def test_half_a_decibel_more_is_half_a_decibel(method: str) -> None:
    found = quality_delta(curve(), curve(shift=0.5), method)  # type: ignore[arg-type]
    assert found.value == pytest.approx(0.5, abs=1e-9)


def test_order_of_points_does_not_matter() -> None:
    points = list(zip(RATES, QUALITIES, strict=True))
    assert Curve.of(points[::-1]) == Curve.of(points)


def test_overlap_is_the_common_part_of_both_intervals() -> None:
    assert rate_delta(curve(), curve(shift=3)).overlap == pytest.approx(6 / 12)


def test_a_mean_takes_what_is_on_two_decibels_or_more() -> None:
    wide, narrow = (
        rate_delta(curve(), curve(scale=0.9, shift=shift), is_in_db=True) for shift in (6.9, 7.1)
    )
    assert (wide.common_db, narrow.common_db) == (pytest.approx(2.1), pytest.approx(1.9))
    assert (wide.counts, narrow.counts) == (True, False)
    assert narrow.value is not None
    assert narrow.text().endswith(" (overlap 12%, 1.9 dB)")
    share = rate_delta(curve(), curve(shift=7.1))
    assert share.common_db is None
    assert share.counts, "quality that is not in dB has no bound"
    undefined = rate_delta(curve(), curve(shift=9), is_in_db=True)
    assert (undefined.common_db, undefined.counts) == (0, False)


def test_no_common_interval_is_undefined() -> None:
    found = rate_delta(curve(), curve(shift=9))
    assert (found.value, found.overlap) == (None, 0)
    assert found.text() == "undefined (no common interval)"


def test_quality_that_falls_with_rate_is_undefined() -> None:
    assert rate_delta(curve(), Curve.of([(100, 30), (200, 34), (300, 33)])).value is None


def test_cubic_of_three_points_is_undefined() -> None:
    three = Curve.of(list(zip(RATES, QUALITIES, strict=True))[:3])
    assert rate_delta(curve(), three, "cubic").value is None
    assert rate_delta(curve(), three, "pchip").value == pytest.approx(0, abs=1e-9)


def test_one_point_is_refused() -> None:
    with pytest.raises(CodecError, match=r"at least two rate points .* found 1"):
        Curve.of([(100, 30)])


# BD-rates of the paper's Table 2, computed with another program; Silent's curves do not overlap.
RECOMPUTED = {
    "Silent": None,
    "Mother-daughter": -71.20,
    "FourPeople": -67.25,
    "Johnny": -79.79,
    "KristenAndSara": -60.14,
    "Vidyo1": -65.56,
    "Vidyo3": -65.80,
    "Vidyo4": -48.48,
}
OVERLAPS = [0, 0.24, 0.21, 0.06, 0.26, 0.26, 0.31, 0.45]
SAVED_BITS = (-12.3, -9.7, -8.3, -12.6, -10.4, -8.1, -4.3, -8.5)


def test_published_bd_rates() -> None:
    rows = read_sequences()
    assert [row.name for row in rows] == list(RECOMPUTED)
    for row in rows:
        expected = RECOMPUTED[row.name]
        is_defined = expected is not None
        close = pytest.approx(expected, abs=0.02) if is_defined else None
        assert row.rate.value == close, row.name
    assert [row.name for row in rows if not row.rate_holds] == ["Silent", "FourPeople"]
    assert [row.name for row in rows if not row.psnr_holds] == ["FourPeople"]
    assert rows[2].psnr.value == pytest.approx(5.071, abs=0.001)


def test_published_overlaps_and_saved_bits() -> None:
    rows = read_sequences()
    assert [round(row.rate.overlap, 2) for row in rows] == OVERLAPS
    saved_bits = [row.saved_bits.value for row in rows]
    assert saved_bits == [pytest.approx(value, abs=0.06) for value in SAVED_BITS]
    assert np.mean([row.rate.value for row in rows[1:]]) == pytest.approx(-65.5, abs=0.05)


def test_published_averages() -> None:
    found = {(mean.table, mean.variant): mean for mean in read_means()}
    assert [key for key, mean in found.items() if not mean.holds] == [(4, "without SA")]
    assert found[4, "without SA"].recomputed_db == pytest.approx(37.564, abs=0.001)
    assert len(found) == 3
