"""The report of a results folder: one HTML file that works from disk without a network, and its tables as Markdown.

What is drawn and pressed is in `report.js`; this module puts together the numbers and the pictures.
"""

import json
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from tinct.bitstream.container import read_file_manifest, video_tracks
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.decoder.video import Video
from tinct.errors import CodecError
from tinct.evaluation.metrics import METRICS
from tinct.evaluation.points import POOLED, RDPoint, bd_quality, bd_rate, better
from tinct.evaluation.sweeps import CLIPS, Outcome, load, track_times
from tinct.frames import Frame, VideoInfo
from tinct.media.planes import from_av_frame
from tinct.media.source import open_source
from tinct.page import data_uri, webp
from tinct.page import style as shared_style

HTML, MARKDOWN = "report.html", "report.md"
SHOWN_QP = 37  # of the pictures, as in the paper's figure 5; the nearest one there is
MAX_TINCT = 3  # codecs of ours in the comparer
PICTURES_BYTES = 6_000_000  # of all pictures together, before base64
QUALITIES = (95, 90, 80, 65, 50)  # of WebP: the first with which they fit
PARTS = ("luma", "video", "colour", "update", "container")  # as stacked, from below


@dataclass(frozen=True)
class Picture:
    """One way a frame looks: R'G'B' [H, W, 3] and the words beside it."""

    title: str
    caption: str
    rgb: np.ndarray


def write_report(folder: Path) -> list[Path]:
    """Write `report.html` and `report.md` into a results folder. Raises CodecError where there is no point to report."""
    outcome = load(folder)
    if not outcome.points:
        raise CodecError(
            f"expected points in {folder}, found none; measure some with: tinct evaluate --resume {folder}"
        )
    table = deltas(outcome)
    pictures, frames = _pictures(outcome, folder)
    html, markdown = folder / HTML, folder / MARKDOWN
    try:
        html.write_text(_page(outcome, table, pictures, frames))
        markdown.write_text(_markdown(outcome, table))
    except OSError as error:
        raise CodecError(
            f"expected to write {html} and {markdown}, found {error.strerror}"
        ) from error
    return [html, markdown]


def deltas(outcome: Outcome) -> dict[str, dict[str, dict[str, Any]]]:
    """By metric, codec and clip: BD-rate in both accountings, with and without key frames; BD-quality; the overlap."""
    names = [name for name, metric in METRICS.items() if metric.better]
    names += [name + POOLED for name in names if name.startswith("psnr_")]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for metric in names:
        for codec in outcome.codecs:
            anchor = outcome.anchor_of(codec)
            if codec == anchor:
                continue
            rows = {
                clip: _row(outcome.of(clip, anchor), outcome.of(clip, codec), metric)
                for clip in outcome.clips
            }
            found.setdefault(metric, {})[codec] = {
                clip: row for clip, row in rows.items() if row is not None
            }
    return found


def _row(anchor: list[RDPoint], test: list[RDPoint], metric: str) -> dict[str, Any] | None:
    """The deltas of two codecs on one clip; None where there are fewer than two points of this metric on a side."""
    if not _has_curves(anchor, test, metric):
        return None
    rate = bd_rate(anchor, test, metric)
    row: dict[str, Any] = {
        "rate": rate.value,
        "overlap": rate.overlap,
        "cubic": bd_rate(anchor, test, metric, method="cubic").value,
    }
    row["quality"] = bd_quality(anchor, test, metric).value
    if any("update" in point.parts for point in test):
        row["paper"] = bd_rate(anchor, test, metric, accounting="paper").value
    keys = {number for point in test for number in point.keys}
    if keys:
        inner = _has_curves(
            anchor, test, metric, keys
        )  # not where every frame is a key frame, or no frame is known
        row["inner"] = bd_rate(anchor, test, metric, keys=False).value if inner else None
        if "paper" in row:
            row["paper_inner"] = (
                bd_rate(anchor, test, metric, accounting="paper", keys=False).value
                if inner
                else None
            )
    return row


def _has_curves(
    anchor: list[RDPoint], test: list[RDPoint], metric: str, without: Collection[int] = ()
) -> bool:
    return (
        min(
            sum(p.value(metric, without=without) is not None for p in points)
            for points in (anchor, test)
        )
        >= 2
    )


