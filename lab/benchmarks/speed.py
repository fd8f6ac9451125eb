"""How fast Tinct decodes, encodes and starts, and how much memory it takes, as whole processes.

    python -m lab.benchmarks.speed [--part decode|encode|memory|start|network] [--clips ../shared/clips]

`network` is of those that ship, one encode each, `start` of a default file, the other parts of `none`. Every figure is a child
process's: wall clock (median; where two sides are compared they alternate) and peak memory as the kernel counts it. This process
stays small, because a child's peak starts at its parent's.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

TINCT = str(Path(sys.executable).with_name("tinct"))
LARGE = ("val/bigbuckbunny.mp4", "train/sam2_cups.mp4")  # 1280x720
SMALL = ("val/mother_daughter.mp4",)
QP = "32"
CUT_SECONDS = 4.0
RUNS = 3
START_RUNS = 7
LOOP_SECONDS = 2.4  # 60 frames at 25 a second
LOOPS = {300: 5, 3000: 50}
LONGER = 5  # times the same frames
TARGETS = {
    "decode_frames_per_second": 40, "encode_ratio": 1.35, "peak_megabytes": 900, "peak_growth_percent": 5, "start_seconds": 0.4,
    "network": {
        "decode_frames_per_second": {"fast, no update": 20, "fast": 20, "best, no update": 5, "best, in-band": 5},
        "encode_frames_per_second": {"fast, no update": 3},
        "peak_megabytes": {"decode": 1500, "encode": 2500},
    },
}  # fmt: skip

NO_NETWORK = ("--colouriser", "none")
RESTORED = ("--colour", "track", "--colouriser", "compact")  # where plain HEVC pays, too
NETWORKS = {
    "fast, no update": (*RESTORED, "--network", "fast", "--search", "fast", "--adapt", "off"),
    "fast, choices given": (
        *RESTORED,
        "--network",
        "fast",
        "--key-boost",
        "16",
        "--group",
        "16",
        "--adapt",
        "off",
    ),
    "fast": (*RESTORED, "--network", "fast"),
    "best, no update": (*RESTORED, "--network", "best", "--search", "fast", "--adapt", "off"),
    "best, in-band": (
        "--structure",
        "random-access",
        "--colouriser",
        "compact",
        "--network",
        "best",
    ),
}

# what a user's program does with `tinct.open`
READ_FRAMES = "import sys, tinct\nprint(sum(1 for _ in tinct.open(sys.argv[1])))"

# the anchor alone: the same frames to x265 as `tinct.bitstream.hevc` sets it up, packets dropped
X265_ALONE = """
import sys
from tinct.bitstream.hevc import HevcEncoder, HevcSettings
from tinct.media.source import open_source
video = open_source(sys.argv[1])
encoder = HevcEncoder(HevcSettings("intra", video.info, qp=int(sys.argv[2])), (video.info.height, video.info.width), grey=False)
for frame in video:
    encoder.encode((frame.y, frame.cb, frame.cr), frame.pts)
encoder.flush()
"""

# packets again and again with shifted times: any length of video without coding it
LOOP = """
import sys
import av
source, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with av.open(target, "w") as out:
    stream = None
    for n in range(count):
        with av.open(source) as container:
            video = container.streams.video[0]
            stream = stream or out.add_stream_from_template(video)
            step = round(video.frames / video.average_rate / video.time_base)
            for packet in container.demux(video):
                if packet.dts is None:
                    continue
                packet.pts, packet.dts = packet.pts + n * step, packet.dts + n * step
                packet.stream = stream
                out.mux(packet)
