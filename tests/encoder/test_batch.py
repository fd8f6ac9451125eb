"""A folder of videos: each is encoded once, failures are reported and tried again.

An interrupt leaves whole files only.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import read_message, run, wait_until
from synthetic import write_clip

import tinct
from tinct.encoder.batch import name_outputs
from tinct.errors import CodecError

FAST = tinct.EncodeConfig(colour="in-band", x265_preset="ultrafast")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos, one of them in a folder below, a damaged one, and files that are no videos."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_clip(tmp_path / "in" / "a.mkv", frames=8)
    write_clip(
        tmp_path / "in" / "deep" / "b c.mp4",
        frames=6,
        codec="libx264",
        codec_options={"crf": "10"},
        audio="aac",
    )
    (tmp_path / "in" / "broken.mp4").write_bytes(b"no video " * 100)
    (tmp_path / "in" / "notes.txt").write_text("no video")
    (tmp_path / "in" / ".hidden.mp4").write_text("no video")
    return tmp_path


def list_outputs(folder: Path) -> list[str]:
    """Return the paths of all outputs."""
    return sorted(
        str(path.relative_to(folder / "out"))
        for path in (folder / "out").rglob("*")
        if path.is_file()
    )


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.nightly)])
def test_a_folder_is_encoded_and_what_failed_is_tried_again(folder: Path, engine: str) -> None:
    """A second run encodes only what failed in the first."""
    options = ("--structure", "low-delay", "--jobs", "2", "--engine", engine)
    first = run("batch", folder / "in", folder / "out", *options)
    assert first.returncode == 3
    text = first.stderr.decode()
    assert f"{folder}/in/broken.mp4 failed: " in text
    assert "2 encoded, 0 there already, 1 failed" in text
    assert list_outputs(folder) == ["a.mkv", "deep/b c.mkv"]
    counts = [len(list(tinct.open(str(folder / "out" / name)))) for name in list_outputs(folder)]
    assert counts == [8, 6]
    assert tinct.info(str(folder / "out" / "a.mkv")).structure == "low-delay"
    times = [(folder / "out" / name).stat().st_mtime_ns for name in list_outputs(folder)]
    write_clip(folder / "whole.mkv", frames=4)
    (folder / "whole.mkv").rename(folder / "in" / "broken.mp4")
    second = run("batch", folder / "in", folder / "out", "--engine", engine)
    assert second.returncode == 0, second.stderr
    assert "1 encoded, 2 there already, 0 failed" in second.stderr.decode()
    assert list_outputs(folder) == ["a.mkv", "broken.mkv", "deep/b c.mkv"]
    names = ("a.mkv", "deep/b c.mkv")
    assert [(folder / "out" / name).stat().st_mtime_ns for name in names] == times


@pytest.mark.slow
def test_outputs_are_those_of_encode(folder: Path) -> None:
    report = tinct.encode_folder(folder / "in", folder / "out", tinct.EncodeConfig(qp=30))
    assert report.encoded == [folder / "out" / "a.mkv", folder / "out" / "deep" / "b c.mkv"]
    assert list(report.failed) == [folder / "in" / "broken.mp4"]
    tinct.encode(
        str(folder / "in" / "a.mkv"), str(folder / "single.mkv"), tinct.EncodeConfig(qp=30)
    )
    assert (folder / "single.mkv").read_bytes() == (folder / "out" / "a.mkv").read_bytes()
    assert report.size_bytes == sum(path.stat().st_size for path in report.encoded)


@pytest.mark.slow
def test_outputs_inside_the_folder_are_no_sources(folder: Path) -> None:
    """Outputs in a folder of sources are not encoded again."""
    (folder / "in" / "broken.mp4").unlink()
    for encoded in (2, 0):
        report = tinct.encode_folder(folder / "in", folder / "in" / "small")
        assert (len(report.encoded), report.failed) == (encoded, {})


@pytest.mark.slow
def test_a_folder_inside_that_of_the_outputs(folder: Path) -> None:
    """Sources may lie in a folder inside that of the outputs."""
    report = tinct.encode_folder(folder / "in" / "deep", folder / "in")
    assert report.encoded == [folder / "in" / "b c.mkv"]


@pytest.mark.slow
def test_a_folder_where_an_output_should_be_is_no_output(folder: Path) -> None:
    """A folder at an output's place is a failure, not an output of an earlier run."""
    (folder / "out" / "a.mkv").mkdir(parents=True)
    report = tinct.encode_folder(folder / "in", folder / "out")
    assert report.skipped == []
    assert "found " in report.failed[folder / "in" / "a.mkv"]


