"""Inputs and outputs that are paths or file objects."""

import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tinct
from tinct.media.file_objects import choose_suffix, hold_input, hold_output, name_file


class Pipe:
    """A binary file object that can only be read, in short pieces."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, n: int = -1, /) -> bytes:
        return self._data.read(min(n, 7) if n >= 0 else -1)


class FullDisk:
    """A file object that takes no byte."""

    def write(self, data: bytes, /) -> int:
        if data:
            raise OSError(28, "No space left on device")
        return 0


def read_held(source: Any) -> bytes:
    with hold_input(source) as path:
        return Path(path).read_bytes()


def test_every_kind_of_input_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"0123456789" * 5)
    (tmp_path / "a.gz").write_bytes(gzip.compress(path.read_bytes()))
    at_end = io.BytesIO(path.read_bytes())
    at_end.seek(0, io.SEEK_END)
    with path.open("rb") as file, gzip.open(tmp_path / "a.gz") as unpacked:
        for source in (path, str(path), file, at_end, Pipe(path.read_bytes()), unpacked):
            assert read_held(source) == path.read_bytes(), source


def test_an_open_file_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with path.open("w+b") as file:
        file.write(b"not flushed yet")
        with hold_input(file) as held:
            assert held == str(path)
            assert Path(held).read_bytes() == b"not flushed yet"
        path.rename(tmp_path / "b.bin")
        with hold_input(file) as held:  # its name is gone
            assert held != str(path)
            assert Path(held).read_bytes() == b"not flushed yet"


def test_a_copy_is_removed() -> None:
    with hold_input(io.BytesIO(b"abc")) as path:
        assert Path(path).exists()
    assert not Path(path).parent.exists()


def test_an_output_is_written_whole_or_not() -> None:
    target = io.BytesIO(b"ab")
    target.seek(2)
    with hold_output(target, ".mkv") as path:
        Path(path).write_bytes(b"cdef")
        assert path.endswith(".mkv")
        assert target.getvalue() == b"ab"
    assert target.getvalue() == b"abcdef"
    with pytest.raises(KeyError), hold_output(target, ".mkv") as path:  # noqa: PT012
        Path(path).write_bytes(b"ghi")
        raise KeyError
    assert target.getvalue() == b"abcdef"
    assert not Path(path).parent.exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (5, "expected a path or a binary file object to read, found int"),
        (b"abc", "found bytes; wrap it in io.BytesIO"),
        (io.StringIO("abc"), 'found one of text; open it with "rb"'),
    ],
)
def test_what_is_no_input_is_refused(source: Any, message: str) -> None:
    with pytest.raises(tinct.CodecError, match=message):
        read_held(source)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (5, "expected a path or a binary file object to write, found int"),
        (io.StringIO(), 'found one of text; open it with "wb"'),
        (io.BufferedReader(io.BytesIO()), "found one that is closed, or opened to read"),
    ],
)
def test_what_is_no_output_is_refused_before_work(target: Any, message: str) -> None:
    with pytest.raises(tinct.CodecError, match=message), hold_output(target, ".mkv"):
        pytest.fail("the work has begun")


def test_an_output_that_takes_no_byte_is_named() -> None:
    with (
        pytest.raises(tinct.FileError, match="No space left on device"),
        hold_output(FullDisk(), ".mkv") as path,
    ):
        Path(path).write_bytes(b"abc")


def test_the_format_of_an_output(tmp_path: Path) -> None:
    assert choose_suffix(tmp_path / "a.mp4", None) == ""
    assert choose_suffix(io.BytesIO(), "mp4") == ".mp4"
    with tempfile.NamedTemporaryFile(suffix=".mov") as file:
        assert choose_suffix(file, None) == ".mov"
        assert name_file(file) == file.name
    assert choose_suffix(io.BytesIO(), None, usual=".mkv") == ".mkv"
    with pytest.raises(tinct.OptionError, match="one of mkv, webm; found 'mp4'"):
        choose_suffix(io.BytesIO(), "mp4", formats=("mkv", "webm"))
    for target, format in ((io.BytesIO(), None), (io.BytesIO(), "avi"), ("a.mp4", "mp4")):
        with pytest.raises(tinct.OptionError) as caught:
            choose_suffix(target, format)
        assert caught.value.option == "format"


def test_a_file_object_gives_the_same_file(clip_path: Path, tmp_path: Path) -> None:
    config = tinct.EncodeConfig(structure="intra", base="hevc", colour="in-band", search="off")
    tinct.encode(clip_path, tmp_path / "path.mkv", config)
    coded, clip = io.BytesIO(), io.BytesIO(clip_path.read_bytes())
    report = tinct.encode(clip, coded, config)
    assert coded.getvalue() == (tmp_path / "path.mkv").read_bytes()
    assert report.source_bytes == clip_path.stat().st_size
    y4m = io.BytesIO()
    tinct.decode(coded, y4m, format="y4m")
    tinct.decode(tmp_path / "path.mkv", tmp_path / "path.y4m")
    assert y4m.getvalue() == (tmp_path / "path.y4m").read_bytes()
    assert tinct.info(coded).path == "<BytesIO>"
    assert tinct.verify(coded, clip) == tinct.verify(tmp_path / "path.mkv", clip_path)


def test_colour_of_file_objects(clip_path: Path) -> None:
    first = tinct.open(clip_path)[0].rgb()
    movie, trust, page = io.BytesIO(), io.BytesIO(), io.BytesIO()
    report = tinct.colourise(
        io.BytesIO(clip_path.read_bytes()),
        movie,
        references={0: first},
        format="mkv",
        confidence=trust,
        page=page,
    )
    assert report.frames == len(tinct.open(movie)) == len(tinct.open(trust)) == 40
    assert page.getvalue().startswith(b"<!")
