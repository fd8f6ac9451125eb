"""Load: runs side by side, repeated runs and fewer processors give the same frames and bytes.

`test_faults` has runs that are killed.
"""

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same_frames, linux_only
from synthetic import write_clip

import tinct

SIDE_BY_SIDE = 8


@pytest.fixture(scope="module")
def network_path(clip_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip with the shipped network on a colour track."""
    path = tmp_path_factory.mktemp("load") / "a.mkv"
    tinct.encode(
        str(clip_path), str(path), tinct.EncodeConfig(colour="track", group=8, colouriser="compact")
    )
    return path


def count_open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@linux_only
def test_decodes_side_by_side_in_one_process_give_the_same_frames(
    tinct_path: Path, network_path: Path
) -> None:
    alone = {path: list(tinct.open(str(path))) for path in (tinct_path, network_path)}
    before, threads_before = count_open_files(), threading.active_count()
    found: dict[int, list[tinct.Frame]] = {}

    def decode(number: int, path: Path) -> None:
        found[number] = list(tinct.open(str(path)))

    paths = [(tinct_path, network_path)[number % 2] for number in range(SIDE_BY_SIDE)]
    threads = [threading.Thread(target=decode, args=item) for item in enumerate(paths)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number, path in enumerate(paths):
        assert_same_frames(found[number], alone[path])
    assert count_open_files() == before
    assert threading.active_count() == threads_before


OPEN_MANY = """
import sys, threading
import tinct
def open_often():
    for _ in range(60):
        assert next(iter(tinct.open(sys.argv[1]))).y.any()
threads = [threading.Thread(target=open_often) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("all were opened")
"""


@pytest.mark.slow
def test_videos_opened_side_by_side_do_not_wait_for_each_other(clip_path: Path) -> None:
    """A thread of a decoder that needs Python's lock would stop the whole process for good."""
    command = [sys.executable, "-c", OPEN_MANY, str(clip_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("all were opened\n", "")


@pytest.mark.slow
def test_decodes_side_by_side_in_processes_give_the_same_file(
    network_path: Path, tmp_path: Path
) -> None:
    """Processes that write into one folder, and look for files of dead runs there, all succeed."""
    command = [sys.executable, "-m", "tinct", "decode", str(network_path)]
    running = [
        subprocess.Popen([*command, str(tmp_path / f"{n}.mkv"), "--quiet"], stderr=subprocess.PIPE)
        for n in range(SIDE_BY_SIDE)
    ]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, b"")
    first = (tmp_path / "0.mkv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{n}.mkv" for n in range(SIDE_BY_SIDE)
    ]
    assert all((tmp_path / f"{n}.mkv").read_bytes() == first for n in range(SIDE_BY_SIDE))


@pytest.mark.nightly
@linux_only
def test_a_hundred_decodes_leave_no_file_open(tinct_path: Path, tmp_path: Path) -> None:
    """Decodes of good, refused and damaged files leave no file open."""
    spoilt, short = tmp_path / "spoilt.mkv", tmp_path / "short.mkv"
    data = tinct_path.read_bytes()
    spoilt.write_bytes(data.replace(b'"tinct":1', b'"tinct":7'))
    short.write_bytes(data[: len(data) // 2])
    counts = []
    for _ in range(34):
        for path in (tinct_path, spoilt, short):
            try:
                tinct.decode(str(path), str(tmp_path / "out.mkv"), overwrite=True)
            except tinct.CodecError:
                assert path is spoilt
        counts.append(count_open_files())
    assert counts[1] == counts[-1]


# `os.cpu_count` does not respect the affinity.
LIMITED_RUN = """
import os, sys
os.sched_setaffinity(0, {allowed})
os.cpu_count = lambda: {count}
from tinct.cli.app import main
main(sys.argv[1:])
"""


def run_on_processors(count: int, *arguments: str | Path) -> None:
    """Run `tinct` on this many processors."""
    allowed = sorted(os.sched_getaffinity(0))[:count]
    code = LIMITED_RUN.format(allowed=allowed, count=count)
    command = [sys.executable, "-c", code, *map(str, arguments), "--quiet", "--overwrite"]
    subprocess.run(command, check=True, timeout=120)


needs_two = pytest.mark.skipif(
    not sys.platform.startswith("linux") or (os.cpu_count() or 1) < 2, reason="needs two processors"
)
COMPACT = ("--colouriser", "compact", "--colour", "track")
GAN = ("--preset", "paper", "--recipe", "cpu", "--channels", "8", "--adapt", "4steps")


@needs_two
@pytest.mark.parametrize(
    "options",
    [
        ("--colouriser", "compact", "--colour", "track"),
        pytest.param(GAN, marks=pytest.mark.nightly),
    ],
    ids=["compact", "gan"],
)
def test_one_thread_and_two_show_the_same_to_one_grey_level(
    clip_path: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    run_on_processors(2, "encode", clip_path, tmp_path / "a.mkv", *options)
    pictures = []
    for count in (1, 2):
        run_on_processors(count, "decode", tmp_path / "a.mkv", tmp_path / "a.y4m")
        pictures.append(np.frombuffer((tmp_path / "a.y4m").read_bytes(), np.uint8).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.nightly
@needs_two
def test_the_same_encode_on_one_processor_and_on_two_gives_the_same_file(tmp_path: Path) -> None:
    """x265 and the shipped network give the same bytes on any number of processors.

    Training does not.
    """
    clip_path = tmp_path / "clip.mkv"
    # Pictures of this size are large enough for x265 to code parts of them in parallel.
    write_clip(clip_path, frames=14, size=(192, 144))
    options = ("--colour", "track", "--colouriser", "compact")
    for count in (1, 2):
        run_on_processors(count, "encode", clip_path, tmp_path / f"{count}.mkv", *options)
    assert (tmp_path / "1.mkv").read_bytes() == (tmp_path / "2.mkv").read_bytes()
