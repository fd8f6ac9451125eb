"""Rate-distortion points: what one file of one codec takes and how good it is; kept as lines of JSON.

`bd_rate` and `bd_quality` compare the points of two codecs on one clip.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinct.errors import CodecError
from tinct.evaluation.bd import Curve, Delta, Method, quality_delta, rate_delta
from tinct.evaluation.metrics import METRICS
from tinct.psnr import PERFECT_DB, PLANE_WEIGHTS

Accounting = Literal["all bits", "paper"]  # the paper leaves the network's bits out
POOLED = "_pooled"  # behind a PSNR's name: from the squared error over all frames, not the mean of the frames' dB
RAW = "raw bitstream, not muxed"  # the note of points whose size lacks the container's bytes
PLANES = ("psnr_y", "psnr_u", "psnr_v")


@dataclass(frozen=True)
class RDPoint:
    """One file. Rate is `size_bytes`, everything in it; `parts` adds up to it.

    `means` holds each metric's mean over the frames where it is defined, `series` its value at each frame (None where it is
    not); points measured elsewhere have no series. `keys` are the numbers of the frames whose colour was sent. Seconds and
    megabytes are of whole processes, `jobs` of them at a time. `command` coded the file, `decode_command` decoded it.
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
    encode_peak_megabytes: float | None = None
    decode_seconds: float | None = None
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
        """What tells points apart."""
        return self.clip, self.codec, self.qp

    @property
    def material(self) -> str:
        """What points have to agree in for a Bjøntegaard delta."""
        return f"{self.clip} of {self.width}x{self.height} with {self.frames} frames"

    def rate_kbps(self, accounting: Accounting = "all bits") -> float:
        """Kilobits a second; in the paper's accounting without the update's."""
        size = self.size_bytes - (self.parts.get("update", 0) if accounting == "paper" else 0)
        return size * 8 / 1000 / self.seconds

    def value(self, metric: str, *, without: Collection[int] = ()) -> float | None:
        """The mean of a metric over all frames but those of the numbers `without`; None where it is not known."""
        if not without:
            return self.means.get(metric)
        kept = {
            name: [v for i, v in enumerate(values) if i not in without]
            for name, values in self.series.items()
        }
        return means(kept).get(metric)


def means(series: dict[str, list[float | None]]) -> dict[str, float]:
    """Of each metric over the frames where it is defined, and the pooled PSNRs beside them."""
    found = {}
    for name, values in series.items():
        defined = [value for value in values if value is not None]
        if defined:
            found[name] = float(np.mean(defined))
            if name in (*PLANES, "psnr_rgb"):
                found[name + POOLED] = _pooled(defined)
    if all(name + POOLED in found for name in PLANES):
        found["psnr_yuv611" + POOLED] = float(
            np.dot(PLANE_WEIGHTS, [found[name + POOLED] for name in PLANES])
        )
    return found


def better(metric: str) -> int:
    """+1 where more of a metric is better, -1 where less is, 0 where it is no quality. Raises CodecError for no metric."""
    name = metric.removesuffix(POOLED)
    if name not in METRICS or (name != metric and not name.startswith("psnr_")):
        raise CodecError(
            f"expected a metric of {', '.join(METRICS)}, or a PSNR with {POOLED} behind it; found {metric}"
        )
    return METRICS[name].better


def bd_rate(
    anchor: Sequence[RDPoint],
    test: Sequence[RDPoint],
    metric: str = "psnr_yuv611",
    *,
    method: Method = "pchip",
    accounting: Accounting = "all bits",
    keys: bool = True,
) -> Delta:
    """Percent of the anchor's rate at equal quality. `keys=False` judges quality without the frames that are key frames in any of
    the test's points: the same frames on both sides, since key frames stand where a scene begins, which is hard for every codec.

    For a difference, such as CIEDE2000, quality is its negative. Raises CodecError for fewer than two points on a side, for
    points of several clips, frame counts or sizes, and for a metric that is no quality; `Delta.why` says why there is none.
    """
    return rate_delta(*_curves(anchor, test, metric, accounting, keys), method)


def bd_quality(
    anchor: Sequence[RDPoint],
    test: Sequence[RDPoint],
    metric: str = "psnr_yuv611",
    *,
    method: Method = "pchip",
    accounting: Accounting = "all bits",
    keys: bool = True,
) -> Delta:
    """BD-PSNR, or the same of another metric: mean gain of quality at equal rate. Arguments as of `bd_rate`."""
    return quality_delta(*_curves(anchor, test, metric, accounting, keys), method)


