"""Bjøntegaard deltas between two rate-quality curves, through the `bjontegaard` package, with the overlap beside each.

Where two curves share no interval, or quality does not rise with rate, there is no delta: it is None, and printed "undefined".
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tinct.errors import CodecError

Method = Literal["pchip", "cubic"]
CUBIC_POINTS = 4  # what a polynomial of third degree needs


@dataclass(frozen=True)
class Curve:
    """Rates (any unit, all above 0) and qualities (more is better) of one codec on one clip, in order of rate, none twice."""

    rates: tuple[float, ...]
    qualities: tuple[float, ...]

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> "Curve":
        """From (rate, quality) pairs in any order. Raises CodecError for fewer than two."""
        if len(points) < 2:
            raise CodecError(
                f"expected at least two rate points for a Bjøntegaard delta, found {len(points)}; measure more QPs"
            )
        rates, qualities = zip(*sorted(set(points)), strict=True)
        return cls(tuple(map(float, rates)), tuple(map(float, qualities)))

    @property
    def rises(self) -> bool:
        return all(np.diff(self.rates) > 0) and all(np.diff(self.qualities) > 0)


@dataclass(frozen=True)
class Delta:
    """`value` in percent of rate or in units of quality, None where undefined, and then `why` says why; `overlap` is the shared
    part, 0 to 1, of both curves' intervals taken together."""

    value: float | None
    overlap: float
    why: str = ""

    def text(self, digits: int = 2) -> str:
        if self.value is None:
            return f"undefined ({self.why})"
        return f"{self.value:+.{digits}f} (overlap {self.overlap:.0%})"


def rate_delta(anchor: Curve, test: Curve, method: Method = "pchip") -> Delta:
    """BD-rate: mean difference of rate at equal quality in percent of the anchor's (VCEG-M33; PCHIP as in JVET-T2010)."""
    return _delta("rate", anchor, test, method, _overlap(anchor.qualities, test.qualities))


def quality_delta(anchor: Curve, test: Curve, method: Method = "pchip") -> Delta:
    """BD-PSNR, or the same of another metric: mean difference of quality at equal rate."""
    return _delta(
        "quality", anchor, test, method, _overlap(np.log10(anchor.rates), np.log10(test.rates))
    )


def _overlap(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    shared = min(max(a), max(b)) - max(min(a), min(b))
    joint = max(*a, *b) - min(*a, *b)
    return float(max(shared, 0) / joint) if joint > 0 else 0.0


def _delta(kind: str, anchor: Curve, test: Curve, method: Method, overlap: float) -> Delta:
    import bjontegaard  # it loads Matplotlib

    if method not in get_args(Method):
        raise CodecError(f"expected a method of {', '.join(get_args(Method))}; found {method}")
    least = CUBIC_POINTS if method == "cubic" else 2
    if min(len(anchor.rates), len(test.rates)) < least:
        return Delta(None, overlap, f"fewer than {least} different points")
    if not (anchor.rises and test.rises):
        return Delta(None, overlap, "quality does not rise with rate")
    if overlap == 0:
        return Delta(None, overlap, "no common interval")
    function = bjontegaard.bd_rate if kind == "rate" else bjontegaard.bd_psnr
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # it warns of small overlaps; ours stands beside every number
        value = function(
            anchor.rates,
            anchor.qualities,
            test.rates,
            test.qualities,
            method=method,
            require_matching_points=False,
        )
    return Delta(float(value), overlap)
