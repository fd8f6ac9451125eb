"""`tinct colourise` on greyed clips, with their own true frames as references, beside simpler ways.

    python -m lab.benchmarks.colourise [--clips ../shared/clips/val] [--only akiyo news]
        [--part quality speed adapt picture]

Quality: the first FRAMES frames of each clip are greyed, and coloured from 1, 2 and 4 true frames
at even distances, first and last among them, file to file. Beside it, on the same frames: the
colour of the nearest reference without motion; the last reference propagated forwards alone; the
true colour through x265 all-intra at QP 32. CIEDE2000 is of every STEP-th frame.

Speed and memory are of whole processes, at 1280x720.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import tinct
from lab.benchmarks.children import make_command
from lab.benchmarks.common import (
    CLIPS,
    PICTURES,
    RESULTS,
    find_clip,
    make_parser,
    read_versions,
    write_document,
)
from lab.benchmarks.rate_distortion import CONFERENCE, OTHERS, STRESS
from lab.benchmarks.speed import TINCT, run
from tinct.colouring.blending import Reference, ReferenceFlow, blend_references
from tinct.colouring.propagation import apply_colour
from tinct.colouring.tracking import start_tracking, track_frame
from tinct.evaluation.clips import write_frames
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
ADAPT_SECONDS = 20.0
ADAPT_CLIPS = {"carphone": 96, "news": 96, "foreman": 250}  # and their frames
SHOWN_CLIPS = ("mother_daughter", "news", "bedroom")
CELL = (352, 224)  # pixels of each frame in the picture
LONG_LOOPS = 4  # of the speed clip: 32 s between two references
PLANE_METRICS = ("psnr_u", "psnr_v", "flicker_u", "flicker_v")
TARGETS = {
    "ciede2000_conference": 1.5,
    "psnr_fall_db": 1.5,
    "flicker_of_x265": 1.0,
    "frames_per_second_720p": 8,
}


def measure_quality(clip: str, frames: int = FRAMES) -> dict[str, Any]:
    """Return what all ways make of one clip, by number of references."""
    cv2.setNumThreads(1)
    truth = list(islice(open_source(clip), frames))
    anchor = tinct.EncodeConfig(structure="intra", colour="in-band", qp=ANCHOR_QP)
    with tempfile.TemporaryDirectory() as folder:
        grey, true, coded = (f"{folder}/{name}.mkv" for name in ("grey", "true", "x265"))
        write_frames(grey, truth[0].info, map(remove_colour, truth))
        write_frames(true, truth[0].info, truth)
        tinct.encode(true, coded, anchor)
        found: dict[str, Any] = {
            "frames": len(truth),
            "x265": compare_frames(truth, list(tinct.open(coded)), []),
        }
        for count in COUNTS:
            numbers = spread_references(len(truth), count)
            nearest, forwards = colour_from_nearest(truth, numbers), colour_forwards(truth, numbers)
            row = {
                "nearest": compare_frames(truth, nearest, numbers),
                "forwards": compare_frames(truth, forwards, numbers),
                "tinct": measure_colourise(truth, grey, {n: truth[n] for n in numbers}),
            }
            if count == 2:
                pictures = {n: truth[n].rgb() for n in numbers}
                row["tinct, PNG"] = measure_colourise(truth, grey, pictures)
            found[str(count)] = row
    print(
        clip, json.dumps({str(count): shorten(found[str(count)]) for count in COUNTS}), flush=True
    )
    return found


def shorten(row: dict[str, Any]) -> dict[str, list[float]]:
    """Return two of the numbers of each way."""
    return {way: [values["ciede2000"], values["psnr_u"]] for way, values in row.items()}


def spread_references(frames: int, count: int) -> list[int]:
    """Return numbers of frames at even distances, first and last among them."""
    return np.linspace(0, frames - 1, count).round().astype(int).tolist()


def measure_colourise(
    truth: Sequence[Frame],
    grey: str,
    pictures: dict[int, Any],
    *,
    adapt_seconds: float | None = None,
) -> dict[str, Any]:
    """Colourise a grey file from pictures by frame number, and compare with the true frames."""
    out = f"{Path(grey).parent}/out.mkv"
    report = tinct.colourise(
        grey, out, references=pictures, leave_grey=True, adapt_seconds=adapt_seconds, overwrite=True
    )
    decoded = list(open_source(out))
    for original, shown in zip(truth, decoded, strict=True):
        assert np.array_equal(original.y, shown.y), "luma has changed"
    about: dict[str, Any] = {
        "frames_per_second": round(report.frames / report.seconds, 1),
        "trust": round(float(np.mean(report.trust)), 3),
    }
    if adapt_seconds is not None:
        about["note"] = report.notes[-1]
    grey_frames = sum(map(len, report.grey))
    return {**compare_frames(truth, decoded, list(pictures)), **about, "grey_frames": grey_frames}


def measure_adapt(clips: Path, name: str, frames: int) -> dict[str, Any]:
    """Return a clip's numbers from four references, without and with `--adapt`."""
    truth = list(islice(open_source(str(find_clip(clips, name))), frames))
    pictures = {n: truth[n] for n in spread_references(len(truth), 4)}
    with tempfile.TemporaryDirectory() as folder:
        grey = f"{folder}/grey.mkv"
        write_frames(grey, truth[0].info, map(remove_colour, truth))
        rows = {
            str(seconds): measure_colourise(truth, grey, pictures, adapt_seconds=seconds)
            for seconds in (None, ADAPT_SECONDS)
        }
    return {"clip": name, "frames": len(truth), **rows}


