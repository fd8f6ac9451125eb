"""What a person would pick: base codecs and structures, with Tinct and without, on one plot.

    python -m lab.benchmarks.structures [--clips FOLDER] [--keep FOLDER] [--picture FILE.png]

It measures the six conference clips with `tinct evaluate`, at nominal QPs 22 to 47, in the folder
`--keep`, where a second call goes on. BD-rates are on (6Y+U+V)/8 PSNR, the worse of the mean of
frames and the pooled error, and compare sizes of files: against x265 all-intra and against x265
random access. CPU time is of whole processes at QP 32.
"""

import argparse
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from lab.benchmarks.common import (
    CLIPS,
    PICTURES,
    RESULTS,
    find_clip,
    make_parser,
    read_versions,
    write_document,
)
from lab.benchmarks.rate_distortion import CONFERENCE
from tinct.evaluation.points import RDPoint, bd_rate
from tinct.evaluation.results import Setup
from tinct.evaluation.sweeps import resume, start

QPS = (22, 27, 32, 37, 42, 47)
FRAMES = 96
ANCHORS = ("x265:intra", "x265:random-access")
METRICS = ("psnr_yuv611", "psnr_yuv611_pooled")
TITLES = {
    "x265:intra": "x265 all-intra",
    "x264:intra": "x264 all-intra",
    "tinct:intra": "Tinct all-intra",
    "tinct:intra,interpolate=off": "Tinct all-intra, every frame sent",
    "x265:random-access,keyint=2": "x265, every 2nd frame a key frame",
    "x265:random-access,keyint=4": "x265, every 4th",
    "x265:random-access,keyint=12": "x265, every 12th",
    "x265:low-delay": "x265 low-delay",
    "svt-av1:low-delay": "SVT-AV1 low-delay",
    "x264:random-access": "x264 random access",
    "x265:random-access": "x265 random access",
    "svt-av1:random-access": "SVT-AV1 random access",
    "tinct:random-access": "Tinct by default",
    "tinct:random-access,network=best": "Tinct, `--network best`",
}
PLOTTED = {  # Matplotlib's colour, line and marker
    "x265:intra": "k-o",
    "tinct:intra": "r-o",
    "x265:random-access,keyint=4": "g-s",
    "x265:low-delay": "c-s",
    "x265:random-access": "b-^",
    "tinct:random-access": "m-^",
}

Curves = dict[tuple[str, str], list[RDPoint]]  # by clip and codec


def measure(clips: Path, folder: Path) -> Curves:
    """Return the points of every clip and codec; go on where the folder has some."""
    paths = [str(find_clip(clips, name)) for name in CONFERENCE]
    setup = Setup(clips=paths, codecs=list(TITLES), qps=list(QPS), frames=FRAMES, metrics="psnr")
    outcome = resume(folder) if folder.exists() else start(setup, folder)
    assert not outcome.failures, outcome.failures
    return {(clip, codec): outcome.of(clip, codec) for clip in CONFERENCE for codec in TITLES}


def compare(curves: Curves, anchor: str) -> dict[str, dict[str, Any]]:
    """Return the BD-rate of each codec against `anchor`, by clip, and the mean where it counts."""
    table = {}
    for codec in TITLES:
        if codec == anchor:
            continue
        deltas = {
            clip: [bd_rate(curves[clip, anchor], curves[clip, codec], m) for m in METRICS]
            for clip in CONFERENCE
        }
        found = {
            clip: round(max(d.value for d in pair if d.value is not None), 2)
            for clip, pair in deltas.items()
            if all(delta.counts for delta in pair)
        }
        mean = round(float(np.mean(list(found.values()))), 2) if found else None
        table[codec] = {"clips": found, "mean": mean}
    return table


def read_cpu_ms(curves: Curves) -> dict[str, tuple[int, int]]:
    """Return the CPU time that encoding and decoding take a frame, in ms, mean of the clips."""
    table = {}
    for codec in TITLES:
        points = [p for clip in CONFERENCE for p in curves[clip, codec] if p.qp == 32]
        frames = sum(point.frames for point in points)
        table[codec] = (
            round(1000 * sum(point.encode_cpu_seconds or 0 for point in points) / frames),
            round(1000 * sum(point.decode_cpu_seconds or 0 for point in points) / frames),
        )
    return table


def format_table(
    tables: dict[str, dict[str, dict[str, Any]]], loads_ms: dict[str, tuple[int, int]]
) -> Iterable[str]:
    """Yield the lines of the table in Markdown."""
    against = " | ".join(f"against {TITLES[anchor]}" for anchor in tables)
    yield f"| | {against} | CPU ms a frame, encoder | decoder |"
    yield f"|---|{'---|' * (len(tables) + 2)}"
    for codec, title in TITLES.items():
        cells = []
        for anchor, table in tables.items():
            row = table.get(codec)
            if codec == anchor:
                cells.append("0")
            elif row is None or row["mean"] is None:
                cells.append("undefined")
            else:
                part = len(row["clips"])
                of = f" (of {part})" if part < len(CONFERENCE) else ""
                cells.append(f"{row['mean']:+.1f}{of}")
        yield f"| {title} | {' | '.join(cells)} | {' | '.join(map(str, loads_ms[codec]))} |"


def draw(curves: Curves, path: Path) -> None:
    """Draw the curves, a panel a clip."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, panels = pyplot.subplots(2, 3, figsize=(13, 8), layout="constrained")
    for clip, panel in zip(CONFERENCE, panels.flat, strict=True):
        for codec, style in PLOTTED.items():
            points = sorted(curves[clip, codec], key=lambda point: point.size_bytes)
            kilobytes = [point.size_bytes / 1000 for point in points]
            decibels = [point.means["psnr_yuv611"] for point in points]
            panel.semilogx(kilobytes, decibels, style, label=TITLES[codec], markersize=4)
        panel.set_title(clip)
        panel.grid(visible=True, which="both", alpha=0.3)
        panel.xaxis.set_major_formatter(ticker.ScalarFormatter())
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
    figure.supxlabel(f"file, kB ({FRAMES} frames)")
    figure.supylabel("(6Y+U+V)/8 PSNR, dB")
    handles = panels.flat[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(PLOTTED))
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS / "val")
    parser.add_argument("--keep", type=Path, default=Path("build/structures"))
    parser.add_argument("--picture", type=Path, default=PICTURES / "structures.png")
    parser.add_argument("--out", type=Path, default=RESULTS / "structures.json")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    curves = measure(options.clips, options.keep)
    tables = {anchor: compare(curves, anchor) for anchor in ANCHORS}
    loads_ms = read_cpu_ms(curves)
    print("\n".join(format_table(tables, loads_ms)))
    draw(curves, options.picture)
    document = {
        "date": date.today().isoformat(),
        "versions": read_versions("av", "numpy", "opencv-python-headless"),
        "frames": FRAMES,
        "qps": QPS,
        "bd_rate_percent": tables,
        "cpu_ms_a_frame": loads_ms,
    }
    write_document(options.out, document)


if __name__ == "__main__":
    main()
