"""The commands for grey footage: `colourise` and `keyframes`."""

from typing import Annotated, Literal

import typer

from tinct.cli.bars import frame_counter, open_bars
from tinct.cli.options import Debug, Output, Overwrite, Quiet
from tinct.cli.say import colour_lines, explain_missing, put_report, say_all, tell
from tinct.errors import CodecError


def colourise(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Any video; its own colour is not looked at.")
    ],
    output: Output,
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
    from tinct.colouring.pictures import find_pictures, parse_references

    if adapt is not None:
        with explain_missing("networks", "--adapt"):
            import tinct.colouring.adaptation  # noqa: F401  before anything is looked at
    pictures = parse_references(reference or [])
    if references is not None:
        pictures = {**find_pictures(references), **pictures}
    with open_bars(quiet) as bars:
        report = run(
            source,
            output,
            references=pictures,
            leave_grey=leave_grey,
            adapt_seconds=adapt,
            confidence=confidence,
            page=page,
            overwrite=overwrite,
            looked=frame_counter(bars, "looking"),
            progress=frame_counter(bars, "colouring", waits=True),
        )
    tell(report, [] if quiet else colour_lines(report, output), source=source, done="coloured")


def keyframes(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Any video.")],
    out: Annotated[
        str, typer.Option(metavar="FOLDER", help="The new folder for PNGs, named by frame number.")
    ],
    count: Annotated[str, typer.Option(help="How many frames: auto or a number.")] = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the frames worth colouring as PNGs, to be coloured for `colourise --references`."""
    from tinct.colouring import write_keyframes as run

    number = read_count(count)
    with open_bars(quiet) as bars:
        looked, written = frame_counter(bars, "looking"), frame_counter(bars, "writing", waits=True)
        numbers, notes = run(
            source,
            out,
            count=number,
            looked=looked,
            progress=written,
        )
    say_all(notes)
    if not quiet:
        put_report([f"{out}: frames {', '.join(map(str, numbers))}"])


def read_count(text: str) -> int | Literal["auto"]:
    """Return the number of frames that `text` asks for. Raise CodecError where it is none."""
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError as error:
        raise CodecError(f"--count: expected auto or a whole number, found {text}") from error