# ── pictures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _pictures(outcome: Outcome, folder: Path) -> tuple[dict[str, list[Picture]], dict[str, int]]:
    """For each clip: source, grey base, anchor and Tinct of one frame, and that frame's number."""
    pictures, frames = {}, {}
    for clip in outcome.clips:
        tests = [
            _nearest(points)
            for codec in outcome.codecs
            if (points := _ours(outcome, folder, clip, codec))
        ][:MAX_TINCT]
        path = folder / CLIPS / f"{clip}.mkv"
        if not tests or not path.exists():
            continue
        number = _telling_frame(tests[0])
        source = next(islice(iter(open_source(str(path))), number, None))
        anchors = [
            p for p in outcome.of(clip, outcome.anchor_of(tests[0].codec)) if _is_there(folder, p)
        ]
        shown = [Picture("source", "as it came", source.rgb())]
        base = _base(folder / str(tests[0].file), source, number)
        shown.append(
            Picture("grey base", f"what {tests[0].codec} sends of every frame", base.rgb())
        )
        matched = (
            [min(anchors, key=lambda p: abs(math.log(p.size_bytes / tests[0].size_bytes)))]
            if anchors
            else []
        )
        for point in (*matched, *tests):
            frame = next(islice(iter(Video(str(folder / str(point.file)))), number, None))
            frame = Frame(*_cropped(frame, source.info), source.pts, source.info)
            shown.append(
                Picture(f"{point.codec}, QP {point.qp}", _caption(point, number), frame.rgb())
            )
        pictures[clip], frames[clip] = shown, number
    return pictures, frames


def _ours(outcome: Outcome, folder: Path, clip: str, codec: str) -> list[RDPoint]:
    """Points of a codec of ours that has a grey base, with their files."""
    points = [
        p
        for p in outcome.of(clip, codec)
        if codec.startswith("tinct") and p.keys and "ciede2000" in p.series
    ]
    return [p for p in points if _is_there(folder, p)]


def _is_there(folder: Path, point: RDPoint) -> bool:
    """Whether what the codec wrote has been kept."""
    return point.file is not None and (folder / point.file).exists()


def _nearest(points: list[RDPoint]) -> RDPoint:
    return min(points, key=lambda p: abs(p.qp - SHOWN_QP))


def _telling_frame(point: RDPoint) -> int:
    """The frame between key frames that comes out worst in colour: nobody shall say that we picked a good one."""
    worst = [
        (value or 0) * (i not in set(point.keys))
        for i, value in enumerate(point.series["ciede2000"])
    ]
    return int(np.argmax(worst))


def _base(path: Path, source: Frame, number: int) -> Frame:
    """A frame of the luma track as a player without Tinct shows it."""
    manifest = read_file_manifest(str(path))
    assert manifest is not None
    info = source.info
    times = track_times(str(path))
    pts = sorted(times[LUMA] | times[COLOUR])[number]
    grey = np.full(info.chroma_shape, 1 << (info.bit_depth - 1), source.cb.dtype)
    with av.open(str(path)) as container:
        for picture in container.decode(video_tracks(container, manifest)[LUMA]):
            if picture.pts == pts:
                luma = from_av_frame(picture)[0][: info.height, : info.width]
                return Frame(np.ascontiguousarray(luma), grey, grey, source.pts, info)
    raise AssertionError(f"no frame {number} in the luma track of {path}")


def _cropped(frame: Frame, info: VideoInfo) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = info.chroma_shape
    return (
        frame.y[: info.height, : info.width],
        frame.cb[:height, :width],
        frame.cr[:height, :width],
    )


def _caption(point: RDPoint, number: int) -> str:
    values = {
        name: point.series[name][number]
        for name in ("psnr_yuv611", "psnr_u", "psnr_v", "ciede2000")
    }
    yuv, u, v, colour = (math.nan if value is None else value for value in values.values())
    return f"{point.rate_kbps():,.0f} kbit/s; this frame: {yuv:.2f} dB (6Y+U+V)/8, U {u:.2f} dB, V {v:.2f} dB, CIEDE2000 {colour:.2f}"


def _encoded(pictures: dict[str, list[Picture]]) -> tuple[dict[str, list[dict[str, str]]], int]:
    """As data URIs, in the best quality with which all fit; and that quality."""
    for quality in QUALITIES:
        data = {clip: [webp(p.rgb, quality) for p in shown] for clip, shown in pictures.items()}
        if sum(len(d) for shown in data.values() for d in shown) <= PICTURES_BYTES:
            break
    found = {
        clip: [
            {"title": p.title, "caption": p.caption, "src": data_uri(d)}
            for p, d in zip(shown, data[clip], strict=True)
        ]
        for clip, shown in pictures.items()
    }
    return found, quality


