"""Faults around a run: kill -9, full disks, inputs that change, readers that go away.

`lab.benchmarks.faults` kills more often.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import OUTPUTS, linux_only, read_message, run, wait_until
from synthetic import write_clip

import tinct
from lab.benchmarks import faults
from tinct.errors import CodecError
from tinct.evaluation.sweeps import resume
from tinct.files import PART_SUFFIX, AtomicOutput, lock_folder, remove_stale

TRACK = ("--colour", "track", "--colouriser", "none", "--quiet")


# ── kill -9 ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of sources that the kills read: clip.mkv, middle.mkv, short.mkv and tinct.mkv."""
    folder = tmp_path_factory.mktemp("faults")
    faults.prepare(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("encode", 2),
        ("decode", 2),
        pytest.param("adapt", 1, marks=pytest.mark.nightly),
        pytest.param("sweep", 1, marks=pytest.mark.nightly),
    ],
)
def test_a_killed_run_leaves_nothing_or_all_and_the_next_ends_the_same(
    work: Path, kind: str, kills: int
) -> None:
    """A killed run leaves no output or a whole one, and the next run ends as if there was no kill.

    These are a few of the 200 kills of docs/security.md, at other moments each day.
    """
    outcome = faults.measure(kind, kills, work, seed=time.time_ns())
    assert outcome.wrong == []
    assert outcome.kills == kills


def test_two_runs_of_a_sweep_with_midnight_between_are_alike(tmp_path: Path) -> None:
    """The comparison of results ignores dates and times, and nothing else."""

    def results(name: str, **point: object) -> dict[str, object]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "points.jsonl").write_text(
            json.dumps({"clip": "short", "size_bytes": 900} | point) + "\n"
        )
        return faults.read_result(tmp_path / name)

    before = results("before", date="2026-11-26", encode_seconds=1.5)
    assert results("after", date="2026-11-27", encode_seconds=1.6) == before
    assert results("larger", date="2026-11-26", encode_seconds=1.5, size_bytes=901) != before


def list_hidden(folder: Path) -> list[Path]:
    """Return the hidden files of outputs in work."""
    return [path for path in folder.iterdir() if path.name.endswith(PART_SUFFIX)]


def start_run(
    arguments: list[str | Path], folder: Path, *, others: int
) -> "subprocess.Popen[bytes]":
    """Start a run and wait until its hidden file stands beside `others` of other runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tinct", *map(str, arguments)], stderr=subprocess.PIPE
    )
    wait_until(lambda: len(list_hidden(folder)) > others, process)
    return process


@pytest.mark.slow
def test_a_run_that_is_alive_keeps_its_hidden_file_and_a_dead_ones_goes(
    work: Path, tmp_path: Path
) -> None:
    """A run removes the hidden files of dead runs and none of a run that is alive."""
    live = start_run(["encode", work / "clip.mkv", tmp_path / "a.mkv", *TRACK], tmp_path, others=0)
    live.send_signal(signal.SIGSTOP)
    try:
        dead = start_run(
            ["encode", work / "clip.mkv", tmp_path / "b.mkv", *TRACK], tmp_path, others=1
        )
        dead.kill()
        dead.communicate()
        assert run("decode", work / "tinct.mkv", tmp_path / "c.mkv", "--quiet").returncode == 0
        assert [path.name.split(".mkv")[0] for path in list_hidden(tmp_path)] == [".a"]
        live.send_signal(signal.SIGCONT)
        _, said = live.communicate(timeout=60)
    finally:
        live.kill()
    assert (live.returncode, said) == (0, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "c.mkv"]


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from tinct.files import AtomicOutput
open_file = os.open

def open_and_interrupt(*arguments):
    opened = open_file(*arguments)
    signal.raise_signal(signal.SIGINT)
    return opened

signal.signal(signal.SIGINT, signal.default_int_handler)
os.open = open_and_interrupt
try:
    with AtomicOutput(Path(sys.argv[1])):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_while_a_file_is_made_leaves_none(tmp_path: Path) -> None:
    """An interrupt right after the hidden file is opened leaves no file.

    A process of its own is needed, since only a main thread gets the signal.
    """
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "a.mkv")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    assert list(tmp_path.iterdir()) == []


def test_outputs_of_many_threads_do_not_take_each_others_for_stale(tmp_path: Path) -> None:
    """Outputs of eight threads are all written: none is removed before it is locked."""
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for turn in range(40):
                with AtomicOutput(tmp_path / f"{number}-{turn}") as output:
                    output.path.write_text(f"{number}-{turn}")
                    output.publish()
        except BaseException as error:  # noqa: BLE001  the test checks it below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"{n}-{t}": f"{n}-{t}" for n in range(8) for t in range(40)
    }


def test_a_folder_that_another_takes_for_stale_before_it_is_opened_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hidden folder that another process removes before it is locked is made again."""
    make_folder, removed = Path.mkdir, []

    def make_and_remove(folder: Path, *arguments: Any, **options: Any) -> None:
        make_folder(folder, *arguments, **options)
        if not removed:
            removed.append(folder)
            remove_stale(tmp_path)

    monkeypatch.setattr(Path, "mkdir", make_and_remove)
    with AtomicOutput(tmp_path / "a", folder=True) as output:
        assert output.path.is_dir()
        assert output.path not in removed
        output.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_stale_folders_go_too_and_nothing_else_does(tmp_path: Path) -> None:
    """Hidden folders of dead runs are removed; other hidden folders and visible files stay."""
    stale, other = tmp_path / f".pictures.0123abcd{PART_SUFFIX}", tmp_path / ".pictures"
    for folder in (stale, other):
        folder.mkdir()
        (folder / "000000.png").touch()
    (tmp_path / f"visible{PART_SUFFIX}").touch()
    with AtomicOutput(tmp_path / "live", folder=True) as output:
        remove_stale(tmp_path)
        assert output.path.is_dir()
        assert not stale.exists()
        others = sorted(path.name for path in tmp_path.iterdir() if path != output.path)
        assert others == [".pictures", f"visible{PART_SUFFIX}"]