def compare_frames(
    truth: Sequence[Frame], decoded: Sequence[Frame], numbers: Sequence[int]
) -> dict[str, Any]:
    """Return means over all frames.

    `fall_db` is the PSNR of the first frame after a reference less that of the last one before the
    next, between each two of the references `numbers`.
    """
    pairs = [
        Pair(original, shown, Pair(truth[i - 1], decoded[i - 1]) if i else None)
        for i, (original, shown) in enumerate(zip(truth, decoded, strict=True))
    ]
    series = {name: [METRICS[name].measure(pair) for pair in pairs] for name in PLANE_METRICS}
    row: dict[str, Any] = {
        name: round(float(np.nanmean(values)), 3) for name, values in series.items()
    }
    differences = [METRICS["ciede2000"].measure(pair) for pair in pairs[1::STEP]]
    row["ciede2000"] = round(float(np.mean(differences)), 3)
    spans = [(a + 1, b - 1) for a, b in pairwise(numbers) if b - a > 2]
    if spans:
        row["fall_db"] = {
            plane: [round(series[name][a] - series[name][b], 2) for a, b in spans]
            for plane, name in (("u", "psnr_u"), ("v", "psnr_v"))
        }
    return row


def colour_from_nearest(truth: Sequence[Frame], numbers: Sequence[int]) -> list[Frame]:
    """Return the frames with the colour of the nearest reference, without motion."""
    found = []
    for i, frame in enumerate(truth):
        key = truth[min(numbers, key=lambda n: abs(n - i))]
        found.append(Frame(y=frame.y, cb=key.cb, cr=key.cr, pts=frame.pts, info=frame.info))
    return found


def colour_forwards(truth: Sequence[Frame], numbers: Sequence[int]) -> list[Frame]:
    """Return the frames with each reference propagated up to the next one, by Tinct's own steps."""
    found = []
    for i, frame in enumerate(truth):
        luma = LumaView(frame.y, frame.info.bit_depth, frame.pts)
        if i in numbers:
            weight = np.ones(frame.cb.shape, np.float32)
            reference = Reference(i, luma, colour_of(frame), weight=weight)
            tracked = start_tracking(luma.matched)
        else:
            tracked = track_frame(luma.matched, tracked, reference.luma.matched)
        flows = [ReferenceFlow(reference, tracked.flow, i - reference.number)]
        found.append(apply_colour(frame, blend_references(luma, flows)).frame)
    return found


def colour_of(frame: Frame) -> np.ndarray:
    """Return Cb and Cr [h, w, 2] about 0, in 8-bit levels."""
    unit = 1 << (frame.info.bit_depth - 8)
    return np.dstack((frame.cb, frame.cr)).astype(np.float32) / unit - np.float32(128)


def remove_colour(frame: Frame) -> Frame:
    """Return the frame in grey."""
    middle = 1 << (frame.info.bit_depth - 1)
    grey = np.full(frame.cb.shape, middle, frame.y.dtype)
    return Frame(y=frame.y, cb=grey, cr=grey, pts=frame.pts, info=frame.info)


