"""How fast the lab measures, and how large and quick its report is.

    python -m lab.benchmarks.lab [--clip ../shared/clips/val/bigbuckbunny.mp4] [--results FOLDER]

Metrics run in one process, as in a sweep of one point at a time: a frame a core. The report of a results
folder is opened in headless Chromium: from the address to the moment at which everything is drawn and answers.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import median

import tinct
from tinct.evaluation.metrics import METRICS, leave_threads_to_us, measure
from tinct.evaluation.report import write_report
from tinct.evaluation.sweeps import load
from tinct.frames import Frame
from tinct.media.source import open_source

FRAMES = 24
RUNS = 3
QP = 37
TARGETS = {"metrics_frames_per_second": 3, "report_megabytes": 12, "report_ready_seconds": 1}


def metrics(clip: Path) -> dict[str, object]:
    """Frames a second of all metrics but VMAF together, median of RUNS, and milliseconds a frame of each on one thread."""
    with tempfile.TemporaryDirectory() as folder:
        coded = f"{folder}/coded.mkv"
        tinct.encode(
            str(clip), coded, tinct.EncodeConfig(qp=QP, colour="in-band", x265_preset="ultrafast")
        )
        source, decoded = (
            list(islice(iter(open_source(path)), FRAMES)) for path in (str(clip), coded)
        )
    leave_threads_to_us()
    names = [name for name in METRICS if name != "vmaf"]
    seconds = [_timed(source, decoded, names, os.cpu_count() or 1) for _ in range(RUNS)]
    size = f"{source[0].info.width}x{source[0].info.height}"
    each = {name: round(1000 * _timed(source, decoded, [name], 1) / FRAMES, 1) for name in METRICS}
    return {
        "clip": clip.stem,
        "size": size,
        "frames_per_second": round(FRAMES / median(seconds), 2),
        "milliseconds_alone": each,
    }


def report(results: Path) -> dict[str, object]:
    """Size of the page and seconds until it is ready, median of RUNS."""
    from playwright.sync_api import sync_playwright

    html, _ = write_report(results)
    outcome, seconds = load(results), []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(RUNS):
            page = browser.new_page()
            began = time.monotonic()
            page.goto(html.absolute().as_uri())
            page.wait_for_selector("html[data-ready=yes]")
            seconds.append(time.monotonic() - began)
            page.close()
        browser.close()
    counts = {
        "clips": len(outcome.clips),
        "codecs": len(outcome.codecs),
        "points": len(outcome.points),
    }
    return {
        **counts,
        "megabytes": round(html.stat().st_size / 1e6, 2),
        "ready_seconds": round(median(seconds), 2),
    }


def _timed(
    source: Sequence[Frame], decoded: Sequence[Frame], names: Sequence[str], threads: int
) -> float:
    began = time.monotonic()
    assert len(measure(source, decoded, names, threads=threads)[names[0]]) == FRAMES
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", type=Path, default=Path("../shared/clips/val/bigbuckbunny.mp4"))
    parser.add_argument(
        "--results",
        type=Path,
        help="A folder that `tinct evaluate` wrote; its report is written anew.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "results" / "lab.json"
    )
    options = parser.parse_args()
    versions = {
        name: version(name)
        for name in ("tinct", "numpy", "opencv-python-headless", "scikit-image", "bjontegaard")
    }
    document: dict[str, object] = {
        "targets": TARGETS, "date": date.today().isoformat(), "versions": {**versions, "python": platform.python_version()},
        "cpu_count": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2), "metrics": metrics(options.clip),
    }  # fmt: skip
    if options.results is not None:
        document["report"] = report(options.results)
    print(json.dumps(document, indent=1))
    options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
