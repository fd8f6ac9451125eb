"""The program `tinct`: its commands, its exit codes, and one line for every error.

Only this folder prints.
"""

import io
import logging
import os
import signal
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

import tinct
from tinct.cli import codec, colouring, lab, training
from tinct.cli.help import NAMES, PanelCommand, PanelGroup, explain
from tinct.cli.say import DONE, INTERRUPTED, REFUSED, put, say
from tinct.config import OPTIONS
from tinct.errors import CodecError, OptionError
from tinct.interrupt import keep_interrupts
from tinct.text import suggest

# Options of the lab that take all words up to the next option; those of JOINED are one value.
SEVERAL = ("--codec", "--qp", "--points", "--clips", "--anchor")
JOINED = ("--anchor",)
SAID = (None, DONE, INTERRUPTED)  # codes of an exit that has said what there is to say
LAB = ("evaluate", "report", "reproduce")
app = typer.Typer(
    name="tinct",
    cls=PanelGroup,
    help="A video codec that sends luma and restores colour at the decoder.",
    context_settings={"help_option_names": NAMES},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
COMMANDS = {
    "Videos": (codec.encode, codec.batch, codec.decode, codec.info, codec.verify),
    "Colour for grey footage": (colouring.keyframes, colouring.colourise),
    "The lab": (lab.evaluate, lab.report, lab.reproduce, training.train),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(cls=PanelCommand, rich_help_panel=panel)(command)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """A video codec that sends luma and restores colour at the decoder."""
    if version:
        put([f"tinct {tinct.__version__}"])
        raise typer.Exit(DONE)
    if context.invoked_subcommand is None:
        put(context.get_help().splitlines())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error becomes one line on stderr and an exit code."""
    arguments = repeat_options(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.ERROR,
        stream=sys.stderr,
        format="%(name)s: %(message)s",
    )
    logging.captureWarnings(True)  # of Python's libraries, such as Pillow's of a broken picture
    if not debug:
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of workers
    signal.signal(signal.SIGTERM, raise_interrupt)
    keep_interrupts()
    open_standard_streams()
    try:
        code = app(args=arguments, prog_name="tinct", standalone_mode=False)
        sys.stdout.flush()  # what it cannot write is said here, not at Python's exit
        if code == INTERRUPTED:  # typer keeps KeyboardInterrupt to itself
            say(interruption_text(arguments))
    except OptionError as error:
        _log_traceback(debug)
        declared = OPTIONS[error.option]
        near = suggest(error.found, declared.choices)
        say(f"--{declared.flag}: expected {error.expected}; found {error.found}{near}")
        code = REFUSED
    except (CodecError, TyperException) as error:
        _log_traceback(debug)
        say(explain(error) if isinstance(error, TyperException) else str(error))
        code = REFUSED
    except (KeyboardInterrupt, typer.Abort):
        say(interruption_text(arguments))
        code = INTERRUPTED
    except (OSError, SystemExit) as error:  # typer makes the latter of a reader that has gone
        if isinstance(error, SystemExit) and error.code in SAID:
            raise
        if isinstance(error, OSError) and error.filename is not None:
            _log_traceback(debug)
            say(f"expected to use {error.filename}, found {error.strerror}")
        else:
            found = getattr(error, "strerror", "nobody who reads it")
            say(f"expected to write to stdout, found {found}")
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is left in its buffer
        code = REFUSED
    except MemoryError:
        _log_traceback(debug)
        say("not enough memory for this video; free some, or scale it down first")
        code = REFUSED
    sys.exit(code or DONE)


def _log_traceback(debug: bool) -> None:
    if debug:
        logging.getLogger(__name__).exception("traceback")


def open_standard_streams() -> None:
    """Open standard streams that are closed: the next file opened would get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # a name may hold what their encoding does not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def repeat_options(arguments: list[str]) -> list[str]:
    """Return the arguments with `--codec a b` as `--codec a --codec b`, which Typer reads.

    The words of `--anchor a b` become one value of two lines: the option may come again.
    """
    if not arguments or arguments[0] not in LAB:
        return arguments
    found: list[str] = []
    option, fresh = "", False
    for word in arguments:
        if word.startswith("--") or word in ("-h",):
            option, fresh = (word, True) if word in SEVERAL else ("", False)
        elif option in JOINED and not fresh:
            found[-1] += f"\n{word}"
            continue
        elif option and not fresh:
            found.append(option)
        else:
            fresh = False
        found.append(word)
    return found


def interruption_text(arguments: list[str]) -> str:
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


def raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt
