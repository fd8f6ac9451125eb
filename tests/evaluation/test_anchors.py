"""The best of several anchors: which one it is on each clip and metric, and what is compared."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from lab_results import make_point

from tinct.cli.app import repeat_options
from tinct.cli.lab import rate_lines, split_sets
from tinct.errors import CodecError
from tinct.evaluation import Outcome, RDPoint, Setup
from tinct.evaluation.anchors import choose_anchor
from tinct.evaluation.markdown import format_report
from tinct.evaluation.report import write_report
from tinct.evaluation.results import create, load
from tinct.evaluation.summary import Tables, compare_codecs, compare_with_best
from tinct.evaluation.sweeps import check_setup

PLAIN, OFFSET, TEST = "x265:intra", "x265:intra,chroma-offset=-6", "tinct:intra"
SET = [PLAIN, OFFSET]
QPS = (27, 32, 37, 42)


def make_points(
    clip: str, codec: str, *, scale: float, shift_db: float = 0.0, scale_v: float | None = None
) -> list[RDPoint]:
    """Return points with a line as curve: 5 dB more for twice the bytes, `scale` of all bytes.

    V is as good as if `scale_v` were the scale.
    """
    points = []
    for qp in QPS:
        size = 1000 * 2 ** ((42 - qp) / 5)
        quality_db = 72.0 - qp + shift_db
        v_db = quality_db + 5 * math.log2(scale / (scale_v or scale))
        means = {
            "psnr_yuv611": quality_db,
            "psnr_yuv611_pooled": quality_db - 1,
            "psnr_y": quality_db,
            "psnr_v": v_db,
            "worst_frame": 2.5 if codec == PLAIN else 6.0,
        }
        points.append(
            make_point(
                clip=clip,
                codec=codec,
                qp=qp,
                size_bytes=round(scale * size * 1000),
                means=means,
            )
        )
    return points


def gather(*curves: Sequence[RDPoint], anchors: Sequence[Sequence[str]] = ()) -> Outcome:
    points = [point for curve in curves for point in curve]
    codecs = list(dict.fromkeys(point.codec for point in points))
    sets = list(map(list, anchors))
    setup = Setup(clips=["a.mkv", "b.mkv"], codecs=codecs, qps=list(QPS), anchors=sets)
    return Outcome(setup=setup, points=points, failures=[], skipped={}, notes=[])


@pytest.fixture
def outcome() -> Outcome:
    """Two clips; the offset pays on the first and costs on the second, but for V."""
    return gather(
        *(make_points(clip, PLAIN, scale=1.0) for clip in ("a", "b")),
        make_points("a", OFFSET, scale=0.8),
        make_points("b", OFFSET, scale=1.25, scale_v=0.5),
        *(make_points(clip, TEST, scale=0.4) for clip in ("a", "b")),
        anchors=[SET],
    )


@pytest.mark.parametrize(
    ("clip", "metric", "expected"),
    [
        ("a", "psnr_yuv611", OFFSET),
        ("b", "psnr_yuv611", PLAIN),
        ("b", "psnr_v", OFFSET),
    ],
)
def test_the_strongest_is_chosen_on_each_clip_and_metric(
    outcome: Outcome, clip: str, metric: str, expected: str
) -> None:
    choice = choose_anchor(outcome, SET, clip=clip, metric=metric)
    assert choice is not None
    assert (choice.anchor, choice.first, choice.passed_over) == (expected, PLAIN, {})


def test_others_are_compared_with_the_strongest(outcome: Outcome) -> None:
    best = compare_with_best(outcome, SET)
    assert best.title == f"the best of {PLAIN}, {OFFSET}"
    rows = best.deltas["psnr_yuv611"]
    assert list(rows) == [TEST], "anchors of the set are not compared with it"
    found = {clip: (row["anchor"], row["rate"]) for clip, row in rows[TEST].items()}
    assert found == {"a": (OFFSET, pytest.approx(-50)), "b": (PLAIN, pytest.approx(-60))}
    assert rows[TEST]["a"]["common_db"] == pytest.approx(15)


def test_an_anchor_that_shares_too_little_is_passed_over() -> None:
    outcome = gather(
        make_points("a", PLAIN, scale=1.0),
        make_points("a", OFFSET, scale=0.1, shift_db=-13.5),
        make_points("a", TEST, scale=0.4),
    )
    choice = choose_anchor(outcome, SET, clip="a", metric="psnr_yuv611")
    assert choice is not None
    assert choice.anchor == PLAIN
    assert list(choice.passed_over) == [OFFSET]
    assert compare_with_best(outcome, SET).notes == [
        f"{OFFSET} on a is passed over: 1.5 dB in common with {PLAIN}"
    ]


def test_a_set_goes_on_without_anchors_that_have_no_curve(outcome: Outcome) -> None:
    points = [p for p in outcome.points if (p.clip, p.codec) != ("b", PLAIN) or p.qp == 27]
    rows = compare_with_best(replace(outcome, points=points), SET).deltas["psnr_yuv611"][TEST]
    assert rows["b"]["anchor"] == OFFSET
    points = [p for p in outcome.points if p.codec == TEST]
    assert choose_anchor(replace(outcome, points=points), SET, clip="a", metric="psnr_y") is None


def test_a_figure_on_less_than_two_decibels_is_printed_and_enters_no_mean(
    outcome: Outcome,
) -> None:
    points = [p for p in outcome.points if (p.clip, p.codec) != ("b", TEST)]
    odd = make_points("b", TEST, scale=0.4, shift_db=14)
    table = compare_codecs(replace(outcome, points=[*points, *odd]))
    assert {"rate", "quality"} <= set(table["psnr_yuv611"][TEST]["b"]["narrow"])
    text = format_report(replace(outcome, points=[*points, *odd]), Tables(table, []))
    rows = [line for line in text.splitlines() if line.startswith(("| b |", "| **mean** |"))]
    assert rows[0].endswith(" (3%, 1.0 dB) |")
    assert rows[1].endswith("| -60.0 (1 of 2) |")


def test_the_report_names_the_anchor_beside_each_figure(outcome: Outcome) -> None:
    tables = Tables(compare_codecs(outcome), [compare_with_best(outcome, SET)])
    text = format_report(outcome, tables)
    _, _, best = text.partition(f"## Against the best of {PLAIN}, {OFFSET}\n")
    assert f"| a | -50.0 (100%, 15.0 dB) {OFFSET} |" in best
    assert f"| b | -60.0 (100%, 15.0 dB) {PLAIN} |" in best
    assert best.count("| **mean** | -55.0 |") == 2, "mean of the frames' dB, and pooled error"
    assert f"| a | 27 | {TEST} | 6.00 | 2.50 |" in text, "worst frame, beside x265 all-intra's"


def test_the_command_line_shows_both_poolings(outcome: Outcome) -> None:
    lines = rate_lines(outcome)
    figure = "-50.00 (overlap 100%, 15.0 dB)"
    assert lines[-3:-2] == [f"against the best of {PLAIN}, {OFFSET}:"]
    assert lines[-2].split()[:2] == [TEST, "a"]
    assert lines[-2].count(figure) == 2
    assert lines[-2].endswith(f"against {OFFSET}")


def test_words_of_one_option_are_one_set() -> None:
    words = "report r --anchor a b --anchor c"
    found = repeat_options(words.split())
    assert found == ["report", "r", "--anchor", "a\nb", "--anchor", "c"]
    assert split_sets(found[3::2]) == [["a", "b"], ["c"]]
    assert split_sets(None) == []


def test_sets_are_kept_with_the_sweep(tmp_path: Path, outcome: Outcome) -> None:
    create(tmp_path / "r", outcome.setup)
    assert load(tmp_path / "r").setup == outcome.setup
    sweep = (tmp_path / "r" / "sweep.json").read_text()
    before = sweep[: sweep.index(',\n "anchors"')]
    (tmp_path / "r" / "sweep.json").write_text(before + "}")
    assert load(tmp_path / "r").setup == replace(outcome.setup, anchors=[]), "an older sweep's"
    damaged = before + ', "anchors": ["x265:intra"]}'
    (tmp_path / "r" / "sweep.json").write_text(damaged)
    with pytest.raises(CodecError, match=r"expected a results folder with sweep.json"):
        load(tmp_path / "r")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([PLAIN, "x265:intra,every=4"], r"codecs that are measured \(.*\), found .*every=4"),
        ([PLAIN, PLAIN], "expected every codec once in a set, found x265:intra more than once"),
    ],
)
def test_a_set_of_nonsense_is_refused(outcome: Outcome, members: list[str], words: str) -> None:
    with pytest.raises(CodecError, match=words):
        check_setup(replace(outcome.setup, anchors=[members]))


def test_a_report_against_what_has_no_points_is_refused(tmp_path: Path, outcome: Outcome) -> None:
    from tinct.evaluation.points import format_point

    create(tmp_path / "r", outcome.setup)
    lines = map(format_point, outcome.points)
    (tmp_path / "r" / "points.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(CodecError, match=r"--anchor: expected codecs .* found x264"):
        write_report(tmp_path / "r", [["x264"]])
    _, markdown = write_report(tmp_path / "r", [[OFFSET]])
    text = markdown.read_text()
    assert f"## Against {OFFSET}\n" in text
    assert "the best of" not in text, "it stands in place of the sweep's own"
