"""Rate-distortion points: size, quality and cost of one file of one codec, as lines of JSON.

`bd_rate` and `bd_quality` compare the points of two codecs on one clip, through `bd`.
"""

import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from tinct.errors import CodecError
from tinct.evaluation.aggregates import (
    PLANES,
    average_series,
    get_direction,
    get_unit,
    weigh_planes,
)
from tinct.evaluation.bd import Curve, Delta, Method, quality_delta, rate_delta

Accounting = Literal["all bits", "paper"]  # the paper leaves the network's bits out
RAW = "raw bitstream, not muxed"  # the note of points whose size lacks the container's bytes


@dataclass(frozen=True, kw_only=True)
class RDPoint:
    """One measured file. Its rate is `size_bytes`, all bits; `parts` adds up to it.

    `means` holds each metric's mean over the frames where it is defined, and the clip's aggregates;
    `series` holds its value at each frame (None where undefined). Points measured elsewhere have no
    series. `keys` are the numbers of the key frames. Seconds and megabytes are of whole processes,
    with `jobs` points measured at a time, `cpu_seconds` those of all processors. `command` encoded
    the file, `decode_command` decoded it.
    """

    clip: str
    codec: str
    qp: int
    width: int
    height: int
    frames: int
    seconds: float
    size_bytes: int
    means: dict[str, float]
    parts: dict[str, int] = field(default_factory=dict)
    series: dict[str, list[float | None]] = field(default_factory=dict)
    keys: list[int] = field(default_factory=list)
    encode_seconds: float | None = None
    encode_cpu_seconds: float | None = None
    encode_peak_megabytes: float | None = None
    decode_seconds: float | None = None
    decode_cpu_seconds: float | None = None
    decode_peak_megabytes: float | None = None
    command: str = ""
    decode_command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    machine: str = ""
    jobs: int = 0
    file: str | None = None
    note: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies a point in a sweep: clip, codec and QP."""
        return self.clip, self.codec, self.qp

    @property
    def material(self) -> str:
        """Clip, size and number of frames, in which points must agree for a Bjøntegaard delta."""
        return f"{self.clip} of {self.width}x{self.height} with {self.frames} frames"

    def rate_kbps(self, accounting: Accounting = "all bits") -> float:
        """Return kbit/s; the paper's accounting leaves the update out."""
        size = self.size_bytes - (self.parts.get("update", 0) if accounting == "paper" else 0)
        return size * 8 / 1000 / self.seconds

    def value(self, metric: str, *, without: Collection[int] = ()) -> float | None:
        """Return a mean or an aggregate over all frames but `without`; None where unknown."""
        if not without:
            return self.means.get(metric)
        kept = [number for number in range(self.frames) if number not in without]
        shorter = {name: [values[i] for i in kept] for name, values in self.series.items()}
        return average_series(shorter).get(metric)


def bd_rate(
    anchor: Sequence[RDPoint],
    test: Sequence[RDPoint],
    metric: str = "psnr_yuv611",
    *,
    method: Method = "pchip",
    accounting: Accounting = "all bits",
    keys: bool = True,
) -> Delta:
    """Return the mean difference of rate at equal quality, in percent of the anchor's rate.

    `keys=False` leaves out of the quality, on both sides, every frame that is a key frame in any
    point of the test: key frames stand where a scene begins, which is hard for every codec. For a
    difference, such as CIEDE2000, quality is its negative. Raise CodecError for fewer than two
    points on a side, for points of several clips, frame counts or sizes, and for a metric that is
    no quality. An undefined delta gives its reason in `Delta.why`.
    """
    curves = _make_curves(anchor, test, metric, accounting=accounting, keys=keys)
    return rate_delta(*curves, method, is_in_db=get_unit(metric) == "dB")


def bd_quality(
    anchor: Sequence[RDPoint],
    test: Sequence[RDPoint],
    metric: str = "psnr_yuv611",
    *,
    method: Method = "pchip",
    accounting: Accounting = "all bits",
    keys: bool = True,
) -> Delta:
    """Return BD-PSNR, or the same of another metric: mean gain of quality at equal rate.

    Arguments and errors are those of `bd_rate`.
    """
    curves = _make_curves(anchor, test, metric, accounting=accounting, keys=keys)
    return quality_delta(*curves, method)


def _make_curves(
    anchor: Sequence[RDPoint],
    test: Sequence[RDPoint],
    metric: str,
    *,
    accounting: Accounting,
    keys: bool,
) -> tuple[Curve, Curve]:
    sign = get_direction(metric)
    if sign == 0:
        raise CodecError(
            f"expected a metric of quality, found {metric}; there is no Bjøntegaard delta of it"
        )
    materials = sorted({point.material for point in (*anchor, *test)})
    if len(materials) > 1:
        raise CodecError(
            f"expected the points of one clip in a Bjøntegaard delta, found {', '.join(materials)}"
        )
    without = set() if keys else {number for point in test for number in point.keys}

    def make_curve(points: Sequence[RDPoint]) -> Curve:
        values = [(p.rate_kbps(accounting), p.value(metric, without=without)) for p in points]
        return Curve.of([(rate, sign * value) for rate, value in values if value is not None])

    return make_curve(anchor), make_curve(test)


