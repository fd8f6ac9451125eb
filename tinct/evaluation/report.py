"""The report of a results folder: one HTML file that works from disk without a network, and tables.

`summary` has its numbers, `pictures` its pictures, `markdown` its tables as text; `page/report.js`
draws the plots and answers to clicks.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from tinct.errors import CodecError
from tinct.evaluation.anchors import check_anchors
from tinct.evaluation.figure5 import FILE
from tinct.evaluation.markdown import format_report
from tinct.evaluation.pictures import Comparison, compare_frames, encode_pictures
from tinct.evaluation.points import RDPoint
from tinct.evaluation.results import Outcome, load
from tinct.evaluation.summary import (
    PARTS,
    Tables,
    compare_codecs,
    compare_with_best,
    describe_setup,
    list_metrics,
    list_notes,
)
from tinct.page import make_data_uri, read_style
from tinct.text import escape_controls

HTML, MARKDOWN = "report.html", "report.md"
LINK = f"\n## Figure 5 of the paper\n\n![Figure 5 of the paper]({FILE})\n"
DIGITS = 6  # significant ones of the page's numbers: neither eye nor plot shows more


def write_report(folder: Path, anchors: Sequence[Sequence[str]] = ()) -> list[Path]:
    """Write `report.html` and `report.md` into a results folder; return their paths.

    `anchors` are sets of codecs that stand in place of those of the sweep. Raise CodecError where
    there is no point to report, and for anchors that have none.
    """
    outcome = load(folder)
    if not outcome.points:
        raise CodecError(
            f"expected points in {folder}, found none; "
            f"measure some with: tinct evaluate --resume {folder}"
        )
    check_anchors(anchors, outcome.codecs)
    sets = anchors or outcome.setup.anchors
    tables = Tables(compare_codecs(outcome), [compare_with_best(outcome, s) for s in sets])
    comparisons = compare_frames(outcome, folder)
    html, markdown = folder / HTML, folder / MARKDOWN
    figure = folder / FILE
    picture = figure.read_bytes() if figure.exists() else None
    text = format_report(outcome, tables) + (LINK if picture else "")
    page = _make_page(outcome, tables, comparisons, figure=picture)
    try:
        html.write_text(page, encoding="utf-8")
        markdown.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CodecError(
            f"expected to write {html} and {markdown}, found {error.strerror}"
        ) from error
    return [html, markdown]


def _make_page(
    outcome: Outcome,
    tables: Tables,
    comparisons: dict[str, Comparison],
    *,
    figure: bytes | None,
) -> str:
    """Return the HTML with style, script and data inside; `figure` is a PNG."""
    pictures, quality = encode_pictures(comparisons)
    data = {
        "clips": outcome.clips,
        "codecs": outcome.codecs,
        "anchors": {codec: outcome.anchor_of(codec) for codec in outcome.codecs},
        "metrics": list_metrics(outcome.points),
        "points": [_describe_point(point) for point in outcome.points],
        "deltas": tables.own,
        "sets": [asdict(best) for best in tables.best],
        "intra": outcome.intra_anchor,
        "pictures": pictures,
        "frames": {clip: comparison.number for clip, comparison in comparisons.items()},
        "pictureQuality": quality,
        "figure": make_data_uri(figure, "png") if figure else None,
        "parts": PARTS,
        "notes": list_notes(outcome),
        "setup": describe_setup(outcome),
    }
    text = json.dumps(_prepare(data), separators=(",", ":"), allow_nan=False)
    return (
        _read_asset("report.html")
        .replace("/*style*/", read_style() + _read_asset("report.css"))
        .replace("/*script*/", _read_asset("report.js"))
        .replace("/*data*/", text.replace("<", "\\u003c"))  # no name can end the script
    )


def _read_asset(name: str) -> str:
    return (resources.files("tinct.evaluation") / "page" / name).read_text(encoding="utf-8")


def _describe_point(point: RDPoint) -> dict[str, Any]:
    parts = {part: point.parts[part] for part in PARTS if part in point.parts}
    return {
        "clip": point.clip,
        "codec": point.codec,
        "qp": point.qp,
        "kbps": point.rate_kbps(),
        "bytes": point.size_bytes,
        "means": point.means,
        "parts": parts or {"video": point.size_bytes},
        "series": point.series,
        "keys": point.keys,
        "encode": [point.encode_seconds, point.encode_peak_megabytes],
        "decode": [point.decode_seconds, point.decode_peak_megabytes],
        "command": point.command,
        "note": point.note,
    }


def _prepare(value: Any) -> Any:
    """Return a tree of lists and dicts, floats in DIGITS significant digits, no text unseen."""
    if isinstance(value, str):
        return escape_controls(value)
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {escape_controls(key): _prepare(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_prepare(item) for item in value]
    return value