def measure_speed(clip: Path, folder: Path) -> dict[str, Any]:
    """Return the best of RUNS of `colourise`, and of a `decode` of the same video beside it.

    They take turns. Then comes the memory of a long span between two references.
    """
    grey = str(folder / "grey.mp4")
    source = open_source(str(clip))
    # Frame by frame: a child's peak of memory starts at its parent's.
    with open_sink(grey, source.info) as sink:
        for number, frame in enumerate(islice(source, SPEED_FRAMES)):
            sink.write(remove_colour(frame))
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
            "frames_per_second": round(SPEED_FRAMES / best.seconds, 2),
            "peak_megabytes": round(best.peak_megabytes),
            "cpu_seconds_per_frame": round(best.cpu_seconds / SPEED_FRAMES, 4),
        }
    looped = str(folder / "long.mp4")
    run(make_command("loop", grey, looped, LONG_LOOPS))
    frames = LONG_LOOPS * SPEED_FRAMES
    long = run([*common, f"{frames - 1}={last}", looped, f"{folder}/out.mp4"])
    found["long"] = {"frames": frames, "peak_megabytes": round(long.peak_megabytes)}
    return found


def draw_picture(clips: Path, target: Path) -> None:
    """Draw a frame far from both references of some clips: true, nearest, Tinct's, trust."""
    rows = []
    for name in SHOWN_CLIPS:
        truth = list(islice(open_source(str(find_clip(clips, name))), FRAMES))
        numbers, middle = [0, len(truth) - 1], len(truth) // 2
        with tempfile.TemporaryDirectory() as folder:
            grey, coloured, trust = (f"{folder}/{n}.mkv" for n in ("grey", "out", "trust"))
            write_frames(grey, truth[0].info, map(remove_colour, truth))
            references = {n: truth[n] for n in numbers}
            tinct.colourise(
                grey, coloured, references=references, confidence=trust, leave_grey=True
            )
            shown = [list(open_source(path))[middle] for path in (coloured, trust)]
        frames = (truth[middle], colour_from_nearest(truth, numbers)[middle], *shown)
        cells = [cv2.resize(f.rgb(), CELL, interpolation=cv2.INTER_AREA) for f in frames]
        rows.append(np.hstack(cells))
    target.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(target), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def summarise(clips: dict[str, Any]) -> dict[str, Any]:
    """Return means over the conference clips, and the figures of the targets."""
    known = [clips[name] for name in CONFERENCE if name in clips]
    if not known:
        return {}
    means = {
        f"{count}, {way}": average_way([clip[str(count)][way] for clip in known])
        for count in COUNTS
        for way in known[0][str(count)]
    }
    flicker = {
        name: [round(clip["2"]["tinct"][name] / clip["x265"][name], 3) for clip in known]
        for name in ("flicker_u", "flicker_v")
    }
    falls = {
        f"{count}, {way}": summarise_falls([clip[count][way]["fall_db"] for clip in known])
        for count in ("2", "4")
        for way in ("nearest", "forwards", "tinct")
    }
    return {"clips": len(known), "means": means, "flicker_of_x265": flicker, "fall_db": falls}


def average_way(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean over clips of each metric."""
    names = ("ciede2000", *PLANE_METRICS)
    return {name: round(float(np.mean([row[name] for row in rows])), 3) for name in names}


def summarise_falls(clips: Sequence[dict[str, list[float]]]) -> dict[str, float]:
    """Return how the falls of both planes lie about the target."""
    values = [fall for clip in clips for plane in "uv" for fall in clip[plane]]
    return {
        "mean": round(float(np.mean(values)), 2),
        "worst": max(values),
        "within_target": sum(value <= TARGETS["psnr_fall_db"] for value in values),
        "of": len(values),
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS / "val")
    parser.add_argument("--only", nargs="+", default=[*CONFERENCE, *STRESS, *OTHERS])
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "colourise.json")
    options = parser.parse_args()
    document: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    packages = ("tinct", "numpy", "opencv-python-headless", "scikit-image", "av")
    about = {
        "date": date.today().isoformat(),
        "versions": read_versions(*packages),
        "targets": TARGETS,
    }
    if "quality" in options.part:
        sources = [str(find_clip(options.clips, name)) for name in options.only]
        with ProcessPoolExecutor(options.jobs) as pool:
            found = pool.map(partial(measure_quality, frames=options.frames), sources)
            clips = dict(zip(options.only, found, strict=True))
        document["quality"] = {**about, "summary": summarise(clips), "clips": clips}
    if "speed" in options.part:
        with tempfile.TemporaryDirectory() as folder:
            speed = measure_speed(options.clips / SPEED_CLIP, Path(folder))
        document["speed"] = {**about, "cpu_count": os.cpu_count(), **speed}
    if "adapt" in options.part:
        rows = [measure_adapt(options.clips, name, n) for name, n in ADAPT_CLIPS.items()]
        document["adapt"] = {**about, "clips": rows}
    if "picture" in options.part:
        draw_picture(options.clips, PICTURES / "colourise.jpg")
    write_document(options.out, document)


if __name__ == "__main__":
    main()
