"""A sweep of `tinct evaluate` in one small file: each clip's points beside the anchor's, BD-rates with overlaps, and their means.

    python -m lab.benchmarks.digest RESULTS ... --about "what it is of" --out FILE.json

RESULTS are folders that `tinct evaluate` wrote with `--codec x265:intra` and others. BD-rates are of size of file against size of
file; on (6Y+U+V)/8 PSNR also from the pooled error. Of CIEDE2000 and flicker less is better.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from tinct.evaluation.bd import Curve, Delta, rate_delta
from tinct.evaluation.points import RDPoint
from tinct.evaluation.sweeps import load

ANCHOR = "x265:intra"
SIGNS = {
    "psnr_yuv611": 1,
    "psnr_yuv611_pooled": 1,
    "psnr_y": 1,
    "ssim_y": 1,
    "ciede2000": -1,
    "flicker_y": -1,
}


def bd_rates(anchor: list[RDPoint], points: list[RDPoint]) -> dict[str, Delta]:
    """Percent of the anchor's bytes at equal quality, by metric."""
    found = {}
    for metric, sign in SIGNS.items():
        before, after = (
            Curve.of([(p.size_bytes, sign * p.means[metric]) for p in side])
            for side in (anchor, points)
        )
        found[metric] = rate_delta(before, after)
    return found


def mean_text(deltas: list[Delta]) -> str:
    """Over the clips whose curves overlap."""
    defined = [delta.value for delta in deltas if delta.value is not None]
    return f"{np.mean(defined):+.2f} (of {len(defined)})" if defined else "undefined"


def digest(points: list[RDPoint]) -> dict[str, Any]:
    """A row for each codec and clip in the points' order, and means by codec. Raises KeyError where the anchor lacks a point."""
    anchors = {(p.clip, p.qp): p for p in points if p.codec == ANCHOR}
    rows: list[dict[str, Any]] = []
    deltas: dict[str, list[dict[str, Delta]]] = {}
    for codec, clip in dict.fromkeys((p.codec, p.clip) for p in points if p.codec != ANCHOR):
        own = [p for p in points if (p.codec, p.clip) == (codec, clip)]
        beside = [anchors[clip, p.qp] for p in own]
        found = bd_rates(beside, own)
        deltas.setdefault(codec, []).append(found)
        rows.append({
            "clip": clip,
            "codec": codec,
            "frames": own[0].frames,
            "bd_rate_percent": {metric: delta.text() for metric, delta in found.items()},
            "points": [{"qp": p.qp} | _numbers(p, "") | _numbers(a, "anchor_") for p, a in zip(own, beside, strict=True)],
        })  # fmt: skip
    means = {
        codec: {metric: mean_text([clip[metric] for clip in clips]) for metric in SIGNS}
        for codec, clips in deltas.items()
    }
    return {"mean_bd_rate_percent": means, "rows": rows}


def _numbers(point: RDPoint, prefix: str) -> dict[str, float]:
    means = {metric: round(point.means[metric], 4) for metric in SIGNS}
    return {
        f"{prefix}{name}": value
        for name, value in ({"size_bytes": point.size_bytes} | means).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--about", required=True, help="what was measured, in a line")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    points = [point for folder in options.results for point in load(folder).points]
    found = digest(points)
    for codec, means in found["mean_bd_rate_percent"].items():
        print(codec, json.dumps(means))
    about = {
        "what": options.about,
        "date": max(p.date for p in points),
        "versions": points[-1].versions,
        "machine": points[-1].machine,
    }
    options.out.write_text(json.dumps(about | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
