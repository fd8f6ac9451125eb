"""The program `tinct`: its commands, its exit codes, and what is said of every error. Only this folder prints."""

import logging
import os
import signal
import sys

import typer
from typer.exceptions import TyperException

from tinct.cli import codec, colouring, lab
from tinct.cli.say import DONE, INTERRUPTED, REFUSED, _say
from tinct.errors import CodecError
from tinct.interrupt import keep_interrupts

SEVERAL = (
    "--codec",
    "--qp",
    "--points",
    "--clips",
)  # of `evaluate` and `reproduce`: they take all words up to the next option
app = typer.Typer(
    name="tinct", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True,
    help="A video codec that sends luma and restores colour at the decoder.",
)  # fmt: skip
for command in (
    codec.encode, codec.batch, codec.decode, colouring.colourise, colouring.keyframes, codec.info, codec.verify,
    lab.evaluate, lab.report, lab.reproduce, lab.train,
):  # fmt: skip
    app.command()(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error becomes one line on stderr and an exit code."""
    arguments = _repeated(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.ERROR,
        stream=sys.stderr,
        format="%(name)s: %(message)s",
    )
    signal.signal(signal.SIGTERM, _interrupt)
    keep_interrupts()
    _hold_standard_streams()
    try:
        code = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()  # what it cannot write is said here, not at Python's exit
        if code == INTERRUPTED:  # typer keeps KeyboardInterrupt to itself
            _say(_interrupted(arguments))
    except (CodecError, TyperException) as error:
        if debug:
            logging.getLogger(__name__).exception("traceback")
        _say(error.format_message() if hasattr(error, "format_message") else str(error))
        code = REFUSED
    except (KeyboardInterrupt, typer.Abort):
        _say(_interrupted(arguments))
        code = INTERRUPTED
    except (OSError, SystemExit) as error:  # typer makes the latter of a reader that has gone
        if isinstance(error, OSError) and error.filename is not None:
            if debug:
                logging.getLogger(__name__).exception("traceback")
            _say(f"expected to use {error.filename}, found {error.strerror}")
        else:
            _say(
                f"expected to write to stdout, found {getattr(error, 'strerror', 'nobody who reads it')}"
            )
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is left in its buffer
        code = REFUSED
    except MemoryError:
        if debug:
            logging.getLogger(__name__).exception("traceback")
        _say("not enough memory for this video; free some, or scale it down first")
        code = REFUSED
    sys.exit(code or DONE)


def _hold_standard_streams() -> None:
    """Where one is closed, the next file opened would get its number, and all that libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _repeated(arguments: list[str]) -> list[str]:
    """`--codec a b` as `--codec a --codec b`, which is what Typer reads."""
    if arguments[:1] not in (["evaluate"], ["reproduce"]):
        return arguments
    found: list[str] = []
    option, fresh = "", False
    for word in arguments:
        if word.startswith("--") or word in ("-h",):
            option, fresh = (word, True) if word in SEVERAL else ("", False)
        elif option and not fresh:
            found.append(option)
        else:
            fresh = False
        found.append(word)
    return found


def _interrupted(arguments: list[str]) -> str:
    same = "the same call goes on"
    command = arguments[0] if arguments else ""
    kept = {"batch": same, "evaluate": "--resume goes on", "reproduce": same, "train": same}.get(
        command
    )
    if command == "encode" and any(word.partition("=")[0] == "--checkpoint" for word in arguments):
        return f"interrupted, nothing was written but the checkpoint of a training; {same}"
    return (
        f"interrupted, what was finished is kept; {kept}"
        if kept
        else "interrupted, nothing was written"
    )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
