"""The commands for grey footage: `colourise` and `keyframes`."""

from typing import Annotated, Literal

import typer

from tinct.cli.bars import count_phase, show_phases
from tinct.cli.options import Codec, Crf, Debug, Output, Overwrite, Quiet, read_time
from tinct.cli.reports import colour_lines, tell
from tinct.cli.say import explain_missing, put_report, say_all
from tinct.errors import CodecError

Reference = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MOMENT=FILE",
        help="A coloured picture of a frame, by number or time; may be repeated.",
    ),
]
References = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="Pictures named by frame number or time.")
]
LeaveGrey = Annotated[
    bool, typer.Option("--leave-grey", help="Shots without a reference stay grey.")
]
Adapt = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Train on three references or more first, for 90 or 00:01:30."
    ),
]
Confidence = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A video of how far colour can be trusted, such as c.mkv."),
]
Page = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="An HTML page of how colour goes along the video."),
]


def colourise(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Any video; its own colour is not looked at.")
    ],
    output: Output,
    reference: Reference = None,
    references: References = None,
    leave_grey: LeaveGrey = False,
    adapt: Adapt = None,
    confidence: Confidence = None,
    page: Page = None,
    codec: Codec = None,
    crf: Crf = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Colour grey footage from a few coloured frames."""
    from tinct.colouring import colourise as run
    from tinct.colouring.pictures import find_pictures, parse_references

    seconds = read_time("--adapt", adapt)
    if seconds is not None:
        with explain_missing("networks", "--adapt"):
            import tinct.colouring.adaptation  # noqa: F401  before anything is looked at
    pictures = parse_references(reference or [])
    if references is not None:
        pictures = {**find_pictures(references), **pictures}
    with show_phases(quiet or output == "-") as show:
        report = run(
            source,
            output,
            references=pictures,
            leave_grey=leave_grey,
            adapt_seconds=seconds,
            confidence=confidence,
            page=page,
            codec=codec,
            crf=crf,
            overwrite=overwrite,
            looked=count_phase(show, "looking"),
            progress=count_phase(show, "colouring"),
        )
    tell(report, [] if quiet else colour_lines(report, output), source=source, done="coloured")


def keyframes(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Any video.")],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="The new folder for PNGs, named by frame number.",
        ),
    ],
    count: Annotated[str, typer.Option(help="How many frames: auto or a number.")] = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the frames worth colouring as PNGs, to be coloured for `colourise --references`."""
    from tinct.colouring import write_keyframes as run

    number = read_count(count)
    with show_phases(quiet) as show:
        numbers, notes = run(
            source,
            out,
            count=number,
            looked=count_phase(show, "looking"),
            progress=count_phase(show, "writing"),
        )
    say_all(notes)
    if not quiet:
        next_step = f"tinct colourise {source} colour.mp4 --references {out}"
        put_report(
            [
                f"{out}: frames {', '.join(map(str, numbers))}",
                f"paint them in any program under their names, then: {next_step}",
            ]
        )


def read_count(text: str) -> int | Literal["auto"]:
    """Return the number of frames that `text` asks for. Raise CodecError where it is none."""
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError as error:
        raise CodecError(f"--count: expected auto or a whole number, found {text}") from error
