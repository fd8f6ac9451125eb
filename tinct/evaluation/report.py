"""The report of a results folder: one HTML file that works from disk without a network, and tables.

`summary` has its numbers, `pictures` its pictures, `markdown` its tables as text; `page/report.js`
draws the plots and answers to clicks.
"""

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
    compare_structures,
    compare_with_best,
    describe_setup,
    find_counterparts,
    list_metrics,
    list_notes,
)
from tinct.page import fill_template, make_data_uri

HTML, MARKDOWN = "report.html", "report.md"
LINK = f"\n## Figure 5 of the paper\n\n![Figure 5 of the paper]({FILE})\n"


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
        "counterparts": find_counterparts(outcome),
        "metrics": list_metrics(outcome.points),
        "points": [_describe_point(point) for point in outcome.points],
        "deltas": tables.own,
        "sets": [asdict(best) for best in [*compare_structures(outcome), *tables.best]],
        "intra": outcome.intra_anchor,
        "pictures": pictures,
        "frames": {clip: comparison.number for clip, comparison in comparisons.items()},
        "pictureQuality": quality,
        "figure": make_data_uri(figure, "png") if figure else None,
        "parts": PARTS,
        "notes": list_notes(outcome),
        "setup": describe_setup(outcome),
    }
    return fill_template(
        _read_asset("report.html"),
        data,
        style=_read_asset("report.css"),
        script=_read_asset("report.js"),
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