@pytest.mark.slow
def test_two_sweeps_do_not_work_in_one_folder(clip_path: Path, tmp_path: Path) -> None:
    """A second sweep in a folder is refused while the first is at work, and allowed after it."""
    options = ("--codec", "x265", "--qp", "32", "--frames", "2", "--out", tmp_path / "r")
    assert run("evaluate", clip_path, *options).returncode == 0
    with lock_folder(tmp_path / "r"), pytest.raises(CodecError, match="expected nobody at work in"):
        resume(tmp_path / "r")
    resume(tmp_path / "r")


# ── full and read-only disks ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def mount_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a small file system with these options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounts = 0

    def mount(options: str) -> Path:
        nonlocal mounts
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("may not mount")
        mounts += 1
        return folder

    yield mount
    for _ in range(mounts):
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize(("command", "output"), OUTPUTS)
@pytest.mark.parametrize("kilobytes", [16, 48])
def test_a_disk_that_fills_up_is_one_line_and_empty_again(
    work: Path, mount_disk: Callable[[str], Path], command: str, output: str, kilobytes: int
) -> None:
    disk = mount_disk(f"size={kilobytes}k")
    name, options = ("clip.mkv", TRACK) if command == "encode" else ("tinct.mkv", ("--quiet",))
    said = read_message(run(command, work / name, disk / output, *options), 2)
    assert re.search("expected to write .*No space left", said)
    assert list(disk.iterdir()) == []


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_read_only_disk_is_refused(
    work: Path, mount_disk: Callable[[str], Path], command: str
) -> None:
    disk = mount_disk("size=1m,ro")
    assert "expected to write in" in read_message(
        run(command, work / "tinct.mkv", disk / "a.mkv"), 2
    )


@pytest.mark.slow
@linux_only
def test_a_disk_with_room_but_for_no_file_is_one_line(
    work: Path, mount_disk: Callable[[str], Path]
) -> None:
    disk = mount_disk("size=8m,nr_inodes=1")
    assert "No space left" in read_message(
        run("decode", work / "tinct.mkv", disk / "a.mkv", "--quiet"), 2
    )


