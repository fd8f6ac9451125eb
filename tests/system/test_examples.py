"""The examples do what they say: each runs as a process of its own, and what it prints is right."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic import write_clip

import tinct

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
NUMBER = r"[-+]?\d+(?:\.\d+)?"
SWEPT = ["x265:intra", "tinct:intra,adapt=off"]  # the codecs of the sweep


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 30 frames, 64x48, 25 frames/s."""
    path = tmp_path_factory.mktemp("examples") / "talk.mp4"
    write_clip(path, frames=30, codec="libx264", codec_options={"crf": "10"})
    return path


def printed_lines(example: str, *arguments: Path | str) -> list[str]:
    """Run an example with this tree's package and return its lines on stdout."""
    command = [sys.executable, str(EXAMPLES / f"{example}.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(NUMBER, line.replace(",", ""))]


@pytest.mark.slow
def test_encode_and_read(talk: Path, tmp_path: Path) -> None:
    coded = tmp_path / "talk.mkv"
    report, video, *seconds = printed_lines("encode_and_read", talk, coded)
    frames, size_bytes, psnr_db = numbers(report.replace("PSNR Y", ""))
    assert (frames, size_bytes) == (30, coded.stat().st_size)
    assert 34 < psnr_db < 42
    assert video == "64x48, 25.000 frames/s"
    means = [frame.rgb().mean(axis=(0, 1)) for frame in tinct.open(str(talk))]
    assert [line.partition(" s:")[0] for line in seconds] == ["0.000", "1.000"]
    for line, frame in zip(seconds, (0, 25), strict=True):
        assert numbers(line.partition("R'G'B' ")[2]) == pytest.approx(means[frame], abs=3)


@pytest.mark.slow
def test_colourise_grey(talk: Path, tmp_path: Path) -> None:
    coloured = tmp_path / "colour.mkv"
    to_paint, *references, report = printed_lines("colourise_grey", talk, coloured)
    assert numbers(to_paint) == [numbers(line)[0] for line in references]
    assert all(numbers(line)[1] > 0.9 for line in references)
    frames, mean_trust, least_trust = numbers(report)
    assert frames == 30
    assert 0.5 < least_trust <= mean_trust <= 1
    error = grey_error = 0.0
    for ours, true in zip(tinct.open(str(coloured)), tinct.open(str(talk)), strict=True):
        assert np.array_equal(ours.y, true.y)
        error += np.abs(ours.cr.astype(float) - true.cr).mean()
        grey_error += np.abs(128.0 - true.cr).mean()
    assert error < grey_error / 2


@pytest.mark.slow
def test_restore_frames(talk: Path) -> None:
    network, *frames = printed_lines("restore_frames", talk)
    assert network.startswith("<tinct network 'fast'")
    assert len(frames) == 7
    for number, line in enumerate(frames, 1):
        seconds, *psnrs_db = numbers(line)
        assert seconds == number / 25
        assert min(psnrs_db) > 28


@pytest.mark.slow
def test_own_metric(talk: Path) -> None:
    pytest.importorskip("skimage")
    fine, coarse = (numbers(line) for line in printed_lines("own_metric", talk))
    assert (fine[0], coarse[0]) == (27, 42)
    assert fine[1] > coarse[1] + 3  # PSNR Y in dB
    assert 0 < fine[2] < coarse[2] / 1.5  # the example's own metric, less is better


@pytest.mark.slow
def test_sweep_bd_rate(talk: Path) -> None:
    pytest.importorskip("bjontegaard")
    *points, delta = printed_lines("sweep_bd_rate", talk, "27", "42")
    assert [line.split()[0] for line in points] == [codec for codec in SWEPT for _ in range(2)]
    for curve in (points[:2], points[2:]):
        rows = [numbers(line.partition("QP ")[2]) for line in curve]
        qps, rates, psnrs_db = zip(*rows, strict=True)
        assert qps == (27, 42)
        assert sorted(rates, reverse=True) == list(rates)
        assert sorted(psnrs_db, reverse=True) == list(psnrs_db)
    overlap = rf"\(overlap \d+%, {NUMBER} dB\)"
    assert re.fullmatch(rf"BD-rate on \(6Y\+U\+V\)/8 PSNR: {NUMBER} {overlap}", delta)
