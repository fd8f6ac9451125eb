"""HTML page of a colouring: thumbnails, curves of its `statistics`, and a table of references."""

import html
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from tinct.colouring.report import ColouriseReport
from tinct.colouring.statistics import ColourStatistics
from tinct.errors import CodecError
from tinct.files import AtomicOutput
from tinct.page import make_data_uri, read_style
from tinct.text import escape_controls

COLUMNS = 800  # most points of a curve: longer videos are averaged
CHART_WIDTH, ROW_HEIGHT, ROW_GAP, LEFT = 1100, 80, 34, 44  # SVG units


def write_page(
    path: Path,
    statistics: ColourStatistics,
    report: ColouriseReport,
    *,
    name: str,
    overwrite: bool,
) -> None:
    """Write the page of the video `name` to `path`, whole or not at all."""
    try:
        with AtomicOutput(path, replaces=overwrite) as growing:
            growing.path.write_text(_fill_template(name, statistics, report))
            growing.publish()
    except OSError as error:
        raise CodecError(
            f"expected to write {path}, found {error.strerror or error}; "
            "check the folder and its free space"
        ) from error


def _fill_template(name: str, statistics: ColourStatistics, report: ColouriseReport) -> str:
    parts = {
        "name": _escape(name),
        "style": read_style(),
        "setup": _describe_setup(report),
        "thumbs": _list_thumbnails(statistics, report),
        "chart": _draw_chart(statistics, report),
        "references": _list_references(report),
        "helpful": _name_helpful(report),
    }
    text = (resources.files("tinct.colouring") / "page.html").read_text()
    for key, part in parts.items():
        text = text.replace(f"/*{key}*/", part)
    return text


def _describe_setup(report: ColouriseReport) -> str:
    count = len({one.number for one in report.references})
    return (
        f"{report.frames} frames in {len(report.shots)} shot{'s' * (len(report.shots) != 1)}, "
        f"{count} reference{'s' * (count != 1)}, {report.frames / report.seconds:.1f} frames/s"
    )


def _list_thumbnails(statistics: ColourStatistics, report: ColouriseReport) -> str:
    references = {one.number for one in report.references}
    return "".join(
        f'<figure class="{"reference" if number in references else "frame"}">'
        f'<img src="{make_data_uri(picture)}" alt="frame {number}">'
        f"<figcaption>{number}{', reference' * (number in references)}</figcaption></figure>"
        for number, picture in sorted(statistics.thumbnails.items())
    )


def _list_references(report: ColouriseReport) -> str:
    return "".join(
        f"<tr><td>{one.number}</td><td>{one.seconds:.3f} s</td><td>{_escape(one.name)}</td>"
        f"<td>{one.match:.0%}</td><td>{one.covered:.0%}</td><td>{_escape(one.way)}</td></tr>"
        for one in report.references
    )


def _name_helpful(report: ColouriseReport) -> str:
    if not report.helpful:
        return "No frame stands out as one to colour next."
    return f"Colour of these frames would help most: {', '.join(map(str, report.helpful))}."


def _draw_chart(statistics: ColourStatistics, report: ColouriseReport) -> str:
    """Return three curves over one axis of frames, as SVG."""
    curves = (
        ("trust", statistics.trust, 1.0),
        ("colourfulness", statistics.colourfulness, 0.0),
        ("flicker", statistics.flicker, 0.0),
    )
    height = len(curves) * (ROW_HEIGHT + ROW_GAP) + 20
    bottom = height - 20
    parts = [
        f'<svg viewBox="0 0 {CHART_WIDTH} {height}" role="img" '
        'aria-label="trust, colourfulness and flicker by frame">'
    ]
    for shot in report.grey:
        left, right = (_find_x(number, report.frames) for number in (shot.start, shot.stop))
        parts.append(
            f'<rect class="grey" x="{left:.1f}" y="0" '
            f'width="{right - left:.1f}" height="{bottom}"/>'
        )
    for shot in report.shots[1:]:
        x = _find_x(shot.start, report.frames)
        parts.append(f'<line class="shot" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>')
    for row, (name, values, least) in enumerate(curves):
        top = row * (ROW_HEIGHT + ROW_GAP) + ROW_GAP / 2
        parts.append(_draw_curve(name, values, least=least, top=top))
    for one in report.references:
        x = _find_x(one.number + 0.5, report.frames)
        title = f"<title>{_escape(one.name)}, frame {one.number}</title>"
        parts.append(f'<path class="reference" d="M{x:.1f} {bottom - 8}l6 10h-12z">{title}</path>')
    parts.append(
        f'<text x="{LEFT}" y="{height - 2}">0</text>'
        f'<text x="{CHART_WIDTH}" y="{height - 2}" text-anchor="end">'
        f"frame {report.frames - 1}</text></svg>"
    )
    return "".join(parts)


def _draw_curve(name: str, values: Sequence[float], *, least: float, top: float) -> str:
    """Return a curve from 0 to the largest value, or `least` if that is more, with name and mean.

    `top` is the y of its upper edge.
    """
    frames = len(values)
    columns = np.array_split(np.asarray(values), min(COLUMNS, frames))
    peak = max(least, float(np.max(values)), 1e-3)
    points = " ".join(
        f"{_find_x((i + 0.5) * frames / len(columns), frames):.1f},"
        f"{top + ROW_HEIGHT * (1 - column.mean() / peak):.1f}"
        for i, column in enumerate(columns)
    )
    bottom = top + ROW_HEIGHT
    return (
        f'<text class="name" x="{LEFT}" y="{top - 4:.1f}">{name}, mean {np.mean(values):.2f}</text>'
        f'<text x="{LEFT - 6}" y="{top + 10:.1f}" text-anchor="end">{peak:.3g}</text>'
        f'<text x="{LEFT - 6}" y="{bottom:.1f}" text-anchor="end">0</text>'
        f'<line class="axis" x1="{LEFT}" x2="{CHART_WIDTH}" y1="{bottom:.1f}" y2="{bottom:.1f}"/>'
        f'<polyline class="series" data-series="{name}" points="{points}"/>'
    )


def _find_x(frame: float, frames: int) -> float:
    """Return the x of a frame's left edge in a chart of `frames`."""
    return LEFT + (CHART_WIDTH - LEFT) * frame / frames


def _escape(text: str) -> str:
    """Return text of a stranger's file as a page shows it."""
    return html.escape(escape_controls(text))