"""


@dataclass(frozen=True)
class Run:
    """One child process."""

    seconds: float
    cpu_seconds: float  # of all its threads
    peak_megabytes: float


def run(command: list[str]) -> Run:
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return Run(
        seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )  # Linux counts in KiB


def alternating(commands: dict[str, list[str]], runs: int) -> dict[str, Run]:
    """Medians of each command; their runs take turns, so that a busy moment hits all."""
    turns = [{name: run(command) for name, command in commands.items()} for _ in range(runs)]
    return {
        name: Run(
            *(median(getattr(turn[name], field.name) for turn in turns) for field in fields(Run))
        )
        for name in commands
    }


def info(path: Path) -> dict[str, Any]:
    return json.loads(
        subprocess.run([TINCT, "info", "--json", str(path)], check=True, capture_output=True).stdout
    )


def cut(clip: Path, folder: Path) -> Path:
    """The first seconds, lossless."""
    target = folder / f"{clip.stem}.mkv"
    run(
        [
            TINCT,
            "decode",
            "--quiet",
            "--overwrite",
            "--duration",
            str(CUT_SECONDS),
            str(clip),
            str(target),
        ]
    )
    return target


def encode_command(source: Path, target: Path, *options: str) -> list[str]:
    return [
        TINCT,
        "encode",
        "--quiet",
        "--overwrite",
        "--qp",
        QP,
        *options,
        str(source),
        str(target),
    ]


def measure_decode(clips: Path, folder: Path) -> dict[str, Any]:
    """Frames a second to raw frames: read through the API, and as YUV4MPEG2 to nowhere. The start of Python is in it."""
    found = {}
    for name in LARGE:
        coded = folder / "coded.mkv"
        run(encode_command(cut(clips / name, folder), coded, "--colour", "track", *NO_NETWORK))
        commands = {
            "frames": [sys.executable, "-c", READ_FRAMES, str(coded)],
            "y4m": [TINCT, "decode", "--quiet", str(coded), "-"],
        }
        frames = info(coded)["frames"]
        rates = {
            way: round(frames / child.seconds, 1)
            for way, child in alternating(commands, RUNS).items()
        }
        found[Path(name).stem] = {"frame_count": frames, "frames_per_second": rates}
        print("decode", Path(name).stem, rates, flush=True)
    return found


def measure_encode(clips: Path, folder: Path) -> dict[str, Any]:
    """Seconds of a default encode, and of x265 alone on the same frames with the anchor's options."""
    found = {}
    for name in (*LARGE, *SMALL):
        source = cut(clips / name, folder)
        coded = folder / "coded.mkv"
        commands = {
            "tinct": encode_command(source, coded, *NO_NETWORK),
            "x265": [sys.executable, "-c", X265_ALONE, str(source), QP],
        }
        sides = alternating(commands, RUNS)
        found[Path(name).stem] = {
            "frame_count": info(coded)["frames"],
            "layout": info(coded)["layout"],
            "seconds": {side: round(child.seconds, 2) for side, child in sides.items()},
            "cpu_seconds": {side: round(child.cpu_seconds, 2) for side, child in sides.items()},
            "ratio": round(sides["tinct"].seconds / sides["x265"].seconds, 3),
            "cpu_ratio": round(sides["tinct"].cpu_seconds / sides["x265"].cpu_seconds, 3),
        }
        print("encode", Path(name).stem, found[Path(name).stem], flush=True)
    return found


def measure_memory(clips: Path, folder: Path) -> dict[str, Any]:
    """Peak megabytes of encode and decode, of a short video and of the same ten times as long: medians, and all runs."""
    once, source, coded = folder / "once.mp4", folder / "looped.mkv", folder / "coded.mkv"
    run(
        [
            TINCT,
            "decode",
            "--quiet",
            "--duration",
            str(LOOP_SECONDS),
            str(clips / LARGE[0]),
            str(once),
        ]
    )
    peaks: dict[str, dict[int, list[float]]] = {"encode": {}, "decode": {}}
    for frames, loops in LOOPS.items():
        run([sys.executable, "-c", LOOP, str(once), str(source), str(loops)])
        encode = encode_command(
            source, coded, "--colour", "track", "--x265-preset", "ultrafast", *NO_NETWORK
        )
        peaks["encode"][frames] = [round(run(encode).peak_megabytes, 1) for _ in range(RUNS)]
        assert info(coded)["frames"] == frames, info(coded)["frames"]
        peaks["decode"][frames] = [
            round(run([TINCT, "decode", "--quiet", str(coded), "-"]).peak_megabytes, 1)
            for _ in range(RUNS)
        ]
        print("memory", frames, {way: peak[frames] for way, peak in peaks.items()}, flush=True)
    found: dict[str, Any] = {"x265_preset": "ultrafast"}
    for way, runs in peaks.items():
        short, long = (median(runs[frames]) for frames in LOOPS)
        found[way] = {
            "peak_megabytes": dict(zip(LOOPS, (short, long), strict=True)),
            "growth_percent": round(100 * (long / short - 1), 1),
            "runs": runs,
        }
    return found


