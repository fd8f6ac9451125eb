"""BD-rate of Tinct against plain HEVC of the same structure, by PSNR alone: quicker than the lab.

    python -m lab.benchmarks.rate_distortion --clips CLIPS/val [--structure random-access]
        [--network best] [--only akiyo news]

The first FRAMES frames of each clip are encoded at each QP with default settings but for the
network, and as plain HEVC (`--colour in-band`, the anchor). They are decoded from disk by another
process and compared with the source. Rate is the size of the file.
"""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

import tinct
from lab.benchmarks.common import CLIPS, RESULTS, find_clip, make_parser, write_document
from tinct.evaluation.bd import Curve, rate_delta
from tinct.evaluation.clips import cut_clip
from tinct.media.source import open_source
from tinct.psnr import PLANE_WEIGHTS, Psnr, plane_errors

FRAMES = 96
QPS = (27, 32, 37, 42)
CONFERENCE = ("mother_daughter", "akiyo", "news", "carphone", "expressions", "talk_d6")
STRESS = ("bikes", "bedroom", "ice", "tempete", "bigbuckbunny", "scene_montage")
OTHERS = ("foreman", "walk_lossless")
POOLINGS = ("mean", "pooled")

Row = dict[str, float | None]  # BD-rate in percent by pooling


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One encode: `codec` is "hevc" or "tinct"."""

    clip: str
    codec: str
    qp: int
    structure: str
    network: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """One file: `psnr` holds (mean, pooled) dB of each plane."""

    clip: str
    codec: str
    qp: int
    size_bytes: int
    layout: str | None
    psnr: tuple[tuple[float, float], ...]


def cut(clip: Path, folder: Path) -> str:
    """Write the first FRAMES frames, lossless; return the file's path."""
    return cut_clip(str(clip), str(folder / f"{clip.stem}.mkv"), FRAMES).path


def measure(trial: Trial) -> Point:
    """Encode, decode in another process, compare."""
    options: dict[str, Any] = {
        "hevc": {"colour": "in-band"},
        "tinct": {"network": trial.network},
    }[trial.codec]
    config = tinct.EncodeConfig(
        structure=trial.structure,  # type: ignore[arg-type]
        base="hevc",
        qp=trial.qp,
        **options,
    )
    with tempfile.TemporaryDirectory() as folder:
        coded, decoded = f"{folder}/coded.mkv", f"{folder}/decoded.y4m"
        report = tinct.encode(trial.clip, coded, config)
        command = [sys.executable, "-m", "tinct", "decode", "--quiet", coded, decoded]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        frames = zip(open_source(decoded), open_source(trial.clip), strict=True)
        errors = [plane_errors(shown, original) for shown, original in frames]
        size_bytes = Path(coded).stat().st_size
    psnr = [Psnr.of(plane) for plane in zip(*errors, strict=True)]
    return Point(
        clip=Path(trial.clip).stem,
        codec=trial.codec,
        qp=trial.qp,
        size_bytes=size_bytes,
        layout=report.plan.layout,
        psnr=tuple((plane.mean_db, plane.pooled_db) for plane in psnr),
    )


def compare_points(anchor: Sequence[Point], test: Sequence[Point], pooling: int) -> float | None:
    """Return the BD-rate on (6Y+U+V)/8 PSNR in percent; None where it is undefined."""

    def make_curve(points: Sequence[Point]) -> Curve:
        return Curve.of([(p.size_bytes, average_planes(p, pooling)) for p in points])

    return rate_delta(make_curve(anchor), make_curve(test)).value


def average_planes(point: Point, pooling: int) -> float:
    """Return (6Y+U+V)/8 of the planes' PSNR, in dB."""
    return float(np.dot(PLANE_WEIGHTS, [plane[pooling] for plane in point.psnr]))


def compare_clips(points: Sequence[Point]) -> dict[str, Row]:
    """Return the BD-rate of each clip in both poolings."""
    table = {}
    for clip in dict.fromkeys(p.clip for p in points):
        anchor, test = (
            [p for p in points if (p.clip, p.codec) == (clip, codec)] for codec in ("hevc", "tinct")
        )
        table[clip] = {
            name: compare_points(anchor, test, pooling) for pooling, name in enumerate(POOLINGS)
        }
    return table


def average_rows(rows: Sequence[Row]) -> Row:
    """Return the mean over the clips where it is defined, by pooling."""
    means: Row = {}
    for pooling in POOLINGS:
        defined = [value for row in rows if (value := row[pooling]) is not None]
        means[pooling] = float(np.mean(defined)) if defined else None
    return means


def format_row(row: Row) -> str:
    texts = {
        name: "undefined" if value is None else f"{value:+.2f} %" for name, value in row.items()
    }
    return ", ".join(f"{name} {text}" for name, text in texts.items())


def print_table(table: dict[str, Row], points: Sequence[Point]) -> None:
    """Print each clip with the layouts of its files, and the means of two sets of clips."""
    for clip, row in table.items():
        layouts = [p.layout for p in points if p.clip == clip and p.codec == "tinct"]
        print(f"{clip:<16} {format_row(row)}  {layouts}")
    for name, clips in (("conference", CONFERENCE), ("stress", STRESS)):
        rows = [table[clip] for clip in clips if clip in table]
        print(f"{name}, mean of {len(rows)}: {format_row(average_rows(rows))}")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS / "val")
    parser.add_argument("--only", nargs="+", default=[*CONFERENCE, *STRESS, *OTHERS])
    parser.add_argument("--structure", default="intra")
    parser.add_argument("--network", choices=("fast", "best"), default="fast")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    name = f"rate_distortion_{options.structure}_{options.network}.json"
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(options.jobs) as pool:
        sources = [find_clip(options.clips, name) for name in options.only]
        clips = list(pool.map(cut, sources, [Path(folder)] * len(sources)))
        shared = {"structure": options.structure, "network": options.network}
        trials = [
            Trial(clip=clip, codec=codec, qp=qp, **shared)
            for clip, codec, qp in product(clips, ("hevc", "tinct"), QPS)
        ]
        points = list(pool.map(measure, trials))
    table = compare_clips(points)
    print_table(table, points)
    versions = {module.__name__: module.__version__ for module in (tinct, av, cv2)}
    document = {
        "date": date.today().isoformat(),
        "structure": options.structure,
        "network": options.network,
        "frames": FRAMES,
        "versions": versions | {"python": platform.python_version()},
        "machine": platform.machine(),
        "bd_rate_percent": table,
        "points": [asdict(point) for point in points],
    }
    write_document(options.out or RESULTS / name, document)


if __name__ == "__main__":
    main()
