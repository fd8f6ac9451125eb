"""The documentation is true: links lead somewhere, files it names exist, options are complete."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import run
from synthetic import write_clip

import tinct

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "tinct"
DOCS, NOTES = ROOT / "docs", ROOT / "lab" / "notes"
PAGES = sorted((*ROOT.glob("*.md"), *DOCS.glob("*.md"), *NOTES.glob("*.md")))
GENERATED = DOCS / "format.md"  # a module's docstring; its own test holds the two equal
COLUMNS = 100
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A file in backticks, such as `tinct/media/ebml.py`, `media/ebml.py` or `lab/results/speed.json`.
NAMED_FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*\.(?:py|json|jsonl|safetensors|md|cff|toml))`")


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchor_of(heading: str) -> str:
    """Return the anchor that a heading gets: lower case, punctuation dropped, spaces to hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {anchor_of(heading) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(CODE.sub("", page.read_text())):
        assert "://" not in link, link
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_that_are_named_exist(page: Path) -> None:
    named = set(NAMED_FILE.findall(page.read_text()))
    missing = {n for n in named if not any((top / n).exists() for top in (ROOT, PACKAGE))}
    assert missing == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page != GENERATED], ids=page_id)
def test_prose_has_short_lines(page: Path) -> None:
    """Tables and links alone may be longer."""
    lines = [line for line in page.read_text().splitlines() if not line.startswith(("|", "!["))]
    assert [line for line in lines if len(line) > COLUMNS] == []


def test_architecture_names_modules_that_exist() -> None:
    table = re.findall(r"^\| `(\w+)/` \| (.*) \|$", (DOCS / "architecture.md").read_text(), re.M)
    assert {folder for folder, _ in table} == {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    for folder, modules in table:
        for name in re.findall(r"`([\w*]+)/?`", modules):
            assert list((PACKAGE / folder).glob(f"{name.rstrip('*')}*")), f"{folder}/{name}"


@pytest.mark.parametrize("folder", [DOCS, NOTES], ids=["docs", "notes"])
def test_index_lists_every_page(folder: Path) -> None:
    index = folder / "README.md"
    listed = {link for link in LINK.findall(index.read_text()) if "/" not in link}
    assert listed == {page.name for page in folder.glob("*.md")} - {index.name}


def test_notes_are_named_by_date() -> None:
    for note in NOTES.glob("*.md"):
        assert note.name == "README.md" or re.match(r"\d{4}-\d{2}-\d{2}-[\w-]+\.md", note.name)


def test_every_option_of_encode_is_in_the_guide() -> None:
    table = (DOCS / "guide.md").read_text().split("<!-- options -->")[1].split("<!-- /options")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `--")]
    listed = set(re.findall(r"`(--[\w-]+)`", "\n".join(first_cells)))
    text = run("encode", "--help").stdout.decode()
    assert listed == set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)) - {"--help"}


@pytest.mark.slow
def test_python_lines_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "talk.mp4", frames=30, codec="libx264", codec_options={"crf": "10"})
    monkeypatch.chdir(tmp_path)
    block, *_ = re.findall(r"```python\n(.*?)```", (DOCS / "guide.md").read_text(), re.DOTALL)
    block = block.replace("qp=32", "qp=32, adapt='off'")  # no training: faster
    names: dict[str, object] = {}
    exec(block.replace("start_seconds=2.0", "start_seconds=0.4"), names)
    report, frame = names["report"], names["frame"]
    assert isinstance(report, tinct.EncodeReport)
    assert report.frames == 30
    assert isinstance(frame, tinct.Frame)
    assert frame.pts == 29
    cut = list(tinct.open("talk-colour.mp4"))
    assert len(cut) == 20  # from 0.4 s of 1.2 s
    assert np.abs(cut[-1].y.astype(int) - frame.y).mean() < 4
