"""Points of one codec against another's: BD-rates, accountings, and points measured elsewhere."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import read_message, run
from lab_results import make_point, split_by_codec

from tinct.errors import CodecError
from tinct.evaluation import RDPoint, bd_quality, bd_rate, load
from tinct.evaluation.aggregates import average_series
from tinct.evaluation.points import format_point, read_external_points, read_points
from tinct.psnr import Psnr

COLOUR = {"psnr_y": 40.0, "psnr_u": 44.0, "psnr_v": 48.0}


def external_entry(**changes: object) -> dict[str, object]:
    """Return a point as another program writes it down, without its quality."""
    size = {"width": 64, "height": 48, "frames": 10}
    return {"codec": "HM", "clip": "b.mp4", **size, "qp": 27, "bytes": 1000, **changes}


def test_bd_of_points(results: Path) -> None:
    ours, theirs = split_by_codec(load(results).points)
    rate, quality = bd_rate(theirs, ours), bd_quality(theirs, ours)
    assert rate.value is not None
    assert quality.value is not None
    assert (rate.value < 0) == (quality.value > 0)
    assert bd_rate(theirs, theirs).value == pytest.approx(0)
    assert bd_rate(theirs, ours, "ciede2000").value is not None
    assert (
        bd_rate(theirs, ours, "psnr_y_pooled").value != bd_rate(theirs, ours, "psnr_u_pooled").value
    )
    assert bd_rate(theirs, ours, keys=False).value != rate.value


def test_key_frames_are_left_out_of_both_sides(results: Path) -> None:
    """Scenes begin at key frames: an anchor that kept those frames would look worse than it is."""
    ours, theirs = split_by_codec(load(results).points)
    ours = [replace(ours[0], keys=[0, 3]), replace(ours[1], keys=[0, 9]), *ours[2:]]

    def leave_out_keys(point: RDPoint) -> RDPoint:
        values = enumerate(point.series["psnr_u"])
        mean = float(np.mean([v for i, v in values if i not in {0, 3, 6, 9}]))
        return replace(point, means={"psnr_u": mean})

    shorter = [list(map(leave_out_keys, side)) for side in (theirs, ours)]
    assert bd_rate(theirs, ours, "psnr_u", keys=False) == bd_rate(*shorter, "psnr_u")


def test_the_papers_accounting_leaves_the_update_out() -> None:
    point = make_point(size_bytes=2000, parts={"luma": 1500, "update": 500})
    assert (point.rate_kbps(), point.rate_kbps("paper")) == (16, 12)


def test_pooled_psnr_is_that_of_the_mean_error() -> None:
    decibels = [30.0, 40.0, 35.5]
    expected = Psnr.of([255**2 / 10 ** (db / 10) for db in decibels])
    found = average_series({"psnr_y": [*decibels, None]})
    assert found["psnr_y"] == pytest.approx(expected.mean_db)
    assert found["psnr_y_pooled"] == pytest.approx(expected.pooled_db)


def test_worst_frame_and_blocks_are_those_of_the_series() -> None:
    series: dict[str, list[float | None]] = {
        "psnr_y": [40.0, 38.0, 41.0, 31.5],
        "worst_block": [5.0, 2.0, 12.0],
    }
    found = average_series(series)
    assert found["worst_frame"] == pytest.approx(39 - 31.5)
    assert found["worst_block_median"] == 5
    assert found["worst_block_max"] == 12
    assert "worst_block_max" not in average_series({"psnr_y": [40.0]})


def test_points_measured_before_an_aggregate_was_there_still_load(tmp_path: Path) -> None:
    """Their series give what they can; the other columns are empty."""
    point = make_point(
        frames=3,
        means={"psnr_y": 38.0, "ciede2000": 1.5},
        series={"psnr_y": [40.0, 39.0, 35.0], "ciede2000": [1.0, 1.5, 2.0]},
    )
    path = tmp_path / "points.jsonl"
    path.write_text(format_point(point) + "\n")
    (found,), notes = read_points(path)
    assert notes == []
    assert found.value("worst_frame") == pytest.approx(4)
    assert found.value("worst_block_max") is None
    path.write_text(format_point(replace(point, series={})) + "\n")
    (found,), _ = read_points(path)
    assert found.means == point.means


@pytest.mark.parametrize(
    ("change", "metric", "words"),
    [
        (
            {"width": 32},
            "psnr_y",
            "expected the points of one clip .* found clip of 32x48 .* clip of 64x48",
        ),
        ({"frames": 11}, "psnr_y", "expected the points of one clip"),
        ({}, "psnr", "expected a metric of psnr_yuv611, .*; found psnr"),
        ({}, "ssim_y_pooled", "expected a metric"),
        ({}, "colourfulness", "expected a metric of quality, found colourfulness"),
        ({}, "worst_frame", "expected a metric of quality, found worst_frame"),
    ],
)
def test_what_does_not_compare_is_refused(
    results: Path, change: dict[str, int], metric: str, words: str
) -> None:
    ours, theirs = split_by_codec(load(results).points)
    with pytest.raises(CodecError, match=words):
        bd_rate(theirs, [replace(p, **change) for p in ours], metric)  # type: ignore[arg-type]


def test_one_point_is_no_curve(results: Path) -> None:
    ours, theirs = split_by_codec(load(results).points)
    with pytest.raises(CodecError, match="at least two"):
        bd_rate(theirs, ours[:1])


def test_points_measured_elsewhere_say_so(tmp_path: Path) -> None:
    own_clip = external_entry(clip="val/a.mp4", chroma="420")
    entries = [
        {**own_clip, **COLOUR},
        {**own_clip, "chroma": "400"},
        {**own_clip, **COLOUR, "clip": "b.mp4"},
        {**own_clip, **COLOUR, "frames": 9},
    ]
    path = tmp_path / "hm.json"
    path.write_text(json.dumps(entries))
    ours = {"a": make_point(frames=10, seconds=0.4)}
    (point,), left_out = read_external_points(path, ours)
    assert point.note == "raw bitstream, not muxed"
    assert point.means["psnr_yuv611"] == pytest.approx(41.5)
    assert point.rate_kbps() == pytest.approx(20)
    assert left_out == [
        "HM on a is left out: a of 64x48 with 9 frames, ours is a of 64x48 with 10 frames"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{"bytes": "4000"}, {"bytes": 0}, {"psnr_u": float("nan")}, {"qp": None}, {"bytes": None}],
)
def test_nonsense_measured_elsewhere_is_refused_before_any_work(
    clip_path: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "hm.json"
    path.write_text(json.dumps([{**external_entry(), **COLOUR, **change}]))
    given = [clip_path, "--codec", "x265", "--points", path]
    done = run("evaluate", *given, "--out", tmp_path / "r")
    assert "expected a JSON list of rate points" in read_message(done, 2)
    assert not (tmp_path / "r").exists()
