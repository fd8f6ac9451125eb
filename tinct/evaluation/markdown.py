"""The tables of a report as Markdown: BD-rates by clip, metric and accounting, and the costs."""

from collections.abc import Iterable, Sequence

import numpy as np

from tinct.evaluation.aggregates import POOLED, WORST_BLOCK_MAX, WORST_BLOCK_MEDIAN, WORST_FRAME
from tinct.evaluation.bd import MIN_COMMON_DB
from tinct.evaluation.points import RDPoint
from tinct.evaluation.results import Outcome
from tinct.evaluation.summary import (
    MAIN_METRIC,
    BestTable,
    DeltaTable,
    Row,
    Tables,
    compare_on_clips,
    describe_setup,
    list_metrics,
    list_notes,
)
from tinct.text import escape_controls

POOLED_METRIC = MAIN_METRIC + POOLED
METRICS = (
    *("psnr_yuv611", "psnr_yuv611_pooled", "psnr_y", "psnr_u", "psnr_v"),
    *("ssim_y", "ms_ssim_y", "vmaf", "ciede2000", "worst_block_median", "flicker_y", "flicker_u"),
)
WORST = (WORST_FRAME, WORST_BLOCK_MEDIAN, WORST_BLOCK_MAX)  # of which less is better
# Each accounting, and the kinds of delta that stand for it: of a clip the first that it has counts.
# Without an update in the file both accountings are the same.
ACCOUNTINGS = {
    "all bits": ("rate",),
    "paper (network's bits left out)": ("paper", "rate"),
    "all bits, without key frames": ("inner", "rate"),
    "paper, without key frames": ("paper_inner", "inner", "paper", "rate"),
    "all bits, cubic": ("cubic",),
}


def format_report(outcome: Outcome, tables: Tables) -> str:
    """Return the whole report as Markdown."""
    table = tables.own
    setup = describe_setup(outcome)
    versions = ", ".join(f"{name} {number}" for name, number in setup["versions"].items())
    qps = ", ".join(map(str, setup["qps"]))
    tests = [codec for codec in outcome.codecs if codec != outcome.anchor_of(codec)]
    anchors = ["against", *(outcome.anchor_of(codec) for codec in tests)]
    lines = [
        f"First {setup['frames']} frames, QP {qps}, {setup['date']}, {setup['machine']}, "
        f"points at a time: {setup['jobs']}; {versions}.",
        "Rate is the size of the file, everything in it. "
        "What each codec is compared with stands below its name. Beside a figure stands what both "
        f"curves have in common; less than {MIN_COMMON_DB:.0f} dB of it enters no mean.",
        "",
        *(f"- {note}" for note in list_notes(outcome)),
        "",
        "## BD-rate on (6Y+U+V)/8 PSNR, percent (PCHIP; overlap of the curves)",
        "",
        *_grid(["clip", *tests], [anchors, *_clip_rows(outcome, table, tests)]),
        "## BD-rate on (6Y+U+V)/8 PSNR, pooled error, percent",
        "",
        *_grid(
            ["clip", *tests],
            [anchors, *_clip_rows(outcome, table, tests, metric=POOLED_METRIC)],
        ),
        *_format_other_structures(outcome),
        *(line for best in tables.best for line in _format_best(outcome, best)),
        "## BD-rate on each metric, mean of the clips where it is defined, percent",
        "",
        *_grid(["metric", *tests], _metric_rows(outcome, table, tests)),
        "## Bits, accountings, key frames: BD-rate on (6Y+U+V)/8 PSNR, mean of clips, percent",
        "",
        *_grid(["accounting", *tests], _accounting_rows(table, tests)),
        "## Worst frames and worst blocks",
        "",
        *_format_worst(outcome),
        "## Time and memory, mean over all points",
        "",
        *_format_costs(outcome),
    ]
    return "\n".join(map(escape_controls, lines)) + "\n"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, and an empty one behind it."""
    lines = []
    for row in (head, ["---"] * len(head), *rows):
        cells = [cell.replace("|", "&#124;") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _clip_rows(
    outcome: Outcome, table: DeltaTable, tests: Sequence[str], *, metric: str = MAIN_METRIC
) -> list[list[str]]:
    """Return a row for each clip, and their mean."""

    def format_cell(codec: str, clip: str) -> str:
        row = table.get(metric, {}).get(codec, {}).get(clip)
        return "" if row is None else _format_row(row)

    rows = [[clip, *(format_cell(codec, clip) for codec in tests)] for clip in outcome.clips]
    return [*rows, ["**mean**", *_mean_cells(table, metric, tests, kinds=("rate",))]]


def _format_row(row: Row) -> str:
    """Return the BD-rate of a row, what both curves have in common, and a chosen anchor's name."""
    length = "" if row["common_db"] is None else f", {row['common_db']:.1f} dB"
    against = f" {row['anchor']}" if "anchor" in row else ""
    return f"{_percent(row['rate'])} ({row['overlap']:.0%}{length}){against}"


