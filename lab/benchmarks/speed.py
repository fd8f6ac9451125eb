"""How fast Tinct decodes, encodes and starts, and how much memory it takes, as whole processes.

    python -m lab.benchmarks.speed [--part decode|encode|memory|start|network|sending|searching]
        [--clips ../shared/clips]

`searching` measures all-intra encodes beside x265 alone, `network` the networks that ship, one
encode each, `sending` decodes with frames left out and with every frame sent, beside a decode of
x265 all-intra, `start` a default file, the other parts files without a network. Every figure is a
child process's: wall clock (median; where sides are compared they alternate) and peak memory from
the kernel. This process stays small, because a child's peak starts at its parent's.
"""

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
from pathlib import Path
from statistics import median
from typing import Any

from lab.benchmarks.children import make_command
from lab.benchmarks.common import CLIPS, RESULTS, make_parser, read_versions, write_document

TINCT = str(Path(sys.executable).with_name("tinct"))
LARGE = ("val/bigbuckbunny.mp4", "train/sam2_cups.mp4")  # 1280x720
SMALL = ("val/mother_daughter.mp4",)
QP = "32"
CUT_SECONDS = 4.0
RUNS = 3
START_RUNS = 7
LOOP_SECONDS = 2.4  # 60 frames at 25 a second
LOOPS = {300: 5, 3000: 50}  # frames, and how often the 60 are repeated
LONGER = 5  # times the same frames
TARGETS = {
    "decode_frames_per_second": 40,
    "encode_ratio": 1.35,
    "peak_megabytes": 900,
    "peak_growth_percent": 5,
    "start_seconds": 0.4,
    "network": {
        "decode_frames_per_second": {
            "fast, no update": 20,
            "fast": 20,
            "best, no update": 5,
            "best, in-band": 5,
        },
        "encode_frames_per_second": {"fast, no update": 3},
        "peak_megabytes": {"decode": 1500, "encode": 2500},
    },
}

NO_NETWORK = ("--structure", "intra", "--colouriser", "none")
# Colour on a track of its own with a network, where plain HEVC would pay, too.
RESTORED = ("--colour", "track", "--colouriser", "compact")
FAST, BEST = ("--network", "fast"), ("--network", "best")
NO_UPDATE = ("--adapt", "off")
NO_SEARCH = ("--key-boost", "16", "--group", "16")  # choices given
NETWORKS = {
    "fast, no update": (*RESTORED, *FAST, "--search", "fast", *NO_UPDATE),
    "fast, choices given": (*RESTORED, *FAST, *NO_SEARCH, *NO_UPDATE),
    "fast": (*RESTORED, *FAST),
    "best, no update": (*RESTORED, *BEST, "--search", "fast", *NO_UPDATE),
    "best, in-band": ("--structure", "random-access", "--base", "hevc", *BEST),
}
SEARCHING = {"fast": NO_UPDATE, "search off": ("--search", "off")}
SENDING = {
    f"{network}, {label}": (*RESTORED, "--network", network, "--search", "off", *options)
    for network in ("fast", "best")
    for label, options in (("frames left out", ()), ("every frame sent", ("--interpolate", "off")))
}


@dataclass(frozen=True)
class Run:
    """What a child process took."""

    seconds: float
    cpu_seconds: float  # of all its threads
    peak_megabytes: float


