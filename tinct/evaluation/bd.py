"""Bjøntegaard deltas between two rate-quality curves; `pchip` through the package `bjontegaard`.

Each delta comes with the overlap of the curves. Where two curves share no interval, or quality does
not rise with rate, there is no delta: its value is None. `points` makes the curves.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from tinct.errors import CodecError

Method = Literal["pchip", "cubic"]
MIN_POINTS: dict[Method, int] = {"pchip": 2, "cubic": 4}  # a cubic polynomial has 4 coefficients
MIN_COMMON_DB = 2.0  # of quality, that two curves of PSNR share where their delta enters a mean


@dataclass(frozen=True)
class Curve:
    """Rates and qualities of one codec on one clip, in order of rate, no pair twice.

    Rates are in any unit and above 0; of quality more is better.
    """

    rates: tuple[float, ...]
    qualities: tuple[float, ...]

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> "Curve":
        """Return the curve of (rate, quality) pairs in any order.

        Raise CodecError for fewer than two.
        """
        if len(points) < 2:
            raise CodecError(
                f"expected at least two rate points for a Bjøntegaard delta, found {len(points)}; "
                "measure more QPs"
            )
        rates, qualities = zip(*sorted(set(points)), strict=True)
        return cls(tuple(map(float, rates)), tuple(map(float, qualities)))

    @property
    def rises(self) -> bool:
        """Whether quality rises strictly with rate."""
        return all(np.diff(self.rates) > 0) and all(np.diff(self.qualities) > 0)


@dataclass(frozen=True)
class Delta:
    """A Bjøntegaard delta: `value` in percent of rate or in units of quality.

    An undefined delta has the value None, and `why` gives the reason. `overlap`, 0 to 1, is the
    intersection of both curves' intervals as a share of their union; `common_db` is its length in
    dB, None where quality is not in dB.
    """

    value: float | None
    overlap: float
    why: str = ""
    common_db: float | None = None

    @property
    def counts(self) -> bool:
        """Whether a mean of deltas takes it: it is defined, and on MIN_COMMON_DB or more."""
        is_wide = self.common_db is None or self.common_db >= MIN_COMMON_DB
        return self.value is not None and is_wide

    def text(self, digits: int = 2) -> str:
        """Return value and overlap as text, such as "-12.34 (overlap 95%, 9.8 dB)"."""
        if self.value is None:
            return f"undefined ({self.why})"
        length = "" if self.common_db is None else f", {self.common_db:.1f} dB"
        return f"{self.value:+.{digits}f} (overlap {self.overlap:.0%}{length})"


def rate_delta(
    anchor: Curve, test: Curve, method: Method = "pchip", *, is_in_db: bool = False
) -> Delta:
    """Return the BD-rate: mean difference of rate at equal quality, in percent of the anchor's.

    The method `cubic` is VCEG-M33's, `pchip` that of JVET-T2010. `is_in_db` says that quality is.
    """
    overlap, common = _overlap(anchor.qualities, test.qualities)
    delta = _delta("bd_rate", anchor, test, method=method, overlap=overlap)
    return replace(delta, common_db=common) if is_in_db else delta


def quality_delta(anchor: Curve, test: Curve, method: Method = "pchip") -> Delta:
    """Return the BD-PSNR, or the same of another metric: mean difference of quality at equal rate.

    Methods are those of `rate_delta`.
    """
    overlap, _ = _overlap(np.log10(anchor.rates), np.log10(test.rates))
    return _delta("bd_psnr", anchor, test, method=method, overlap=overlap)


def _overlap(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray
) -> tuple[float, float]:
    """Return the common part of two intervals, as a share of their union and in their unit."""
    common = max(min(max(a), max(b)) - max(min(a), min(b)), 0)
    joint = max(*a, *b) - min(*a, *b)
    return (float(common / joint), float(common)) if joint > 0 else (0.0, 0.0)


def _delta(function: str, anchor: Curve, test: Curve, *, method: Method, overlap: float) -> Delta:
    """Return the delta that the function of that name in `bjontegaard` gives, or why it cannot."""
    if method not in get_args(Method):
        raise CodecError(f"expected a method of {', '.join(get_args(Method))}; found {method}")
    least = MIN_POINTS[method]
    if min(len(anchor.rates), len(test.rates)) < least:
        return Delta(None, overlap, f"fewer than {least} different points")
    if not (anchor.rises and test.rises):
        return Delta(None, overlap, "quality does not rise with rate")
    if overlap == 0:
        return Delta(None, overlap, "no common interval")
    if method == "cubic":
        return Delta(_integrate_cubics(function, anchor, test), overlap)
    import bjontegaard  # it loads Matplotlib

    with warnings.catch_warnings():
        # It warns where the overlap is small; here the overlap stands beside every number.
        warnings.simplefilter("ignore", UserWarning)
        value = getattr(bjontegaard, function)(
            anchor.rates,
            anchor.qualities,
            test.rates,
            test.qualities,
            method=method,
            require_matching_points=False,
        )
    return Delta(float(value), overlap)


def _integrate_cubics(function: str, anchor: Curve, test: Curve) -> float:
    """Return the delta of two cubic polynomials, as VCEG-M33 has it, without a package."""
    of_rate = function == "bd_rate"
    curves = []
    for curve in (anchor, test):
        rates, qualities = np.log10(curve.rates), np.asarray(curve.qualities)
        curves.append((qualities, rates) if of_rate else (rates, qualities))
    low, high = max(x.min() for x, _ in curves), min(x.max() for x, _ in curves)
    areas = []
    for x, y in curves:
        integral = np.polyint(np.polyfit(x, y, 3))
        areas.append(np.polyval(integral, high) - np.polyval(integral, low))
    mean = float((areas[1] - areas[0]) / (high - low))
    return (10**mean - 1) * 100 if of_rate else mean
