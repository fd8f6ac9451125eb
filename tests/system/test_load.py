"""Many at once, again, and on fewer processors: the same frames, the same bytes, no file left open."""

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same_frames
from synthetic import write_clip

import tinct

SIDE_BY_SIDE = 8
linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="/proc and processor affinity are Linux's"
)


@pytest.fixture(scope="module")
def network_path(clip_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip with the network that ships."""
    path = tmp_path_factory.mktemp("load") / "a.mkv"
    tinct.encode(
        str(clip_path), str(path), tinct.EncodeConfig(colour="track", group=8, colouriser="compact")
    )
    return path


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@linux_only
def test_decodes_side_by_side_in_one_process_give_the_same_frames(
    tinct_path: Path, network_path: Path
) -> None:
    alone = {path: list(tinct.open(str(path))) for path in (tinct_path, network_path)}
    before, threads_before = open_files(), threading.active_count()
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
    assert open_files() == before
    assert threading.active_count() == threads_before


def test_decodes_side_by_side_in_processes_give_the_same_file(
    network_path: Path, tmp_path: Path
) -> None:
    """Into one folder, where each looks for what dead runs have left."""
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


@linux_only
def test_a_hundred_decodes_leave_no_file_open(tinct_path: Path, tmp_path: Path) -> None:
    """Refused and damaged ones among them."""
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
        counts.append(open_files())
    assert counts[1] == counts[-1]


def on_processors(count: int, *arguments: str | Path) -> None:
    """A run that may use so many of the processors."""
    allowed = sorted(os.sched_getaffinity(0))[:count]
    counted = f"os.cpu_count = lambda: {count}"  # which does not look at what is allowed
    code = f"import os, sys; os.sched_setaffinity(0, {allowed}); {counted}; from tinct.cli.app import main; main(sys.argv[1:])"
    subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments), "--quiet", "--overwrite"],
        check=True,
        timeout=120,
    )


needs_two = pytest.mark.skipif(
    not sys.platform.startswith("linux") or (os.cpu_count() or 1) < 2, reason="needs two processors"
)
GAN = ("--preset", "paper", "--recipe", "cpu", "--channels", "8", "--adapt", "4steps")


@needs_two
@pytest.mark.parametrize(
    "options",
    [("--colouriser", "compact", "--colour", "track"), pytest.param(GAN, marks=pytest.mark.slow)],
    ids=["compact", "gan"],
)
def test_one_thread_and_two_show_the_same_to_one_grey_level(
    clip_path: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    on_processors(2, "encode", clip_path, tmp_path / "a.mkv", *options)
    shown = []
    for count in (1, 2):
        on_processors(count, "decode", tmp_path / "a.mkv", tmp_path / "a.y4m")
        shown.append(np.frombuffer((tmp_path / "a.y4m").read_bytes(), np.uint8).astype(int))
    assert np.abs(shown[0] - shown[1]).max() <= 1


@needs_two
def test_the_same_encode_on_one_processor_and_on_two_gives_the_same_file(tmp_path: Path) -> None:
    """x265 is told to give the same bytes with any number of threads; so does the network that ships. Training does not."""
    clip_path = tmp_path / "clip.mkv"
    write_clip(
        clip_path, frames=14, size=(192, 144)
    )  # of pictures this large x265 works on parts side by side
    for count in (1, 2):
        on_processors(
            count,
            "encode",
            clip_path,
            tmp_path / f"{count}.mkv",
            "--colour",
            "track",
            "--colouriser",
            "compact",
        )
    assert (tmp_path / "1.mkv").read_bytes() == (tmp_path / "2.mkv").read_bytes()