@pytest.mark.slow
def test_a_tinct_file_is_not_encoded_again(folder: Path, tinct_path: Path) -> None:
    (folder / "in" / "broken.mp4").write_bytes(tinct_path.read_bytes())
    report = tinct.encode_folder(folder / "in", folder / "out")
    assert report.failed == {folder / "in" / "broken.mp4": "it is a Tinct file already"}


@pytest.mark.parametrize(
    ("sources", "outputs"),
    [
        (["a.mp4", "b.mp4"], ["a.mkv", "b.mkv"]),
        (["a.mkv", "a.mp4"], ["a.mkv.mkv", "a.mp4.mkv"]),
        (["A.mp4", "a.mov", "b/a.mov"], ["A.mp4.mkv", "a.mov.mkv", "b/a.mkv"]),
        (["a.mov", "a.mp4", "a.mp4.avi"], ["a.mov.mkv", "a.mp4.mkv", "a.mp4.avi.mkv"]),
    ],
)
def test_twins_keep_their_suffix(sources: list[str], outputs: list[str]) -> None:
    names = name_outputs([Path(name) for name in sources])
    assert [str(name) for name in names] == outputs


def test_hidden_files_and_folders_are_passed_by(folder: Path) -> None:
    for name in (".trash/files", ".thumbs"):
        (folder / "in" / name).mkdir(parents=True)
        (folder / "in" / name / "old.mp4").write_text("no video")
    (folder / "in" / "broken.mp4").unlink()
    (folder / ".hidden").mkdir()
    (folder / "in").rename(folder / ".hidden" / "in")
    report = tinct.encode_folder(folder / ".hidden" / "in", folder / "out", FAST)
    assert list_outputs(folder) == ["a.mkv", "deep/b c.mkv"]
    assert report.failed == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "out"], "expected a folder of videos, found nothing at nowhere"),
        (["in/a.mkv", "out"], "expected a folder of videos, found a file at in/a.mkv"),
        (["in", "in/a.mkv"], "expected a folder for the outputs, found a file"),
        (["in", "in"], "expected another folder for the outputs than in"),
        (["empty", "out"], "expected videos below empty, found no file named as one (.3gp, "),
        (["in", "out", "--qp", "70"], "--qp: expected 0 to 51; found 70"),
        (
            ["in", "out", "--qp", "30", "--crf", "20"],
            "--qp, --crf and --bitrate exclude each other",
        ),
        (["in", "out", "--group", "x"], "--group: expected auto or 1 to 96; found x"),
        (["in", "out", "--jobs", "0"], "--jobs: expected 1 or more, found 0"),
        (["in", "out", "--engine", "slurm"], "--engine: expected one of local, ray; found slurm"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "empty").mkdir()
    assert words in read_message(run("batch", *arguments, cwd=folder), 2)
    assert not (folder / "out").exists()


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_one_line(folder: Path) -> None:
    environment = {**os.environ, "RAY_ADDRESS": "127.0.0.1:9"}
    done = run("batch", folder / "in", folder / "out", "--engine", "ray", env=environment)
    expected = "expected a Ray cluster at RAY_ADDRESS=127.0.0.1:9, found: Connection refused"
    assert read_message(done, 2) == expected


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_reported(folder: Path) -> None:
    """A video whose output cannot be written is reported, and the others are encoded."""
    (folder / "out").mkdir()
    (folder / "out" / "deep").touch()
    report = tinct.encode_folder(folder / "in", folder / "out")
    assert "deep" in report.failed[folder / "in" / "deep" / "b c.mp4"]
    assert [path.name for path in report.encoded] == ["a.mkv"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_whole_files_only(tmp_path: Path, number: int) -> None:
    (tmp_path / "in").mkdir()
    for name in "abcd":
        write_clip(tmp_path / "in" / f"{name}.mkv", frames=100)
    out = tmp_path / "out"
    options = ("--x265-preset", "slower", "--colouriser", "none")
    command = [sys.executable, "-m", "tinct", "batch", str(tmp_path / "in"), str(out), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)

    def is_at_second() -> bool:
        return (out / "a.mkv").exists() and len(list(out.iterdir())) >= 2

    wait_until(is_at_second, process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal signals the whole group
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    assert said == b"tinct: interrupted, what was finished is kept; the same call goes on\n"
    names = sorted(path.name for path in out.iterdir())
    assert "a.mkv" in names
    assert set(names) <= {"a.mkv", "b.mkv", "c.mkv"}
    for name in names:
        assert len(list(tinct.open(str(out / name)))) == 100


def test_python_api_refuses_as_the_command_line_does(folder: Path) -> None:
    with pytest.raises(CodecError, match="--jobs"):
        tinct.encode_folder(folder / "in", folder / "out", jobs=0)
