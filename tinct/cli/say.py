"""How the commands speak: exit codes, lines on stdout and stderr. `reports` has what they say."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tinct.errors import CodecError
from tinct.text import escape_controls

DONE, REFUSED, DAMAGED, INTERRUPTED = 0, 2, 3, 130  # exit codes


def say(message: str) -> None:
    """Print one line on stderr. Where nobody can be told, the exit code tells."""
    with suppress(OSError):
        print(f"tinct: {make_printable(message)}", file=sys.stderr, flush=True)


def say_all(notes: Sequence[str]) -> None:
    for note in notes:
        say(note)


def make_printable(text: str) -> str:
    """Return one line that cannot control a terminal: names and tags come from strangers' files."""
    return escape_controls(" ".join(text.split()))


def put(lines: Sequence[str]) -> None:
    """Print what was asked for on stdout."""
    print("\n".join(map(escape_controls, lines)))


def format_json(value: object) -> list[str]:
    """Return the lines of a value as JSON, in printable ASCII."""
    return json.dumps(value, indent=2).replace("\x7f", "\\u007f").splitlines()


def put_report(lines: Sequence[str]) -> None:
    """Print what was done on stderr."""
    for line in lines:
        print(escape_controls(line), file=sys.stderr)


@contextmanager
def explain_missing(extra: str, what: str) -> Iterator[None]:
    """Turn a library that is not installed into an error that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tinct"):
            raise
        raise CodecError(
            f"{what} needs {error.name}, which is not installed; "
            f"get all of it: pip install 'tinct[{extra}]'"
        ) from error