# ── the page ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _page(
    outcome: Outcome,
    table: dict[str, Any],
    pictures: dict[str, list[Picture]],
    frames: dict[str, int],
) -> str:
    encoded, quality = _encoded(pictures)
    data = {
        "clips": outcome.clips,
        "codecs": outcome.codecs,
        "anchors": {codec: outcome.anchor_of(codec) for codec in outcome.codecs},
        "metrics": _metrics(outcome.points),
        "points": [_point(point) for point in outcome.points],
        "deltas": table,
        "pictures": encoded,
        "frames": frames,
        "pictureQuality": quality,
        "parts": PARTS,
        "notes": _notes(outcome),
        "setup": _setup(outcome),
    }
    template, style, script = (_asset(name) for name in ("report.html", "report.css", "report.js"))
    text = json.dumps(_rounded(data), separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )
    return (
        template.replace("/*style*/", shared_style() + style)
        .replace("/*script*/", script)
        .replace("/*data*/", text)
    )


def _asset(name: str) -> str:
    return (resources.files("tinct.evaluation") / "page" / name).read_text()


def _metrics(points: Iterable[RDPoint]) -> dict[str, dict[str, Any]]:
    """What can be chosen: each metric that some point has."""
    there = {name for point in points for name in point.means}
    found = {}
    for name in [*METRICS, *(name + POOLED for name in METRICS)]:
        if name in there:
            metric = METRICS[name.removesuffix(POOLED)]
            title = metric.title + (", pooled error" if name.endswith(POOLED) else "")
            found[name] = {"title": title, "unit": metric.unit, "better": better(name)}
    return found


def _point(point: RDPoint) -> dict[str, Any]:
    return {
        "clip": point.clip, "codec": point.codec, "qp": point.qp, "kbps": point.rate_kbps(), "bytes": point.size_bytes,
        "means": point.means, "parts": _parts(point), "series": point.series, "keys": point.keys,
        "encode": [point.encode_seconds, point.encode_peak_megabytes],
        "decode": [point.decode_seconds, point.decode_peak_megabytes], "command": point.command, "note": point.note,
    }  # fmt: skip


def _parts(point: RDPoint) -> dict[str, int]:
    return {part: point.parts[part] for part in PARTS if part in point.parts} or {
        "video": point.size_bytes
    }


def _notes(outcome: Outcome) -> list[str]:
    notes = [f"{codec} is skipped: {reason}" for codec, reason in outcome.skipped.items()]
    notes += [f"Refused: {failure}" for failure in outcome.failures]
    external = {
        f"{p.codec}: {p.note}; its rates lack the container's bytes"
        for p in outcome.points
        if p.note
    }
    return [*notes, *outcome.notes, *sorted(external)]


def _setup(outcome: Outcome) -> dict[str, Any]:
    setup = outcome.setup
    measured = [point for point in outcome.points if point.versions]

    def all_of(name: str) -> str:
        return ", ".join(
            sorted({str(found) for point in measured if (found := getattr(point, name))})
        )

    versions: dict[str, str] = {}
    for name in dict.fromkeys(name for point in measured for name in point.versions):
        versions[name] = " and ".join(
            sorted({point.versions[name] for point in measured if name in point.versions})
        )
    return {
        "date": all_of("date"), "machine": all_of("machine"), "jobs": all_of("jobs"), "qps": setup.qps,
        "frames": setup.frames or "all", "versions": versions,
    }  # fmt: skip


