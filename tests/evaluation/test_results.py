"""Results folders: which codec is the anchor, and what damage in a folder does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import read_message, run
from lab_results import QPS, TINCT, X265, split_by_codec

from tinct.evaluation import Outcome, Setup, bd_rate, load
from tinct.evaluation.codecs import FAMILIES

FAST = "x265:intra,preset=fast"


def measured_as(results: Path, *codecs: str) -> Outcome:
    """Return an outcome with one point a codec; names of no codec are measured elsewhere."""
    outcome = load(results)
    known = [name for name in codecs if name.partition(":")[0] in FAMILIES]
    return replace(
        outcome,
        setup=Setup(clips=[], codecs=known, qps=[]),
        points=[replace(outcome.points[0], codec=name) for name in codecs],
    )


def test_the_anchor_has_the_same_structure(results: Path) -> None:
    anchors = {
        "tinct:intra": "x265:intra",
        "x265:random-access": "x265:random-access",
        "x265:intra,chroma-offset=6": "x265:intra",
        "x265:intra": "x265:intra",
        "x264": "x265:random-access",
        "svt-av1:low-delay": "x265:random-access",
    }
    outcome = measured_as(results, *anchors, "HM 16.8")
    assert {name: outcome.anchor_of(name) for name in anchors} == anchors
    hm = replace(outcome.points[-1], command="encoder_intra_main.cfg")
    assert replace(outcome, points=[*outcome.points[:-1], hm]).anchor_of("HM 16.8") == "x265:intra"


@pytest.mark.parametrize(
    ("names", "measured", "codec", "anchor"),
    [
        (["x264", "svt-av1"], ["x264", "svt-av1"], "svt-av1", "x264"),
        (["hm", FAST, "x264:intra"], [FAST, "x264:intra"], "x264:intra", FAST),
        (["tinct", FAST], ["tinct", FAST], "tinct", FAST),
    ],
)
def test_the_anchor_has_points(
    results: Path, names: list[str], measured: list[str], codec: str, anchor: str
) -> None:
    """A codec without points is no anchor, and Tinct is none where there is x265."""
    setup = Setup(clips=[], codecs=names, qps=[])
    outcome = replace(measured_as(results, *measured), setup=setup)
    assert outcome.anchor_of(codec) == anchor


def test_lines_on_disk_are_the_points(results: Path) -> None:
    lines = (results / "points.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["size_bytes"] for line in lines) == sorted(
        p.size_bytes for p in load(results).points
    )


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


@pytest.mark.slow
def test_a_point_with_nonsense_in_it_is_damaged(copy: Path) -> None:
    lines = (copy / "points.jsonl").read_text().splitlines()
    nonsense = (
        *({"size_bytes": 0}, {"seconds": -1}, {"qp": "32"}, {"means": {"psnr_y": float("nan")}}),
        *({"clip": 5}, {"parts": 7}, {"series": {"psnr_y": [1]}}, {"keys": ["a"]}),
    )
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
    assert outcome.notes == [
        f"{TINCT} at QP 27 is left out: clip of 66x48 with 12 frames, "
        "the others are clip of 64x48 with 12 frames"
    ]


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"qps": ["x"]}, {"codecs": [1]}, {"jobs": None}])
def test_a_sweep_of_nonsense_is_one_line(copy: Path, change: dict[str, object]) -> None:
    asked = json.loads((copy / "sweep.json").read_text())
    (copy / "sweep.json").write_text(json.dumps({**asked, **change}))
    assert "expected a results folder with sweep.json" in read_message(run("report", copy), 2)


def test_two_qps_of_one_setting_are_said_and_count_once(copy: Path) -> None:
    """AV1's coarsest setting serves every QP from 39 on."""
    lines = [json.loads(line) for line in (copy / "points.jsonl").read_text().splitlines()]
    with (copy / "points.jsonl").open("a") as file:
        file.write(json.dumps({**lines[5], "qp": 51}) + "\n")
    outcome = load(copy)
    assert outcome.notes == [f"{X265} on clip is the same at QP {QPS[2]} and 51"]
    ours, theirs = split_by_codec(outcome.points)
    assert bd_rate(theirs, ours) == bd_rate(theirs[:3], ours)
