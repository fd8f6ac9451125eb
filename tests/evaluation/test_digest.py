"""The digest of a sweep: BD-rates of points whose answer is known."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from lab_results import make_point

from lab.benchmarks.digest import SIGNS, digest_points
from tinct.evaluation.points import RDPoint


def points(codec: str, scale: float, qps: Sequence[int] = (27, 32, 37, 42)) -> list[RDPoint]:
    """Return points of one clip: as good at each QP whatever the codec, in `scale` of the bytes."""
    return [
        make_point(
            clip="clip",
            codec=codec,
            qp=qp,
            size_bytes=round(scale * 1000 * (50 - qp)),
            means={name: sign * (60.0 - qp) for name, sign in SIGNS.items()},
        )
        for qp in qps
    ]


def test_a_fifth_less_at_equal_quality_is_minus_twenty_percent() -> None:
    found = digest_points(points("x265:intra", 1) + points("tinct:intra", 0.8))
    (row,) = found["rows"]
    lengths = {metric: ", 15.0 dB" if metric.startswith("psnr") else "" for metric in SIGNS}
    texts = {metric: f"-20.00 (overlap 100%{length})" for metric, length in lengths.items()}
    assert row["bd_rate_percent"] == texts
    assert found["mean_bd_rate_percent"] == {"tinct:intra": dict.fromkeys(SIGNS, "-20.00 (of 1)")}
    assert (row["points"][0]["size_bytes"], row["points"][0]["anchor_size_bytes"]) == (18400, 23000)


def test_a_mean_is_over_curves_that_share_two_decibels() -> None:
    """The second clip's points are 14 dB better: 1 dB of them is the anchor's too."""
    wide = points("x265:intra", 1) + points("tinct:intra", 0.8)
    narrow = [
        replace(
            point,
            clip="other",
            means={
                metric: value + 14 * SIGNS[metric] * point.codec.startswith("tinct")
                for metric, value in point.means.items()
            },
        )
        for point in wide
    ]
    means = digest_points(wide + narrow)["mean_bd_rate_percent"]["tinct:intra"]
    assert means["psnr_y"] == "-20.00 (of 1)"
    assert means["ssim_y"].endswith("(of 2)")


def test_a_point_without_its_anchor_is_an_error() -> None:
    with pytest.raises(KeyError):
        digest_points(points("x265:intra", 1, (27, 32)) + points("tinct:intra", 0.8))
