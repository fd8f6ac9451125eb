"""`tinct colourise` on greyed clips with their own true frames as references, beside simpler ways, in one run.

    python -m lab.benchmarks.colourise [--clips ../shared/clips/val] [--only akiyo news] [--part quality speed adapt picture]

Quality: the first FRAMES frames of each clip are greyed and coloured from 1, 2 and 4 true frames at even distances, first and last
among them, as a file to a file. Beside it on the same frames: the nearest reference's colour without motion; the last reference
followed forwards alone; the true colour through x265 all-intra at QP 32. CIEDE2000 is of every STEP-th frame.

Speed and memory are of whole processes, at 1280x720.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from importlib.metadata import version
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import tinct
from lab.benchmarks.rate_distortion import CONFERENCE, OTHERS, STRESS
from lab.benchmarks.speed import LOOP, TINCT, run
from tinct.colouring.follow import begin, follow
from tinct.colouring.mixing import Reference, Side, mix
from tinct.colouring.passage import finished
from tinct.evaluation.metrics import METRICS, Pair
from tinct.frames import Frame
from tinct.media.sink import open_sink
from tinct.media.source import open_source
from tinct.motion.views import LumaView

PARTS = ("quality", "speed", "adapt", "picture")
FRAMES = 96
STEP = 4
COUNTS = (1, 2, 4)
ANCHOR_QP = 32
SPEED_CLIP = "../train/sam2_cups.mp4"  # 1280x720, beside the folder of clips
SPEED_FRAMES = 240
RUNS = 2
ADAPT_SECONDS, ADAPT_CLIPS = (
    20.0,
    (("carphone", 96), ("news", 96), ("foreman", 250)),
)  # clips and frames
SHOWN, CELL = (
    ("mother_daughter", "news", "bedroom"),
    (352, 224),
)  # clips and size of a cell of the picture
LONG_LOOPS = 4  # of the speed clip: 32 s between two references
TARGETS = {
    "ciede2000_conference": 1.5,
    "psnr_fall_db": 1.5,
    "flicker_of_x265": 1.0,
    "frames_per_second_720p": 8,
}


def quality(clip: str, frames: int = FRAMES) -> dict[str, Any]:
    """All ways on one clip."""
    cv2.setNumThreads(1)
    truth = list(islice(open_source(clip), frames))
    with tempfile.TemporaryDirectory() as folder:
        grey = write(
            f"{folder}/grey.mkv",
            [with_colour(f, np.zeros((*f.cb.shape, 2), np.float32)) for f in truth],
        )
        true = write(f"{folder}/true.mkv", truth)
        tinct.encode(
            true,
            f"{folder}/x265.mkv",
            tinct.EncodeConfig(structure="intra", colour="in-band", qp=ANCHOR_QP),
        )
        found: dict[str, Any] = {
            "frames": len(truth),
            "x265": measured(truth, list(tinct.open(f"{folder}/x265.mkv")), []),
        }
        for count in COUNTS:
            numbers = np.linspace(0, len(truth) - 1, count).round().astype(int).tolist()
            row = {
                "nearest": measured(truth, nearest(truth, numbers), numbers),
                "forwards": measured(truth, forwards(truth, numbers), numbers),
            }
            row["tinct"] = coloured(truth, grey, {n: truth[n] for n in numbers}, folder)
            if count == 2:
                row["tinct, PNG"] = coloured(
                    truth, grey, {n: truth[n].rgb() for n in numbers}, folder
                )
            found[str(count)] = row
    print(
        clip,
        json.dumps(
            {
                c: {w: [v["ciede2000"], v["psnr_u"]] for w, v in found[c].items()}
                for c in map(str, COUNTS)
            }
        ),
        flush=True,
    )
    return found


def coloured(
    truth: Sequence[Frame],
    grey: str,
    pictures: dict[int, Any],
    folder: str,
    adapt_seconds: float | None = None,
) -> dict[str, Any]:
    out = f"{folder}/out.mkv"
    report = tinct.colourise(
        grey, out, references=pictures, leave_grey=True, adapt_seconds=adapt_seconds, overwrite=True
    )
    decoded = list(open_source(out))
    assert all(np.array_equal(a.y, b.y) for a, b in zip(truth, decoded, strict=True)), (
        "luma has changed"
    )
    about: dict[str, Any] = {
        "frames_per_second": round(report.frames / report.seconds, 1),
        "trust": round(float(np.mean(report.trust)), 3),
    }
    if adapt_seconds is not None:
        about["note"] = report.notes[-1]
    return {
        **measured(truth, decoded, list(pictures)),
        **about,
        "grey_frames": sum(map(len, report.grey)),
    }


def adapting(clips: Path, name: str, frames: int) -> dict[str, Any]:
    """A clip from four references, without and with `--adapt`."""
    truth = list(islice(open_source(str(next(clips.glob(f"{name}.*")))), frames))
    numbers = np.linspace(0, len(truth) - 1, 4).round().astype(int).tolist()
    with tempfile.TemporaryDirectory() as folder:
        grey = write(
            f"{folder}/grey.mkv",
            [with_colour(f, np.zeros((*f.cb.shape, 2), np.float32)) for f in truth],
        )
        pictures = {n: truth[n] for n in numbers}
        rows = {
            str(seconds): coloured(truth, grey, pictures, folder, seconds)
            for seconds in (None, ADAPT_SECONDS)
        }
    return {"clip": name, "frames": len(truth), **rows}


def measured(
    truth: Sequence[Frame], decoded: Sequence[Frame], numbers: list[int]
) -> dict[str, Any]:
    """Means over all frames; `fall_db` is PSNR of the first frame after a reference less that of the last before the next."""
    pairs = [
        Pair(a, b, Pair(truth[i - 1], decoded[i - 1]) if i else None)
        for i, (a, b) in enumerate(zip(truth, decoded, strict=True))
    ]
    series = {
        name: [METRICS[name].measure(pair) for pair in pairs]
        for name in ("psnr_u", "psnr_v", "flicker_u", "flicker_v")
    }
    row = {name: round(float(np.nanmean(values)), 3) for name, values in series.items()}
    row["ciede2000"] = round(
        float(np.mean([METRICS["ciede2000"].measure(pair) for pair in pairs[1::STEP]])), 3
    )
    spans = [(a + 1, b - 1) for a, b in pairwise(numbers) if b - a > 2]
    falls = {
        name[-1]: [round(series[name][a] - series[name][b], 2) for a, b in spans]
        for name in ("psnr_u", "psnr_v")
    }
    return {**row, **({"fall_db": falls} if spans else {})}


def nearest(truth: Sequence[Frame], numbers: Sequence[int]) -> list[Frame]:
    keys = [truth[min(numbers, key=lambda n: abs(n - i))] for i in range(len(truth))]
    return [
        Frame(frame.y, key.cb, key.cr, frame.pts, frame.info)
        for frame, key in zip(truth, keys, strict=True)
    ]


def forwards(truth: Sequence[Frame], numbers: Sequence[int]) -> list[Frame]:
    """Each reference followed up to the next, with `tinct`'s own steps, but no look at the next."""
    found = []
    for i, frame in enumerate(truth):
        luma = LumaView(frame.y, frame.info.bit_depth, frame.pts)
        if i in numbers:
            reference = Reference(i, luma, colour_of(frame), np.ones(frame.cb.shape, np.float32))
            trail = begin(luma.matched)
        else:
            trail = follow(luma.matched, trail, reference.luma.matched)
        found.append(
            finished(frame, mix(luma, [Side(reference, trail.flow, i - reference.number)])).frame
        )
    return found


