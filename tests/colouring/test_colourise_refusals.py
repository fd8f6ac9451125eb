"""What `colourise` and `keyframes` refuse, and that nothing is left behind."""

import errno
import re
from pathlib import Path
from typing import Any

import av
import pytest
from grey_footage import save_picture
from helpers import read_message, run

import tinct
from tinct.frames import Frame


def run_refused(folder: Path, *arguments: str | Path) -> str:
    """Return the one line of a command that ends with code 2 and leaves nothing in `folder`."""
    said = read_message(run(*arguments), 2)
    assert list(folder.iterdir()) == []
    return said


@pytest.mark.slow
def test_a_shot_without_a_reference_is_named(
    two_shots: Path, truth: list[Frame], tmp_path: Path, folder: Path
) -> None:
    reference = f"5={save_picture(truth[5], tmp_path / '5.png')}"
    said = run_refused(folder, "colourise", two_shots, folder / "a.mkv", "--reference", reference)
    assert "none in 1: frames 20-33" in said
    assert "--leave-grey" in said
    number = int(re.search(r"colour frames (\d+) first", said)[1])  # type: ignore[index]
    assert 20 <= number < 34


@pytest.mark.slow
def test_a_picture_of_something_else_is_refused(
    grey: Path, photo: Frame, tmp_path: Path, folder: Path
) -> None:
    reference = ["--reference", f"7={save_picture(photo, tmp_path / '7.png')}"]
    confidence = ["--confidence", folder / "c.mkv"]
    said = run_refused(folder, "colourise", grey, folder / "a.mkv", *reference, *confidence)
    found = r"found (no common features|a match of \d+%)"
    assert re.search(rf"expected .*7\.png to show frame 7, {found}", said)


BAD: dict[str, tuple[str, str]] = {
    "no moment": ("here={picture}", "expected MOMENT=FILE"),
    "no file": ("0", "expected MOMENT=FILE"),
    "missing": ("0=nothing.png", "expected a picture, found nothing at nothing.png"),
    "text": ("0={text}", "expected a picture in a format that Pillow reads"),
    "cut off": ("0={broken}", "expected a whole picture"),
    "late frame": ("30={picture}", "expected frames 0 to 29 to be named, found 30"),
    "late time": (
        "1.3s={picture}",
        "expected times from 0 to the video's end at 1.200 s, found 1.3 s",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD)
def test_bad_references_are_refused_in_one_line(
    grey: Path, truth: list[Frame], tmp_path: Path, folder: Path, kind: str
) -> None:
    form, words = BAD[kind]
    picture, text, broken = (tmp_path / name for name in ("good.png", "text.png", "broken.png"))
    save_picture(truth[0], picture)
    text.write_text("no picture")
    broken.write_bytes(picture.read_bytes()[:3000])
    reference = form.format(picture=picture, text=text, broken=broken)
    said = run_refused(folder, "colourise", grey, folder / "a.mkv", "--reference", reference)
    assert words in said


@pytest.mark.slow
def test_bad_options_are_refused(
    grey: Path, tinct_path: Path, truth: list[Frame], tmp_path: Path, folder: Path
) -> None:
    given = ["--reference", f"0={save_picture(truth[0], tmp_path / '0.png')}"]
    out = folder / "a.mkv"
    (tmp_path / "notes.txt").write_text("not a picture")
    cases: list[tuple[list[str | Path], str]] = [
        ([grey, out], "expected references, found none"),
        ([grey, out, "--references", tmp_path / "no"], "a folder of pictures, found nothing"),
        ([grey, out, "--references", tmp_path], "expected pictures named by a frame's number"),
        ([grey, folder / "a.avi", *given], "expected a name ending in .mp4"),
        ([grey, grey, *given], "expected an output other than the input"),
        ([grey, out, *given, "--confidence", out], "found .* twice"),
        ([grey, out, *given, "--adapt", "-1"], "--adapt: expected a time such as 90"),
        (["-", out, *given], "expected a file, found stdin"),
        ([tinct_path, out, *given], "expected grey footage, found a Tinct file"),
    ]
    for arguments, words in cases:
        said = run_refused(folder, "colourise", *arguments)
        assert re.search(words, said), said
    said = run_refused(folder, "keyframes", grey, "--out", folder / "f", "--count", "0")
    assert "--count: expected auto or" in said


def test_bad_references_of_the_api_are_refused(
    grey: Path, truth: list[Frame], folder: Path
) -> None:
    out, rgb = str(folder / "a.mkv"), truth[1].rgb()
    with pytest.raises(tinct.CodecError, match="expected one reference for frame 1"):
        tinct.colourise(str(grey), out, references={1: rgb, 0.04: rgb})
    with pytest.raises(tinct.CodecError, match=r"expected uint8 \[H, W, 3\]"):
        tinct.colourise(str(grey), out, references={0: rgb.astype(float)})
    assert list(folder.iterdir()) == []


def test_an_interrupted_colouring_leaves_nothing(
    grey: Path, truth: list[Frame], folder: Path
) -> None:
    def stop(done: int, total: int | None) -> None:
        if done == 10:
            raise KeyboardInterrupt

    outputs = {"confidence": str(folder / "c.mkv"), "page": str(folder / "p.html")}
    references = {0: truth[0]}
    with pytest.raises(KeyboardInterrupt):
        tinct.colourise(
            str(grey), str(folder / "a.mkv"), references=references, progress=stop, **outputs
        )
    assert list(folder.iterdir()) == []


class FailingContainer:
    """An output of PyAV whose last bytes meet a full disk."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def close(self) -> None:
        self._container.close()
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("failing", [0, 1], ids=["video", "map"])
def test_of_two_outputs_both_appear_or_none(
    failing: int, grey: Path, truth: list[Frame], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full when the last bytes of one are written leaves neither."""
    opened: list[Any] = []
    whole = av.open

    def open_output(file: str, mode: str = "r", **options: Any) -> Any:
        container = whole(file, mode, **options)
        if mode != "w" or not isinstance(file, str):  # a trial in memory
            return container
        opened.append(container)
        return FailingContainer(container) if len(opened) == failing + 1 else container

    monkeypatch.setattr(av, "open", open_output)
    references, out = {0: truth[0]}, str(folder / "a.mkv")
    with pytest.raises(tinct.CodecError, match="No space left"):
        tinct.colourise(str(grey), out, references=references, confidence=str(folder / "c.mkv"))
    assert len(opened) == 2
    assert list(folder.iterdir()) == []