def _rounded(value: Any) -> Any:
    """Numbers to six digits, which the eye and the plots do not miss."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


# ── Markdown ───────────────────────────────────────────────────────────────────────────────────────────────────────

TABLES = (
    "psnr_yuv611",
    "psnr_yuv611_pooled",
    "psnr_y",
    "psnr_u",
    "psnr_v",
    "ssim_y",
    "ms_ssim_y",
    "ciede2000",
    "flicker_y",
    "flicker_u",
)


def _markdown(outcome: Outcome, table: dict[str, Any]) -> str:
    setup = _setup(outcome)
    versions = ", ".join(f"{name} {number}" for name, number in setup["versions"].items())
    lines = [
        f"First {setup['frames']} frames, QP {', '.join(map(str, setup['qps']))}, {setup['date']}, {setup['machine']}, "
        f"points at a time: {setup['jobs']}; {versions}.",
        "Rate is the size of the file, everything in it. What each codec is compared with stands below its name.", "",
        *(f"- {note}" for note in _notes(outcome)), "",
    ]  # fmt: skip
    tests = [codec for codec in outcome.codecs if codec != outcome.anchor_of(codec)]
    lines += [
        "## BD-rate on (6Y+U+V)/8 PSNR, percent (PCHIP; overlap of the curves)",
        "",
        *_clip_table(outcome, table, tests),
    ]
    lines += _other_structures(outcome)
    lines += [
        "## BD-rate on each metric, mean of the clips where it is defined, percent",
        "",
        *_metric_table(outcome, table, tests),
    ]
    lines += [
        "## Bits, accountings, key frames: BD-rate on (6Y+U+V)/8 PSNR, mean of clips, percent",
        "",
        *_accounts(outcome, table, tests),
    ]
    lines += ["## Time and memory, mean over all points", "", *_costs(outcome)]
    return "\n".join(lines) + "\n"


def _grid(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
        for row in (head, ["---"] * len(head), *rows)
    ] + [""]


def _clip_table(outcome: Outcome, table: dict[str, Any], tests: list[str]) -> list[str]:
    anchors = ["against", *(outcome.anchor_of(codec) for codec in tests)]
    return _grid(["clip", *tests], [anchors, *_clip_rows(outcome, table, tests)])


def _clip_rows(outcome: Outcome, table: dict[str, Any], tests: list[str]) -> list[list[str]]:
    """A row for each clip, and their mean."""

    def cell(codec: str, clip: str) -> str:
        row = table.get("psnr_yuv611", {}).get(codec, {}).get(clip)
        return "" if row is None else f"{_percent(row['rate'])} ({row['overlap']:.0%})"

    rows = [[clip, *(cell(codec, clip) for codec in tests)] for clip in outcome.clips]
    return [*rows, ["**mean**", *(_mean(table, "psnr_yuv611", codec, "rate") for codec in tests)]]


def _other_structures(outcome: Outcome) -> list[str]:
    """Codecs that have another anchor, against the first of all: what a user with a full encoder would pick."""
    anchors = list(dict.fromkeys(outcome.anchor_of(codec) for codec in outcome.codecs))
    others = [codec for codec in outcome.codecs if outcome.anchor_of(codec) != anchors[0]]
    if not others:
        return []
    table: dict[str, dict[str, dict[str, Any]]] = {"psnr_yuv611": {}}
    for codec in others:
        rows = {
            clip: _row(outcome.of(clip, anchors[0]), outcome.of(clip, codec), "psnr_yuv611")
            for clip in outcome.clips
        }
        table["psnr_yuv611"][codec] = {clip: row for clip, row in rows.items() if row is not None}
    title = f"## The other structures against {anchors[0]}: BD-rate on (6Y+U+V)/8 PSNR, percent"
    return [title, "", *_grid(["clip", *others], _clip_rows(outcome, table, others))]


def _metric_table(outcome: Outcome, table: dict[str, Any], tests: list[str]) -> list[str]:
    named = _metrics(outcome.points)
    rows = [
        [named[m]["title"], *(_mean(table, m, codec, "rate") for codec in tests)]
        for m in TABLES
        if m in named
    ]
    return _grid(["metric", *tests], rows)


def _accounts(outcome: Outcome, table: dict[str, Any], tests: list[str]) -> list[str]:
    """Both accountings are the same where a file holds no update."""
    kinds = {
        "all bits": ("rate",), "paper (network's bits left out)": ("paper", "rate"),
        "all bits, without key frames": ("inner", "rate"),
        "paper, without key frames": ("paper_inner", "inner", "paper", "rate"), "all bits, cubic": ("cubic",),
    }  # fmt: skip
    rows = [
        [title, *(_mean(table, "psnr_yuv611", codec, *fields) for codec in tests)]
        for title, fields in kinds.items()
    ]
    return _grid(["accounting", *tests], rows)


def _costs(outcome: Outcome) -> list[str]:
    rows = []
    for codec in outcome.codecs:
        points = [p for p in outcome.points if p.codec == codec and p.encode_seconds is not None]
        if points:
            frames = sum(p.frames for p in points)
            encode, decode = (
                sum(getattr(p, f"{side}_seconds") for p in points) for side in ("encode", "decode")
            )
            peaks = [
                max(getattr(p, f"{side}_peak_megabytes") for p in points)
                for side in ("encode", "decode")
            ]
            rows.append(
                [
                    codec,
                    f"{frames / encode:.1f}",
                    f"{frames / decode:.1f}",
                    f"{peaks[0]:.0f}",
                    f"{peaks[1]:.0f}",
                ]
            )
    head = ["codec", "encoded frames/s", "decoded frames/s", "encode, peak MB", "decode, peak MB"]
    return _grid(head, rows)


def _mean(table: dict[str, Any], metric: str, codec: str, *fields: str) -> str:
    """Of the clips where it is defined, with their number where it is not all; the first field that a clip has counts."""
    rows = table.get(metric, {}).get(codec, {}).values()
    values = [next(row[name] for name in fields if name in row) for row in rows]
    defined = [value for value in values if value is not None]
    if not defined:
        return "undefined" if values else ""
    share = "" if len(defined) == len(values) else f" ({len(defined)} of {len(values)})"
    return _percent(float(np.mean(defined))) + share


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:+.1f}"