def colour_of(frame: Frame) -> np.ndarray:
    return np.dstack((frame.cb, frame.cr)).astype(np.float32) / (
        1 << (frame.info.bit_depth - 8)
    ) - np.float32(128)


def with_colour(frame: Frame, colour: np.ndarray) -> Frame:
    cb, cr = (
        np.rint((plane + 128) * (1 << (frame.info.bit_depth - 8))).astype(frame.y.dtype)
        for plane in (colour[..., 0], colour[..., 1])
    )
    return Frame(frame.y, cb, cr, frame.pts, frame.info)


def write(path: str, frames: Sequence[Frame]) -> str:
    with open_sink(path, frames[0].info) as sink:
        for frame in frames:
            sink.write(frame)
    return path


def speed(clip: Path, folder: Path) -> dict[str, Any]:
    """Best of RUNS of `colourise` and of `decode`, which reads and writes the same video, in turns; then a long span's memory."""
    grey = str(folder / "grey.mp4")
    source = open_source(str(clip))
    with (
        open_sink(grey, source.info) as sink
    ):  # frame by frame: this process stays small, because a child's peak starts at its parent's
        for number, frame in enumerate(islice(source, SPEED_FRAMES)):
            sink.write(with_colour(frame, np.zeros((*frame.cb.shape, 2), np.float32)))
            if number in (0, SPEED_FRAMES - 1):
                cv2.imwrite(str(folder / f"{number}.png"), frame.rgb()[..., ::-1])
    first, last = f"0={folder}/0.png", f"{folder}/{SPEED_FRAMES - 1}.png"
    common = [TINCT, "colourise", "--quiet", "--overwrite", "--reference", first, "--reference"]
    commands = {
        "colourise": [*common, f"{SPEED_FRAMES - 1}={last}", grey, f"{folder}/out.mp4"],
        "decode": [TINCT, "decode", "--quiet", "--overwrite", grey, f"{folder}/out.mp4"],
    }
    turns = [{name: run(command) for name, command in commands.items()} for _ in range(RUNS)]
    found: dict[str, Any] = {
        "clip": clip.stem,
        "frames": SPEED_FRAMES,
        "load": round(os.getloadavg()[0], 2),
    }
    for name in commands:
        best = min((turn[name] for turn in turns), key=lambda one: one.seconds)
        found[name] = {
            "frames_per_second": round(SPEED_FRAMES / best.seconds, 2), "peak_megabytes": round(best.peak_megabytes),
            "cpu_seconds_per_frame": round(best.cpu_seconds / SPEED_FRAMES, 4),
        }  # fmt: skip
    looped = str(folder / "long.mp4")
    run([os.fspath(Path(TINCT).with_name("python")), "-c", LOOP, grey, looped, str(LONG_LOOPS)])
    long = run([*common, f"{LONG_LOOPS * SPEED_FRAMES - 1}={last}", looped, f"{folder}/out.mp4"])
    found["long"] = {
        "frames": LONG_LOOPS * SPEED_FRAMES,
        "peak_megabytes": round(long.peak_megabytes),
    }
    return found


