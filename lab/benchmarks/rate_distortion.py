"""BD-rate of Tinct against plain HEVC of the same structure, file against file, by PSNR alone: quicker than the lab.

    python -m lab.benchmarks.rate_distortion --clips CLIPS/val [--structure random-access] [--network best] [--only akiyo news]

The first FRAMES frames of each clip are encoded at each QP with default settings but for the network, and as plain HEVC
(`--colour in-band`, x265 as `tinct.bitstream.hevc` tells it: the anchor), decoded from disk by another process, and compared with
the source. Rate is the size of the file.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice, product
from pathlib import Path
from typing import Any

import av
import bjontegaard
import cv2
import numpy as np

import tinct
from tinct.media.sink import open_sink
from tinct.media.source import open_source
from tinct.psnr import Psnr, plane_errors

FRAMES = 96
QPS = (27, 32, 37, 42)
CONFERENCE = ("mother_daughter", "akiyo", "news", "carphone", "expressions", "talk_d6")
STRESS = ("bikes", "bedroom", "ice", "tempete", "bigbuckbunny", "scene_montage")
OTHERS = ("foreman", "walk_lossless")
POOLINGS = ("mean", "pooled")
WEIGHTS = (6 / 8, 1 / 8, 1 / 8)  # Y, U, V


@dataclass(frozen=True)
class Point:
    """One file: `psnr` holds (mean, pooled) dB of each plane."""

    clip: str
    codec: str
    qp: int
    size_bytes: int
    layout: str | None
    psnr: tuple[tuple[float, float], ...]


def cut(clip: Path, folder: Path) -> Path:
    """The first FRAMES frames, lossless."""
    source = open_source(str(clip))
    target = folder / f"{clip.stem}.mkv"
    with open_sink(str(target), replace(source.info, frame_count=FRAMES)) as sink:
        for frame in islice(source, FRAMES):
            sink.write(frame)
    return target


def measure(clip: str, codec: str, qp: int, structure: str, network: str) -> Point:
    options: dict[str, Any] = {"structure": structure, "qp": qp}
    options |= {"colour": "in-band"} if codec == "hevc" else {"network": network}
    with tempfile.TemporaryDirectory() as folder:
        coded, decoded = f"{folder}/coded.mkv", f"{folder}/decoded.y4m"
        report = tinct.encode(clip, coded, tinct.EncodeConfig(**options))
        subprocess.run(
            [sys.executable, "-m", "tinct", "decode", "--quiet", coded, decoded],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        errors = [
            plane_errors(a, b) for a, b in zip(open_source(decoded), open_source(clip), strict=True)
        ]
        size = Path(coded).stat().st_size
    psnr = tuple((p.mean_db, p.pooled_db) for p in map(Psnr.of, zip(*errors, strict=True)))
    return Point(Path(clip).stem, codec, qp, size, report.plan.layout, psnr)


def bd_rate(anchor: list[Point], test: list[Point], pooling: int) -> float | None:
    """Percent of rate on (6Y + U + V) / 8; None where the curves share no interval."""

    def curve(points: list[Point]) -> tuple[list[float], list[float]]:
        return (
            [float(p.size_bytes) for p in points],
            [float(np.dot(WEIGHTS, [plane[pooling] for plane in p.psnr])) for p in points],
        )

    (rate_a, psnr_a), (rate_b, psnr_b) = curve(anchor), curve(test)
    if max(min(psnr_a), min(psnr_b)) >= min(max(psnr_a), max(psnr_b)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it warns where the overlap is below 75 %; the overlap is in the points
        found = bjontegaard.bd_rate(
            rate_a, psnr_a, rate_b, psnr_b, method="pchip", require_matching_points=False
        )
    return float(found)


def summary(points: list[Point]) -> dict[str, dict[str, float | None]]:
    """BD-rate of each clip in both poolings."""
    table = {}
    for clip in dict.fromkeys(p.clip for p in points):
        anchor, test = (
            [p for p in points if (p.clip, p.codec) == (clip, codec)] for codec in ("hevc", "tinct")
        )
        table[clip] = {
            name: bd_rate(anchor, test, pooling) for pooling, name in enumerate(POOLINGS)
        }
    return table


def _text(row: dict[str, float | None]) -> str:
    return ", ".join(
        f"{name} " + ("undefined" if value is None else f"{value:+.2f} %")
        for name, value in row.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=Path("../shared/clips/val"))
    parser.add_argument("--only", nargs="+", default=[*CONFERENCE, *STRESS, *OTHERS])
    parser.add_argument("--structure", default="intra")
    parser.add_argument("--network", choices=("fast", "best"), default="fast")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    out = (
        options.out
        or Path(__file__).parent.parent
        / "results"
        / f"rate_distortion_{options.structure}_{options.network}.json"
    )
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(options.jobs) as pool:
        found = [next(options.clips.glob(f"{name}.*")) for name in options.only]
        clips = list(pool.map(cut, found, [Path(folder)] * len(found)))
        trials = product(map(str, clips), ("hevc", "tinct"), QPS)
        jobs = [(*trial, options.structure, options.network) for trial in trials]
        points = list(pool.map(measure, *zip(*jobs, strict=True)))
    table = summary(points)
    for clip, row in table.items():
        layouts = [p.layout for p in points if p.clip == clip and p.codec == "tinct"]
        print(f"{clip:<16} {_text(row)}  {layouts}")
    for name, clips_of in (("conference", CONFERENCE), ("stress", STRESS)):
        rows = [table[clip] for clip in clips_of if clip in table]
        defined = {p: [value for row in rows if (value := row[p]) is not None] for p in POOLINGS}
        print(
            f"{name}, mean of {len(rows)}: {_text({p: float(np.mean(v)) if v else None for p, v in defined.items()})}"
        )
    versions = {m.__name__: m.__version__ for m in (tinct, av, cv2)} | {
        "python": platform.python_version()
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "date": date.today().isoformat(), "structure": options.structure, "network": options.network, "frames": FRAMES,
        "versions": versions, "machine": platform.machine(), "bd_rate_percent": table, "points": [p.__dict__ for p in points],
    }  # fmt: skip
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
