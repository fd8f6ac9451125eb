"""The commands of the codec: `encode`, `batch`, `decode`, `info`, `verify`.

Video libraries load inside the commands, so that help is quick.
"""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from tinct.cli.bars import frame_counter, open_bars, show_progress, training_counter
from tinct.cli.options import (
    Debug,
    EngineName,
    Json,
    Output,
    Overwrite,
    Preset,
    Quiet,
    Source,
    options_of,
    read_config,
    read_engine,
    take_options,
)
from tinct.cli.say import (
    DAMAGED,
    encode_lines,
    format_json,
    info_lines,
    psnr_text,
    put,
    put_report,
    say,
    say_all,
    tell,
)
from tinct.config import EVERYDAY, PANELS, PAPER


@take_options(options_of(*PANELS))
def encode(
    source: Source,
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="The Matroska file to write, *.mkv.")
    ],
    *,
    preset: Preset = "default",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **options: Any,
) -> None:
    """Encode a video to a Tinct file that any player opens."""
    from tinct.adapt.torchrun import is_first_process
    from tinct.encoder import api

    quiet = quiet or not is_first_process()  # of torchrun's processes one speaks
    config = read_config(preset, options)
    with open_bars(quiet) as bars:
        report = api.encode(
            source,
            output,
            config,
            overwrite=overwrite,
            progress=frame_counter(bars, "encoding"),
            training=training_counter(bars, quiet),
        )
    tell(report, [] if quiet else encode_lines(report, output), source=source, done="coded")


@take_options([name for name in options_of(*PANELS) if name not in options_of(PAPER)])
def batch(
    source: Annotated[str, typer.Argument(metavar="IN", help="A folder of videos.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The folder for a .mkv of each.")],
    *,
    jobs: Annotated[int, typer.Option(help="Files at a time.", rich_help_panel=EVERYDAY)] = 1,
    engine: EngineName = "local",
    preset: Preset = "default",
    quiet: Quiet = False,
    debug: Debug = False,
    **options: Any,
) -> None:
    """Encode every video of a folder; a second call goes on with those that are missing."""
    from tinct.encoder.batch import encode_folder

    config = read_config(preset, options)
    with show_progress("encoding", quiet, "files") as progress:
        report = encode_folder(
            source, output, config, jobs=jobs, engine=read_engine(engine), progress=progress
        )
    say_all(report.notes)
    for path, reason in report.failed.items():
        say(f"{path} failed: {reason}")
    if not quiet:
        counts = (
            f"{len(report.encoded)} encoded, {len(report.skipped)} there already, "
            f"{len(report.failed)} failed"
        )
        sizes = f"{report.source_bytes:,} bytes became {report.size_bytes:,}"
        if report.source_bytes:
            sizes += f", {report.size_bytes / report.source_bytes:.0%} of them"
        put_report([f"{counts}; {sizes}"])
    if report.failed:
        raise typer.Exit(DAMAGED)


def decode(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A Tinct file, or any video.")],
    output: Output,
    start: Annotated[float, typer.Option(help="Seconds to skip.")] = 0.0,
    duration: Annotated[float | None, typer.Option(help="Seconds to decode; default all.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Decode a Tinct file to an ordinary video in colour."""
    from tinct.decoder import api

    with show_progress("decoding", quiet or output == "-") as progress:
        report = api.decode(
            source,
            output,
            start_seconds=start,
            duration_seconds=duration,
            overwrite=overwrite,
            progress=progress,
        )
    say_all(report.notes)
    if not report.tinct:
        say(f"{source} has no Tinct in it: its {report.frames} frames are written as they are")
    if report.damage:
        say(f"{source} is damaged: {report.frames} frames written, {report.damage}")
        raise typer.Exit(DAMAGED)


def info(
    source: Annotated[str, typer.Argument(metavar="FILE")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a file holds and where its bits go."""
    from tinct.decoder import inspection

    found = inspection.info(source)
    put(format_json(found.to_dict()) if as_json else info_lines(found))


def verify(
    source: Annotated[str, typer.Argument(metavar="FILE")],
    against: Annotated[
        str | None, typer.Option(help="The source, to measure PSNR against.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Decode every frame of a file; with the source, measure PSNR by plane."""
    from tinct.decoder import inspection

    with show_progress("verifying", quiet) as progress:
        result = inspection.verify(source, against, progress=progress)
    if as_json:
        put(format_json(asdict(result)))
    elif not quiet:
        put([f"{result.frames} frames decode" + (", the file is whole" if result.whole else "")])
        if result.psnr is not None:
            put([f"PSNR {psnr_text(result.psnr)}"])
    if not result.whole:
        say(f"{source} is damaged: {result.damage}")
        raise typer.Exit(DAMAGED)
