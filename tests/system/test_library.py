"""The library as programs see it: what it names, its help, its errors, and `docs/library.md`."""

import inspect
import pickle
import pydoc
import re
import typing
from pathlib import Path

import pytest
from synthetic import write_clip

import tinct
from tinct.config import OPTIONS, PANELS

ROOT = Path(__file__).parent.parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), re.DOTALL)
FUNCTIONS = [name for name in tinct.__all__ if inspect.isfunction(getattr(tinct, name))]
CLASSES = [name for name in tinct.__all__ if inspect.isclass(getattr(tinct, name))]


def list_methods() -> list[str]:
    """Return the public methods and properties of the public classes, as "Video.frame_at"."""
    found = []
    for name in CLASSES:
        for member, value in vars(getattr(tinct, name)).items():
            is_own = inspect.isfunction(value) or isinstance(value, property)
            if is_own and not member.startswith("_"):
                found.append(f"{name}.{member}")
    return found


def find(path: str) -> typing.Any:
    found: typing.Any = tinct
    for part in path.split("."):
        found = inspect.getattr_static(found, part) if found is not tinct else getattr(tinct, part)
    return found.fget if isinstance(found, property) else found


@pytest.mark.slow
def test_blocks_of_the_page_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    options = {"crf": "10"}
    write_clip(
        tmp_path / "talk.mp4", frames=30, codec="libx264", codec_options=options, audio="aac"
    )
    monkeypatch.chdir(tmp_path)
    names: dict[str, typing.Any] = {}
    for block in BLOCKS:
        exec(block, names)
    assert len(BLOCKS) == 11
    assert names["then"].pts_seconds == 0.48
    assert tuple(names["batch"].shape) == (4, 3, 48, 64)
    assert tinct.info("noise.mkv").frames == tinct.info("softer.mkv").frames == 12
    dark, bright = tinct.open("dark.mkv"), tinct.open("talk.mp4")
    assert abs(dark[5].y.mean() - (bright[5].y // 2 + 8).mean()) < 1
    assert set(tinct.info(names["movie"]).bytes_by_part) >= {"video", "audio"}
    assert tinct.info(names["plain"]).layout is None
    error = abs(names["cr"].astype(float) - names["frames"][4].cr).mean()
    assert error < 4
    assert not Path("talk-2.mkv").exists()


def test_dir_and_all_name_the_same() -> None:
    assert set(tinct.__all__) <= set(dir(tinct))
    assert {name for name in dir(tinct) if not name.startswith("_")} == {
        *tinct.__all__,
        "evaluation",
    }
    assert all(hasattr(tinct, name) for name in tinct.__all__)
    assert set(CLASSES) | set(FUNCTIONS) == set(tinct.__all__)


@pytest.mark.parametrize("path", [*tinct.__all__, *list_methods()])
def test_what_is_public_says_what_it_is(path: str) -> None:
    text = inspect.getdoc(find(path)) or ""
    assert len(text.split()) >= 3
    assert not re.match(r"\w+\(.*\)$", text.splitlines()[0])  # a dataclass's own


@pytest.mark.parametrize("path", [*FUNCTIONS, *list_methods()])
def test_what_is_public_has_whole_types(path: str) -> None:
    signature = inspect.signature(find(path))
    assert signature.return_annotation is not inspect.Signature.empty
    for name, parameter in signature.parameters.items():
        assert name == "self" or parameter.annotation is not inspect.Parameter.empty, name


def test_help_shows_the_functions() -> None:
    text = pydoc.plain(pydoc.render_doc(tinct))
    for name in FUNCTIONS:
        assert re.search(rf"^    {name}\(", text, re.MULTILINE), name


def test_help_of_options_has_the_panels() -> None:
    text = inspect.getdoc(tinct.EncodeConfig) or ""
    places = [text.index(f"\n{panel}\n") for panel in PANELS]
    assert sorted(places) == places
    bounds = dict(zip(PANELS, zip(places, [*places[1:], len(text)], strict=True), strict=True))
    for name, option in OPTIONS.items():
        start, end = bounds[option.panel]
        assert f"\n  {name}: " in text[start:end], name


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (tinct.OptionError("qp", "0 to 51", "99"), "qp: expected 0 to 51; found 99"),
        (
            tinct.FileError("a", "a video", "nothing", advice="check the name"),
            "expected a video, found nothing; check the name",
        ),
        (tinct.FileError("a", "the folder b to exist", ""), "expected the folder b to exist"),
        (tinct.TimeError("a time below 3 s", "4 s"), "expected a time below 3 s, found 4 s"),
    ],
)
def test_errors_are_one_line_with_fields(error: tinct.CodecError, text: str) -> None:
    assert isinstance(error, tinct.CodecError)
    assert str(error) == text
    again = pickle.loads(pickle.dumps(error))  # as from a worker process
    assert (str(again), vars(again)) == (text, vars(error))


def test_a_missing_file_is_told_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "none.mkv"
    with pytest.raises(tinct.FileError) as caught:
        tinct.open(path)
    assert caught.value.path == str(path)
    assert caught.value.expected == "a video file"
    assert caught.value.advice == "check the name"
