"""How fast the lab measures, and how large and quick its report is.

    python -m lab.benchmarks.lab [--clip ../shared/clips/val/bigbuckbunny.mp4] [--results FOLDER]

Metrics run in one process, as in a sweep of one point at a time: a frame a core. The report of a
results folder is opened in headless Chromium, and timed from the address to the moment at which
everything is drawn and answers.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import median

import tinct
from lab.benchmarks.common import CLIPS, RESULTS, make_parser, read_versions, write_document
from tinct.evaluation import load
from tinct.evaluation.metrics import METRICS, limit_library_threads, measure
from tinct.evaluation.report import write_report
from tinct.frames import Frame
from tinct.media.source import open_source

FRAMES = 24
RUNS = 3
QP = 37
TARGETS = {"metrics_frames_per_second": 3, "report_megabytes": 12, "report_ready_seconds": 1}


def measure_metrics(clip: Path) -> dict[str, object]:
    """Time the metrics: all but VMAF together, and each alone.

    Frames a second are the median of RUNS; milliseconds a frame are on one thread.
    """
    config = tinct.EncodeConfig(qp=QP, colour="in-band", x265_preset="ultrafast")
    with tempfile.TemporaryDirectory() as folder:
        coded = f"{folder}/coded.mkv"
        tinct.encode(str(clip), coded, config)
        source, decoded = (list(islice(open_source(path), FRAMES)) for path in (str(clip), coded))
    limit_library_threads()
    names = [name for name in METRICS if name != "vmaf"]
    threads = os.cpu_count() or 1
    seconds = [_time_metrics(source, decoded, names, threads=threads) for _ in range(RUNS)]
    alone = {name: _time_metrics(source, decoded, [name], threads=1) for name in METRICS}
    return {
        "clip": clip.stem,
        "size": f"{source[0].info.width}x{source[0].info.height}",
        "frames_per_second": round(FRAMES / median(seconds), 2),
        "milliseconds_alone": {name: round(1000 * s / FRAMES, 1) for name, s in alone.items()},
    }


def _time_metrics(
    source: Sequence[Frame], decoded: Sequence[Frame], names: Sequence[str], *, threads: int
) -> float:
    began = time.monotonic()
    assert len(measure(source, decoded, names, threads=threads)[names[0]]) == FRAMES
    return time.monotonic() - began


def measure_report(results: Path) -> dict[str, object]:
    """Return the size of the page and the seconds until it is ready, median of RUNS."""
    from playwright.sync_api import sync_playwright

    html, _ = write_report(results)
    outcome, seconds = load(results), []
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(RUNS):
            page = browser.new_page()
            began = time.monotonic()
            page.goto(html.absolute().as_uri())
            page.wait_for_selector("html[data-ready=yes]")
            seconds.append(time.monotonic() - began)
            page.close()
        browser.close()
    return {
        "clips": len(outcome.clips),
        "codecs": len(outcome.codecs),
        "points": len(outcome.points),
        "megabytes": round(html.stat().st_size / 1e6, 2),
        "ready_seconds": round(median(seconds), 2),
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clip", type=Path, default=CLIPS / "val" / "bigbuckbunny.mp4")
    parser.add_argument(
        "--results",
        type=Path,
        help="A folder that `tinct evaluate` wrote; its report is written anew.",
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "lab.json")
    options = parser.parse_args()
    document: dict[str, object] = {
        "targets": TARGETS,
        "date": date.today().isoformat(),
        "versions": read_versions(
            "tinct", "numpy", "opencv-python-headless", "scikit-image", "bjontegaard"
        ),
        "cpu_count": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "metrics": measure_metrics(options.clip),
    }
    if options.results is not None:
        document["report"] = measure_report(options.results)
    print(json.dumps(document, indent=1))
    write_document(options.out, document)


if __name__ == "__main__":
    main()
