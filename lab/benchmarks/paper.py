"""The paper's network in training on one clip: PSNR of a frame that it never sees, over time; then the file, beside x265, `none`.

    python -m lab.benchmarks.paper [--clip ../shared/clips/val/mother_daughter.mp4] [--qp 37]
        [--seconds 7200] [--checkpoint run.ckpt]

The first FRAMES frames, C = 16, recipe `cpu`. Files are decoded from disk by another process; PSNR is of R'G'B', the mean over the
frames between key frames; the curve's is of one of them, before the weights are quantised.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tinct
from lab.benchmarks.rate_distortion import FRAMES, cut
from lab.benchmarks.speed import TINCT, run
from tinct.adapt.budget import Step
from tinct.config import EncodeConfig, preset
from tinct.evaluation.metrics import measure
from tinct.evaluation.sweeps import key_frames
from tinct.media.source import open_source

CHANNELS = 16
LEAST_SPACING = 1.02  # in time, from one point of the curve to the next
METRICS = ("psnr_rgb", "psnr_y", "psnr_yuv611")


def curve(
    source: Path, target: Path, config: EncodeConfig, seconds: float
) -> tuple[list[list[float]], dict[str, Any]]:
    """Seconds and dB along a training, and what came of it."""
    points: list[list[float]] = []

    def keep(step: Step) -> None:
        now = step.spent * seconds
        if step.watched_db is not None and (not points or now >= points[-1][0] * LEAST_SPACING):
            points.append([round(now, 1), round(step.watched_db, 3)])
            print(f"step {step.number}, {now:.0f} s: {step.watched_db:.2f} dB", flush=True)

    report = tinct.encode(str(source), str(target), config, training=keep, overwrite=True)
    return points, {"update_bytes": report.update_bytes, "encode_seconds": round(report.seconds)}


def measured(source: Path, coded: Path, keys: Sequence[int]) -> dict[str, float]:
    """Quality between the key frames `keys`, of the file as another process decodes it."""
    decoded = coded.with_suffix(".decoded.mkv")
    run([TINCT, "decode", "--quiet", "--overwrite", str(coded), str(decoded)])
    series = measure(open_source(str(source)), open_source(str(decoded)), METRICS)
    between = np.setdiff1d(np.arange(len(series["psnr_rgb"])), keys)
    return {
        name: round(float(np.mean(np.array(values)[between])), 3) for name, values in series.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clip", type=Path, default=Path("../shared/clips/val/mother_daughter.mp4")
    )
    parser.add_argument("--qp", type=int, default=37)
    parser.add_argument("--seconds", type=int, default=7200)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "results" / "paper_curve.json"
    )
    options = parser.parse_args()
    checkpoint = str(options.checkpoint) if options.checkpoint else None
    document: dict[str, Any] = {
        "clip": options.clip.stem, "frames": FRAMES, "qp": options.qp, "channels": CHANNELS, "seconds": options.seconds,
        "threads": torch.get_num_threads(), "cpu_count": os.cpu_count(), "date": date.today().isoformat(),
        "versions": {**{name: version(name) for name in ("tinct", "torch")}, "python": platform.python_version()},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        source = cut(options.clip, Path(folder))
        files = {name: Path(folder) / f"coded_{name}.mkv" for name in ("x265", "none", "paper")}
        tinct.encode(
            str(source),
            str(files["x265"]),
            EncodeConfig(structure="intra", colour="in-band", qp=options.qp),
        )
        tinct.encode(
            str(source), str(files["none"]), preset("paper", qp=options.qp, colouriser="none")
        )
        config = preset(
            "paper",
            qp=options.qp,
            channels=CHANNELS,
            recipe="cpu",
            adapt=str(options.seconds),
            checkpoint=checkpoint,
        )
        document["curve"], about = curve(source, files["paper"], config, options.seconds)
        keys = key_frames(str(files["paper"]))
        for name, path in files.items():
            document[name] = {"size_bytes": path.stat().st_size, **measured(source, path, keys)}
        document["paper"] |= about
    print(json.dumps({name: document[name] for name in files}, indent=1))
    options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
