"""Whether Tinct's files pulse from key frame to key frame, and how much they flicker.

    python -m lab.benchmarks.steadiness RESULTS [--out steadiness.json]

The spread is PSNR-Y of key frames less that of the others, in the luma track as it is coded and
after the network. Flicker of Y is compared with the anchor's at equal PSNR, of (6Y+U+V)/8 and of Y
alone. RESULTS is a folder that `tinct evaluate` wrote; its points say where the key frames are and
the quality of each frame.
"""

import json
import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import av
import numpy as np

from lab.benchmarks.common import RESULTS, make_parser, write_document
from tinct.evaluation import RDPoint, load
from tinct.evaluation.bd import Curve, quality_delta
from tinct.media.source import open_source
from tinct.psnr import PERFECT_DB, squared_error

TARGET_RATIO = 0.5  # of the spread after the network to that before it
MIN_SPREAD_DB = 1  # before the network, for a ratio to mean something
ANCHOR = "x265:intra"
QUALITIES = ("psnr_yuv611", "psnr_y")


def spread_db(psnr_y: np.ndarray, keys: list[int]) -> float:
    """Return the mean of key frames less the mean of the others."""
    others = np.setdiff1d(np.arange(len(psnr_y)), keys)
    return float(np.mean(psnr_y[keys]) - np.mean(psnr_y[others]))


def measure_luma_track(coded: Path, clip: Path) -> np.ndarray:
    """Return PSNR-Y of each picture of the luma track, before anything restores it, in dB."""
    found = []
    with av.open(str(coded)) as container:
        pictures = container.decode(video=0)
        for original, picture in zip(open_source(str(clip)), pictures, strict=True):
            assert original.info.bit_depth == 8
            height, width = original.y.shape
            error = squared_error(original.y, picture.to_ndarray()[:height, :width], 8)
            found.append(min(10 * np.log10(255**2 / max(error, 1e-9)), PERFECT_DB))
    return np.array(found)


def compare_spreads(results: Path, point: RDPoint) -> dict[str, Any]:
    """Return the spread of a point's file before and after the network."""
    assert point.file is not None
    after = np.array(point.series["psnr_y"], float)
    clip = results / "clips" / f"{point.clip}.mkv"
    before = measure_luma_track(results / point.file, clip)
    return {
        "clip": point.clip,
        "codec": point.codec,
        "qp": point.qp,
        "before_db": round(spread_db(before, point.keys), 2),
        "after_db": round(spread_db(after, point.keys), 2),
    }


def average_ratio(rows: Sequence[dict[str, Any]]) -> float | None:
    """Return the mean ratio of the spreads after and before the network."""
    ratios = [r["after_db"] / r["before_db"] for r in rows if r["before_db"] > MIN_SPREAD_DB]
    return round(float(np.mean(ratios)), 3) if ratios else None


def flicker_ratio(anchor: Sequence[RDPoint], test: Sequence[RDPoint], quality: str) -> float | None:
    """Return the flicker of Y as a multiple of the anchor's at equal `quality`, a PSNR.

    It is the geometric mean over the qualities that both have: a Bjøntegaard delta of the logarithm
    of flicker over PSNR, which takes the place of the logarithm of the rate. None where both have
    no quality in common, or a side has fewer than two points.
    """
    if min(len(anchor), len(test)) < 2:
        return None

    def make_curve(points: Sequence[RDPoint]) -> Curve:
        means = [point.means for point in points]
        return Curve.of([(10 ** (m[quality] / 10), -math.log(m["flicker_y"])) for m in means])

    delta = quality_delta(make_curve(anchor), make_curve(test)).value
    return None if delta is None else round(math.exp(-delta), 3)


def compare_flicker(points: Sequence[RDPoint], codec: str) -> dict[str, dict[str, float | None]]:
    """Return a codec's flicker ratio by quality and clip."""
    clips = dict.fromkeys(point.clip for point in points)

    def select(clip: str, codec: str) -> list[RDPoint]:
        return [p for p in points if (p.clip, p.codec) == (clip, codec)]

    return {
        quality: {
            clip: flicker_ratio(select(clip, ANCHOR), select(clip, codec), quality)
            for clip in clips
        }
        for quality in QUALITIES
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS / "steadiness.json")
    options = parser.parse_args()
    everything = load(options.results).points
    points = [p for p in everything if 0 < len(p.keys) < p.frames and p.file]
    rows = [compare_spreads(options.results, point) for point in points]
    codecs = list(dict.fromkeys(point.codec for point in points))
    ratios = {c: average_ratio([row for row in rows if row["codec"] == c]) for c in codecs}
    document = {
        "date": date.today().isoformat(),
        "target_ratio": TARGET_RATIO,
        "mean_ratio": {codec: ratio for codec, ratio in ratios.items() if ratio is not None},
        "flicker_ratio": {codec: compare_flicker(everything, codec) for codec in codecs},
        "points": rows,
    }
    print(json.dumps(document, indent=1))
    write_document(options.out, document)


if __name__ == "__main__":
    main()
