"""What a user with a full encoder would pick: x265 low-delay and random access on one plot with all-intra, with Tinct and without.

    python -m lab.benchmarks.structures [--picture FILE.png] [--out FILE.json]

Reads what was measured on the six conference clips: all-intra from `compact_conference.json` (`lab.benchmarks.digest`), the other
structures from `rate_distortion_*_best.json`. BD-rates are on (6Y+U+V)/8 PSNR, mean of frames, against x265 all-intra and against
Tinct all-intra, size of file against size of file.
"""

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from lab.benchmarks.digest import mean_text
from lab.benchmarks.rate_distortion import CONFERENCE, WEIGHTS
from tinct.evaluation.bd import Curve, rate_delta

RESULTS = Path(__file__).parent.parent / "results"
ANCHORS = ("x265 all-intra", "Tinct all-intra")
STYLES = dict(zip(ANCHORS, ("k-o", "r-o"), strict=True)) | {
    f"{codec} {name}": colour + line
    for name, line in (("low-delay", "-s"), ("random access", "-^"))
    for codec, colour in (("x265", "b"), ("Tinct", "m"))
}

Sweep = list[tuple[int, float]]  # of one clip and codec: bytes, dB


def _read(name: str) -> Any:
    return json.loads((RESULTS / name).read_text())


def sweeps() -> dict[tuple[str, str], Sweep]:
    """By clip and codec."""
    found: dict[tuple[str, str], Sweep] = {}
    for row in _read("compact_conference.json")["rows"]:
        if row["codec"] == "tinct:intra" and row["clip"] in CONFERENCE:
            for codec, prefix in zip(ANCHORS, ("anchor_", ""), strict=True):
                found[row["clip"], codec] = [
                    (p[f"{prefix}size_bytes"], p[f"{prefix}psnr_yuv611"]) for p in row["points"]
                ]
    for structure in ("low-delay", "random-access"):
        for point in _read(f"rate_distortion_{structure}_best.json")["points"]:
            codec = f"{'x265' if point['codec'] == 'hevc' else 'Tinct'} {structure.replace('random-', 'random ')}"
            if point["clip"] in CONFERENCE:
                quality_db = float(np.dot(WEIGHTS, [plane[0] for plane in point["psnr"]]))
                found.setdefault((point["clip"], codec), []).append(
                    (point["size_bytes"], quality_db)
                )
    return found


def bd_rates(found: dict[tuple[str, str], Sweep], anchor: str) -> dict[str, dict[str, str]]:
    """Percent against `anchor` with the overlap of the curves, by codec and clip, and their mean over the clips that have one."""
    table = {}
    for codec in STYLES:
        if codec != anchor:
            deltas = {
                clip: rate_delta(Curve.of(found[clip, anchor]), Curve.of(found[clip, codec]))
                for clip in CONFERENCE
            }
            table[codec] = {clip: delta.text() for clip, delta in deltas.items()} | {
                "mean": mean_text(list(deltas.values()))
            }
    return table


def draw(found: dict[tuple[str, str], Sweep], path: Path) -> None:
    """A panel a clip."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, panels = pyplot.subplots(2, 3, figsize=(13, 8), layout="constrained")
    for clip, panel in zip(CONFERENCE, panels.flat, strict=True):
        for codec, style in STYLES.items():
            kilobytes, decibels = zip(
                *[(size / 1000, db) for size, db in sorted(found[clip, codec])], strict=True
            )
            panel.semilogx(kilobytes, decibels, style, label=codec, markersize=4)
        panel.set_title(clip)
        panel.grid(visible=True, which="both", alpha=0.3)
        panel.set_xticks([10, 20, 50, 100, 200, 500], minor=False)
        panel.xaxis.set_major_formatter(ticker.ScalarFormatter())
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
    figure.supxlabel("file, kB (96 frames)")
    figure.supylabel("(6Y+U+V)/8 PSNR, dB")
    figure.legend(
        *panels.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(STYLES)
    )
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--picture",
        type=Path,
        default=Path(__file__).parent.parent / "docs" / "pictures" / "structures.png",
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "structures.json")
    options = parser.parse_args()
    found = sweeps()
    tables = {anchor: bd_rates(found, anchor) for anchor in ANCHORS}
    for anchor, table in tables.items():
        print(f"against {anchor}")
        for codec, row in table.items():
            print(f"  {codec}: {', '.join(f'{clip} {text}' for clip, text in row.items())}")
    draw(found, options.picture)
    options.out.write_text(
        json.dumps({"date": date.today().isoformat(), "bd_rate_percent": tables}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