def _curves(
    anchor: Sequence[RDPoint],
    test: Sequence[RDPoint],
    metric: str,
    accounting: Accounting,
    keys: bool,
) -> tuple[Curve, Curve]:
    sign = better(metric)
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

    def curve(points: Sequence[RDPoint]) -> Curve:
        values = [(p.rate_kbps(accounting), p.value(metric, without=without)) for p in points]
        return Curve.of([(rate, sign * value) for rate, value in values if value is not None])

    return curve(anchor), curve(test)


# ── lines of JSON ──────────────────────────────────────────────────────────────────────────────────────────────────


def to_line(point: RDPoint) -> str:
    return json.dumps(asdict(point), separators=(",", ":"))


def read_points(path: Path) -> tuple[list[RDPoint], list[str]]:
    """The points of a file of JSON lines, and one sentence for each line that is damaged. Of two alike the later counts."""
    points: dict[tuple[str, str, int], RDPoint] = {}
    wrong = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        try:
            point = _point(json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            wrong.append(f"{path}, line {number}, is damaged and left out: {error}")
        else:
            points[point.key] = point
    return list(points.values()), wrong


def external_points(path: Path, measured: dict[str, RDPoint]) -> tuple[list[RDPoint], list[str]]:
    """Points measured elsewhere, of the clips for which a point of our own is given by name; a sentence for each left out.

    The file is a JSON list of objects with clip, codec, width, height, frames, qp, bytes, psnr_y, psnr_u, psnr_v, and perhaps
    config, the name of the codec's configuration. Their bytes are those of a raw bitstream, which the note says; entries without
    colour (chroma 400) are left out.
    """
    found, left_out = [], {}
    try:
        for entry in json.loads(path.read_text()):
            if entry.get("chroma", "420") != "420":
                continue
            ours = measured.get(Path(entry["clip"]).stem)
            point = _external(entry, ours.seconds if ours is not None else 1.0)
            if ours is None:
                continue
            if point.material == ours.material:
                found.append(point)
            else:
                left_out[point.clip] = (
                    f"{point.codec} on {point.clip} is left out: {point.material}, ours is {ours.material}"
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CodecError(
            f"expected a JSON list of rate points in {path}, found {type(error).__name__}: {error}"
        ) from error
    return found, list(left_out.values())


def _point(fields_read: Any) -> RDPoint:
    known = {f.name for f in fields(RDPoint)}
    if not isinstance(fields_read, dict) or not set(fields_read) <= known:
        raise ValueError("not the fields of a point")
    return _checked(RDPoint(**fields_read))


def _checked(point: RDPoint) -> RDPoint:
    """The point, whose fields came from a file. Raises ValueError for a field of another kind or out of range."""
    counts = (point.width, point.height, point.frames, point.size_bytes)
    spent = (
        point.encode_seconds,
        point.encode_peak_megabytes,
        point.decode_seconds,
        point.decode_peak_megabytes,
    )
    right = {
        "a name": all(
            isinstance(text, str)
            for text in (point.clip, point.codec, point.command, point.note, point.date)
        ),
        "a file": point.file is None or isinstance(point.file, str),
        "a count": all(_is_number(n, 1) and isinstance(n, int) for n in counts)
        and isinstance(point.qp, int),
        "a duration": _is_number(point.seconds)
        and point.seconds > 0
        and all(n is None or _is_number(n, 0) for n in spent),
        "a mean": _is_table(point.means, _is_number),
        "a part": _is_table(point.parts, lambda n: _is_number(n, 0)),
        "a version": _is_table(point.versions, lambda text: isinstance(text, str)),
        "a series": _is_table(
            point.series,
            lambda s: (
                isinstance(s, list)
                and len(s) == point.frames
                and all(v is None or _is_number(v) for v in s)
            ),
        ),
        "a key frame": isinstance(point.keys, list) and all(_is_number(n, 0) for n in point.keys),
    }
    if wrong := [name for name, holds in right.items() if not holds]:
        raise ValueError(f"expected {wrong[0]} where there is none")
    return point


def _is_number(value: Any, low: float = -math.inf) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= low
    )


def _is_table(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(holds, value.values()))


def _external(entry: dict[str, Any], seconds: float) -> RDPoint:
    values = {name: float(entry[name]) for name in PLANES}
    values["psnr_yuv611"] = float(np.dot(PLANE_WEIGHTS, list(values.values())))
    shared = {name: entry[name] for name in ("codec", "width", "height", "frames", "qp")}
    point = RDPoint(
        **shared, clip=Path(entry["clip"]).stem, seconds=seconds, size_bytes=entry["bytes"], means=values,
        command=entry.get("config", ""), note=RAW,
    )  # fmt: skip
    return _checked(point)


def _pooled(decibels: Iterable[float]) -> float:
    squared = np.mean([10 ** (-db / 10) for db in decibels])
    return float(min(-10 * np.log10(squared), PERFECT_DB))
