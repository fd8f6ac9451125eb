"""The length of video from which on a network pays, against values computed by hand."""

import math

import pytest

from tinct.evaluation.payback import find_payback_seconds, find_rate_kbps
from tinct.evaluation.points import RDPoint


def make_point(kbps: float, quality: float, network: int = 0) -> RDPoint:
    """Return a point of ten seconds, whose network's bytes are among its rate."""
    size = round(kbps * 10_000 / 8) + network
    return RDPoint(
        clip="a",
        codec="c",
        qp=32,
        width=16,
        height=16,
        frames=250,
        seconds=10,
        size_bytes=size,
        means={"psnr_rgb": quality},
        parts={"update": network},
    )


RIVAL = [make_point(100, 30), make_point(400, 34)]


def test_a_network_pays_once_what_it_saves_a_second_is_its_size() -> None:
    """At 32 dB, half way, the rival takes 200 kbit/s: 50 are saved of 150, and 125 kB are 1 Mbit"""
    point = make_point(150, 32, network=125_000)
    assert find_payback_seconds(point, RIVAL, "psnr_rgb") == pytest.approx(1000 / 50)


def test_at_that_length_both_files_have_one_size() -> None:
    point = make_point(150, 33, network=40_000)
    seconds = find_payback_seconds(point, RIVAL, "psnr_rgb")
    rival_kbps = find_rate_kbps(RIVAL, "psnr_rgb", quality=33)
    assert isinstance(seconds, float)
    assert rival_kbps is not None
    assert math.isclose(150 * seconds + 320, rival_kbps * seconds)


def test_what_saves_nothing_never_pays() -> None:
    assert find_payback_seconds(make_point(201, 32, network=1), RIVAL, "psnr_rgb") == "never"


@pytest.mark.parametrize("quality", [29.9, 34.1])
def test_a_rival_is_not_extrapolated(quality: float) -> None:
    point = make_point(10, quality, network=1)
    assert find_payback_seconds(point, RIVAL, "psnr_rgb") == "outside"
    assert find_payback_seconds(point, [], "psnr_rgb") == "outside"
