"""Encoding and decoding ask nothing of a network, nor do the libraries that they load."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# ways out of Python end in one of these events; a library that swallows the error is found by the note
GUARD = """
import sys
def guard(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        print("asked for", event, args, file=sys.stderr, flush=True)
        raise RuntimeError(event)
sys.addaudithook(guard)
"""
RUN = """
import time
from tinct.cli.app import main
try:
    main(sys.argv[1:])
finally:
    time.sleep(0.5)  # for a thread that asks later
"""
# the kernel counts what any library sends in a network of its own, where nothing has a way
ALONE = [
    "unshare",
    "--map-root-user",
    "--net",
    "sh",
    "-c",
    '"$@"; code=$?; cat /proc/net/snmp >&2; exit $code',
    "sh",
]
can_be_alone = (
    shutil.which("unshare") is not None
    and subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0
)
needs_unshare = pytest.mark.skipif(
    not can_be_alone, reason="needs unshare, and the right to use it"
)


def sent(said: str) -> int:
    """IP packets that left, or would have if there had been a way; names are asked for by them, too."""
    names, values = (line.split()[1:] for line in re.findall(r"^Ip: .*$", said, re.MULTILINE))
    counts = dict(zip(names, map(int, values), strict=True))
    return counts["OutRequests"] + counts["OutNoRoutes"]


def guarded(*arguments: str) -> None:
    command = [sys.executable, "-c", GUARD + RUN, *arguments]
    done = subprocess.run(
        [*ALONE, *command] if can_be_alone else command, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "asked for" not in done.stderr
    if can_be_alone:
        assert sent(done.stderr) == 0


TRACK = ["--colour", "track"]
PAPER = ["--preset", "paper", "--recipe", "cpu", "--channels", "8", "--adapt", "2steps"]


@pytest.mark.parametrize(
    "options",
    [
        ["--colour", "in-band"],
        [*TRACK, "--colouriser", "none"],
        [*TRACK, "--colouriser", "compact"],
        PAPER,
    ],
    ids=["in-band", "none", "compact", "gan"],
)
def test_encode_and_decode_ask_nothing_of_a_network(
    options: list[str], clip_path: Path, tmp_path: Path
) -> None:
    guarded("encode", str(clip_path), str(tmp_path / "a.mkv"), "--quiet", *options)
    guarded("decode", str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), "--quiet")


def test_the_guard_sees_an_attempt() -> None:
    code = GUARD + "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "asked for" in done.stderr


@needs_unshare
def test_the_kernel_sees_an_attempt() -> None:
    code = "import socket\nsocket.create_connection(('192.0.2.1', 80), 5)"
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert sent(done.stderr) > 0
