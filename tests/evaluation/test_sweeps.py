"""The lab end to end: files, points, refusals, and sweeps that are killed and go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import LAB_CODEC, LAB_QPS
from helpers import TEST_PATH, one_line, run
from synthetic import clip, to_av, write_clip

import tinct
from tinct.errors import CodecError
from tinct.evaluation import (
    Outcome,
    RDPoint,
    Setup,
    bd_quality,
    bd_rate,
    load,
    resume,
    start,
    sweep,
    usage,
)
from tinct.evaluation.codecs import FAMILIES
from tinct.evaluation.points import external_points, means
from tinct.evaluation.report import write_report
from tinct.evaluation.sweeps import _encoded, measure_point
from tinct.media.source import open_source
from tinct.psnr import Psnr
from tinct.workers import Engine, _join_ray, _Worker
from tinct.workers import run as run_tasks

TINCT = LAB_CODEC
FAST = "x265:intra,preset=fast"
TIMELESS = {
    "encode_seconds": 0,
    "decode_seconds": 0,
    "encode_peak_megabytes": 0,
    "decode_peak_megabytes": 0,
    "jobs": 0,
}


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    return shutil.copytree(results, tmp_path / "copy")


def by_codec(points: list[RDPoint]) -> tuple[list[RDPoint], list[RDPoint]]:
    ours, theirs = ([p for p in points if p.codec.startswith(name)] for name in ("tinct", "x265"))
    return ours, theirs


def test_a_point_is_its_file(results: Path) -> None:
    points = load(results).points
    assert [(p.codec.split(":")[0], p.qp) for p in points] == list(
        product(("tinct", "x265"), LAB_QPS)
    )
    for point in points:
        assert point.file is not None
        assert (
            (results / point.file).stat().st_size == point.size_bytes == sum(point.parts.values())
        )
        assert point.rate_kbps() == pytest.approx(point.size_bytes * 8 / 1000 / (12 / 25))
        assert {"colour" in point.parts, bool(point.keys)} == {point.codec.startswith("tinct")}
        assert all(len(values) == 12 for values in point.series.values())
        assert point.encode_seconds is not None
        assert 0.1 < point.encode_seconds < 60
        assert point.encode_peak_megabytes is not None
        assert 40 < point.encode_peak_megabytes < 1000
    assert not (results / "work").exists()


def test_peak_memory_is_the_kernels(tmp_path: Path) -> None:
    """Against what the process itself reads of its peak."""
    program = (
        "held = b'1' * 200_000_000; open('status', 'w').write(open('/proc/self/status').read())"
    )
    command = [sys.executable, str(usage.__file__), sys.executable, "-c", program]
    found = json.loads(
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    )
    line = next(
        line for line in (tmp_path / "status").read_text().splitlines() if line.startswith("VmHWM")
    )
    assert found["peak_megabytes"] == pytest.approx(int(line.split()[1]) * 1024 / 1e6, rel=0.01)


def test_psnr_is_that_of_the_file_against_the_source(results: Path) -> None:
    for point in load(results).points[::3]:
        verified = tinct.verify(str(results / str(point.file)), str(results / "clips" / "clip.mkv"))
        assert verified.psnr is not None
        for name, plane in zip(("psnr_y", "psnr_u", "psnr_v"), verified.psnr, strict=True):
            assert point.means[name] == pytest.approx(plane.mean_db, abs=1e-3)
            assert point.means[name + "_pooled"] == pytest.approx(plane.pooled_db, abs=1e-3)


def test_key_frames_are_those_of_the_colour_track(results: Path) -> None:
    ours, _ = by_codec(load(results).points)
    for point in ours:
        info = tinct.info(str(results / str(point.file)))
        assert len(point.keys) == info.key_frames
        assert point.keys[:2] == [0, 6]
        inner = [v for i, v in enumerate(point.series["psnr_u"]) if i not in point.keys]
        assert point.value("psnr_u", without=point.keys) == pytest.approx(
            sum(v for v in inner if v) / len(inner)
        )
        assert point.value("psnr_u", without=point.keys) != point.value("psnr_u")


def test_key_frames_are_left_out_of_both_sides(results: Path) -> None:
    """Key frames stand where scenes begin: an anchor that keeps those frames would look worse than it is."""
    ours, theirs = by_codec(load(results).points)
    ours = [replace(ours[0], keys=[0, 3]), replace(ours[1], keys=[0, 9]), *ours[2:]]

    def inner(point: RDPoint) -> float:
        return float(
            np.mean([v for i, v in enumerate(point.series["psnr_u"]) if i not in {0, 3, 6, 9}])
        )

    shorter = [[replace(p, means={"psnr_u": inner(p)}) for p in side] for side in (theirs, ours)]
    assert bd_rate(theirs, ours, "psnr_u", keys=False) == bd_rate(*shorter, "psnr_u")


def test_key_frames_of_a_variable_rate_are_numbered(tmp_path: Path) -> None:
    """And the report finds the grey base of a frame between them."""
    source = tmp_path / "vfr.mkv"
    write_clip(source, frames=8, vfr=[0, 40, 160, 200, 240, 360, 400, 520])
    assert open_source(str(source)).info.frame_rate is None
    points = sweep(
        [source],
        ["x265:intra", "tinct:intra,colour=track,group=3,colouriser=none"],
        [32],
        out=tmp_path / "r",
        frames=None,
    )
    assert points[1].keys == [0, 3, 6]
    assert run("report", tmp_path / "r").returncode == 0


def test_a_report_of_key_frames_alone(tmp_path: Path, clip_path: Path) -> None:
    sweep(
        [clip_path],
        ["x265:intra", "tinct:intra,colour=track,group=1,colouriser=none"],
        [27, 37],
        out=tmp_path / "r",
        frames=3,
    )
    done = run("report", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert (
        "| all bits, without key frames | undefined |" in (tmp_path / "r" / "report.md").read_text()
    )


def test_the_anchor_has_the_same_structure(results: Path) -> None:
    names = [
        "tinct:intra",
        "x265:random-access",
        "x265:intra,chroma-offset=6",
        "x265:intra",
        "x264",
        "svt-av1:low-delay",
    ]
    outcome = measured_as(results, *names, "HM 16.8")
    assert [outcome.anchor_of(name) for name in names] == [
        "x265:intra", "x265:random-access", "x265:intra", "x265:intra", "x265:random-access", "x265:random-access",
    ]  # fmt: skip
    hm = replace(outcome.points[-1], command="encoder_intra_main.cfg")
    assert replace(outcome, points=[*outcome.points[:-1], hm]).anchor_of("HM 16.8") == "x265:intra"


@pytest.mark.parametrize(
    ("names", "measured", "codec", "anchor"),
    [
        (["x264", "svt-av1"], ["x264", "svt-av1"], "svt-av1", "x264"),
        (
            ["hm", "x265:intra,preset=fast", "x264:intra"],
            ["x265:intra,preset=fast", "x264:intra"],
            "x264:intra",
            "x265:intra,preset=fast",
        ),
        (
            ["tinct", "x265:intra,preset=fast"],
            ["tinct", "x265:intra,preset=fast"],
            "tinct",
            "x265:intra,preset=fast",
        ),
    ],
)
def test_the_anchor_has_points(
    results: Path, names: list[str], measured: list[str], codec: str, anchor: str
) -> None:
    """What was asked for but is not there is no anchor, and no codec is compared with us while there is x265."""
    assert (
        replace(measured_as(results, *measured), setup=Setup([], names, [])).anchor_of(codec)
        == anchor
    )


def measured_as(results: Path, *codecs: str) -> Outcome:
    """An outcome with one point a codec; names of no codec are of points measured elsewhere."""
    outcome = load(results)
    known = [name for name in codecs if name.partition(":")[0] in FAMILIES]
    return replace(
        outcome,
        setup=Setup([], known, []),
        points=[replace(outcome.points[0], codec=name) for name in codecs],
    )


def test_lines_on_disk_are_the_points(results: Path) -> None:
    lines = (results / "points.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["size_bytes"] for line in lines) == sorted(
        p.size_bytes for p in load(results).points
    )


def test_bd_of_points(results: Path) -> None:
    ours, theirs = by_codec(load(results).points)
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


def test_the_papers_accounting_leaves_the_update_out() -> None:
    point = RDPoint(
        "a", "tinct", 32, 64, 64, 25, 1.0, 2000, {}, parts={"luma": 1500, "update": 500}
    )
    assert (point.rate_kbps(), point.rate_kbps("paper")) == (16, 12)


def test_pooled_psnr_is_that_of_the_mean_error() -> None:
    decibels = [30.0, 40.0, 35.5]
    expected = Psnr.of([255**2 / 10 ** (db / 10) for db in decibels])
    found = means({"psnr_y": [*decibels, None]})
    assert found["psnr_y"] == pytest.approx(expected.mean_db)
    assert found["psnr_y_pooled"] == pytest.approx(expected.pooled_db)


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
    ],
)
def test_what_does_not_compare_is_refused(
    results: Path, change: dict[str, int], metric: str, words: str
) -> None:
    ours, theirs = by_codec(load(results).points)
    with pytest.raises(CodecError, match=words):
        bd_rate(theirs, [replace(p, **change) for p in ours], metric)  # type: ignore[arg-type]


def test_one_point_is_no_curve(results: Path) -> None:
    ours, theirs = by_codec(load(results).points)
    with pytest.raises(CodecError, match="at least two"):
        bd_rate(theirs, ours[:1])


def test_resumed_points_are_kept_and_missing_ones_made(copy: Path) -> None:
    before = load(copy).points
    lines = (copy / "points.jsonl").read_text().splitlines()
    (copy / "points.jsonl").write_text(
        "\n".join(lines[:4]) + "\n" + lines[4][:1000]
    )  # killed while it wrote
    outcome = load(copy)
    assert len(outcome.points) == 4
    assert "points.jsonl, line 5, is damaged and left out" in outcome.notes[0]
    after = resume(copy).points
    assert [replace(p, **TIMELESS) for p in after] == [replace(p, **TIMELESS) for p in before]
    kept = {p.key: p.encode_seconds for p in outcome.points}
    assert {p.key: p.encode_seconds for p in after if p.key in kept} == kept


@pytest.mark.parametrize(
    "line", ["[1, 2]", '{"clip": "a"}', '{"unheard": 1}', "\x00\xff", '{"a":' * 2000]
)
def test_a_damaged_line_is_named_and_the_rest_used(copy: Path, line: str) -> None:
    text = (copy / "points.jsonl").read_text()
    (copy / "points.jsonl").write_text(line + "\n" + text)
    outcome = load(copy)
    assert len(outcome.points) == 6
    assert len(outcome.notes) == 1
    assert "line 1, is damaged" in outcome.notes[0]


def test_a_point_with_nonsense_in_it_is_damaged(copy: Path) -> None:
    lines = (copy / "points.jsonl").read_text().splitlines()
    nonsense = (
        {"size_bytes": 0}, {"seconds": -1}, {"qp": "32"}, {"means": {"psnr_y": float("nan")}}, {"clip": 5}, {"parts": 7},
        {"series": {"psnr_y": [1]}}, {"keys": ["a"]},
    )  # fmt: skip
    whole = lines[0]
    lines += [json.dumps({**json.loads(whole), **change}) for change in nonsense]
    (copy / "points.jsonl").write_text("\n".join(lines))
    outcome = load(copy)
    assert (len(outcome.points), len(outcome.notes)) == (6, len(nonsense))
    assert run("report", copy).returncode == 0


def test_a_point_of_another_size_is_left_out(copy: Path) -> None:
    lines = (copy / "points.jsonl").read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "width": 66})
    (copy / "points.jsonl").write_text("\n".join(lines))
    outcome = load(copy)
    assert len(outcome.points) == 5
    (note,) = outcome.notes
    assert (
        note
        == f"{TINCT} at QP 27 is left out: clip of 66x48 with 12 frames, the others are clip of 64x48 with 12 frames"
    )


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("failures.jsonl", b'{"clip": "a", "co', "failures.jsonl, line 1, is damaged"),
        ("failures.jsonl", b'{"clip": "a"}', "failures.jsonl, line 1, is damaged"),
        ("points.jsonl", b"\xff\xfe\x00", "line 7, is damaged"),
    ],
)
def test_a_damaged_folder_is_reported_and_goes_on(
    copy: Path, name: str, damage: bytes, words: str
) -> None:
    with (copy / name).open("ab") as file:
        file.write(damage)
    assert any(words in note for note in load(copy).notes)
    assert run("report", copy).returncode == 0
    done = run("evaluate", "--resume", copy)
    assert done.returncode == 0, done.stderr
    assert len(load(copy).points) == 6


@pytest.mark.parametrize("change", [{"qps": ["x"]}, {"codecs": [1]}, {"jobs": None}])
def test_a_sweep_of_nonsense_is_one_line(copy: Path, change: dict[str, object]) -> None:
    asked = json.loads((copy / "sweep.json").read_text())
    (copy / "sweep.json").write_text(json.dumps({**asked, **change}))
    assert "expected a results folder with sweep.json" in one_line(run("report", copy), 2)


def test_two_qps_of_one_setting_are_said_and_count_once(copy: Path) -> None:
    """AV1's coarsest setting serves every QP from 39 on."""
    lines = [json.loads(line) for line in (copy / "points.jsonl").read_text().splitlines()]
    with (copy / "points.jsonl").open("a") as file:
        file.write(json.dumps({**lines[5], "qp": 51}) + "\n")
    outcome = load(copy)
    assert outcome.notes == [f"x265:intra on clip is the same at QP {LAB_QPS[2]} and 51"]
    ours, theirs = by_codec(outcome.points)
    assert bd_rate(theirs, ours) == bd_rate(theirs[:3], ours)


