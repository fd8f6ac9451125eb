"""Where outputs may go, and what tells a file from another."""

import os
from pathlib import Path

import pytest

from tinct.errors import CodecError
from tinct.files import AtomicOutput, check_output, identify_file


def test_an_output_appears_when_it_is_published(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with AtomicOutput(target) as output:
        output.path.write_text("whole")
        assert not target.exists()
        output.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "whole"


def test_an_output_that_is_not_published_is_removed(tmp_path: Path) -> None:
    for folder in (False, True):
        with AtomicOutput(tmp_path / "a", folder=folder) as output:
            assert output.path.is_dir() == folder
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with AtomicOutput(target, replaces=False) as output:
        target.write_text("another's")
        with pytest.raises(FileExistsError, match="it is kept"):
            output.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "another's"


def test_an_empty_folder_is_replaced_in_any_case(tmp_path: Path) -> None:
    target = tmp_path / "pictures"
    target.mkdir()
    with AtomicOutput(target, folder=True, replaces=False) as output:
        (output.path / "x").touch()
        output.publish()
    assert [path.name for path in target.iterdir()] == ["x"]


def test_a_long_name_leaves_room_for_the_hidden_one(tmp_path: Path) -> None:
    with AtomicOutput(tmp_path / ("é" * 125 + ".mkv")) as output:
        assert len(os.fsencode(output.path.name)) <= 255
        output.publish()
    assert len(os.fsencode(next(tmp_path.iterdir()).name)) == 254


def test_identity_changes_with_content_and_is_none_without_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert identify_file(str(path)) is None
    assert identify_file("a\0b") is None
    path.write_text("one")
    first = identify_file(str(path))
    assert first == identify_file(str(path))
    path.write_text("longer")
    assert identify_file(str(path)) != first


def test_outputs_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    given, link, fifo = tmp_path / "in.mkv", tmp_path / "link.mkv", tmp_path / "fifo"
    given.touch()
    link.symlink_to(given)
    os.mkfifo(fifo)
    cases = {
        "a\0b": "found a NUL character",
        f"{tmp_path}/none/a.mkv": "to exist; make it first",
        str(link): "found a symbolic link",
        str(fifo): "found a pipe or device",
        str(given): "for both",
        str(tmp_path / "old.mkv"): "use --overwrite",
    }
    (tmp_path / "old.mkv").touch()
    for destination, words in cases.items():
        with pytest.raises(CodecError, match=words):
            check_output(destination, str(given), overwrite=False)


def test_outputs_that_may_be_replaced_are_taken(tmp_path: Path) -> None:
    given, old, link = tmp_path / "in.mkv", tmp_path / "old.mkv", tmp_path / "link.mkv"
    for path in (given, old):
        path.touch()
    link.symlink_to(old)
    for destination in ("-", str(old), str(link), str(tmp_path / "new.mkv"), str(tmp_path)):
        check_output(destination, str(given), overwrite=True)
    with pytest.raises(CodecError, match="for both"):
        check_output(str(given), str(given), overwrite=True)