@pytest.mark.slow
def test_a_file_that_appears_while_another_grows_is_kept(work: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mkv"
    config = tinct.EncodeConfig(colour="track", colouriser="none")

    def write_target(*_: object) -> None:
        target.write_bytes(b"precious")

    with pytest.raises(CodecError, match="a file that has appeared there since; it is kept"):
        tinct.encode(str(work / "clip.mkv"), str(target), config, progress=write_target)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
    assert target.read_bytes() == b"precious"
    target.unlink()
    with pytest.raises(CodecError, match="a file that has appeared there since; it is kept"):
        tinct.decode(str(work / "tinct.mkv"), str(target), progress=write_target)
    assert target.read_bytes() == b"precious"


@pytest.mark.slow
def test_a_file_that_appears_while_choices_are_weighed_is_kept(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that another program writes before the hidden file is made is kept."""
    target = tmp_path / "a.mkv"
    plan = tinct.encoder.api.make_plan

    def write_target(*arguments: object) -> object:
        target.write_bytes(b"precious")
        return plan(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("tinct.encoder.api.make_plan", write_target)
    with pytest.raises(CodecError, match="a file that has appeared there since; it is kept"):
        tinct.encode(str(work / "clip.mkv"), str(target), tinct.EncodeConfig(colour="in-band"))
    assert target.read_bytes() == b"precious"


# ── inputs that change ────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_an_input_that_vanishes_while_it_is_coded_leaves_nothing(
    work: Path, tmp_path: Path
) -> None:
    """A source that is gone when its sound is to be read is refused, and no output is left."""
    source = tmp_path / "in.mkv"
    source.write_bytes((work / "clip.mkv").read_bytes())
    config = tinct.EncodeConfig(colour="track", colouriser="none")
    with pytest.raises(CodecError, match="found nothing at"):
        tinct.encode(
            str(source),
            str(tmp_path / "a.mkv"),
            config,
            progress=lambda *_: source.unlink(missing_ok=True),
        )
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_vanishes_while_it_is_decoded_is_read_to_its_end(
    work: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in.mkv"
    source.write_bytes((work / "tinct.mkv").read_bytes())
    report = tinct.decode(
        str(source), str(tmp_path / "a.y4m"), progress=lambda *_: source.unlink(missing_ok=True)
    )
    assert report.frames == 90


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mkv", "y4m"])
def test_an_input_that_grows_is_coded_as_far_as_it_was_read(
    work: Path, tmp_path: Path, kind: str
) -> None:
    """A source that grows during the encode, as a recorder's does, gives an undamaged file."""
    whole = work / "clip.mkv"
    if kind == "y4m":
        whole = tmp_path / "whole.y4m"
        assert run("decode", work / "clip.mkv", whole, "--quiet").returncode == 0
    data, source = whole.read_bytes(), tmp_path / f"in.{kind}"
    source.write_bytes(data[: len(data) // 2])
    rest = iter([data[len(data) // 2 :]])

    def append_rest(*_: object) -> None:
        with source.open("ab") as file:
            file.write(next(rest, b""))

    report = tinct.encode(
        str(source),
        str(tmp_path / "a.mkv"),
        tinct.EncodeConfig(colour="track", colouriser="none"),
        progress=append_rest,
    )
    video = tinct.open(str(tmp_path / "a.mkv"))
    assert len(list(video)) == report.frames >= 40
    assert not video.damage


@pytest.mark.slow
@pytest.mark.parametrize("change", ["vanishes", "shrinks"])
def test_an_input_that_changes_before_it_is_read_again_leaves_nothing(
    work: Path, tmp_path: Path, change: str
) -> None:
    """A source that changes between the two readings of a training is refused."""
    pytest.importorskip("torch")
    source = tmp_path / "in.mkv"
    source.write_bytes((work / "short.mkv").read_bytes())

    def change_source(*_: object) -> None:
        source.unlink(missing_ok=True)
        if change == "shrinks":
            write_clip(source, frames=9)

    config = tinct.preset("paper", recipe="cpu", channels=8, adapt="2steps")
    words = "found nothing at" if change == "vanishes" else "expected the same video"
    with pytest.raises(CodecError, match=words):
        tinct.encode(str(source), str(tmp_path / "a.mkv"), config, training=change_source)
    assert [path.name for path in tmp_path.iterdir()] == (["in.mkv"] if change == "shrinks" else [])


# ── standard streams ──────────────────────────────────────────────────────────────────────────────


def run_in_shell(redirection: str, *arguments: str | Path) -> "subprocess.CompletedProcess[bytes]":
    """Run `tinct` in a shell with a redirection of its streams."""
    code = f'exec "$0" -m tinct "$@" {redirection}'
    command = ["bash", "-c", code, sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("info",), ("verify",), ("decode",)], ids=str)
def test_a_reader_that_goes_away_is_one_line(work: Path, arguments: tuple[str, ...]) -> None:
    pipe = os.pipe()
    os.close(pipe[0])
    more = ("-",) if arguments == ("decode",) else ()
    command = [sys.executable, "-m", "tinct", *arguments, str(work / "tinct.mkv"), *more]
    done = subprocess.run(command, stdout=pipe[1], stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(pipe[1])
    assert done.returncode == 2, done.stderr
    assert done.stderr.count(b"\n") == 1
    assert b"expected to write" in done.stderr


@pytest.mark.slow
def test_a_full_disk_behind_stdout_is_one_line(work: Path) -> None:
    done = run_in_shell("> /dev/full", "info", work / "tinct.mkv")
    assert (done.returncode, done.stderr) == (
        2,
        b"tinct: expected to write to stdout, found No space left on device\n",
    )


@pytest.mark.slow
def test_closed_standard_streams_are_no_other_files(work: Path, tmp_path: Path) -> None:
    """Closed standard streams do not let libraries print into the output.

    The numbers of closed streams would go to the files that are opened next.
    """
    for name, redirection in (("a.mkv", ""), ("b.mkv", "0<&- 1>&- 2>&-")):
        done = run_in_shell(redirection, "decode", work / "tinct.mkv", tmp_path / name, "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
    said = run_in_shell("1>&-", "decode", work / "tinct.mkv", "-")
    assert (said.returncode, said.stderr) == (
        2,
        b"tinct: expected to write to stdout, found it closed; name a file\n",
    )
    assert run_in_shell("2>&-", "info", tmp_path / "none").returncode == 2
