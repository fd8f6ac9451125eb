"""Encoding and decoding use no network, nor do the libraries that they load."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Every way from Python to a network raises one of these events. The printed note finds a library
# that catches the error.
GUARD = """
import sys
EVENTS = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}
def guard(event, args):
    if event in EVENTS | {"urllib.Request"}:
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
    time.sleep(0.5)  # a thread may ask later
"""
# In a network namespace without a route, the kernel counts what any library sends.
ISOLATED = [
    "unshare",
    "--map-root-user",
    "--net",
    "sh",
    "-c",
    '"$@"; code=$?; cat /proc/net/snmp >&2; exit $code',
    "sh",
]
can_isolate = (
    shutil.which("unshare") is not None
    and subprocess.run([*ISOLATED, "true"], capture_output=True).returncode == 0
)
needs_unshare = pytest.mark.skipif(not can_isolate, reason="needs unshare, and the right to use it")


def count_packets(said: str) -> int:
    """Return how many IP packets were sent, with those that had no route; DNS queries included."""
    names, values = (line.split()[1:] for line in re.findall(r"^Ip: .*$", said, re.MULTILINE))
    counts = dict(zip(names, map(int, values), strict=True))
    return counts["OutRequests"] + counts["OutNoRoutes"]


def run_guarded(*arguments: str) -> None:
    """Run `tinct` and check that it uses no network."""
    command = [sys.executable, "-c", GUARD + RUN, *arguments]
    done = subprocess.run(
        [*ISOLATED, *command] if can_isolate else command,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "asked for" not in done.stderr
    if can_isolate:
        assert count_packets(done.stderr) == 0


TRACK = ["--colour", "track"]
PAPER = ["--preset", "paper", "--recipe", "cpu", "--channels", "8", "--adapt", "2steps"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--colour", "in-band"],
        pytest.param([*TRACK, "--colouriser", "none"], marks=pytest.mark.nightly),
        [*TRACK, "--colouriser", "compact"],
        pytest.param(PAPER, marks=pytest.mark.nightly),
    ],
    ids=["in-band", "none", "compact", "gan"],
)
def test_encode_and_decode_ask_nothing_of_a_network(
    options: list[str], clip_path: Path, tmp_path: Path
) -> None:
    run_guarded("encode", str(clip_path), str(tmp_path / "a.mkv"), "--quiet", *options)
    run_guarded("decode", str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), "--quiet")


def test_the_guard_sees_an_attempt() -> None:
    """The guard notices a request of Python's."""
    code = GUARD + "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "asked for" in done.stderr


@needs_unshare
def test_the_kernel_sees_an_attempt() -> None:
    """The kernel's counters notice a connection."""
    code = "import socket\nsocket.create_connection(('192.0.2.1', 80), 5)"
    done = subprocess.run(
        [*ISOLATED, sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert count_packets(done.stderr) > 0