def _format_best(outcome: Outcome, best: BestTable) -> list[str]:
    """Return the tables against a set of anchors: by clip, pooled by clip, and on each metric."""
    tests = list(best.deltas.get(MAIN_METRIC, {}))
    lines = [f"## Against {best.title}", "", *(f"- {note}" for note in best.notes)]
    lines += [""] if best.notes else []
    for metric, title in ((MAIN_METRIC, "mean of the frames' dB"), (POOLED_METRIC, "pooled error")):
        rows = _clip_rows(outcome, best.deltas, tests, metric=metric)
        head = f"BD-rate on (6Y+U+V)/8 PSNR, percent; {title}"
        lines += [head, "", *_grid(["clip", *tests], rows)]
    head = "BD-rate on each metric, mean of the clips, percent"
    return [*lines, head, "", *_grid(["metric", *tests], _metric_rows(outcome, best.deltas, tests))]


def _format_other_structures(outcome: Outcome) -> list[str]:
    """Return the table of codecs that have another anchor, against the anchor of the first codec.

    It shows what a user with a full encoder would pick.
    """
    anchors = {codec: outcome.anchor_of(codec) for codec in outcome.codecs}
    first = next(iter(anchors.values()))
    others = [codec for codec, anchor in anchors.items() if anchor != first]
    if not others:
        return []
    table = {
        MAIN_METRIC: {
            codec: compare_on_clips(outcome, first, codec, metric=MAIN_METRIC) for codec in others
        }
    }
    title = f"## The other structures against {first}: BD-rate on (6Y+U+V)/8 PSNR, percent"
    return [title, "", *_grid(["clip", *others], _clip_rows(outcome, table, others))]


def _metric_rows(outcome: Outcome, table: DeltaTable, tests: Sequence[str]) -> list[list[str]]:
    known = list_metrics(outcome.points)
    return [
        [known[metric]["title"], *_mean_cells(table, metric, tests, kinds=("rate",))]
        for metric in METRICS
        if metric in known
    ]


def _accounting_rows(table: DeltaTable, tests: Sequence[str]) -> list[list[str]]:
    return [
        [title, *_mean_cells(table, MAIN_METRIC, tests, kinds=kinds)]
        for title, kinds in ACCOUNTINGS.items()
    ]


def _format_worst(outcome: Outcome) -> list[str]:
    """Return a row for each point with its worst frame and blocks, beside x265 all-intra's."""
    reference = outcome.intra_anchor
    known = list_metrics(outcome.points)
    metrics = [metric for metric in WORST if metric in known]
    names = [f"{known[metric]['title']}, {known[metric]['unit']}" for metric in metrics]
    beside = [reference] if reference is not None else []
    head = ["clip", "QP", "codec", *(cell for name in names for cell in (name, *beside))]
    points = {point.key: point for point in outcome.points}
    rows = []
    for point in sorted(points.values(), key=lambda p: (outcome.clips.index(p.clip), p.qp)):
        others = [points.get((point.clip, name, point.qp)) for name in beside]
        cells = [
            "" if p is None or metric not in p.means else f"{p.means[metric]:.2f}"
            for metric in metrics
            for p in (point, *others)
        ]
        rows.append([point.clip, str(point.qp), point.codec, *cells])
    return _grid(head, rows)


def _format_costs(outcome: Outcome) -> list[str]:
    """Return the table of speeds and peak memory, of codecs whose times are known."""
    rows = []
    for codec in outcome.codecs:
        points = [p for p in outcome.points if p.codec == codec and p.encode_seconds is not None]
        if points:
            rows.append([codec, *_cost_cells(points)])
    head = ["codec", "encoded frames/s", "decoded frames/s", "encode, CPU ms a frame"]
    head += ["decode, CPU ms a frame", "encode, peak MB", "decode, peak MB"]
    return _grid(head, rows)


def _cost_cells(points: Sequence[RDPoint]) -> list[str]:
    frames = sum(point.frames for point in points)
    speeds, loads, peaks = [], [], []
    for side in ("encode", "decode"):
        seconds = sum(getattr(point, f"{side}_seconds") for point in points)
        peak = max(getattr(point, f"{side}_peak_megabytes") for point in points)
        speeds.append(f"{frames / seconds:.1f}")
        timed = [p for p in points if getattr(p, f"{side}_cpu_seconds") is not None]
        load_ms = 1000 * sum(getattr(point, f"{side}_cpu_seconds") for point in timed)
        loads.append(f"{load_ms / sum(p.frames for p in timed):.0f}" if timed else "")
        peaks.append(f"{peak:.0f}")
    return [*speeds, *loads, *peaks]


def _mean_cells(
    table: DeltaTable, metric: str, tests: Sequence[str], *, kinds: Sequence[str]
) -> list[str]:
    """Return each codec's mean over clips; of a clip the first of `kinds` that it has counts."""
    by_codec = table.get(metric, {})
    return [_format_mean(list(by_codec.get(codec, {}).values()), kinds) for codec in tests]


def _format_mean(rows: Sequence[Row], kinds: Sequence[str]) -> str:
    """Return the mean over the clips where it counts, with their number if not all."""
    found = [(row, next(kind for kind in kinds if kind in row)) for row in rows]
    values = [None if kind in row["narrow"] else row[kind] for row, kind in found]
    defined = [value for value in values if value is not None]
    if not defined:
        return "undefined" if values else ""
    share = "" if len(defined) == len(values) else f" ({len(defined)} of {len(values)})"
    return _percent(float(np.mean(defined))) + share


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:+.1f}"