def run(command: list[str]) -> Run:
    """Run a command to its end and return its cost. Raise CalledProcessError where it fails."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    peak_megabytes = usage.ru_maxrss / 1024  # Linux counts in KiB
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak_megabytes)


def run_alternating(commands: dict[str, list[str]], runs: int) -> dict[str, Run]:
    """Return medians of each command; their runs take turns, so that a busy moment hits all."""
    turns = [{name: run(command) for name, command in commands.items()} for _ in range(runs)]
    return {name: _median([turn[name] for turn in turns]) for name in commands}


def _median(runs: list[Run]) -> Run:
    return Run(*(median(getattr(run, field.name) for run in runs) for field in fields(Run)))


def read_info(path: Path) -> dict[str, Any]:
    """Return what `tinct info` says of a file."""
    command = [TINCT, "info", "--json", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def cut(clip: Path, target: Path, seconds: float = CUT_SECONDS) -> Path:
    """Decode the first seconds into another file, lossless where it is Matroska."""
    options = ["--quiet", "--overwrite", "--duration", str(seconds)]
    run([TINCT, "decode", *options, str(clip), str(target)])
    return target


def cut_lossless(clip: Path, folder: Path) -> Path:
    """Write the first seconds of a clip, lossless, into a folder."""
    return cut(clip, folder / f"{clip.stem}.mkv")


def encode_command(source: Path, target: Path, *options: str) -> list[str]:
    command = [TINCT, "encode", "--quiet", "--overwrite", "--qp", QP]
    return [*command, *options, str(source), str(target)]


def decode_command(coded: Path) -> list[str]:
    """Return a decode to YUV4MPEG2 on a pipe that nobody looks at."""
    return [TINCT, "decode", "--quiet", str(coded), "-"]


def measure_decode(clips: Path, folder: Path) -> dict[str, Any]:
    """Return frames a second of a decode, through the API and as YUV4MPEG2.

    The start of Python is part of it.
    """
    found = {}
    for name in LARGE:
        source, coded = cut_lossless(clips / name, folder), folder / "coded.mkv"
        run(encode_command(source, coded, "--colour", "track", *NO_NETWORK))
        commands = {"frames": make_command("read", coded), "y4m": decode_command(coded)}
        frames = read_info(coded)["frames"]
        children = run_alternating(commands, RUNS)
        rates = {way: round(frames / child.seconds, 1) for way, child in children.items()}
        found[source.stem] = {"frame_count": frames, "frames_per_second": rates}
        print("decode", source.stem, rates, flush=True)
    return found


def measure_encode(clips: Path, folder: Path) -> dict[str, Any]:
    """Return seconds of a default encode, and of x265 alone with the anchor's settings."""
    found = {}
    for name in (*LARGE, *SMALL):
        source, coded = cut_lossless(clips / name, folder), folder / "coded.mkv"
        commands = {
            "tinct": encode_command(source, coded, *NO_NETWORK),
            "x265": make_command("x265", source, QP),
        }
        sides = run_alternating(commands, RUNS)
        info = read_info(coded)
        found[source.stem] = {
            "frame_count": info["frames"],
            "layout": info["layout"],
            "seconds": {side: round(child.seconds, 2) for side, child in sides.items()},
            "cpu_seconds": {side: round(child.cpu_seconds, 2) for side, child in sides.items()},
            "ratio": round(sides["tinct"].seconds / sides["x265"].seconds, 3),
            "cpu_ratio": round(sides["tinct"].cpu_seconds / sides["x265"].cpu_seconds, 3),
        }
        print("encode", source.stem, found[source.stem], flush=True)
    return found


def measure_memory(clips: Path, folder: Path) -> dict[str, Any]:
    """Return peak megabytes of encode and decode, of a short video and of one ten times as long.

    Medians, and all runs.
    """
    once = cut(clips / LARGE[0], folder / "once.mp4", LOOP_SECONDS)
    source, coded = folder / "looped.mkv", folder / "coded.mkv"
    options = ("--colour", "track", "--x265-preset", "ultrafast", *NO_NETWORK)
    peaks: dict[str, dict[int, list[float]]] = {"encode": {}, "decode": {}}
    for frames, loops in LOOPS.items():
        run(make_command("loop", once, source, loops))
        commands = {
            "encode": encode_command(source, coded, *options),
            "decode": decode_command(coded),
        }
        for way, command in commands.items():
            runs = [run(command) for _ in range(RUNS)]
            peaks[way][frames] = [round(one.peak_megabytes, 1) for one in runs]
        assert read_info(coded)["frames"] == frames
        print("memory", frames, {way: peak[frames] for way, peak in peaks.items()}, flush=True)
    found: dict[str, Any] = {"x265_preset": "ultrafast"}
    for way, peak in peaks.items():
        short, long = (median(peak[frames]) for frames in LOOPS)
        found[way] = {
            "peak_megabytes": dict(zip(LOOPS, (short, long), strict=True)),
            "growth_percent": round(100 * (long / short - 1), 1),
            "runs": peak,
        }
    return found


def measure_start(clips: Path, folder: Path) -> dict[str, Any]:
    """Return seconds until `tinct --help` and `tinct info` are done."""
    coded = folder / "coded.mkv"
    run(encode_command(cut_lossless(clips / SMALL[0], folder), coded))
    commands = {"--help": [TINCT, "--help"], "info": [TINCT, "info", str(coded)]}
    sides = run_alternating(commands, START_RUNS)
    return {"seconds": {name: round(child.seconds, 3) for name, child in sides.items()}}


def measure_network(clips: Path, folder: Path) -> dict[str, Any]:
    """Return frames a second and peak megabytes of one encode and of decodes, by network.

    Decodes are medians of RUNS. x265 alone on the same frames says how fast the machine is just
    then. The search on samples takes as long whatever the length of the video: therefore one encode
    more, of the same frames LONGER times over.
    """
    source, coded = cut_lossless(clips / LARGE[0], folder), folder / "coded.mkv"
    frames = read_info(source)["frames"]
    found: dict[str, Any] = {"clip": LARGE[0], "frame_count": frames}
    for label, options in NETWORKS.items():
        x265 = run(make_command("x265", source, QP))
        encode = run(encode_command(source, coded, *options))
        decode = run_alternating({"y4m": decode_command(coded)}, RUNS)["y4m"]
        children = {"x265": x265, "encode": encode, "decode": decode}
        found[label] = {
            "restored": read_info(coded)["colouriser"],
            "frames_per_second": {
                way: round(frames / child.seconds, 2) for way, child in children.items()
            },
            "peak_megabytes": {
                "encode": round(encode.peak_megabytes),
                "decode": round(decode.peak_megabytes),
            },
        }
        print("network", label, found[label], flush=True)
    found["longer"] = _measure_longer(clips, folder, frames)
    print("network, longer", found["longer"], flush=True)
    return found


