"""The first steps of docs work: each page's commands run, in their order, on real files."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import find_sample_clip, run
from PIL import Image

import tinct

DOCS = Path(__file__).parent.parent.parent / "docs"


def read_lines(name: str) -> list[list[str]]:
    """Return the arguments of a page's command lines, those over several lines joined."""
    text = (DOCS / name).read_text().replace("\\\n", " ")
    return [line.split() for line in re.findall(r"^    tinct (.*)$", text, re.MULTILINE)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with talk.mp4, 30 frames of a real clip, which is the current one."""
    clip = str(find_sample_clip("carphone_pristine.mp4"))
    tinct.decode(clip, str(tmp_path / "talk.mp4"), duration_seconds=1.0)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_all(lines: list[list[str]]) -> None:
    for line in lines:
        done = run(*line)
        assert done.returncode == 0, (line, done.stderr)


@pytest.mark.slow
def test_a_folder_of_recordings(folder: Path) -> None:
    (folder / "recordings").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy("talk.mp4", folder / "recordings" / name)
    run_all(read_lines("first_recordings.md"))
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.mkv")}
    assert sizes["smaller.mkv"] < sizes["talk.mkv"] < sizes["finer.mkv"]
    assert sorted(path.name for path in (folder / "coded").iterdir()) == ["a.mkv", "b.mkv"]
    assert len(list(tinct.open("back.mp4"))) == 30
    assert len(list(tinct.open("part.mkv"))) == 12
    assert "<html" in (folder / "talk.html").read_text()


@pytest.mark.slow
def test_colour_for_a_grey_film(folder: Path) -> None:
    """Somebody paints between the first two lines: here the clip's own colour goes in."""
    coloured = [frame.rgb() for frame in tinct.open("talk.mp4")]
    greys = (
        tinct.Frame(f.y, np.full_like(f.cb, 128), np.full_like(f.cr, 128), pts=f.pts, info=f.info)
        for f in tinct.open("talk.mp4")
    )
    tinct.encode(greys, "grey.mkv", tinct.EncodeConfig(colouriser="none", qp=12), rate=30)
    tinct.decode("grey.mkv", "grey.mp4")
    first, *rest = read_lines("first_grey_footage.md")
    run_all([first])
    for path in (folder / "frames").iterdir():
        Image.fromarray(coloured[int(path.stem)]).save(path)
    Image.fromarray(coloured[24]).save("face.png")
    run_all(rest)
    for name in ("colour.mp4", "better.mp4", "master.mkv"):
        frames = list(tinct.open(name))
        assert len(frames) == 30
        assert all(np.ptp(frame.cr) > 20 for frame in frames)
    assert (folder / "colour.html").exists()
    assert len(list(tinct.open("trust.mkv"))) == 30


@pytest.mark.nightly
def test_a_codec_in_a_study(folder: Path) -> None:
    run_all(read_lines("first_study.md"))
    assert (folder / "results" / "report.html").exists()
    for name in ("results", "fair"):
        assert (folder / name / "points.jsonl").read_text().count("\n") >= 8