def picture(clips: Path, target: Path) -> None:
    """A frame far from both references of some clips: true, nearest, ours, trust."""
    rows = []
    for name in SHOWN:
        truth = list(islice(open_source(str(next(clips.glob(f"{name}.*")))), FRAMES))
        numbers, middle = [0, len(truth) - 1], len(truth) // 2
        with tempfile.TemporaryDirectory() as folder:
            grey = write(
                f"{folder}/grey.mkv",
                [with_colour(f, np.zeros((*f.cb.shape, 2), np.float32)) for f in truth],
            )
            outputs = [f"{folder}/out.mkv", f"{folder}/trust.mkv"]
            tinct.colourise(
                grey,
                outputs[0],
                references={n: truth[n] for n in numbers},
                confidence=outputs[1],
                leave_grey=True,
            )
            ours, trust = (list(open_source(path))[middle] for path in outputs)
        cells = [
            truth[middle].rgb(),
            nearest(truth, numbers)[middle].rgb(),
            ours.rgb(),
            trust.rgb(),
        ]
        rows.append(
            np.hstack([cv2.resize(cell, CELL, interpolation=cv2.INTER_AREA) for cell in cells])
        )
    target.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(target), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def summary(clips: dict[str, Any]) -> dict[str, Any]:
    """Means over the conference clips, and the targets' figures."""
    there = [clips[name] for name in CONFERENCE if name in clips]
    if not there:
        return {}
    means = {
        f"{count}, {way}": {
            m: round(float(np.mean([clip[count][way][m] for clip in there])), 3)
            for m in ("ciede2000", "psnr_u", "psnr_v", "flicker_u", "flicker_v")
        }
        for count in map(str, COUNTS)
        for way in there[0][count]
    }
    flicker = {
        plane: [round(clip["2"]["tinct"][plane] / clip["x265"][plane], 3) for clip in there]
        for plane in ("flicker_u", "flicker_v")
    }
    falls = {
        f"{count}, {way}": [
            fall for clip in there for plane in "uv" for fall in clip[count][way]["fall_db"][plane]
        ]
        for count in ("2", "4")
        for way in ("nearest", "forwards", "tinct")
    }
    told = {
        key: {
            "mean": round(float(np.mean(values)), 2),
            "worst": max(values),
            "within_target": sum(v <= TARGETS["psnr_fall_db"] for v in values),
            "of": len(values),
        }
        for key, values in falls.items()
    }
    return {"clips": len(there), "means": means, "flicker_of_x265": flicker, "fall_db": told}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=Path("../shared/clips/val"))
    parser.add_argument("--only", nargs="+", default=[*CONFERENCE, *STRESS, *OTHERS])
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "results" / "colourise.json"
    )
    options = parser.parse_args()
    document: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    versions = {
        name: version(name)
        for name in ("tinct", "numpy", "opencv-python-headless", "scikit-image", "av")
    }
    about = {
        "date": date.today().isoformat(),
        "versions": {**versions, "python": platform.python_version()},
        "targets": TARGETS,
    }
    if "quality" in options.part:
        with ProcessPoolExecutor(options.jobs) as pool:
            found = [str(next(options.clips.glob(f"{name}.*"))) for name in options.only]
            clips = dict(
                zip(
                    options.only,
                    pool.map(partial(quality, frames=options.frames), found),
                    strict=True,
                )
            )
        document["quality"] = {**about, "summary": summary(clips), "clips": clips}
    if "speed" in options.part:
        with tempfile.TemporaryDirectory() as folder:
            document["speed"] = {
                **about,
                "cpu_count": os.cpu_count(),
                **speed(options.clips / SPEED_CLIP, Path(folder)),
            }
    if "adapt" in options.part:
        document["adapt"] = {
            **about,
            "clips": [adapting(options.clips, *which) for which in ADAPT_CLIPS],
        }
    if "picture" in options.part:
        picture(options.clips, Path(__file__).parent.parent / "docs" / "pictures" / "colourise.jpg")
    options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
