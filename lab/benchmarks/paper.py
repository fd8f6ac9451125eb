"""The paper's network in training on one clip, then its file beside x265's and `none`'s.

    python -m lab.benchmarks.paper [--clip ../shared/clips/val/mother_daughter.mp4] [--qp 37]
        [--seconds 7200] [--checkpoint run.ckpt]

The first FRAMES frames, C = 16, recipe `cpu`. The training gives PSNR over time, of a frame that
the network never sees, before its weights are quantised. Files are decoded from disk by another
process; their PSNR is of R'G'B', the mean over the frames between key frames.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tinct
from lab.benchmarks.common import CLIPS, RESULTS, make_parser, read_versions, write_document
from lab.benchmarks.rate_distortion import FRAMES, cut
from lab.benchmarks.speed import TINCT, run
from tinct.adapt.budget import Step
from tinct.config import EncodeConfig
from tinct.evaluation.keyframes import find_key_frames
from tinct.evaluation.metrics import measure
from tinct.media.source import open_source
from tinct.presets import preset

CHANNELS = 16
MIN_SPACING = 1.02  # of times, from one point of the curve to the next
METRICS = ("psnr_rgb", "psnr_y", "psnr_yuv611")


def train(
    source: str, target: Path, config: EncodeConfig, *, seconds: float
) -> tuple[list[list[float]], dict[str, Any]]:
    """Encode with training; return (seconds, dB) along it, and what came of it."""
    points: list[list[float]] = []

    def keep(step: Step) -> None:
        now = step.spent * seconds
        if step.watched_db is not None and (not points or now >= points[-1][0] * MIN_SPACING):
            points.append([round(now, 1), round(step.watched_db, 3)])
            print(f"step {step.number}, {now:.0f} s: {step.watched_db:.2f} dB", flush=True)

    report = tinct.encode(source, str(target), config, training=keep, overwrite=True)
    return points, {"update_bytes": report.update_bytes, "encode_seconds": round(report.seconds)}


def measure_file(source: str, coded: Path, keys: Sequence[int]) -> dict[str, float]:
    """Return the quality between the key frames `keys`, as another process decodes the file."""
    decoded = coded.with_suffix(".decoded.mkv")
    run([TINCT, "decode", "--quiet", "--overwrite", str(coded), str(decoded)])
    series = measure(open_source(source), open_source(str(decoded)), METRICS)
    between = np.setdiff1d(np.arange(len(series["psnr_rgb"])), keys)
    return {
        name: round(float(np.mean(np.array(values)[between])), 3) for name, values in series.items()
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clip", type=Path, default=CLIPS / "val" / "mother_daughter.mp4")
    parser.add_argument("--qp", type=int, default=37)
    parser.add_argument("--seconds", type=int, default=7200)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS / "paper_curve.json")
    options = parser.parse_args()
    document: dict[str, Any] = {
        "clip": options.clip.stem,
        "frames": FRAMES,
        "qp": options.qp,
        "channels": CHANNELS,
        "seconds": options.seconds,
        "threads": torch.get_num_threads(),
        "cpu_count": os.cpu_count(),
        "date": date.today().isoformat(),
        "versions": read_versions("tinct", "torch"),
    }
    x265 = EncodeConfig(structure="intra", colour="in-band", qp=options.qp)
    none = preset("paper", qp=options.qp, colouriser="none")
    paper = preset(
        "paper",
        qp=options.qp,
        channels=CHANNELS,
        recipe="cpu",
        adapt=str(options.seconds),
        checkpoint=str(options.checkpoint) if options.checkpoint else None,
    )
    with tempfile.TemporaryDirectory() as folder:
        source = cut(options.clip, Path(folder))
        files = {name: Path(folder) / f"coded_{name}.mkv" for name in ("x265", "none", "paper")}
        tinct.encode(source, str(files["x265"]), x265)
        tinct.encode(source, str(files["none"]), none)
        document["curve"], about = train(source, files["paper"], paper, seconds=options.seconds)
        keys = find_key_frames(str(files["paper"]))
        for name, path in files.items():
            quality = measure_file(source, path, keys)
            document[name] = {"size_bytes": path.stat().st_size, **quality}
        document["paper"] |= about
    print(json.dumps({name: document[name] for name in files}, indent=1))
    write_document(options.out, document)


if __name__ == "__main__":
    main()
