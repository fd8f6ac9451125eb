"""Estimates of the plan, compared with the files that the encoder then writes."""

from pathlib import Path

import pytest
from helpers import find_sample_clip

import tinct
from tinct.encoder.decide import Cost


@pytest.mark.nightly
def test_the_estimate_of_a_short_video_is_near_its_file(tmp_path: Path) -> None:
    """The estimate is within 8 % of the size of the file.

    Only one half of the video moves: an estimate from a few still frames is 28 % too low.
    """
    source, coded = tmp_path / "source.mkv", tmp_path / "coded.mkv"
    tinct.decode(
        str(find_sample_clip("bikes.mp4")), str(source), start_seconds=4.0, duration_seconds=2.5
    )
    report = tinct.encode(
        str(source), str(coded), tinct.EncodeConfig(structure="intra", x265_preset="ultrafast")
    )
    assert report.plan.track is not None
    estimate_bytes = report.plan.track.bits * report.frames / 8
    assert abs(estimate_bytes / report.size_bytes - 1) < 0.08
    plain = tinct.encode(
        str(source),
        str(tmp_path / "plain.mkv"),
        tinct.EncodeConfig(structure="intra", colour="in-band", x265_preset="ultrafast"),
    )
    assert report.plan.colouriser == "compact"
    assert report.size_bytes < plain.size_bytes * 0.85
    assert -4 < report.psnr[0].mean_db - plain.psnr[0].mean_db < 1
    assert report.psnr[1].pooled_db > plain.psnr[1].pooled_db
    assert min(p.mean_db for p in report.psnr[1:]) > 33


def test_error_that_nobody_sees_is_worth_no_bit() -> None:
    """Chroma errors below those of plain HEVC count as equal; larger ones and luma count fully."""
    plain = Cost(1000, (0.2, 0.04, 0.04))
    assert Cost(1000, (0.2, 0.001, 0.001)).distortion(plain) == plain.distortion(plain) == 1.0
    assert Cost(1000, (0.2, 0.1, 0.04)).distortion(plain) == pytest.approx(1.125)
    assert Cost(1000, (0.1, 0.04, 0.04)).distortion(plain) == pytest.approx(0.625)