# ── lines of JSON ────────────────────────────────────────────────────────────────────────────────


def format_point(point: RDPoint) -> str:
    """Return a point as one line of JSON."""
    return json.dumps(asdict(point), separators=(",", ":"))


def read_points(path: Path) -> tuple[list[RDPoint], list[str]]:
    """Return the points of a file of JSON lines, and a note on each damaged line.

    Of two points of one clip, codec and QP the later line counts.
    """
    points: dict[tuple[str, str, int], RDPoint] = {}
    notes = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        try:
            point = _parse_point(json.loads(line))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            notes.append(note_damage(path, number, error))
        else:
            points[point.key] = point
    return list(points.values()), notes


def note_damage(path: Path, line: int, error: Exception) -> str:
    """Return the note on a line of a results folder that does not parse."""
    return f"{path}, line {line}, is damaged and left out: {error}"


def read_external_points(
    path: Path, measured: dict[str, RDPoint]
) -> tuple[list[RDPoint], list[str]]:
    """Return points measured elsewhere, and a note on each clip whose points are left out.

    `measured` has a point of the lab for each clip by name; other clips are passed over. The file
    is a JSON list of objects with clip, codec, width, height, frames, qp, bytes, psnr_y, psnr_u,
    psnr_v, and perhaps config, the name of the codec's configuration. The bytes are those of a raw
    bitstream, which the point's note says. Entries without colour (chroma 400) are passed over.
    Raise CodecError for a file that is none of this.
    """
    found, left_out = [], {}
    try:
        for entry in json.loads(path.read_text()):
            if entry.get("chroma", "420") != "420":
                continue
            own = measured.get(Path(entry["clip"]).stem)
            point = _parse_external(entry, own.seconds if own is not None else 1.0)
            if own is None:
                continue
            if point.material == own.material:
                found.append(point)
            else:
                reason = f"{point.material}, ours is {own.material}"
                left_out[point.clip] = f"{point.codec} on {point.clip} is left out: {reason}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CodecError(
            f"expected a JSON list of rate points in {path}, found {reason}"
        ) from error
    return found, list(left_out.values())


def _parse_point(entry: Any) -> RDPoint:
    known = {f.name for f in fields(RDPoint)}
    if not isinstance(entry, dict) or not set(entry) <= known:
        raise ValueError("not the fields of a point")
    point = _check_point(RDPoint(**entry))
    # A point that was measured before an aggregate was there gets it from its series.
    return replace(point, means=average_series(point.series) | point.means)


def _parse_external(entry: dict[str, Any], seconds: float) -> RDPoint:
    values = {name: float(entry[name]) for name in PLANES}
    values["psnr_yuv611"] = weigh_planes(values.values())
    point = RDPoint(
        clip=Path(entry["clip"]).stem,
        codec=entry["codec"],
        qp=entry["qp"],
        width=entry["width"],
        height=entry["height"],
        frames=entry["frames"],
        seconds=seconds,
        size_bytes=entry["bytes"],
        means=values,
        command=entry.get("config", ""),
        note=RAW,
    )
    return _check_point(point)


def _check_point(point: RDPoint) -> RDPoint:
    """Return the point, whose fields come from a file.

    Raise ValueError for a field of another type or out of range.
    """
    names = (point.clip, point.codec, point.command, point.note, point.date)
    counts = (point.width, point.height, point.frames, point.size_bytes)
    costs = (
        *(point.encode_seconds, point.encode_cpu_seconds, point.encode_peak_megabytes),
        *(point.decode_seconds, point.decode_cpu_seconds, point.decode_peak_megabytes),
    )
    checks = {
        "a name": all(isinstance(text, str) for text in names),
        "a file": point.file is None or isinstance(point.file, str),
        "a count": all(_is_count(n) for n in counts) and isinstance(point.qp, int),
        "a duration": _is_number(point.seconds) and point.seconds > 0,
        "a cost": all(n is None or _is_number(n, 0) for n in costs),
        "a mean": _is_table(point.means, _is_number),
        "a part": _is_table(point.parts, lambda n: _is_number(n, 0)),
        "a version": _is_table(point.versions, lambda text: isinstance(text, str)),
        "a series": _is_table(point.series, lambda values: _is_series(values, point.frames)),
        "a key frame": isinstance(point.keys, list) and all(_is_number(n, 0) for n in point.keys),
    }
    if wrong := [name for name, holds in checks.items() if not holds]:
        raise ValueError(f"expected {wrong[0]} where there is none")
    return point


def _is_number(value: Any, low: float = -math.inf) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= low


def _is_count(value: Any) -> bool:
    return _is_number(value, 1) and isinstance(value, int)


def _is_series(values: Any, frames: int) -> bool:
    is_list = isinstance(values, list) and len(values) == frames
    return is_list and all(v is None or _is_number(v) for v in values)


def _is_table(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(holds, value.values()))
