"""All structures against all-intra: x265 low-delay and random access, with Tinct and without.

    python -m lab.benchmarks.structures [--picture FILE.png] [--out FILE.json]

It shows what a user with a full encoder would pick. It reads what was measured on the six
conference clips: all-intra from `compact_conference.json` (`lab.benchmarks.digest`), the other
structures from `rate_distortion_*_best.json`. BD-rates are on (6Y+U+V)/8 PSNR, mean of frames,
against x265 all-intra and against Tinct all-intra, and compare sizes of files.
"""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from lab.benchmarks.common import PICTURES, RESULTS, make_parser, write_document
from lab.benchmarks.digest import format_mean
from lab.benchmarks.rate_distortion import CONFERENCE
from tinct.evaluation.bd import Curve, rate_delta
from tinct.psnr import PLANE_WEIGHTS

ANCHORS = ("x265 all-intra", "Tinct all-intra")
STRUCTURES = {"low-delay": "low-delay", "random-access": "random access"}  # and their titles
CODECS = {"hevc": "x265", "tinct": "Tinct"}  # of rate_distortion, and their titles
STYLES = {  # Matplotlib's colour, line and marker
    "x265 all-intra": "k-o",
    "Tinct all-intra": "r-o",
    "x265 low-delay": "b-s",
    "Tinct low-delay": "m-s",
    "x265 random access": "b-^",
    "Tinct random access": "m-^",
}

Points = list[tuple[int, float]]  # of one clip and codec: bytes, dB
Curves = dict[tuple[str, str], Points]  # by clip and codec


def _read(name: str) -> Any:
    return json.loads((RESULTS / name).read_text())


def read_curves() -> Curves:
    """Return the points of every conference clip and codec."""
    found: Curves = {}
    for row in _read("compact_conference.json")["rows"]:
        if row["codec"] == "tinct:intra" and row["clip"] in CONFERENCE:
            for codec, prefix in zip(ANCHORS, ("anchor_", ""), strict=True):
                names = (f"{prefix}size_bytes", f"{prefix}psnr_yuv611")
                points = [(p[names[0]], p[names[1]]) for p in row["points"]]
                found[row["clip"], codec] = points
    for structure, title in STRUCTURES.items():
        for point in _read(f"rate_distortion_{structure}_best.json")["points"]:
            if point["clip"] in CONFERENCE:
                means = [mean_db for mean_db, _ in point["psnr"]]
                quality_db = float(np.dot(PLANE_WEIGHTS, means))
                points = found.setdefault((point["clip"], f"{CODECS[point['codec']]} {title}"), [])
                points.append((point["size_bytes"], quality_db))
    return found


def compare_with(anchor: str, curves: Curves) -> dict[str, dict[str, str]]:
    """Return BD-rates in percent against `anchor`, with overlaps, by codec and clip.

    Each codec's mean is over the clips that have one, on 2 dB or more.
    """
    table = {}
    for codec in STYLES:
        if codec != anchor:
            pairs = {
                clip: (Curve.of(curves[clip, anchor]), Curve.of(curves[clip, codec]))
                for clip in CONFERENCE
            }
            deltas = {clip: rate_delta(*pair, is_in_db=True) for clip, pair in pairs.items()}
            texts = {clip: delta.text() for clip, delta in deltas.items()}
            table[codec] = texts | {"mean": format_mean(list(deltas.values()))}
    return table


def draw(curves: Curves, path: Path) -> None:
    """Draw the curves, a panel a clip."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, panels = pyplot.subplots(2, 3, figsize=(13, 8), layout="constrained")
    for clip, panel in zip(CONFERENCE, panels.flat, strict=True):
        for codec, style in STYLES.items():
            points = sorted(curves[clip, codec])
            kilobytes, decibels = [size / 1000 for size, _ in points], [db for _, db in points]
            panel.semilogx(kilobytes, decibels, style, label=codec, markersize=4)
        panel.set_title(clip)
        panel.grid(visible=True, which="both", alpha=0.3)
        panel.set_xticks([10, 20, 50, 100, 200, 500], minor=False)
        panel.xaxis.set_major_formatter(ticker.ScalarFormatter())
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
    figure.supxlabel("file, kB (96 frames)")
    figure.supylabel("(6Y+U+V)/8 PSNR, dB")
    handles = panels.flat[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(STYLES))
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--picture", type=Path, default=PICTURES / "structures.png")
    parser.add_argument("--out", type=Path, default=RESULTS / "structures.json")
    options = parser.parse_args()
    curves = read_curves()
    tables = {anchor: compare_with(anchor, curves) for anchor in ANCHORS}
    for anchor, table in tables.items():
        print(f"against {anchor}")
        for codec, row in table.items():
            print(f"  {codec}: {', '.join(f'{clip} {text}' for clip, text in row.items())}")
    draw(curves, options.picture)
    document = {"date": date.today().isoformat(), "bd_rate_percent": tables}
    write_document(options.out, document)


if __name__ == "__main__":
    main()
