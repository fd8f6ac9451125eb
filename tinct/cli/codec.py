"""The command line: arguments to one API call each. Only this module prints; video libraries load inside the commands."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tinct.cli.options import (
    Adapt,
    Attention,
    Bitrate,
    Channels,
    Checkpoint,
    Colour,
    Colouriser,
    Compatible,
    Conditional,
    ContentLoss,
    Crf,
    Debug,
    Device,
    Generates,
    Generator,
    Group,
    Json,
    KeyBoost,
    KeyForm,
    Losses,
    Network,
    Overwrite,
    Preset,
    Qp,
    Quiet,
    RecipeName,
    Residual,
    Search,
    Source,
    Structure,
    Vgg19,
    X265Preset,
    X265Tune,
    _config,
    _engine,
)
from tinct.cli.say import (
    DAMAGED,
    _bars,
    _counter,
    _encode_lines,
    _info_lines,
    _notes,
    _progress,
    _psnr_text,
    _say,
    _tell,
    _training,
)

if TYPE_CHECKING:
    pass


def encode(
    source: Source,
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="The Matroska file to write, *.mkv.")
    ],
    preset: Preset = "default",
    structure: Structure = None,
    qp: Qp = None,
    crf: Crf = None,
    bitrate: Bitrate = None,
    colour: Colour = None,
    key_form: KeyForm = None,
    group: Group = None,
    key_boost: KeyBoost = None,
    colouriser: Colouriser = None,
    network: Network = None,
    search: Search = None,
    adapt: Adapt = None,
    compatible: Compatible = None,
    x265_preset: X265Preset = None,
    x265_tune: X265Tune = None,
    channels: Channels = None,
    generator: Generator = None,
    attention: Attention = None,
    residual: Residual = None,
    generates: Generates = None,
    conditional: Conditional = None,
    recipe: RecipeName = None,
    losses: Losses = None,
    content_loss: ContentLoss = None,
    vgg19: Vgg19 = None,
    device: Device = None,
    checkpoint: Checkpoint = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Encode a video to a Tinct file that any player opens."""
    from tinct.adapt.torchrun import process_number
    from tinct.config import named_losses
    from tinct.encoder.api import encode as run

    quiet = quiet or process_number() != 0  # of torchrun's processes one speaks
    terms = named_losses(losses, content_loss, recipe or "paper")
    settings = _config(
        preset, structure=structure, qp=qp, crf=crf, bitrate_kbps=bitrate, colour=colour, key_form=key_form, group=group,
        key_boost=key_boost, colouriser=colouriser, network=network, search=search, compatible=compatible, x265_preset=x265_preset,
        x265_tune=x265_tune, channels=channels, generator=generator, attention=attention, residual=residual, generates=generates,
        conditional=conditional, recipe=recipe, losses=terms, vgg19=vgg19, adapt=adapt, device=device, checkpoint=checkpoint,
    )  # fmt: skip
    with _bars(quiet) as bars:
        report = run(
            source,
            output,
            settings,
            overwrite=overwrite,
            progress=_counter(bars, "encoding"),
            training=_training(bars, quiet),
        )
    _tell(report, [] if quiet else _encode_lines(report, output), source, "coded")


def batch(
    source: Annotated[str, typer.Argument(metavar="IN", help="A folder of videos.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The folder for a .mkv of each.")],
    jobs: Annotated[int, typer.Option(help="Files at a time.")] = 1,
    engine: Annotated[
        str, typer.Option(help="local, or ray: a cluster whose nodes see the same folders.")
    ] = "local",
    preset: Preset = "default",
    structure: Structure = None,
    qp: Qp = None,
    crf: Crf = None,
    bitrate: Bitrate = None,
    colour: Colour = None,
    key_form: KeyForm = None,
    group: Group = None,
    key_boost: KeyBoost = None,
    colouriser: Colouriser = None,
    network: Network = None,
    search: Search = None,
    adapt: Adapt = None,
    compatible: Compatible = None,
    x265_preset: X265Preset = None,
    x265_tune: X265Tune = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Encode every video of a folder; finished ones are skipped, failed ones named and tried again by the next call."""
    from tinct.encoder.batch import encode_folder as run

    settings = _config(
        preset, structure=structure, qp=qp, crf=crf, bitrate_kbps=bitrate, colour=colour, key_form=key_form, group=group,
        key_boost=key_boost, colouriser=colouriser, network=network, search=search, adapt=adapt, compatible=compatible,
        x265_preset=x265_preset, x265_tune=x265_tune,
    )  # fmt: skip
    with _progress("encoding", quiet, "files") as progress:
        report = run(source, output, settings, jobs=jobs, engine=_engine(engine), progress=progress)
    _notes(report.notes)
    for path, reason in report.failed.items():
        _say(f"{path} failed: {reason}")
    if not quiet:
        counts = f"{len(report.encoded)} encoded, {len(report.skipped)} there already, {len(report.failed)} failed"
        print(
            f"{counts}; {report.source_bytes:,} bytes became {report.size_bytes:,}", file=sys.stderr
        )
    if report.failed:
        raise typer.Exit(DAMAGED)


def decode(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A Tinct file, or any video.")],
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT", help="*.mp4, *.mkv (lossless), *.y4m, a folder, or - for y4m."
        ),
    ],
    start: Annotated[float, typer.Option(help="Seconds to skip.")] = 0.0,
    duration: Annotated[float | None, typer.Option(help="Seconds to decode; default all.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Decode a Tinct file to an ordinary video in colour."""
    from tinct.decoder.api import decode as run

    with _progress("decoding", quiet or output == "-") as progress:
        report = run(
            source,
            output,
            start_seconds=start,
            duration_seconds=duration,
            overwrite=overwrite,
            progress=progress,
        )
    _notes(report.notes)
    if not report.tinct:
        _say(f"{source} has no Tinct in it: its {report.frames} frames are written as they are")
    if report.damage:
        _say(f"{source} is damaged: {report.frames} frames written, {report.damage}")
        raise typer.Exit(DAMAGED)


def info(
    source: Annotated[str, typer.Argument(metavar="FILE")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a file holds and where its bits go."""
    from tinct.decoder.inspection import info as run

    found = run(source)
    print(json.dumps(found.to_dict(), indent=2) if as_json else "\n".join(_info_lines(found)))


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
    from tinct.decoder.inspection import verify as run

    with _progress("verifying", quiet) as progress:
        result = run(source, against, progress=progress)
    if as_json:
        from dataclasses import asdict

        print(json.dumps(asdict(result), indent=2))
    elif not quiet:
        print(f"{result.frames} frames decode" + (", the file is whole" if result.whole else ""))
        if result.psnr is not None:
            print(f"PSNR {_psnr_text(result.psnr)}")
    if not result.whole:
        _say(f"{source} is damaged: {result.damage}")
        raise typer.Exit(DAMAGED)
