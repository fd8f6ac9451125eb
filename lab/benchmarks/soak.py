"""A long video through encode, adaptation and decode, watched all along: `python -m lab.benchmarks.soak [--minutes 30]`.

640x360 at 5 frames/s, with sound: a minute of a moving scene, repeated packet by packet, coded with the network that ships
and an update of it for this video. Prints, for each run, its memory after the first minute and its peak after that, its open
files, and how far apart sound and pictures end. An encode codes, learns, and looks again, each with memory of its own: what must
not grow is its peak, beside that of a video a tenth as long. Takes more than half an hour, and wants a machine of its own:
how many frames are under way at a time hangs on what else runs.
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
from statistics import median
from tempfile import TemporaryDirectory

import av

import tinct
from tests.synthetic import write_clip

RATE = 5
LOOP_FRAMES = 256  # 51.2 s: as many whole packets of sound
SETTLED_SECONDS = 60.0
LOOKS_PER_SECOND = 10
SHORT = 0.1  # of the whole length, to compare with
MAX_GROWTH_PERCENT = 3.0
ENCODE = (
    "--colour", "track", "--group", "12", "--key-boost", "9", "--colouriser", "compact", "--adapt", "auto",
    "--x265-preset", "ultrafast", "--quiet",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What a process took, and what it wrote."""

    name: str
    seconds: float
    settled_megabytes: float  # after the first minute, or at the half of a shorter run
    peak_megabytes: float  # after that
    growth_percent: (
        float  # of that peak, beyond what had settled, or beyond the peak for a shorter video
    )
    files: int  # open at the end, the median of the last ten seconds: a look may catch one that is open for a moment
    files_growth: int  # since the minute after the first, or beside a shorter video
    frames: int
    apart_milliseconds: float  # the ends of pictures and sound
    megabytes_by_minute: list[int]


def write_long(path: Path, frames: int) -> None:
    """The looped clip: packets of both tracks again and again with later times."""
    loop = path.with_name("loop.mkv")
    options = {"preset": "ultrafast", "g": str(RATE)}
    write_clip(
        loop,
        frames=LOOP_FRAMES,
        size=(640, 360),
        rate=RATE,
        codec="libx264",
        codec_options=options,
        audio="pcm_s16le",
    )
    with av.open(str(path), "w") as out:
        streams: dict[int, av.stream.Stream] = {}
        for turn in range(-(-frames // LOOP_FRAMES)):
            with av.open(str(loop)) as given:
                for stream in given.streams:
                    streams.setdefault(
                        stream.index, out.add_stream_from_template(stream)
                    ) if not turn else None
                for packet in given.demux():
                    if packet.pts is None:  # the last: it says that there are no more
                        continue
                    packet.pts += round(turn * LOOP_FRAMES / RATE / packet.time_base)
                    packet.dts = packet.pts  # no picture is coded out of turn
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


def watched(name: str, output: Path, *arguments: str | Path, shorter: Run | None = None) -> Run:
    """Run `tinct`, looking at its memory and its open files: often, since the end of an encode is short."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tinct", *map(str, arguments)])
    megabytes, files = array("d"), array("q")
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            megabytes.append(
                int(status.split("VmHWM:")[1].split()[0]) / 1024
            )  # the most since the last look
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
            files.append(len(os.listdir(f"/proc/{process.pid}/fd")))
        except (OSError, IndexError):
            break  # it is ending
        time.sleep(1 / LOOKS_PER_SECOND)
    if code := process.wait():
        sys.exit(f"{name} ended with code {code}")
    settled = min(int(SETTLED_SECONDS * LOOKS_PER_SECOND), len(megabytes) // 2)
    minute = min(int(60 * LOOKS_PER_SECOND), len(megabytes) // 4)
    later = megabytes[settled:-1] or megabytes
    bound = later[0] if shorter is None else shorter.peak_megabytes
    files_then, files_last = (
        round(median(some))
        for some in (files[settled : settled + minute], files[-10 * LOOKS_PER_SECOND :])
    )
    frames, ends = ends_of(output)
    return Run(
        name=name,
        seconds=round(time.monotonic() - began, 1),
        settled_megabytes=round(later[0], 1),
        peak_megabytes=round(max(later), 1),
        growth_percent=round(100 * (max(later) / bound - 1), 2),
        files=files_last,
        files_growth=files_last - (files_then if shorter is None else shorter.files),
        frames=frames,
        apart_milliseconds=round(float(abs(ends["video"] - ends["audio"])) * 1000, 1),
        megabytes_by_minute=[round(value) for value in megabytes[:: 60 * LOOKS_PER_SECOND]],
    )


def soak(minutes: float, folder: Path) -> list[Run]:
    """Encodes of a short and of the whole video, and a decode of the whole; the short one is there to compare with."""
    short, source, coded, shown = (
        folder / name for name in ("short.mkv", "long.mkv", "a.mkv", "a.mp4")
    )
    write_long(short, round(minutes * SHORT * 60 * RATE))
    write_long(source, round(minutes * 60 * RATE))
    first = watched("encode a tenth", coded, "encode", short, coded, *ENCODE)
    runs = [
        first,
        watched("encode", coded, "encode", source, coded, "--overwrite", *ENCODE, shorter=first),
        watched("decode", shown, "decode", coded, shown, "--quiet"),
    ]
    assert tinct.info(str(coded)).frames == runs[1].frames == runs[2].frames
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        runs = soak(options.minutes, Path(folder))
    print(json.dumps([asdict(run) for run in runs], indent=1))
    wrong = [
        run.name for run in runs
        if run.apart_milliseconds > 1000 / RATE
        or (run is not runs[0] and (run.growth_percent > MAX_GROWTH_PERCENT or run.files_growth > 0))
    ]  # fmt: skip
    sys.exit(f"beyond the bounds: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