def measure_start(clips: Path, folder: Path) -> dict[str, Any]:
    """Seconds until `tinct --help` and `tinct info` are done."""
    coded = folder / "coded.mkv"
    run(encode_command(cut(clips / SMALL[0], folder), coded))
    sides = alternating(
        {"--help": [TINCT, "--help"], "info": [TINCT, "info", str(coded)]}, START_RUNS
    )
    return {"seconds": {name: round(child.seconds, 3) for name, child in sides.items()}}


def measure_network(clips: Path, folder: Path) -> dict[str, Any]:
    """Frames a second and peak megabytes of an encode, and of a decode to YUV4MPEG2, the median of RUNS.

    And x265 alone on the same frames, which says how fast the machine is just then. What is weighed on samples before an encode
    takes as long whatever the length of the video: so one encode also of the same frames LONGER times over.
    """
    source, coded = cut(clips / LARGE[0], folder), folder / "coded.mkv"
    frames = info(source)["frames"]
    found: dict[str, Any] = {"clip": LARGE[0], "frame_count": frames}
    for label, options in NETWORKS.items():
        x265 = run([sys.executable, "-c", X265_ALONE, str(source), QP])
        encode = run(encode_command(source, coded, *options))
        decode = alternating({"y4m": [TINCT, "decode", "--quiet", str(coded), "-"]}, RUNS)["y4m"]
        found[label] = {
            "restored": info(coded)["colouriser"],
            "frames_per_second": {
                way: round(frames / child.seconds, 2)
                for way, child in (("x265", x265), ("encode", encode), ("decode", decode))
            },
            "peak_megabytes": {
                "encode": round(encode.peak_megabytes),
                "decode": round(decode.peak_megabytes),
            },
        }
        print("network", label, found[label], flush=True)
    once, looped = folder / "once.mp4", folder / "looped.mkv"
    run(
        [
            TINCT,
            "decode",
            "--quiet",
            "--duration",
            str(CUT_SECONDS),
            str(clips / LARGE[0]),
            str(once),
        ]
    )
    run([sys.executable, "-c", LOOP, str(once), str(looped), str(LONGER)])
    label, options = next(iter(NETWORKS.items()))
    seconds = run(encode_command(looped, coded, *options)).seconds
    assert info(coded)["frames"] == LONGER * frames, info(coded)["frames"]
    found["longer"] = {
        "of": label,
        "frame_count": LONGER * frames,
        "encode_frames_per_second": round(LONGER * frames / seconds, 2),
    }
    print("network, longer", found["longer"], flush=True)
    return found


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "decode": measure_decode, "encode": measure_encode, "memory": measure_memory, "start": measure_start,
    "network": measure_network,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, help="default: all, one after the other")
    parser.add_argument("--clips", type=Path, default=Path("../shared/clips"))
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "results" / "speed.json"
    )
    options = parser.parse_args()
    document = json.loads(options.out.read_text()) if options.out.exists() else {}
    document["targets"] = TARGETS
    versions = {
        name: version(name)
        for name in ("tinct", "av", "numpy", "opencv-python-headless", "openvino", "torch")
    }
    for name in [options.part] if options.part else list(PARTS):
        about = {
            "date": date.today().isoformat(), "versions": versions | {"python": platform.python_version()},
            "machine": platform.machine(), "cpu_count": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2),
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            found = PARTS[name](options.clips, Path(folder))
        print(name, json.dumps(found))
        document[name] = about | found
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
