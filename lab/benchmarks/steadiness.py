"""Whether Tinct's files pulse: PSNR-Y of key frames less that of the others, in the luma track as it is and after the network;
and flicker of Y beside the anchor's at equal PSNR, of (6Y+U+V)/8 and of Y alone.

    python -m lab.benchmarks.steadiness RESULTS [--out steadiness.json]

RESULTS is a folder that `tinct evaluate` wrote; its points say where the key frames are and how good each frame came out.
"""

import argparse
import json
import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import av
import numpy as np

from tinct.evaluation.bd import Curve, quality_delta
from tinct.evaluation.points import RDPoint
from tinct.evaluation.sweeps import load
from tinct.media.source import open_source
from tinct.psnr import PERFECT_DB, squared_error

TARGET_RATIO = 0.5  # of the spread after the network to that before it
ANCHOR = "x265:intra"
QUALITIES = ("psnr_yuv611", "psnr_y")


def spread_db(psnr_y: np.ndarray, keys: list[int]) -> float:
    """Mean of key frames less mean of the others."""
    others = np.setdiff1d(np.arange(len(psnr_y)), keys)
    return float(np.mean(psnr_y[keys]) - np.mean(psnr_y[others]))


def coded_psnr_y(coded: Path, clip: Path) -> np.ndarray:
    """Of each picture of the luma track, before anything restores it."""
    with av.open(str(coded)) as container:
        found = []
        for original, picture in zip(
            open_source(str(clip)), container.decode(video=0), strict=True
        ):
            assert original.info.bit_depth == 8
            height, width = original.y.shape
            error = squared_error(original.y, picture.to_ndarray()[:height, :width], 8)
            found.append(min(10 * np.log10(255**2 / max(error, 1e-9)), PERFECT_DB))
    return np.array(found)


def row(results: Path, point: RDPoint) -> dict[str, Any]:
    assert point.file is not None
    after = np.array(point.series["psnr_y"], float)
    before = coded_psnr_y(results / point.file, results / "clips" / f"{point.clip}.mkv")
    spreads = {
        "before_db": round(spread_db(before, point.keys), 2),
        "after_db": round(spread_db(after, point.keys), 2),
    }
    return {"clip": point.clip, "codec": point.codec, "qp": point.qp, **spreads}


def flicker_ratio(anchor: Sequence[RDPoint], test: Sequence[RDPoint], quality: str) -> float | None:
    """Flicker of Y beside the anchor's at equal `quality`, a PSNR: the geometric mean over the qualities that both have, if any.

    None too where a sweep has not come to two points of both. That is a Bjøntegaard delta, of flicker's logarithm, over PSNR in the
    place of the logarithm of the rate.
    """
    if min(len(anchor), len(test)) < 2:
        return None
    curves = [
        Curve.of([(10 ** (p.means[quality] / 10), -math.log(p.means["flicker_y"])) for p in points])
        for points in (anchor, test)
    ]
    found = quality_delta(curves[0], curves[1]).value
    return None if found is None else round(math.exp(-found), 3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "results" / "steadiness.json"
    )
    options = parser.parse_args()
    everything = load(options.results).points
    points = [p for p in everything if 0 < len(p.keys) < p.frames and p.file]
    rows = [row(options.results, point) for point in points]
    codecs = dict.fromkeys(point.codec for point in points)
    ratios = {
        c: [r["after_db"] / r["before_db"] for r in rows if r["codec"] == c and r["before_db"] > 1]
        for c in codecs
    }
    means = {codec: round(float(np.mean(some)), 3) for codec, some in ratios.items() if some}
    clips = dict.fromkeys(point.clip for point in everything)
    sweeps = {
        (clip, c): [p for p in everything if (p.clip, p.codec) == (clip, c)]
        for clip in clips
        for c in (ANCHOR, *codecs)
    }
    flicker = {
        codec: {
            q: {clip: flicker_ratio(sweeps[clip, ANCHOR], sweeps[clip, codec], q) for clip in clips}
            for q in QUALITIES
        }
        for codec in codecs
    }
    document = {
        "date": date.today().isoformat(), "target_ratio": TARGET_RATIO, "mean_ratio": means, "flicker_ratio": flicker,
        "points": rows,
    }  # fmt: skip
    print(json.dumps(document, indent=1))
    options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
