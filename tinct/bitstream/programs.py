"""Encoders that run as programs: how one is found, run, watched, and ended with us.

`segments` codes pictures by one; the lab runs all its commands this way.
"""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tinct.errors import CodecError
from tinct.interrupt import defer_interrupts

MAX_WORDS = 1 << 16  # bytes that are kept of each stream of a program: its last ones
GRACE_SECONDS = 5  # between asking a program to end and ending it


@dataclass(frozen=True)
class Outcome:
    """How a program ended: its exit code, and the ends of what it wrote to stdout and stderr."""

    code: int
    output: str
    errors: str

    def complaint(self, *, reads_output: bool = False) -> str:
        """Return the last line of its errors; with `reads_output` that of its output for none."""
        texts = (self.errors, self.output if reads_output else "")
        lines = [text.strip().splitlines()[-1] for text in texts if text.strip()]
        return lines[0].strip() if lines else f"exit code {self.code} and no word"


def find_program(name: str) -> str | None:
    """Return the absolute path of a program, looked for in PATH where it is a bare name, if any."""
    found = shutil.which(name)
    return None if found is None else str(Path(found).absolute())


def run_program(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    files: Sequence[IO[bytes]] = (),
    silence_seconds: float | None = None,
) -> Outcome:
    """Run a command to its end; it and its children end with us, whatever ends us.

    `files` are open in it too, under the numbers that they have here: see `name_file`. Raise
    CodecError where it cannot be started, and where for `silence_seconds` it wrote nothing, neither
    a word nor into a file.
    """
    process: subprocess.Popen[bytes] | None = None
    outcome: Outcome | None = None
    try:
        # an interrupt between the start and keeping its number would leave it running
        with defer_interrupts():
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[file.fileno() for file in files],
                start_new_session=True,  # its children are ended with it
            )
        output, errors = _listen(process, files, silence_seconds)
        outcome = Outcome(process.wait(silence_seconds), output, errors)
        return outcome
    except OSError as error:
        found = error.strerror or error
        raise CodecError(f"expected a program in {command[0]}, found {found}") from error
    except subprocess.TimeoutExpired as error:
        raise CodecError(
            f"expected a sign of life from {command[0]}, found none for {silence_seconds:,.0f} s; "
            "it was ended"
        ) from error
    finally:
        if process is not None:
            with process:  # closes its pipes
                if outcome is None:
                    _end(process)


def name_file(file: IO[bytes]) -> str:
    """Return the name by which a program that is given an open file opens it anew, at its start.

    So it may be a file that has no other name, and vanishes with us.
    """
    return f"/dev/fd/{file.fileno()}"


def _listen(
    process: "subprocess.Popen[bytes]", files: Sequence[IO[bytes]], silence_seconds: float | None
) -> tuple[str, str]:
    """Return the ends of stdout and stderr. Raise TimeoutExpired at a silence that is too long."""
    pipes = (process.stdout, process.stderr)
    words = dict.fromkeys(pipes, b"")
    wait_seconds = None if silence_seconds is None else silence_seconds / 4
    heard, size = time.monotonic(), 0
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            assert pipe is not None
            selector.register(pipe, selectors.EVENT_READ, pipe)
        while selector.get_map():
            ready = selector.select(wait_seconds)
            for key, _ in ready:
                if not (data := os.read(key.fd, MAX_WORDS)):
                    selector.unregister(key.data)
                words[key.data] = (words[key.data] + data)[-MAX_WORDS:]
            written = sum(os.fstat(file.fileno()).st_size for file in files)
            if ready or written != size:
                heard, size = time.monotonic(), written
            elif silence_seconds is not None and time.monotonic() - heard >= silence_seconds:
                raise subprocess.TimeoutExpired(process.args, silence_seconds)
    output, errors = (words[pipe].decode(errors="replace") for pipe in pipes)
    return output, errors


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and its children: they are asked first, to tidy up."""
    try:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=GRACE_SECONDS)  # children hold the pipes open
    finally:
        _signal_group(process, signal.SIGKILL)


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of them have gone
        os.killpg(process.pid, number)
