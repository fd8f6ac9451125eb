"""The small file of a sweep: what it says of points whose answer is known."""

from collections.abc import Sequence

import pytest

from lab.benchmarks.digest import SIGNS, digest
from tinct.evaluation.points import RDPoint


def points(codec: str, scale: float, qps: Sequence[int] = (27, 32, 37, 42)) -> list[RDPoint]:
    """Of one clip: as good at each QP whatever the codec, in `scale` of the bytes."""
    return [
        RDPoint(
            "clip",
            codec,
            qp,
            64,
            64,
            8,
            0.32,
            round(scale * 1000 * (50 - qp)),
            {name: sign * (60.0 - qp) for name, sign in SIGNS.items()},
        )
        for qp in qps
    ]


def test_a_fifth_less_at_equal_quality_is_minus_twenty_percent() -> None:
    found = digest(points("x265:intra", 1) + points("tinct:intra", 0.8))
    (row,) = found["rows"]
    assert row["bd_rate_percent"] == dict.fromkeys(SIGNS, "-20.00 (overlap 100%)")
    assert found["mean_bd_rate_percent"] == {"tinct:intra": dict.fromkeys(SIGNS, "-20.00 (of 1)")}
    assert (row["points"][0]["size_bytes"], row["points"][0]["anchor_size_bytes"]) == (18400, 23000)


def test_a_point_without_its_anchor_is_an_error() -> None:
    with pytest.raises(KeyError):
        digest(points("x265:intra", 1, (27, 32)) + points("tinct:intra", 0.8))
