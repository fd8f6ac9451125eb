"""Encoding and decoding ask nothing of a network, nor do the libraries that they load."""

import subprocess
import sys
from pathlib import Path

import pytest

# every way out of the process ends in one of these events; a library that swallows the error is found by the note
GUARD = """
import sys
def guard(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        print("asked for", event, args, file=sys.stderr, flush=True)
        raise RuntimeError(event)
sys.addaudithook(guard)
import time
from tinct.cli import main
try:
    main(sys.argv[1:])
finally:
    time.sleep(0.5)  # for a thread that asks later
"""


def guarded(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", GUARD, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


PAPER = ["--preset", "paper", "--recipe", "cpu", "--channels", "8", "--adapt", "2steps"]


@pytest.mark.parametrize("options", [["--colouriser", "none"], ["--colouriser", "compact"], PAPER], ids=["none", "compact", "gan"])
def test_encode_and_decode_ask_nothing_of_a_network(options: list[str], clip_path: Path, tmp_path: Path) -> None:
    said = guarded("encode", str(clip_path), str(tmp_path / "a.mkv"), "--colour", "track", "--quiet", *options)
    said += guarded("decode", str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), "--quiet")
    assert "asked for" not in said


def test_the_guard_sees_an_attempt() -> None:
    code = GUARD.split("import time")[0] + "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "asked for" in done.stderr
