"""A long video through encode, adaptation and decode, watched every second: `python -m benchmarks.soak [--minutes 30]`.

640x360 with sound: ten seconds of a moving scene, repeated packet by packet. Prints, for each run, its memory after the first
minute and its peak after that, its open files, and how far apart sound and pictures end. Takes hours at its full length.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from array import array
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av

import tinct
from tests.synthetic import write_clip

RATE = 25
LOOP_FRAMES = 256  # 10.24 s: as many whole packets of sound
SETTLED_SECONDS = 60.0
MAX_GROWTH_PERCENT = 3.0
FAST = ("--x265-preset", "ultrafast", "--quiet")
ADAPT = ("--preset", "paper", "--recipe", "cpu", "--channels", "8", "--adapt", "20steps")


@dataclass(frozen=True)
class Run:
    """What a process took, and what it wrote."""

    name: str
    seconds: float
    settled_megabytes: float  # after the first minute, or at the half of a shorter run
    peak_megabytes: float  # after that
    growth_percent: float
    most_files: int  # open at once, after the first minute
    files_growth: int
    frames: int
    apart_milliseconds: float  # the ends of pictures and sound


def write_long(path: Path, frames: int) -> None:
    """The looped clip: packets of both tracks again and again with later times."""
    loop = path.with_name("loop.mkv")
    options = {"preset": "ultrafast", "g": str(RATE)}
    write_clip(loop, frames=LOOP_FRAMES, size=(640, 360), codec="libx264", codec_options=options, audio="pcm_s16le")
    with av.open(str(path), "w") as out:
        streams: dict[int, av.stream.Stream] = {}
        for turn in range(-(-frames // LOOP_FRAMES)):
            with av.open(str(loop)) as given:
                for stream in given.streams:
                    streams.setdefault(stream.index, out.add_stream_from_template(stream)) if not turn else None
                for packet in given.demux():
                    if packet.pts is None or packet.dts is None:
                        continue
                    shift = round(turn * LOOP_FRAMES / RATE / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)


def ends_of(path: Path) -> tuple[int, dict[str, Fraction]]:
    """Frames, and when each kind of track ends, in seconds."""
    ends: dict[str, Fraction] = {}
    frames = 0
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.size:
                kind = packet.stream.type
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                ends[kind] = max(ends.get(kind, Fraction(0)), end)
                frames += kind == "video" and packet.stream.index == 0
    return frames, ends


def watched(name: str, output: Path, *arguments: str | Path) -> Run:
    """Run `tinct`, looking at its memory and its open files once a second."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tinct", *map(str, arguments)])
    megabytes, files = array("d"), array("q")
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            megabytes.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
            files.append(len(os.listdir(f"/proc/{process.pid}/fd")))
        except (OSError, IndexError):
            break  # it is ending
        time.sleep(1)
    if code := process.wait():
        sys.exit(f"{name} ended with code {code}")
    settled = min(int(SETTLED_SECONDS), len(megabytes) // 2)
    later, later_files = megabytes[settled:-1] or megabytes, files[settled:-1] or files
    frames, ends = ends_of(output)
    return Run(
        name=name,
        seconds=round(time.monotonic() - began, 1),
        settled_megabytes=round(later[0], 1),
        peak_megabytes=round(max(later), 1),
        growth_percent=round(100 * (max(later) / later[0] - 1), 2),
        most_files=max(later_files),
        files_growth=later_files[-1] - later_files[0],
        frames=frames,
        apart_milliseconds=round(float(abs(ends["video"] - ends["audio"])) * 1000, 1),
    )


def soak(minutes: float, folder: Path, adapt: bool) -> list[Run]:
    count = round(minutes * 60 * RATE)
    source = folder / "long.mkv"
    write_long(source, count)
    runs = [watched("encode", folder / "a.mkv", "encode", source, folder / "a.mkv", "--colour", "track", *FAST)]
    runs.append(watched("decode", folder / "a.mp4", "decode", folder / "a.mkv", folder / "a.mp4", "--quiet"))
    if adapt:
        runs.append(watched("adapt", folder / "g.mkv", "encode", source, folder / "g.mkv", *ADAPT, *FAST))
        runs.append(watched("decode adapted", folder / "g.mp4", "decode", folder / "g.mkv", folder / "g.mp4", "--quiet"))
    assert tinct.info(str(folder / "a.mkv")).frames == runs[0].frames
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--no-adapt", action="store_true", help="only encode and decode")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        runs = soak(options.minutes, Path(folder), not options.no_adapt)
    print(json.dumps([asdict(run) for run in runs], indent=1))
    wrong = [
        run.name for run in runs
        if run.growth_percent > MAX_GROWTH_PERCENT or run.files_growth > 0 or run.apart_milliseconds > 1000 / RATE
    ]  # fmt: skip
    sys.exit(f"beyond the bounds: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
