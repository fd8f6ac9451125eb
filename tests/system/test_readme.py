"""README is true: its Python lines run, its command lines work, its tree is the package."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import run
from PIL import Image
from synthetic import write_clip

import tinct

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with talk.mp4, which is the current one."""
    write_clip(
        tmp_path / "talk.mp4", frames=30, codec="libx264", codec_options={"crf": "10"}, audio="aac"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_python_lines_run(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = BLOCKS[0]
    names: dict[str, object] = {}
    exec(block, names)
    report, rgb = names["report"], names["rgb"]
    assert isinstance(report, tinct.EncodeReport)
    assert report.frames == 30
    assert (talk / "talk.mkv").stat().st_size == report.size_bytes
    assert 36 < report.psnr[0].mean_db < 42
    assert (
        capsys.readouterr().out
        == f"{report.size_bytes:,} bytes, PSNR Y {report.psnr[0].mean_db:.2f} dB\n"
    )
    assert isinstance(rgb, np.ndarray)
    last = list(tinct.open("talk.mp4"))[-1].rgb()
    assert (rgb.dtype, rgb.shape) == (np.uint8, last.shape)
    assert 1 < np.abs(rgb.astype(float) - last).mean() < 7


LINES = re.findall(r"^    tinct (.*)$", README, re.MULTILINE)


@pytest.mark.slow
def test_command_lines_work(talk: Path) -> None:
    assert [line.split()[0] for line in LINES[:2]] == ["encode", "decode"]
    for line in LINES[:2]:
        done = run(*line.split())
        assert done.returncode == 0, done.stderr
    assert len(list(tinct.open("talk-colour.mp4"))) == 30


@pytest.mark.slow
def test_colouring_lines_work(talk: Path) -> None:
    """Between the two lines somebody paints: here the talk's own colour goes into the PNGs."""
    assert [line.split()[0] for line in LINES[2:4]] == ["keyframes", "colourise"]
    write_clip(
        talk / "grey.mp4", frames=30, codec="libx264", pix_fmt="gray", codec_options={"crf": "10"}
    )
    done = run(*LINES[2].split())
    assert done.returncode == 0, done.stderr
    coloured = list(tinct.open("talk.mp4"))
    for path in (talk / "frames").iterdir():
        Image.fromarray(coloured[int(path.stem)].rgb()).save(path)
    done = run(*LINES[3].split())
    assert done.returncode == 0, done.stderr
    assert all(np.ptp(frame.cr) > 30 for frame in tinct.open("colour.mp4"))
    Image.fromarray(coloured[20].rgb()).save("face.png")
    exec(
        BLOCKS[1].replace("12.5", "0.8"),
        {"tinct": tinct, "image": Image.fromarray(coloured[0].rgb())},
    )
    assert len(list(tinct.open("colour.mkv"))) == 30


@pytest.mark.nightly
def test_lines_of_the_lab_work(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[0] for line in LINES[4:]] == [
        "evaluate",
        "evaluate",
        "report",
        "reproduce",
    ]
    for line in LINES[4:]:
        done = run(
            *line.replace("--qp 27 32 37 42", "--qp 27 42").split()
        )  # two of its points a curve are enough here
        assert done.returncode == 0, done.stderr
    assert (talk / "results" / "report.html").exists()
    shorter = (
        BLOCKS[2]
        .replace("27, 32, 37, 42", "27, 42")
        .replace("[:4], points[4:]", "[:2], points[2:]")
    )
    exec(
        shorter.replace("tinct:intra", "tinct:intra,adapt=off"), {"tinct": tinct}
    )  # which the line above has done
    assert re.fullmatch(r"[+-]\d+\.\d\d \(overlap \d+%, \d+\.\d dB\)\n", capsys.readouterr().out)


def test_tree_is_the_package() -> None:
    tree = README.split("\n    tinct/\n")[1].split("\n    lab/")[0]
    named = set(re.findall(r"^      (\S+)", tree, re.MULTILINE))
    modules = {path.name for path in (ROOT / "tinct").glob("[!_]*.py")}
    package = modules | {f"{path.parent.name}/" for path in (ROOT / "tinct").glob("*/__init__.py")}
    assert named == package
