"""README and the guide are true: Python lines run, command lines work, the tree is the package."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import run
from PIL import Image
from synthetic import write_clip

import tinct

ROOT = Path(__file__).parent.parent.parent
README, GUIDE, ARCHITECTURE = (
    (ROOT / name).read_text() for name in ("README.md", "docs/guide.md", "docs/architecture.md")
)
(README_BLOCK,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
GUIDE_BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


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
    names: dict[str, object] = {}
    exec(README_BLOCK, names)
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


LINE = re.compile(r"^    tinct (.*?)(?: *#.*)?$", re.MULTILINE)


def lines_of(page: str, *commands: str) -> list[list[str]]:
    """Return the arguments of a page's command lines that have one of these commands."""
    lines = [line.split() for line in LINE.findall(page)]
    return [line for line in lines if line[0] in commands]


def write_grey(talk: Path) -> None:
    write_clip(
        talk / "grey.mp4", frames=30, codec="libx264", pix_fmt="gray", codec_options={"crf": "10"}
    )


@pytest.mark.slow
def test_command_lines_work(talk: Path) -> None:
    write_grey(talk)
    lines = lines_of(README, "encode", "decode", "keyframes")
    assert [line[0] for line in lines] == ["encode", "encode", "decode", "keyframes"]
    for line in lines:
        done = run(*line)
        assert done.returncode == 0, done.stderr
    assert [tinct.info(name).frames for name in ("small.mp4", "talk-again.mp4")] == [30, 30]
    assert tinct.info("small.mp4").layout is None
    assert list((talk / "frames").glob("*.png"))


@pytest.mark.slow
def test_colouring_lines_work(talk: Path) -> None:
    """Between the two lines somebody paints: here the talk's own colour goes into the PNGs."""
    keyframes, colourise = lines_of(GUIDE, "keyframes", "colourise")
    write_grey(talk)
    done = run(*keyframes)
    assert done.returncode == 0, done.stderr
    coloured = list(tinct.open("talk.mp4"))
    for path in (talk / "frames").iterdir():
        Image.fromarray(coloured[int(path.stem)].rgb()).save(path)
    done = run(*colourise)
    assert done.returncode == 0, done.stderr
    assert all(np.ptp(frame.cr) > 30 for frame in tinct.open("colour.mp4"))
    Image.fromarray(coloured[20].rgb()).save("face.png")
    (block,) = (block for block in GUIDE_BLOCKS if "tinct.colourise" in block)
    exec(
        block.replace("12.5", "0.8"),
        {"tinct": tinct, "image": Image.fromarray(coloured[0].rgb())},
    )
    assert len(list(tinct.open("colour.mkv"))) == 30


@pytest.mark.nightly
def test_lines_of_the_lab_work(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two points a curve are enough here."""
    section = GUIDE.split("## The lab")[1]
    lines = lines_of(section, "evaluate", "report")[:3]
    assert [line[0] for line in lines] == ["evaluate", "evaluate", "report"]
    for line in lines:
        text = " ".join(line).replace("--qp 27 32 37 42", "--qp 27 42")
        done = run(*text.split())
        assert done.returncode == 0, done.stderr
    assert (talk / "results" / "report.html").exists()
    (block,) = (block for block in GUIDE_BLOCKS if "tinct.evaluation.sweep" in block)
    shorter = block.replace("27, 32, 37, 42", "27, 42").replace(
        "[:4], points[4:]", "[:2], points[2:]"
    )
    exec(shorter, {"tinct": tinct})
    assert re.fullmatch(r"[+-]\d+\.\d\d \(overlap \d+%, \d+\.\d dB\)\n", capsys.readouterr().out)


def test_tree_is_the_package() -> None:
    tree = ARCHITECTURE.split("\n    tinct/\n")[1].split("\n    lab/")[0]
    named = set(re.findall(r"^      (\S+)", tree, re.MULTILINE))
    modules = {path.name for path in (ROOT / "tinct").glob("[!_]*.py")}
    package = modules | {f"{path.parent.name}/" for path in (ROOT / "tinct").glob("*/__init__.py")}
    assert named == package
