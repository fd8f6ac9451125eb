"""The commands for grey footage: `colourise` and `keyframes`."""

import sys
from typing import Annotated, Literal, cast

import typer

from tinct.cli.options import Debug, Overwrite, Quiet, _auto_or_number
from tinct.cli.say import _bars, _colour_lines, _counter, _extra, _notes, _tell


def colourise(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Any video; its own colour is not looked at.")
    ],
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT", help="*.mp4, *.mkv (lossless), *.y4m, a folder, or - for y4m."
        ),
    ],
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MOMENT=FILE",
            help="A coloured picture of a frame, by number or time; may be repeated.",
        ),
    ] = None,
    references: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Pictures named by frame number or time.")
    ] = None,
    leave_grey: Annotated[
        bool, typer.Option("--leave-grey", help="Shots without a reference stay grey.")
    ] = False,
    adapt: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Train on the references first.")
    ] = None,
    confidence: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A video of how far colour can be trusted, such as c.mkv."
        ),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="An HTML page of how colour goes along the video."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Colour grey footage from a few coloured frames."""
    from tinct.colouring import colourise as run
    from tinct.colouring.pictures import given_one_by_one, in_folder

    if adapt is not None:
        with _extra("networks", "--adapt"):
            import tinct.colouring.adapting  # noqa: F401  before anything is looked at
    pictures = given_one_by_one(reference or [])
    if references is not None:
        pictures = {**in_folder(references), **pictures}
    with _bars(quiet) as bars:
        report = run(
            source, output, references=pictures, leave_grey=leave_grey, adapt_seconds=adapt, confidence=confidence, page=page,
            overwrite=overwrite, looked=_counter(bars, "looking"), progress=_counter(bars, "colouring", waits=True),
        )  # fmt: skip
    _tell(report, [] if quiet else _colour_lines(report, output), source, "coloured")


def keyframes(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Any video.")],
    out: Annotated[
        str, typer.Option(metavar="FOLDER", help="The new folder for PNGs, named by frame number.")
    ],
    count: Annotated[str, typer.Option(help="How many frames: auto or a number.")] = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the frames worth colouring, as PNGs to be coloured and given to `colourise --references`."""
    from tinct.colouring import write_keyframes as run

    number = _auto_or_number("count", count)
    with _bars(quiet) as bars:
        looked, written = _counter(bars, "looking"), _counter(bars, "writing", waits=True)
        numbers, notes = run(
            source,
            out,
            count=cast("int | Literal['auto']", number),
            looked=looked,
            progress=written,
        )
    _notes(notes)
    if not quiet:
        print(f"{out}: frames {', '.join(map(str, numbers))}", file=sys.stderr)
