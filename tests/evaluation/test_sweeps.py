"""Sweeps end to end: from the command line, refused, killed and resumed, on one machine and Ray."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import read_message, run
from synthetic import write_clip

from tinct.evaluation import RDPoint, load, resume, start, sweep


def without_times(points: list[RDPoint]) -> list[RDPoint]:
    """Return the points without what differs from run to run."""
    costs = dict.fromkeys(
        (
            *("encode_seconds", "encode_cpu_seconds", "encode_peak_megabytes"),
            *("decode_seconds", "decode_cpu_seconds", "decode_peak_megabytes"),
        )
    )
    return [replace(point, **costs, jobs=0) for point in points]


@pytest.mark.slow
def test_resumed_points_are_kept_and_missing_ones_made(copy: Path) -> None:
    before = load(copy).points
    lines = (copy / "points.jsonl").read_text().splitlines()
    killed_in_line = "\n".join(lines[:4]) + "\n" + lines[4][:1000]
    (copy / "points.jsonl").write_text(killed_in_line)
    outcome = load(copy)
    assert len(outcome.points) == 4
    assert "points.jsonl, line 5, is damaged and left out" in outcome.notes[0]
    after = resume(copy).points
    assert without_times(after) == without_times(before)
    kept = {p.key: p.encode_seconds for p in outcome.points}
    assert {p.key: p.encode_seconds for p in after if p.key in kept} == kept


@pytest.mark.nightly
def test_a_refused_point_is_said_and_tried_again(tmp_path: Path) -> None:
    write_clip(tmp_path / "talk.mkv", frames=2)
    program = tmp_path / "encoder"
    program.write_text("#!/bin/sh\necho out of paper >&2\nexit 3\n")
    program.chmod(0o755)
    clip, out = tmp_path / "talk.mkv", tmp_path / "r"
    codecs = ["x265", f"vvenc,binary={program}"]
    done = run("evaluate", clip, "--codec", *codecs, "--qp", "30", "32", "--out", out)
    assert done.returncode == 3
    text = done.stderr.decode()
    assert text.count("failed: out of paper") == 2
    assert f"2 points are refused, 2 are in {out}; --resume {out} tries again" in text
    program.unlink()
    again = run("evaluate", "--resume", out)
    assert again.returncode == 0, again.stderr
    assert b"is skipped: no program" in again.stderr


@pytest.mark.slow
def test_cli_measures_and_compares(clip_path: Path, tmp_path: Path) -> None:
    asked = "--codec x265:intra x265:intra,chroma-offset=6 --qp 27 37 --frames 4"
    anchor = ("--anchor", "x265:intra")
    done = run("evaluate", clip_path, *asked.split(), *anchor, "--out", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert all(b" left" in line for line in done.stderr.splitlines())  # told every 30 s
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("BD-rate on (6Y+U+V)/8 PSNR, percent of the anchor's file size")
    assert lines[1].split()[:2] == ["x265:intra,chroma-offset=6", "clip"]
    assert lines[1].endswith("against x265:intra")
    assert lines[2:] == ["against x265:intra:", lines[1]]


@pytest.mark.slow
def test_sweep_without_a_folder_leaves_nothing(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    points = sweep([clip_path], ["x265"], [32], frames=2)
    assert [(p.qp, p.frames, p.file) for p in points] == [(32, 2, None)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "expected clips, --codec and --out, or --resume FOLDER"),
        ("CLIP --codec x265", "expected clips, --codec and --out"),
        ("CLIP --resume RESULTS", "contradictory options: --resume"),
        ("--resume NEW", "expected a results folder"),
        ("--resume RESULTS --anchor x265", "contradictory options: --resume"),
        ("--resume RESULTS --frames 4", "contradictory options: --resume"),
    ],
)
def test_what_asks_for_no_sweep_is_one_line(
    clip_path: Path, results: Path, tmp_path: Path, arguments: str, words: str
) -> None:
    names = {"CLIP": str(clip_path), "NEW": str(tmp_path / "new"), "RESULTS": str(results)}
    given = [names.get(word, word) for word in arguments.split()]
    assert words in read_message(run("evaluate", *given), 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("CLIP --codec x266", "expected a codec of tinct"),
        ("CLIP --codec x265 --anchor x264", "--anchor: expected codecs that are measured (x265)"),
        ("CLIP --codec x265 x265", "expected every codec once, found x265 more than once"),
        ("CLIP --codec x265 --qp 60", "--qp: expected 0 to 51, found 60"),
        ("CLIP --codec x265 --jobs 0", "--jobs: expected 1 or more, found 0"),
        ("CLIP --codec x265 --engine slurm", "--engine: expected one of local, ray; found slurm"),
        ("CLIP CLIP --codec x265", "expected clips of different names, found clip more than once"),
        ("nowhere.mp4 --codec x265", "nowhere.mp4"),
        ("CLIP --codec x265 --points CLIP", "expected a JSON list of rate points"),
        ("CLIP --codec tinct,group=abc", "--group: expected auto or 1 to 96; found abc"),
        ("CLIP --codec tinct,compatible=yes", "expected compatible without a value"),
        ("CLIP --codec tinct,group=²", "--group: expected auto or 1 to 96; found ²"),
        ("CLIP --codec x265,chroma-offset=++6", "chroma-offset: expected -12 to 12, found ++6"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    clip_path: Path, tmp_path: Path, arguments: str, words: str
) -> None:
    given = [str(clip_path) if word == "CLIP" else word for word in arguments.split()]
    assert words in read_message(run("evaluate", *given, "--out", tmp_path / "new"), 2)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_folder_that_cannot_be_taken_is_one_line(clip_path: Path, results: Path) -> None:
    given = ["evaluate", clip_path, "--codec", "x265", "--out"]
    assert "expected a new or an empty folder" in read_message(run(*given, results), 2)
    expected = "expected to make the folder /dev/null/x, found Not a directory"
    assert expected in read_message(run(*given, "/dev/null/x"), 2)


@pytest.mark.slow
def test_one_codec_is_not_compared(clip_path: Path, tmp_path: Path) -> None:
    asked = "--codec x265 --qp 32 --frames 2"
    done = run("evaluate", clip_path, *asked.split(), "--out", tmp_path / "r")
    expected = "no BD-rate: it takes two codecs with points at two QPs each, on one clip\n"
    assert done.stdout.decode() == expected


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on(clip_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    asked = "--codec x265 tinct:intra,adapt=off --frames 6 --qp 27 42"
    command = [sys.executable, "-m", "tinct", "evaluate", str(clip_path), *asked.split()]
    process = subprocess.Popen(
        [*command, "--out", str(out)], stdout=subprocess.DEVNULL, start_new_session=True
    )
    lines = out / "points.jsonl"
    while not lines.exists() or "\n" not in lines.read_text():
        time.sleep(0.05)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p.key: p for p in load(out).points}
    assert 1 <= len(kept) < 4
    done = run("evaluate", "--resume", out)
    assert done.returncode == 0, done.stderr
    points = {p.key: p for p in load(out).points}
    assert len(points) == 4
    assert {key: points[key] for key in kept} == kept
    assert not (out / "work").exists()


def kill_a_ray_worker(killed: list[int]) -> None:
    """Kill the first worker of this machine that is seen to measure a point."""
    end = time.monotonic() + 60
    while not killed and time.monotonic() < end:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                busy = path.read_bytes().startswith(b"ray::measure_point")
            except OSError:  # it has ended meanwhile
                continue
            if busy:
                killed.append(int(path.parent.name))
                os.kill(killed[0], signal.SIGKILL)
                return
        time.sleep(0.01)


@pytest.mark.nightly
def test_ray_gives_the_same_points_though_a_worker_is_killed(results: Path, tmp_path: Path) -> None:
    ours = load(results)
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_ray_worker, args=(killed,))
    killer.start()
    theirs = start(replace(ours.setup, jobs=2), tmp_path / "ray", engine="ray")
    killer.join()
    assert len(killed) == 1
    assert without_times(theirs.points) == without_times(ours.points)
    assert theirs.failures == []
