"""How colour goes along a video: trust, colourfulness and flicker of each frame, and the HTML page that shows them."""

from array import array
from collections.abc import Collection, Sequence
from dataclasses import replace
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tinct.colour import colourfulness, matrix_or_default
from tinct.colouring.passage import Coloured
from tinct.errors import CodecError
from tinct.files import Growing
from tinct.frames import Frame, VideoInfo
from tinct.motion.flow import motion, warp
from tinct.motion.views import LumaView
from tinct.page import data_uri, style, webp

if TYPE_CHECKING:
    from tinct.colouring.colourist import ColouriseReport


SEEN_SIDE = 160  # pixels of the longer side of the copy that is measured and shown
THUMBNAILS = 16  # beside the references'
MOST_REFERENCES = 24  # with a thumbnail of their own
QUALITY = 80  # of thumbnails, WebP
COLUMNS = 800  # of a chart: longer videos are averaged
CHART_WIDTH, ROW_HEIGHT, ROW_GAP, LEFT = 1100, 80, 34, 44  # SVG units


class Strip:
    """Looks at finished frames as they pass; memory grows by three numbers a frame.

    Without true colour there is nothing to compare `flicker` with: it counts change of chroma along motion, 0 where a shot starts.
    """

    def __init__(
        self, info: VideoInfo, references: Collection[int], starts: Collection[int]
    ) -> None:
        self._starts = frozenset(starts)
        self.trust, self.colourfulness, self.flicker = array("d"), array("d"), array("d")
        self.thumbnails: dict[int, bytes] = {}
        scale = min(1.0, SEEN_SIDE / max(info.width, info.height))
        self._info = replace(
            info, width=max(2, round(info.width * scale)), height=max(2, round(info.height * scale))
        )
        # the matrix of a video without tags follows from its own height
        self._info = replace(
            self._info,
            colour=replace(info.colour, matrix=matrix_or_default(info.colour.matrix, info.height)),
        )
        shown = np.linspace(0, (info.frame_count or 1) - 1, THUMBNAILS).round().astype(int).tolist()
        self._shown = {*shown, *sorted(references)[:MOST_REFERENCES]}
        self._before: Frame | None = None

    def see(self, coloured: Coloured) -> None:
        small = self._small(coloured.frame)
        rgb = small.rgb()
        if len(self.trust) in self._shown:
            self.thumbnails[len(self.trust)] = webp(rgb, QUALITY)
        before = None if len(self.trust) in self._starts else self._before
        self.flicker.append(0.0 if before is None else _change(small, before))
        self.trust.append(float(coloured.trust.mean()))
        self.colourfulness.append(colourfulness(rgb))
        self._before = small

    def _small(self, frame: Frame) -> Frame:
        height, width = self._info.height, self._info.width
        shapes = ((height, width), self._info.chroma_shape, self._info.chroma_shape)
        y, cb, cr = (
            cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA)
            for plane, shape in zip((frame.y, frame.cb, frame.cr), shapes, strict=True)
        )
        return Frame(y, cb, cr, frame.pts, self._info)


def write_page(
    path: Path, name: str, strip: Strip, report: "ColouriseReport", *, overwrite: bool
) -> None:
    """The page at `path`, whole or not at all."""
    try:
        with Growing(path, replaces=overwrite) as growing:
            growing.path.write_text(_page(name, strip, report))
            growing.publish()
    except OSError as error:
        raise CodecError(
            f"expected to write {path}, found {error.strerror or error}; check the folder and its free space"
        ) from error


def _change(frame: Frame, before: Frame) -> float:
    """Mean absolute change of both chroma planes along the motion of the luma, 8-bit levels."""
    unit = 1 << (frame.info.bit_depth - 8)
    now, then = (LumaView(f.y, f.info.bit_depth, f.pts) for f in (frame, before))
    flow = motion(now, then)
    chroma, chroma_before = (
        np.dstack((f.cb, f.cr)).astype(np.float32) / unit for f in (frame, before)
    )
    moved = chroma_before if flow is None else warp(chroma_before, flow)
    return float(np.abs(chroma - moved).mean())


