"""A sweep of `tinct evaluate` in one small file: points beside the anchor's, BD-rates, their means.

    python -m lab.benchmarks.digest RESULTS ... --about "what it is of" --out FILE.json

RESULTS are folders that `tinct evaluate` wrote with `--codec x265:intra` and others. BD-rates
compare sizes of files; those on (6Y+U+V)/8 PSNR are also from the pooled error. Of CIEDE2000 and
flicker less is better. A mean is over the clips on which both curves have 2 dB or more in common.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lab.benchmarks.common import make_parser, write_document
from tinct.evaluation import Delta, RDPoint, load
from tinct.evaluation.bd import Curve, rate_delta

ANCHOR = "x265:intra"
# Metrics, and +1 where more is better.
SIGNS = {
    "psnr_yuv611": 1,
    "psnr_yuv611_pooled": 1,
    "psnr_y": 1,
    "ssim_y": 1,
    "ciede2000": -1,
    "flicker_y": -1,
}
WORST = ("worst_frame", "worst_block_median", "worst_block_max")  # of points that have them


def compare_points(anchor: Sequence[RDPoint], test: Sequence[RDPoint]) -> dict[str, Delta]:
    """Return BD-rates by metric, in percent of the anchor's bytes at equal quality."""

    def make_curve(points: Sequence[RDPoint], metric: str) -> Curve:
        return Curve.of([(p.size_bytes, SIGNS[metric] * p.means[metric]) for p in points])

    def compare(metric: str) -> Delta:
        curves = make_curve(anchor, metric), make_curve(test, metric)
        return rate_delta(*curves, is_in_db=metric.startswith("psnr"))

    return {metric: compare(metric) for metric in SIGNS}


def format_mean(deltas: Sequence[Delta]) -> str:
    """Return the mean over the clips whose curves overlap enough, with their number."""
    defined = [delta.value for delta in deltas if delta.value is not None and delta.counts]
    return f"{np.mean(defined):+.2f} (of {len(defined)})" if defined else "undefined"


def digest_points(points: Sequence[RDPoint]) -> dict[str, Any]:
    """Return a row for each codec and clip in the points' order, and means by codec.

    Raise KeyError where the anchor lacks a point.
    """
    anchors = {(p.clip, p.qp): p for p in points if p.codec == ANCHOR}
    rows: list[dict[str, Any]] = []
    deltas: dict[str, list[dict[str, Delta]]] = {}
    for codec, clip in dict.fromkeys((p.codec, p.clip) for p in points if p.codec != ANCHOR):
        test = [p for p in points if (p.codec, p.clip) == (codec, clip)]
        anchor = [anchors[clip, p.qp] for p in test]
        found = compare_points(anchor, test)
        deltas.setdefault(codec, []).append(found)
        pairs = zip(test, anchor, strict=True)
        rows.append(
            {
                "clip": clip,
                "codec": codec,
                "frames": test[0].frames,
                "bd_rate_percent": {metric: delta.text() for metric, delta in found.items()},
                "points": [
                    {"qp": p.qp} | list_numbers(p) | list_numbers(a, "anchor_") for p, a in pairs
                ],
            }
        )
    means = {codec: average_clips(clips) for codec, clips in deltas.items()}
    return {"mean_bd_rate_percent": means, "rows": rows}


def average_clips(clips: Sequence[dict[str, Delta]]) -> dict[str, str]:
    """Return the mean over clips of each metric's BD-rate, as text."""
    return {metric: format_mean([deltas[metric] for deltas in clips]) for metric in SIGNS}


def list_numbers(point: RDPoint, prefix: str = "") -> dict[str, float]:
    """Return size and metrics of a point, their names with a prefix."""
    means = {metric: round(point.means[metric], 4) for metric in SIGNS}
    worst = {name: round(point.means[name], 4) for name in WORST if name in point.means}
    numbers = {"size_bytes": point.size_bytes} | means | worst
    return {f"{prefix}{name}": value for name, value in numbers.items()}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--about", required=True, help="what was measured, in a line")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    points = [point for folder in options.results for point in load(folder).points]
    found = digest_points(points)
    for codec, means in found["mean_bd_rate_percent"].items():
        print(codec, json.dumps(means))
    about = {
        "what": options.about,
        "date": max(p.date for p in points),
        "versions": points[-1].versions,
        "machine": points[-1].machine,
    }
    write_document(options.out, about | found)


if __name__ == "__main__":
    main()
