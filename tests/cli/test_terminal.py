"""No name, tag or text of FFmpeg's controls the terminal; a name that cannot be written is escaped.

stdout and stderr of any encoding take every name.
"""

import ast
import json
import os
from pathlib import Path

import pytest
from helpers import run
from synthetic import write_clip

import tinct
from tinct.cli import say
from tinct.text import escape_controls

EVIL = "\x1b]0;pwned\x07\x1b[31m[red]\u202e\x9b2J"
PACKAGE = Path(tinct.__file__).parent


def test_controls_are_escaped_and_everything_with_a_shape_stays() -> None:
    assert escape_controls("日本 é 🙂\u3000\xa0[red]") == "日本 é 🙂\u3000\xa0[red]"
    assert escape_controls(EVIL) == r"\x1b]0;pwned\x07\x1b[31m[red]\u202e\x9b2J"
    assert escape_controls("a\nb\udcff\x7f") == r"a\nb\udcff\x7f"


def test_json_stays_json() -> None:
    text = "\n".join(say.format_json({"path": EVIL + "\x7f"}))
    assert escape_controls(text) == text.replace("\n", r"\n")
    assert json.loads(text) == {"path": EVIL + "\x7f"}


def test_only_one_module_writes_to_the_terminal() -> None:
    for path in (PACKAGE / "cli").glob("*.py"):
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert "print" not in names or path.name == "say.py", path


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "{}"],
        ["info", "{}", "--json"],
        ["verify", "{}"],
        ["encode", "{}", "{}.mkv", "--colour", "in-band", "--x265-preset", "ultrafast"],
        ["decode", "{}", "{}.mp4"],
        ["keyframes", "{}", "--out", "{}.d", "--count", "1"],
        ["batch", "in", "{}.out", "--colour", "in-band", "--x265-preset", "ultrafast"],
        ["info", "{}.nothing"],
        ["decode", "{}", "{}.mp4", "--start", "9"],
        ["decode", "{}", "{}.xyz"],
        ["encode", "{}", "{}.mkv", "--debug", "--preset", "{}"],
        ["evaluate", "{}", "--codec", "{}", "--out", "{}.r"],
        ["{}"],
        ["info", "--{}"],
    ],
    ids=lambda words: " ".join(words).replace("{}", "EVIL"),
)
def test_no_command_prints_a_name_raw(tmp_path: Path, arguments: list[str]) -> None:
    write_clip(tmp_path / "a.mkv", frames=2, metadata={"title": EVIL, EVIL: "x"})
    (tmp_path / "a.mkv").rename(tmp_path / EVIL)
    if arguments[0] == "batch":
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / f"{EVIL}.avi").write_text("no video")
    result = run(*(word.replace("{}", EVIL) for word in arguments), cwd=tmp_path)
    for text in (result.stdout.decode(), result.stderr.decode()):
        assert not [c for c in text if c != "\n" and escape_controls(c) != c]
    assert b"Traceback" not in result.stderr or "--debug" in arguments


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_the_terminal_cannot_write_is_escaped(tmp_path: Path, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    name = os.fsdecode("日本".encode() + b"\xff.mkv")
    write_clip(tmp_path / "a.mkv", frames=2)
    (tmp_path / "a.mkv").rename(tmp_path / name)
    for command in (["info", name], ["verify", name], ["info", "日" + name]):
        result = run(*command, cwd=tmp_path, env=environment)
        assert result.returncode == (2 if command[1] != name else 0), result.stderr
        assert b"Traceback" not in result.stderr
    said = run("info", name, cwd=tmp_path, env=environment).stdout.decode(encoding)
    assert said.startswith(("日本" if encoding == "utf-8" else r"\u65e5\u672c") + r"\udcff.mkv: ")
