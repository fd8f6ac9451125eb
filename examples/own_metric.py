"""Measure decoded frames with a metric of one's own: one function and one row of METRICS.

python examples/own_metric.py talk.mp4        (needs the extra `lab`)
"""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

import tinct
from tinct.evaluation.metrics import METRICS, Metric, Pair, measure


def edge_loss(pair: Pair) -> float:
    """Return the mean absolute difference of the luma's horizontal gradient, in levels."""
    source, decoded = (cv2.Sobel(plane, cv2.CV_32F, 1, 0) for plane in pair.planes("y"))
    return float(np.abs(source - decoded).mean())


METRICS["edge_loss"] = Metric("edge loss", "levels", -1, edge_loss)  # -1: less is better


def main(source: str) -> None:
    """Print the metric's mean over the frames at two qualities."""
    with tempfile.TemporaryDirectory() as folder:
        for qp in (27, 42):
            coded = str(Path(folder) / f"{qp}.mkv")
            tinct.encode(source, coded, tinct.EncodeConfig(qp=qp))
            series = measure(tinct.open(source), tinct.open(coded), ["psnr_y", "edge_loss"])
            print(f"QP {qp}:", *(f"{name} {np.mean(v):.2f}" for name, v in series.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