def test_the_report_says_when_and_how_each_point_was_measured(copy: Path) -> None:
    lines = [json.loads(line) for line in (copy / "points.jsonl").read_text().splitlines()]
    lines[0] |= {"date": "2031-01-01", "jobs": 7}
    (copy / "points.jsonl").write_text("\n".join(map(json.dumps, lines)))
    write_report(copy)
    head = (copy / "report.md").read_text().splitlines()[0]
    assert "2031-01-01" in head
    assert lines[1]["date"] in head
    assert "points at a time: 1, 7" in head
    resume(copy)  # as many at a time as before
    assert json.loads((copy / "sweep.json").read_text())["jobs"] == 1


def test_a_decoder_that_loses_a_frame_is_refused(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder cut short by half a second stands for one that is broken."""
    import tinct.evaluation.sweeps as bench

    outcome = load(results)
    clip = bench.cut_clip(outcome.setup.clips[0], str(results / "clips" / "clip.mkv"), 12)
    broken = [*bench.decode(bench.parse("x265:intra")), "--duration", "0.4"]
    monkeypatch.setattr(bench, "decode", lambda codec: broken)
    (tmp_path / "work").mkdir()
    (tmp_path / "files").mkdir()
    with pytest.raises(
        CodecError, match="expected 12 decoded frames, found 10; the point is refused"
    ):
        measure_point(clip, bench.parse("x265:intra"), 32, str(tmp_path), 1)
    assert list((tmp_path / "files").iterdir()) == []
    assert list((tmp_path / "work").iterdir()) == []


def test_a_refused_point_is_said_and_tried_again(tmp_path: Path) -> None:
    write_clip(tmp_path / "talk.mkv", frames=2)
    program = tmp_path / "encoder"
    program.write_text("#!/bin/sh\necho out of paper >&2\nexit 3\n")
    program.chmod(0o755)
    clip, out = tmp_path / "talk.mkv", tmp_path / "r"
    done = run(
        "evaluate",
        clip,
        "--codec",
        "x265",
        f"vvenc,binary={program}",
        "--qp",
        "30",
        "32",
        "--out",
        out,
    )
    assert done.returncode == 3
    text = done.stderr.decode()
    assert text.count("failed: out of paper") == 2
    assert f"2 points are refused, 2 are in {out}; --resume {out} tries again" in text
    program.unlink()
    again = run("evaluate", "--resume", out)
    assert again.returncode == 0, again.stderr
    assert b"is skipped: no program" in again.stderr


def test_cli_measures_and_compares(clip_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    done = run(
        "evaluate",
        clip_path,
        "--codec",
        "x265:intra",
        "x265:intra,chroma-offset=6",
        "--qp",
        "27",
        "37",
        "--frames",
        "4",
        "--out",
        out,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("BD-rate on (6Y+U+V)/8 PSNR, percent of the anchor's file size")
    assert lines[1].split()[:2] == ["x265:intra,chroma-offset=6", "clip"]
    assert lines[1].endswith("against x265:intra")
    assert len(lines) == 2


def test_sweep_without_a_folder_leaves_nothing(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    points = sweep([clip_path], ["x265"], [32], frames=2)
    assert [(p.qp, p.frames, p.file) for p in points] == [(32, 2, None)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected clips, --codec and --out, or --resume FOLDER"),
        (["CLIP", "--codec", "x265"], "expected clips, --codec and --out"),
        (["CLIP", "--resume", "RESULTS"], "contradictory options: --resume"),
        (["CLIP", "--codec", "x266", "--out", "NEW"], "expected a codec of tinct"),
        (
            ["CLIP", "--codec", "x265", "x265", "--out", "NEW"],
            "expected every codec once, found x265 more than once",
        ),
        (
            ["CLIP", "--codec", "x265", "--qp", "60", "--out", "NEW"],
            "--qp: expected 0 to 51, found 60",
        ),
        (
            ["CLIP", "--codec", "x265", "--jobs", "0", "--out", "NEW"],
            "--jobs: expected 1 or more, found 0",
        ),
        (
            ["CLIP", "--codec", "x265", "--engine", "slurm", "--out", "NEW"],
            "--engine: expected one of local, ray; found slurm",
        ),
        (
            ["CLIP", "CLIP", "--codec", "x265", "--out", "NEW"],
            "expected clips of different names, found clip more than once",
        ),
        (["nowhere.mp4", "--codec", "x265", "--out", "NEW"], "nowhere.mp4"),
        (
            ["CLIP", "--codec", "x265", "--points", "CLIP", "--out", "NEW"],
            "expected a JSON list of rate points",
        ),
        (["CLIP", "--codec", "x265", "--out", "RESULTS"], "expected a new or an empty folder"),
        (["--resume", "NEW"], "expected a results folder"),
        (["--resume", "RESULTS", "--frames", "4"], "contradictory options: --resume"),
        (
            ["CLIP", "--codec", "x265", "--out", "/dev/null/x"],
            "expected to make the folder /dev/null/x, found Not a directory",
        ),
        (
            ["CLIP", "--codec", "tinct,group=abc", "--out", "NEW"],
            "--group: expected auto or 1 to 96; found abc",
        ),
        (
            ["CLIP", "--codec", "tinct,compatible=yes", "--out", "NEW"],
            "expected compatible without a value",
        ),
        (
            ["CLIP", "--codec", "tinct,group=²", "--out", "NEW"],
            "--group: expected auto or 1 to 96; found ²",
        ),
        (
            ["CLIP", "--codec", "x265,chroma-offset=++6", "--out", "NEW"],
            "chroma-offset: expected -12 to 12, found ++6",
        ),
    ],
)
def test_bad_input_is_one_line(
    clip_path: Path, results: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    names = {"CLIP": str(clip_path), "NEW": str(tmp_path / "new"), "RESULTS": str(results)}
    assert words in one_line(run("evaluate", *[names.get(a, a) for a in arguments]), 2)
    assert not (tmp_path / "new").exists()


def test_points_measured_elsewhere_say_so(tmp_path: Path) -> None:
    entry = {
        "codec": "HM",
        "chroma": "420",
        "clip": "val/a.mp4",
        "width": 64,
        "height": 48,
        "frames": 10,
        "qp": 27,
        "bytes": 1000,
    }
    colour = {"psnr_y": 40.0, "psnr_u": 44.0, "psnr_v": 48.0}
    entries = [
        {**entry, **colour},
        {**entry, "chroma": "400"},
        {**entry, **colour, "clip": "b.mp4"},
        {**entry, **colour, "frames": 9},
    ]
    path = tmp_path / "hm.json"
    path.write_text(json.dumps(entries))
    ours = RDPoint("a", "x265", 27, 64, 48, 10, 0.4, 1200, {})
    (point,), left_out = external_points(path, {"a": ours})
    assert point.note == "raw bitstream, not muxed"
    assert point.means["psnr_yuv611"] == pytest.approx(41.5)
    assert point.rate_kbps() == pytest.approx(20)
    assert left_out == [
        "HM on a is left out: a of 64x48 with 9 frames, ours is a of 64x48 with 10 frames"
    ]


@pytest.mark.parametrize(
    "change",
    [{"bytes": "4000"}, {"bytes": 0}, {"psnr_u": float("nan")}, {"qp": None}, {"bytes": None}],
)
def test_nonsense_measured_elsewhere_is_refused_before_any_work(
    clip_path: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    entry = {
        "codec": "HM",
        "clip": "b.mp4",
        "width": 64,
        "height": 48,
        "frames": 10,
        "qp": 27,
        "bytes": 1000,
    }
    (tmp_path / "hm.json").write_text(
        json.dumps([{**entry, "psnr_y": 40.0, "psnr_u": 44.0, "psnr_v": 48.0, **change}])
    )
    done = run(
        "evaluate",
        clip_path,
        "--codec",
        "x265",
        "--points",
        tmp_path / "hm.json",
        "--out",
        tmp_path / "r",
    )
    assert "expected a JSON list of rate points" in one_line(done, 2)
    assert not (tmp_path / "r").exists()


def test_a_raw_bitstream_says_so(tmp_path: Path) -> None:
    """A stand-in for HM that writes x265's stream without a container."""
    program, config = tmp_path / "encoder", tmp_path / "cfg"
    config.mkdir()
    write_clip(tmp_path / "talk.mkv", frames=2)
    stream = tmp_path / "talk.hevc"
    with av.open(str(stream), "w", format="hevc") as out:
        video = out.add_stream("libx265", rate=25, options={"x265-params": "log-level=none"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for planes in clip(2):
            out.mux(video.encode(to_av(planes, "yuv420p")))
        out.mux(video.encode())
    program.write_text(f"#!/bin/sh\ncp {stream} coded.hevc\n")
    program.chmod(0o755)
    (point,) = sweep([tmp_path / "talk.mkv"], [f"hm:intra,binary={program},config={config}"], [32])
    assert point.note == "raw bitstream, not muxed"
    assert point.parts == {"video": point.size_bytes}
    assert point.size_bytes == stream.stat().st_size


def test_one_codec_is_not_compared(clip_path: Path, tmp_path: Path) -> None:
    done = run(
        "evaluate",
        clip_path,
        "--codec",
        "x265",
        "--qp",
        "32",
        "--frames",
        "2",
        "--out",
        tmp_path / "r",
    )
    assert (
        done.stdout.decode()
        == "no BD-rate: it takes two codecs with points at two QPs each, on one clip\n"
    )


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on(clip_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    command = [
        sys.executable,
        "-m",
        "tinct",
        "evaluate",
        str(clip_path),
        "--codec",
        "x265",
        "tinct:intra,adapt=off",
        "--frames",
        "6",
        "--qp",
        "27",
        "42",
        "--out",
        str(out),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while not (out / "points.jsonl").exists() or (out / "points.jsonl").read_text().count("\n") < 1:
        time.sleep(0.05)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p.key: p for p in load(out).points}
    assert 1 <= len(kept) < 4
    done = run("evaluate", "--resume", out)
    assert done.returncode == 0, done.stderr
    points = {p.key: p for p in load(out).points}
    assert len(points) == 4
    assert {key: points[key] for key in kept} == kept
    assert not (out / "work").exists()


def die_once(marker: str, value: int) -> int:
    """The worker that comes first is killed in the middle of it."""
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * value


def niceness(more: int) -> int:
    return os.nice(more)


def refuse(value: int) -> int:
    raise CodecError(f"no {value}")


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where tasks run; a cluster is started once, with the functions of this file at hand."""
    monkeypatch.setenv("PYTHONPATH", TEST_PATH)
    if request.param == "ray":
        _join_ray(2)
    yield request.param
    if request.param == "ray":
        import ray

        ray.shutdown()


def test_a_killed_worker_is_replaced(tmp_path: Path, engine: Engine) -> None:
    tasks = [(str(tmp_path / "marker"), value) for value in range(6)]
    assert dict(run_tasks(die_once, tasks, jobs=2, engine=engine)) == {
        value: 10 * value for value in range(6)
    }
    refused = dict(run_tasks(refuse, [(1,), (2,)], jobs=2, engine=engine))
    assert {number: str(error) for number, error in refused.items()} == {0: "no 1", 1: "no 2"}
    nice = dict(run_tasks(niceness, [(0,)], jobs=1, engine=engine))
    assert nice == {0: os.nice(0)}, (
        "times are compared with those of other engines, beside other work too"
    )


def die(value: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return value


def die_at_zero(value: int) -> int:
    return die(value) if value == 0 else 10 * value


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_always_dies_is_an_answer_and_the_others_go_on(jobs: int) -> None:
    found = dict(run_tasks(die_at_zero, [(value,) for value in range(5)], jobs=jobs))
    assert "its worker died 3 times" in str(found.pop(0))
    assert found == {value: 10 * value for value in range(1, 5)}


def test_a_worker_that_dies_with_nothing_in_hand_ends_quietly() -> None:
    worker = _Worker()
    worker._process.kill()
    worker._process.wait()
    with pytest.raises(EOFError):
        worker.call(abs, (1,))
    worker.end()


def fail(value: int) -> int:
    return value // 0


def test_a_function_whose_module_does_not_import_is_an_error_and_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that cannot read its call has to say so: whoever waits for an answer waits for good."""
    (tmp_path / "of_the_caller_alone.py").write_text("def double(value):\n    return 2 * value\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from of_the_caller_alone import double  # type: ignore[import-not-found]

    (tmp_path / "of_the_caller_alone.py").write_text("raise RuntimeError('not here')\n")
    with pytest.raises(RuntimeError, match="not here"):
        list(run_tasks(double, [(1,)], jobs=1))


def test_a_mistake_of_ours_ends_the_run_and_shows_where() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(run_tasks(fail, [(1,)], jobs=1))
    assert "return value // 0" in caught.value.__notes__[0]


def linger(marker: str) -> None:
    Path(marker).write_text(str(os.getpid()))
    try:
        subprocess.run(["sleep", "60"], check=True)
    finally:
        Path(marker).with_suffix(".clean").touch()


def test_workers_end_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    """They clean up, and what they have started ends too. The caller is a script without a guard on its main part."""
    script = tmp_path / "script.py"
    script.write_text(
        "from test_sweeps import linger\nfrom tinct.workers import run\n"
        f"list(run(linger, [('{tmp_path}/a',), ('{tmp_path}/b',)], jobs=2))\n"
    )
    caller = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": TEST_PATH}
    )
    markers = [tmp_path / "a", tmp_path / "b"]
    wait_for(lambda: all(marker.exists() and marker.read_text() for marker in markers))
    workers = [int(marker.read_text()) for marker in markers]
    assert len(set(workers)) == 2
    caller.kill()
    caller.wait()
    wait_for(lambda: all(marker.with_suffix(".clean").exists() for marker in markers))
    wait_for(lambda: not any(is_running(worker) for worker in workers))


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(number: int) -> bool:
    """Any process of the group, the worker's and what it has started; zombies are not."""
    found = subprocess.run(
        ["ps", "-o", "stat=", "-g", str(number)], capture_output=True, text=True, check=False
    ).stdout.split()
    return any(not state.startswith("Z") for state in found)


def kill_a_ray_worker(killed: list[int]) -> None:
    """The first worker of this machine that is seen to measure a point."""
    end = time.monotonic() + 60
    while not killed and time.monotonic() < end:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                busy = path.read_bytes().startswith(b"ray::measure_point")
            except OSError:  # it has ended meanwhile
                continue
            if busy:
                killed.append(int(path.parent.name))
                os.kill(killed[0], signal.SIGKILL)
                return
        time.sleep(0.01)


@pytest.mark.slow
def test_ray_gives_the_same_points_though_a_worker_is_killed(results: Path, tmp_path: Path) -> None:
    ours = load(results)
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_ray_worker, args=(killed,))
    killer.start()
    theirs = start(replace(ours.setup, jobs=2), tmp_path / "ray", engine="ray")
    killer.join()
    assert len(killed) == 1
    assert [replace(p, **TIMELESS) for p in theirs.points] == [
        replace(p, **TIMELESS) for p in ours.points
    ]
    assert theirs.failures == []


def test_a_training_goes_on_from_what_a_killed_lab_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its seconds are then not those of the whole; a checkpoint that does not fit is not tried twice."""
    checkpoint = tmp_path / "a.ckpt"
    trains = "import sys, pathlib; pathlib.Path(sys.argv[1].partition('=')[2]).write_text('half')"
    refused = "expected a checkpoint of this training in a.ckpt, found another file"
    whole, fails, refuses = (
        [sys.executable, "-c", code]
        for code in (trains, "raise SystemExit('no memory')", f"raise SystemExit({refused!r})")
    )

    def interrupted(*_: object, **__: object) -> None:
        checkpoint.write_text("half")
        raise KeyboardInterrupt

    assert _encoded(whole, str(tmp_path), checkpoint)[1] is False
    checkpoint.unlink()
    with monkeypatch.context() as patched:
        patched.setattr("tinct.evaluation.sweeps.subprocess.run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _encoded(whole, str(tmp_path), checkpoint)
    assert _encoded(whole, str(tmp_path), checkpoint)[1] is True
    with pytest.raises(CodecError, match="no memory"):
        _encoded(fails, str(tmp_path), checkpoint)
    assert checkpoint.exists(), "what was learnt is still good"
    with pytest.raises(CodecError, match="a checkpoint of this training"):
        _encoded(refuses, str(tmp_path), checkpoint)
    assert not checkpoint.exists()
