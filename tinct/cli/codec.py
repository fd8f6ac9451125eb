"""The commands of the codec: `encode`, `batch`, `decode`, `info`, `verify`.

Video libraries load inside the commands, so that help is quick.
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinct.cli.bars import count_phase, show_phases
from tinct.cli.names import pair_names
from tinct.cli.options import (
    FORMATS,
    Codec,
    Crf,
    Debug,
    EngineName,
    Format,
    Json,
    Out,
    Output,
    Overwrite,
    Preset,
    Quiet,
    options_of,
    read_choice,
    read_config,
    read_engine,
    read_time,
    take_options,
)
from tinct.cli.reports import encode_lines, file_line, info_lines, psnr_text, tell, tell_folder
from tinct.cli.say import (
    DAMAGED,
    INTERRUPTED,
    format_json,
    put,
    put_report,
    say,
    say_all,
)
from tinct.config import EVERYDAY, PANELS, PAPER, EncodeConfig
from tinct.errors import CodecError

if TYPE_CHECKING:
    from tinct.encoder.api import EncodeReport


FILES = (
    "Any video, or - for YUV4MPEG2 on stdin, and the file to write: *.mkv, or *.mp4 or *.webm for "
    "plain video that needs no Tinct. Without the second name talk.mp4 becomes talk.mkv beside it, "
    "talk.mkv becomes talk.tinct.mkv. Three names or more, and all names with --out, are inputs."
)


@take_options(options_of(*PANELS))
def encode(
    files: Annotated[list[str], typer.Argument(metavar="INPUT [OUTPUT]", help=FILES)],
    *,
    preset: Preset = "default",
    out: Out = None,
    container: Format = "mkv",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **options: Any,
) -> None:
    """Encode videos to files that any player opens."""
    from tinct.adapt.torchrun import is_first_process

    quiet = quiet or not is_first_process()  # of torchrun's processes one speaks
    config = read_config(preset, options)
    suffix = f".{read_choice('--format', container, FORMATS)}"
    pairs = pair_names(files, out=out, suffix=suffix, overwrite=overwrite)
    if out is not None:
        _make_folder(Path(out), config, suffix)
    if len(pairs) > 1:
        _encode_each(pairs, config, overwrite=overwrite, quiet=quiet)
        return
    ((source, target),) = pairs
    report = _encode_one(source, target, config, overwrite=overwrite, quiet=quiet)
    tell(report, [] if quiet else encode_lines(report, target), source=source, done="coded")


def _make_folder(folder: Path, config: EncodeConfig, suffix: str) -> None:
    """Make the folder of outputs, once it is known that the options can be."""
    from tinct.encoder.batch import make_folder
    from tinct.encoder.formats import fit_format

    fit_format(config, Path(f"*{suffix}"))
    make_folder(folder)


def _encode_one(
    source: str, target: str, config: EncodeConfig, *, overwrite: bool, quiet: bool
) -> "EncodeReport":
    from tinct.encoder import api

    with show_phases(quiet):
        return api.encode(source, target, config, overwrite=overwrite)


def _encode_each(
    pairs: list[tuple[str, str]], config: EncodeConfig, *, overwrite: bool, quiet: bool
) -> None:
    """Encode one file after the other; those that are there, and those that fail, are named."""
    from tinct.encoder.batch import Encoded, check_source, describe_encoded, make_folder_report
    from tinct.encoder.formats import fit_format

    fit_format(config, Path(pairs[0][1]))
    skipped: list[Path] = []
    results: list[tuple[Path, Path, Encoded | CodecError]] = []
    try:
        for source, target in pairs:
            if Path(target).is_file() and not overwrite:
                skipped.append(Path(target))
                continue
            try:
                check_source(Path(source))
                report = _encode_one(source, target, config, overwrite=overwrite, quiet=quiet)
            except CodecError as error:
                results.append((Path(source), Path(target), error))
                continue
            results.append((Path(source), Path(target), describe_encoded(Path(source), report)))
            if not quiet:
                put_report(encode_lines(report, target)[:2])
    except KeyboardInterrupt:
        say("interrupted, what was finished is kept; the same call goes on")
        raise SystemExit(INTERRUPTED) from None
    tell_folder(make_folder_report(skipped, results), quiet=quiet)


@take_options([name for name in options_of(*PANELS) if name not in options_of(PAPER)])
def batch(
    source: Annotated[str, typer.Argument(metavar="IN", help="A folder of videos.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The folder for a file of each.")],
    *,
    jobs: Annotated[int, typer.Option(help="Files at a time.", rich_help_panel=EVERYDAY)] = 1,
    engine: EngineName = "local",
    preset: Preset = "default",
    container: Format = "mkv",
    quiet: Quiet = False,
    debug: Debug = False,
    **options: Any,
) -> None:
    """Encode every video of a folder; a second call goes on with those that are missing."""
    from tinct.encoder.batch import encode_folder

    config = read_config(preset, options)
    suffix = f".{read_choice('--format', container, FORMATS)}"
    with show_phases(quiet) as show:
        report = encode_folder(
            source,
            output,
            config,
            jobs=jobs,
            engine=read_engine(engine),
            suffix=suffix,
            progress=count_phase(show, "encoding", "files"),
        )
    tell_folder(report, quiet=quiet)


def decode(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A Tinct file, or any video.")],
    output: Output,
    start: Annotated[
        str, typer.Option(metavar="TIME", help="Where to begin: 72.5 or 00:01:12.5.")
    ] = "0",
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How much to decode: 30 or 00:00:30; default all."),
    ] = None,
    codec: Codec = None,
    crf: Crf = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Decode a Tinct file to an ordinary video in colour."""
    from tinct.decoder import api

    seconds, length = read_time("--start", start), read_time("--duration", duration)
    began = time.monotonic()
    with show_phases(quiet or output == "-") as show:
        report = api.decode(
            source,
            output,
            start_seconds=seconds or 0.0,
            duration_seconds=length,
            codec=codec,
            crf=crf,
            overwrite=overwrite,
            progress=count_phase(show, "decoding"),
        )
    say_all(report.notes)
    if not report.tinct:
        say(f"{source} has no Tinct in it: its {report.frames} frames are written as they are")
    if report.damage:
        say(f"{source} is damaged: {report.frames} frames written, {report.damage}")
        raise typer.Exit(DAMAGED)
    if report.tinct and not quiet and output != "-":
        put_report([file_line(output, report.frames, time.monotonic() - began)])


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

    with show_phases(quiet) as show:
        result = inspection.verify(source, against, progress=count_phase(show, "verifying"))
    if as_json:
        put(format_json(asdict(result)))
    elif not quiet:
        put([f"{result.frames} frames decode" + (", the file is whole" if result.whole else "")])
        if result.psnr is not None:
            put([f"PSNR {psnr_text(result.psnr)}"])
    if not result.whole:
        say(f"{source} is damaged: {result.damage}")
        raise typer.Exit(DAMAGED)
