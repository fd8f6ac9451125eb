"""A folder of recordings: all encoded, finished ones skipped, failed ones named and tried again, and nothing left by a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import one_line, run
from synthetic import write_clip

import tinct
from tinct.errors import CodecError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos, one of them deeper, a broken one, and a file that is none."""
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


def outputs(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder / "out"))
        for path in (folder / "out").rglob("*")
        if path.is_file()
    )


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_folder_is_encoded_and_what_failed_is_tried_again(folder: Path, engine: str) -> None:
    first = run(
        "batch",
        folder / "in",
        folder / "out",
        "--structure",
        "low-delay",
        "--jobs",
        "2",
        "--engine",
        engine,
    )
    assert first.returncode == 3
    text = first.stderr.decode()
    assert f"{folder}/in/broken.mp4 failed: " in text
    assert "2 encoded, 0 there already, 1 failed" in text
    assert outputs(folder) == ["a.mkv", "deep/b c.mkv"]
    assert [len(list(tinct.open(str(folder / "out" / name)))) for name in outputs(folder)] == [8, 6]
    assert tinct.info(str(folder / "out" / "a.mkv")).structure == "low-delay"
    times = [(folder / "out" / name).stat().st_mtime_ns for name in outputs(folder)]
    write_clip(folder / "whole.mkv", frames=4)
    (folder / "whole.mkv").rename(folder / "in" / "broken.mp4")
    second = run("batch", folder / "in", folder / "out", "--engine", engine)
    assert second.returncode == 0, second.stderr
    assert "1 encoded, 2 there already, 0 failed" in second.stderr.decode()
    assert outputs(folder) == ["a.mkv", "broken.mkv", "deep/b c.mkv"]
    assert [
        (folder / "out" / name).stat().st_mtime_ns for name in ("a.mkv", "deep/b c.mkv")
    ] == times


def test_outputs_are_those_of_encode(folder: Path) -> None:
    report = tinct.encode_folder(folder / "in", folder / "out", tinct.EncodeConfig(qp=30))
    assert report.encoded == [folder / "out" / "a.mkv", folder / "out" / "deep" / "b c.mkv"]
    assert list(report.failed) == [folder / "in" / "broken.mp4"]
    tinct.encode(
        str(folder / "in" / "a.mkv"), str(folder / "single.mkv"), tinct.EncodeConfig(qp=30)
    )
    assert (folder / "single.mkv").read_bytes() == (folder / "out" / "a.mkv").read_bytes()
    assert report.size_bytes == sum(path.stat().st_size for path in report.encoded)


def test_outputs_inside_the_folder_are_no_sources(folder: Path) -> None:
    (folder / "in" / "broken.mp4").unlink()
    for encoded in (2, 0):
        report = tinct.encode_folder(folder / "in", folder / "in" / "small")
        assert (len(report.encoded), report.failed) == (encoded, {})


def test_a_folder_inside_that_of_the_outputs(folder: Path) -> None:
    report = tinct.encode_folder(folder / "in" / "deep", folder / "in")
    assert report.encoded == [folder / "in" / "b c.mkv"]


def test_a_folder_where_an_output_should_be_is_no_output(folder: Path) -> None:
    (folder / "out" / "a.mkv").mkdir(parents=True)
    report = tinct.encode_folder(folder / "in", folder / "out")
    assert report.skipped == []
    assert "found " in report.failed[folder / "in" / "a.mkv"]


def test_a_tinct_file_is_not_encoded_again(folder: Path, tinct_path: Path) -> None:
    (folder / "in" / "broken.mp4").write_bytes(tinct_path.read_bytes())
    report = tinct.encode_folder(folder / "in", folder / "out")
    assert report.failed == {folder / "in" / "broken.mp4": "it is a Tinct file already"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "out"], "expected a folder of videos, found nothing at nowhere"),
        (["in/a.mkv", "out"], "expected a folder of videos, found a file at in/a.mkv"),
        (["in", "in/a.mkv"], "expected a folder for the outputs, found a file"),
        (["in", "in"], "expected another folder for the outputs than in"),
        (["empty", "out"], "expected videos below empty, found no file named as one (.3gp, "),
        (
            ["twins", "out"],
            "expected one source for out/a.mkv, found twins/a.mkv and twins/a.mp4; rename one",
        ),
        (["in", "out", "--qp", "70"], "--qp: expected 0 to 51; found 70"),
        (
            ["in", "out", "--qp", "30", "--crf", "20"],
            "--qp, --crf and --bitrate exclude each other",
        ),
        (["in", "out", "--group", "x"], "--group: expected auto or a whole number, found x"),
        (["in", "out", "--jobs", "0"], "--jobs: expected 1 or more, found 0"),
        (["in", "out", "--engine", "slurm"], "--engine: expected one of local, ray; found slurm"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "empty").mkdir()
    (folder / "twins").mkdir()
    for name in ("a.mkv", "a.mp4"):
        (folder / "twins" / name).touch()
    assert words in one_line(run("batch", *arguments, cwd=folder), 2)
    assert not (folder / "out").exists()


def test_a_cluster_that_does_not_answer_is_one_line(folder: Path) -> None:
    done = run(
        "batch",
        folder / "in",
        folder / "out",
        "--engine",
        "ray",
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:9"},
    )
    assert (
        one_line(done, 2)
        == "expected a Ray cluster at RAY_ADDRESS=127.0.0.1:9, found: Connection refused"
    )


def test_a_folder_that_cannot_be_written_is_an_answer(folder: Path) -> None:
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
    command = [
        sys.executable,
        "-m",
        "tinct",
        "batch",
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        "--x265-preset",
        "slower",
        "--colouriser",
        "none",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    end = time.monotonic() + 60
    while (
        not (tmp_path / "out" / "a.mkv").exists() or len(list((tmp_path / "out").iterdir())) < 2
    ):  # `b` grows
        time.sleep(0.01)
        assert process.poll() is None
        assert time.monotonic() < end
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does it
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == b"tinct: interrupted, what was finished is kept; the same call goes on\n"
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert "a.mkv" in names
    assert set(names) <= {"a.mkv", "b.mkv", "c.mkv"}
    for name in names:
        assert len(list(tinct.open(str(tmp_path / "out" / name)))) == 100


def test_python_api_refuses_as_the_command_line_does(folder: Path) -> None:
    with pytest.raises(CodecError, match="--jobs"):
        tinct.encode_folder(folder / "in", folder / "out", jobs=0)