def _page(name: str, strip: Strip, report: "ColouriseReport") -> str:
    references = {laid.number for laid in report.references}
    setup = (
        f"{report.frames} frames in {len(report.shots)} shot{'s' * (len(report.shots) != 1)}, {len(references)} "
        f"reference{'s' * (len(references) != 1)}, {report.frames / report.seconds:.1f} frames/s"
    )
    thumbs = "".join(
        f'<figure class="{"reference" if number in references else "frame"}"><img src="{data_uri(picture)}" alt="frame {number}">'
        f"<figcaption>{number}{', reference' * (number in references)}</figcaption></figure>"
        for number, picture in sorted(strip.thumbnails.items())
    )
    rows = "".join(
        f"<tr><td>{one.number}</td><td>{one.seconds:.3f} s</td><td>{escape(one.name)}</td><td>{one.match:.0%}</td>"
        f"<td>{one.covered:.0%}</td><td>{escape(one.way)}</td></tr>"
        for one in report.references
    )
    helpful = "No frame stands out as one to colour next."
    if report.helpful:
        helpful = f"Colour of these frames would help most: {', '.join(map(str, report.helpful))}."
    text = (resources.files("tinct.colouring") / "strip.html").read_text()
    parts = {
        "name": escape(name), "style": style(), "setup": setup, "thumbs": thumbs, "chart": _chart(strip, report),
        "references": rows, "helpful": helpful,
    }  # fmt: skip
    for key, part in parts.items():
        text = text.replace(f"/*{key}*/", part)
    return text


def _chart(strip: Strip, report: "ColouriseReport") -> str:
    """Three curves over one axis of frames, as SVG."""
    series = (
        ("trust", strip.trust, 1.0),
        ("colourfulness", strip.colourfulness, 0.0),
        ("flicker", strip.flicker, 0.0),
    )
    height = len(series) * (ROW_HEIGHT + ROW_GAP) + 20
    bottom = height - 20
    parts = [
        f'<svg viewBox="0 0 {CHART_WIDTH} {height}" role="img" aria-label="trust, colourfulness and flicker by frame">'
    ]
    for shot in report.grey:
        left, right = (_x(number, report.frames) for number in (shot.start, shot.stop))
        parts.append(
            f'<rect class="grey" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{bottom}"/>'
        )
    parts += [
        f'<line class="shot" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>'
        for x in _starts(report)
    ]
    for row, (name, values, least) in enumerate(series):
        parts.append(
            _curve(name, values, least, row * (ROW_HEIGHT + ROW_GAP) + ROW_GAP / 2, report.frames)
        )
    for one in report.references:
        x = _x(one.number + 0.5, report.frames)
        title = f"<title>{escape(one.name)}, frame {one.number}</title>"
        parts.append(f'<path class="reference" d="M{x:.1f} {bottom - 8}l6 10h-12z">{title}</path>')
    parts.append(f'<text x="{LEFT}" y="{height - 2}">0</text>')
    parts.append(
        f'<text x="{CHART_WIDTH}" y="{height - 2}" text-anchor="end">frame {report.frames - 1}</text></svg>'
    )
    return "".join(parts)


def _starts(report: "ColouriseReport") -> list[float]:
    return [_x(shot.start, report.frames) for shot in report.shots[1:]]


def _curve(name: str, values: Sequence[float], least: float, top: float, frames: int) -> str:
    """One row: a curve from 0 to the largest value, or `least` if that is more, with its name and its mean."""
    groups = [
        part for part in np.array_split(np.asarray(values), min(COLUMNS, frames)) if len(part)
    ]
    peak = max(least, float(np.max(values)), 1e-3)
    points = " ".join(
        f"{_x((i + 0.5) * frames / len(groups), frames):.1f},{top + ROW_HEIGHT * (1 - part.mean() / peak):.1f}"
        for i, part in enumerate(groups)
    )
    bottom = top + ROW_HEIGHT
    return (
        f'<text class="name" x="{LEFT}" y="{top - 4:.1f}">{name}, mean {np.mean(values):.2f}</text>'
        f'<text x="{LEFT - 6}" y="{top + 10:.1f}" text-anchor="end">{peak:.3g}</text>'
        f'<text x="{LEFT - 6}" y="{bottom:.1f}" text-anchor="end">0</text>'
        f'<line class="axis" x1="{LEFT}" x2="{CHART_WIDTH}" y1="{bottom:.1f}" y2="{bottom:.1f}"/>'
        f'<polyline class="series" data-series="{name}" points="{points}"/>'
    )


def _x(frame: float, frames: int) -> float:
    return LEFT + (CHART_WIDTH - LEFT) * frame / frames