def _measure_longer(clips: Path, folder: Path, frames: int) -> dict[str, Any]:
    """Return frames a second of an encode of the same frames LONGER times over."""
    once = cut(clips / LARGE[0], folder / "once.mp4")
    looped, coded = folder / "looped.mkv", folder / "coded.mkv"
    run(make_command("loop", once, looped, LONGER))
    label, options = next(iter(NETWORKS.items()))
    seconds = run(encode_command(looped, coded, *options)).seconds
    assert read_info(coded)["frames"] == LONGER * frames
    return {
        "of": label,
        "frame_count": LONGER * frames,
        "encode_frames_per_second": round(LONGER * frames / seconds, 2),
    }


def measure_searching(clips: Path, folder: Path) -> dict[str, Any]:
    """Return how many times as fast as x265 all-intra alone all-intra encodes are.

    Of some frames, and of the same LONGER times over: the search takes as long for both.
    """
    once = cut(clips / LARGE[0], folder / "once.mp4")
    source, coded = folder / "source.mkv", folder / "coded.mkv"
    found: dict[str, Any] = {"clip": LARGE[0]}
    for loops in (1, LONGER):
        run(make_command("loop", once, source, loops))
        commands = {
            name: encode_command(source, coded, "--structure", "intra", *options)
            for name, options in SEARCHING.items()
        }
        sides = run_alternating({"x265": make_command("x265", source, QP), **commands}, RUNS)
        frames = read_info(source)["frames"]
        found[f"{frames} frames"] = {
            name: {
                "frames_per_second": round(frames / side.seconds, 2),
                "speed_ratio": round(sides["x265"].seconds / side.seconds, 3),
                "cpu_ratio": round(sides["x265"].cpu_seconds / side.cpu_seconds, 3),
            }
            for name, side in sides.items()
        }
        print("searching", frames, found[f"{frames} frames"], flush=True)
    return found


def measure_sending(clips: Path, folder: Path) -> dict[str, Any]:
    """Return frames a second and processor time of decodes by the API, and as shares of x265's.

    The files take turns. The start of Python is part of it, and said beside it.
    """
    source = cut_lossless(clips / LARGE[1], folder)
    frames = read_info(source)["frames"]
    files = {name: folder / f"{number}.mkv" for number, name in enumerate(SENDING)}
    for name, options in SENDING.items():
        run(encode_command(source, files[name], "--structure", "intra", *options))
    sent = {name: read_info(path)["sent_frames"] for name, path in files.items()}
    files["x265"] = folder / "x265.mkv"
    settings = ["structure=intra", f"qp={QP}", "preset=medium"]
    program = [sys.executable, "-m", "tinct.evaluation.encode", "hevc"]
    run([*program, str(source), str(files["x265"]), *settings])
    commands = {name: make_command("read", path) for name, path in files.items()}
    sides = run_alternating(commands | {"start": make_command("start")}, RUNS)
    start, anchor = sides.pop("start"), sides["x265"]
    found: dict[str, Any] = {
        "clip": LARGE[1],
        "frame_count": frames,
        "start_seconds": round(start.seconds, 3),
    }
    for name, side in sides.items():
        found[name] = {
            "sent_frames": sent.get(name, frames),
            "frames_per_second": round(frames / side.seconds, 2),
            "cpu_ms_per_frame": round(1000 * (side.cpu_seconds - start.cpu_seconds) / frames, 1),
            "speed_ratio": round(anchor.seconds / side.seconds, 3),
        }
        print("sending", name, found[name], flush=True)
    return found


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "decode": measure_decode,
    "encode": measure_encode,
    "memory": measure_memory,
    "start": measure_start,
    "network": measure_network,
    "sending": measure_sending,
    "searching": measure_searching,
}


def describe_run() -> dict[str, Any]:
    """Return when and on what a part is measured."""
    packages = ("tinct", "av", "numpy", "opencv-python-headless", "openvino", "torch")
    return {
        "date": date.today().isoformat(),
        "versions": read_versions(*packages),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--part", choices=PARTS, help="default: all, one after the other")
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--out", type=Path, default=RESULTS / "speed.json")
    options = parser.parse_args()
    document = json.loads(options.out.read_text()) if options.out.exists() else {}
    document["targets"] = TARGETS
    for name in [options.part] if options.part else list(PARTS):
        about = describe_run()
        with tempfile.TemporaryDirectory() as folder:
            found = PARTS[name](options.clips, Path(folder))
        print(name, json.dumps(found))
        document[name] = about | found
        write_document(options.out, document)


if __name__ == "__main__":
    main()
