"""The tables of a report as Markdown: BD-rates by clip, metric and accounting, and the costs."""

from collections.abc import Iterable, Sequence

import numpy as np

from tinct.evaluation.points import RDPoint
from tinct.evaluation.results import Outcome
from tinct.evaluation.summary import (
    DeltaTable,
    Row,
    compare_on_clips,
    describe_setup,
    list_metrics,
    list_notes,
)
from tinct.text import escape_controls

MAIN_METRIC = "psnr_yuv611"
METRICS = (
    *("psnr_yuv611", "psnr_yuv611_pooled", "psnr_y", "psnr_u", "psnr_v"),
    *("ssim_y", "ms_ssim_y", "ciede2000", "flicker_y", "flicker_u"),
)
# Each accounting, and the kinds of delta that stand for it: of a clip the first that it has counts.
# Without an update in the file both accountings are the same.
ACCOUNTINGS = {
    "all bits": ("rate",),
    "paper (network's bits left out)": ("paper", "rate"),
    "all bits, without key frames": ("inner", "rate"),
    "paper, without key frames": ("paper_inner", "inner", "paper", "rate"),
    "all bits, cubic": ("cubic",),
}


def format_report(outcome: Outcome, table: DeltaTable) -> str:
    """Return the whole report as Markdown."""
    setup = describe_setup(outcome)
    versions = ", ".join(f"{name} {number}" for name, number in setup["versions"].items())
    qps = ", ".join(map(str, setup["qps"]))
    tests = [codec for codec in outcome.codecs if codec != outcome.anchor_of(codec)]
    anchors = ["against", *(outcome.anchor_of(codec) for codec in tests)]
    lines = [
        f"First {setup['frames']} frames, QP {qps}, {setup['date']}, {setup['machine']}, "
        f"points at a time: {setup['jobs']}; {versions}.",
        "Rate is the size of the file, everything in it. "
        "What each codec is compared with stands below its name.",
        "",
        *(f"- {note}" for note in list_notes(outcome)),
        "",
        "## BD-rate on (6Y+U+V)/8 PSNR, percent (PCHIP; overlap of the curves)",
        "",
        *_grid(["clip", *tests], [anchors, *_clip_rows(outcome, table, tests)]),
        *_format_other_structures(outcome),
        "## BD-rate on each metric, mean of the clips where it is defined, percent",
        "",
        *_grid(["metric", *tests], _metric_rows(outcome, table, tests)),
        "## Bits, accountings, key frames: BD-rate on (6Y+U+V)/8 PSNR, mean of clips, percent",
        "",
        *_grid(["accounting", *tests], _accounting_rows(table, tests)),
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


def _clip_rows(outcome: Outcome, table: DeltaTable, tests: Sequence[str]) -> list[list[str]]:
    """Return a row for each clip, and their mean."""

    def format_cell(codec: str, clip: str) -> str:
        row = table.get(MAIN_METRIC, {}).get(codec, {}).get(clip)
        return "" if row is None else f"{_percent(row['rate'])} ({row['overlap']:.0%})"

    rows = [[clip, *(format_cell(codec, clip) for codec in tests)] for clip in outcome.clips]
    return [*rows, ["**mean**", *_mean_cells(table, MAIN_METRIC, tests, kinds=("rate",))]]


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


def _format_costs(outcome: Outcome) -> list[str]:
    """Return the table of speeds and peak memory, of codecs whose times are known."""
    rows = []
    for codec in outcome.codecs:
        points = [p for p in outcome.points if p.codec == codec and p.encode_seconds is not None]
        if points:
            rows.append([codec, *_cost_cells(points)])
    head = ["codec", "encoded frames/s", "decoded frames/s", "encode, peak MB", "decode, peak MB"]
    return _grid(head, rows)


def _cost_cells(points: Sequence[RDPoint]) -> list[str]:
    frames = sum(point.frames for point in points)
    speeds, peaks = [], []
    for side in ("encode", "decode"):
        seconds = sum(getattr(point, f"{side}_seconds") for point in points)
        peak = max(getattr(point, f"{side}_peak_megabytes") for point in points)
        speeds.append(f"{frames / seconds:.1f}")
        peaks.append(f"{peak:.0f}")
    return [*speeds, *peaks]


def _mean_cells(
    table: DeltaTable, metric: str, tests: Sequence[str], *, kinds: Sequence[str]
) -> list[str]:
    """Return each codec's mean over clips; of a clip the first of `kinds` that it has counts."""
    by_codec = table.get(metric, {})
    return [_format_mean(list(by_codec.get(codec, {}).values()), kinds) for codec in tests]


def _format_mean(rows: Sequence[Row], kinds: Sequence[str]) -> str:
    """Return the mean over the clips where it is defined, with their number if not all."""
    values = [next(row[kind] for kind in kinds if kind in row) for row in rows]
    defined = [value for value in values if value is not None]
    if not defined:
        return "undefined" if values else ""
    share = "" if len(defined) == len(values) else f" ({len(defined)} of {len(values)})"
    return _percent(float(np.mean(defined))) + share


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:+.1f}"
