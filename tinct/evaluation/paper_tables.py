"""The paper's tables as Markdown: what it prints beside what was measured, means and averages.

Several seeds of one variant make one line: their mean, and behind it their standard deviation. An
average is over all clips and QPs of a table, as the paper's, seed by seed; it is left empty where a
number of one is missing. `paper_rows` has the numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from tinct.evaluation.paper_rows import PAID_BESIDE, PAID_IN, Bjontegaard, Row
from tinct.evaluation.payback import Payback
from tinct.text import escape_controls

AVERAGE = "Average"
HOUR, MINUTE = 3600.0, 60.0  # seconds


@dataclass(frozen=True)
class Column:
    """A column of numbers: its head, digits, and the value of a row, None where it has none."""

    head: str
    digits: int
    value: Callable[[Any], float | None]


def _ours(head: str, name: str, digits: int = 2) -> Column:
    return Column(head, digits, lambda row: row.ours.get(name))


def _delta(head: str, name: str, digits: int = 2) -> Column:
    return Column(head, digits, lambda row: row.deltas.get(name))


MEASURED = (
    Column("paper: PSNR", 3, lambda row: row.printed.psnr_db),
    Column("SSIM", 3, lambda row: row.printed.ssim),
    Column("kbit/s", 1, lambda row: row.printed.kbps),
    _ours("ours: RGB", "psnr_rgb"),
    _ours("Y", "psnr_y"),
    _ours("(6Y+U+V)/8", "psnr_yuv611"),
    _ours("SSIM", "ssim_y", 4),
    Column("RGB, all frames", 2, lambda row: row.whole.get("psnr_rgb")),
    Column("SSIM, all frames", 4, lambda row: row.whole.get("ssim_y")),
    Column("network, bytes", 0, lambda row: row.network_bytes),
    Column("kbit/s, no model", 1, lambda row: row.paper_kbps),
    Column("all bits", 1, lambda row: row.all_bits_kbps),
)
EQUATION_11 = (
    Column("paper: rate, %", 2, lambda row: row.printed_deltas.rate_percent),
    Column("PSNR, dB", 3, lambda row: row.printed_deltas.psnr_db),
    _delta("ours: rate, %, no model", "paper %"),
    _delta("all bits", "all bits %"),
    _delta("RGB, dB", "psnr_rgb"),
    _delta("Y", "psnr_y"),
    _delta("SSIM", "ssim_y", 4),
    _delta("RGB, all frames", "whole psnr_rgb"),
)
BJONTEGAARD = (
    Column("paper: BD-rate, %", 2, lambda delta: delta.printed.bd_rate_percent),
    Column("BD-PSNR, dB", 3, lambda delta: delta.printed.bd_psnr_db),
    Column("ours: BD-rate, %, no model", 2, lambda delta: delta.percent.get("paper")),
    Column("BD-PSNR, dB", 2, lambda delta: delta.decibels.get("paper")),
    Column("BD-rate, %, all bits", 2, lambda delta: delta.percent.get("all bits")),
    Column("BD-PSNR, dB", 2, lambda delta: delta.decibels.get("all bits")),
    Column("common, dB", 1, lambda delta: delta.common_db),
)
WHOLE = (
    Column("RGB", 2, lambda row: row.whole.get("psnr_rgb")),
    Column("(6Y+U+V)/8", 2, lambda row: row.whole.get("psnr_yuv611")),
    Column("SSIM", 4, lambda row: row.whole.get("ssim_y")),
    Column("network, bytes", 0, lambda row: row.network_bytes),
    Column("kbit/s, no model", 1, lambda row: row.paper_kbps),
    Column("all bits", 1, lambda row: row.all_bits_kbps),
)


def format_tables(table: str, rows: Sequence[Row], deltas: Sequence[Bjontegaard]) -> str:
    """Return all that there is to say of a table, as Markdown."""
    compared = [row for row in rows if row.deltas]
    parts = [
        ["Means over the frames between key frames but where all frames are named."],
        format_lines(("clip", "QP"), rows, MEASURED),
        ["Against HEVC at the same QP (Equation 11):"],
        format_lines(("clip", "QP"), compared, EQUATION_11),
    ]
    if deltas:
        parts.append(["Bjøntegaard deltas on RGB against HEVC, cubic from four QPs on:"])
        parts.append(format_lines(("clip",), deltas, BJONTEGAARD))
    if table == "channels":
        parts.append(["The whole file, all frames:"])
        parts.append(format_lines(("clip", "QP"), rows, WHOLE))
        parts.append(format_paybacks(rows))
    lines = [line for part in parts for line in [*part, ""]]
    return "\n".join(map(escape_controls, lines[:-1])) + "\n"


def format_lines(
    names: tuple[str, ...], rows: Sequence[Any], columns: Sequence[Column]
) -> list[str]:
    """Return a table with a line for the rows of each place (`names`) and variant, and averages."""
    fields = [name.lower() for name in names]
    groups: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        place = tuple(str(getattr(row, name)) for name in fields)
        groups.setdefault((*place, row.variant), []).append(row)
    places = {key[:-1] for key in groups}
    if len(places) > 1:
        blank = ("",) * (len(names) - 1)
        for row in rows:
            groups.setdefault((AVERAGE, *blank, row.variant), []).append(row)
    heads = [*names, "variant", *(column.head for column in columns)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for key, members in groups.items():
        is_whole = key[0] != AVERAGE or _has_all(members, fields, places)
        cells = [_format_cell(members, column) if is_whole else "" for column in columns]
        lines.append(f"| {' | '.join([*key, *cells])} |")
    return lines


def _has_all(rows: Sequence[Any], fields: Sequence[str], places: set[tuple[str, ...]]) -> bool:
    """Return whether there is a row of every seed at every place: else no average is one of all."""
    return len(rows) == len({row.seed for row in rows}) * len(places)


def _format_cell(rows: Sequence[Any], column: Column) -> str:
    """Return the mean over seeds of each seed's mean, and their standard deviation."""
    by_seed: dict[int | None, list[float | None]] = {}
    for row in rows:
        by_seed.setdefault(row.seed, []).append(column.value(row))
    means = []
    for values in by_seed.values():
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return ""
        means.append(mean(known))
    text = f"{mean(means):.{column.digits}f}"
    return f"{text} ± {stdev(means):.{column.digits}f}" if len(means) > 1 else text


def format_paybacks(rows: Sequence[Row]) -> list[str]:
    """Return from which length of video on each training pays, a line each."""
    heads = [f"beside {name}, {metric}" for name in PAID_BESIDE for metric in PAID_IN]
    lines = [
        "From which length on the network pays: its bits over the bits a second that it saves at "
        "equal quality of all frames, the other's rate interpolated; never: it saves none; "
        "outside: the other was not measured at this quality.",
        "",
        f"| clip | QP | variant | seed | {' | '.join(heads)} |",
        f"|{'---|' * (4 + len(heads))}",
    ]
    for row in rows:
        if row.payback:
            cells = [format_payback(value) for value in row.payback.values()]
            head = f"{row.clip} | {row.qp} | {row.variant} | {row.seed}"
            lines.append(f"| {head} | {' | '.join(cells)} |")
    return lines


def format_payback(value: Payback) -> str:
    """Return a length of time in seconds, minutes or hours, or the word that stands for it."""
    if isinstance(value, str):
        return value
    for unit, name in ((HOUR, "h"), (MINUTE, "min")):
        if value >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value:.1f} s"
