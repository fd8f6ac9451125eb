"""A long video through encode, adaptation and decode, with memory and open files watched.

    python -m lab.benchmarks.soak [--minutes 30]

640x360 at 5 frames/s, with sound: a minute of a moving scene, repeated packet by packet, encoded
with the network that ships and an update of it for this video. Prints, for each run, its memory
after the first minute and its peak after that, its open files, and how far apart sound and pictures
end. An encode codes, learns and decodes again, each with memory of its own: its peak must not grow
beyond that of a video a tenth as long. It takes more than half an hour and wants an idle machine:
how many frames are in work at a time depends on what else runs.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import av

import tinct
from tests.synthetic import write_clip

RATE = 5
LOOP_FRAMES = 256  # 51.2 s, which is a whole number of sound packets too
SETTLED_SECONDS = 60
SAMPLES_PER_SECOND = 10
SHORT = 0.1  # of the whole length, to compare with
MAX_GROWTH_PERCENT = 3.0
ENCODE = (
    *("--colour", "track", "--group", "12", "--key-boost", "9"),
    *("--colouriser", "compact", "--adapt", "auto"),
    *("--x265-preset", "ultrafast", "--quiet"),
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a process took, and what it wrote.

    `settled_megabytes` is the memory after the first minute, or at the half of a shorter run,
    `peak_megabytes` the peak after that, and `growth_percent` that peak beyond what had settled, or
    beyond the peak for a shorter video. `files` are open at the end (the median of ten seconds,
    since a sample may meet one that is open for a moment); `files_growth` is since the minute after
    the first, or beside a shorter video. `apart_milliseconds` lie between the ends of pictures and
    sound.
    """

    name: str
    seconds: float
    settled_megabytes: float
    peak_megabytes: float
    growth_percent: float
    files: int
    files_growth: int
    frames: int
    apart_milliseconds: float
    megabytes_by_minute: list[int]


def write_long(path: Path, frames: int) -> None:
    """Write a clip's packets again and again, both tracks, with later times."""
    loop = path.with_name("loop.mkv")
    write_clip(
        loop,
        frames=LOOP_FRAMES,
        size=(640, 360),
        rate=RATE,
        codec="libx264",
        codec_options={"preset": "ultrafast", "g": str(RATE)},
        audio="pcm_s16le",
    )
    streams: dict[int, av.stream.Stream] = {}
    with av.open(str(path), "w") as out:
        for turn in range(-(-frames // LOOP_FRAMES)):
            with av.open(str(loop)) as given:
                if not streams:
                    streams = {s.index: out.add_stream_from_template(s) for s in given.streams}
                for packet in given.demux():
                    if packet.pts is None:  # the last one, which is empty
                        continue
                    packet.pts += round(turn * LOOP_FRAMES / RATE / packet.time_base)
                    packet.dts = packet.pts  # pictures are coded in the order shown
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)


def read_ends(path: Path) -> tuple[int, dict[str, Fraction]]:
    """Return the number of frames, and when each kind of track ends, in seconds."""
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


def watch(process: "subprocess.Popen[bytes]") -> tuple[Sequence[float], Sequence[int]]:
    """Sample a process until it ends; return peak megabytes since the sample before, and files."""
    megabytes, files = array("d"), array("q")
    proc = Path(f"/proc/{process.pid}")
    while process.poll() is None:
        try:
            status = (proc / "status").read_text()
            megabytes.append(int(status.split("VmHWM:")[1].split()[0]) / 1024)
            (proc / "clear_refs").write_text("5")  # resets the peak
            files.append(len(os.listdir(proc / "fd")))
        except (OSError, IndexError):
            break  # it is ending
        time.sleep(1 / SAMPLES_PER_SECOND)
    return megabytes, files


def run_watched(
    name: str, output: Path, words: Sequence[object], shorter: Run | None = None
) -> Run:
    """Run `tinct` with these arguments and return what it took.

    Samples are frequent, because the end of an encode is short.
    """
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tinct", *map(str, words)])
    megabytes, files = watch(process)
    if code := process.wait():
        sys.exit(f"{name} ended with code {code}")
    seconds = time.monotonic() - began
    settled = min(SETTLED_SECONDS * SAMPLES_PER_SECOND, len(megabytes) // 2)
    minute = min(60 * SAMPLES_PER_SECOND, len(megabytes) // 4)
    later = megabytes[settled:-1] or megabytes
    bound = later[0] if shorter is None else shorter.peak_megabytes
    files_then = round(median(files[settled : settled + minute]))
    files_last = round(median(files[-10 * SAMPLES_PER_SECOND :]))
    frames, ends = read_ends(output)
    return Run(
        name=name,
        seconds=round(seconds, 1),
        settled_megabytes=round(later[0], 1),
        peak_megabytes=round(max(later), 1),
        growth_percent=round(100 * (max(later) / bound - 1), 2),
        files=files_last,
        files_growth=files_last - (files_then if shorter is None else shorter.files),
        frames=frames,
        apart_milliseconds=round(float(abs(ends["video"] - ends["audio"])) * 1000, 1),
        megabytes_by_minute=[round(value) for value in megabytes[:: 60 * SAMPLES_PER_SECOND]],
    )


def soak(minutes: float, folder: Path) -> list[Run]:
    """Encode a short video, to compare with, and the whole one; decode the whole one."""
    names = ("short.mkv", "long.mkv", "a.mkv", "a.mp4")
    short, source, coded, decoded = (folder / name for name in names)
    write_long(short, round(minutes * SHORT * 60 * RATE))
    write_long(source, round(minutes * 60 * RATE))
    first = run_watched("encode a tenth", coded, ["encode", short, coded, *ENCODE])
    encode = ["encode", source, coded, "--overwrite", *ENCODE]
    whole = run_watched("encode", coded, encode, shorter=first)
    last = run_watched("decode", decoded, ["decode", coded, decoded, "--quiet"])
    assert tinct.info(str(coded)).frames == whole.frames == last.frames
    return [first, whole, last]


def is_within_bounds(run: Run, *, is_first: bool) -> bool:
    """Return whether a run stays within the bounds; the first is there to compare with."""
    has_grown = run.growth_percent > MAX_GROWTH_PERCENT or run.files_growth > 0
    return run.apart_milliseconds <= 1000 / RATE and (is_first or not has_grown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        runs = soak(options.minutes, Path(folder))
    print(json.dumps([asdict(run) for run in runs], indent=1))
    wrong = [run.name for run in runs if not is_within_bounds(run, is_first=run is runs[0])]
    sys.exit(f"beyond the bounds: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
