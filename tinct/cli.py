"""The command line: arguments to one API call each. Only this module prints; video libraries load inside the commands."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from typer.exceptions import TyperException

from tinct.errors import CodecError
from tinct.interrupt import keep_interrupts

if TYPE_CHECKING:
    from rich.progress import Progress

    from tinct.adapt import Step
    from tinct.colouring import ColouriseReport
    from tinct.config import EncodeConfig
    from tinct.encoder import EncodeReport
    from tinct.engine import Engine
    from tinct.evaluation.bench import Outcome
    from tinct.evaluation.published import Mean
    from tinct.evaluation.published import Sequence as PublishedSequence
    from tinct.inspection import FileInfo
    from tinct.psnr import Psnr

SEVERAL = ("--codec", "--qp", "--points", "--clips")  # of `evaluate` and `reproduce`: they take all words up to the next option
DONE, REFUSED, DAMAGED, INTERRUPTED = 0, 2, 3, 130  # exit codes

app = typer.Typer(
    name="tinct", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True,
    help="A video codec that sends luma and restores colour at the decoder.",
)  # fmt: skip

Source = Annotated[str, typer.Argument(metavar="INPUT", help="Any video, or - for YUV4MPEG2 on stdin.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar and no report.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]  # `main` looks for it
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


Preset = Annotated[str, typer.Option(help="default, or paper: the 2019 paper's layout.")]
Structure = Annotated[str | None, typer.Option(help="How HEVC predicts: intra (default), low-delay, random-access.")]
Qp = Annotated[int | None, typer.Option(help="Quality, about that of HEVC at this QP, 0 to 51; default 32.")]
Crf = Annotated[float | None, typer.Option(help="x265's own quality control, in-band only.")]
Bitrate = Annotated[float | None, typer.Option(help="kbit/s of all video tracks, instead of --qp.")]
Colour = Annotated[str | None, typer.Option(help="Where colour goes: auto, track (of its own), in-band.")]
KeyForm = Annotated[str | None, typer.Option(help="chroma: key frames' colour alone; full: whole 4:2:0 key frames.")]
Group = Annotated[str | None, typer.Option(help="Frames from key frame to key frame: auto or a number.")]
KeyBoost = Annotated[str | None, typer.Option(help="QP steps that key frames are finer: auto or a number.")]
Colouriser = Annotated[str | None, typer.Option(help="What finishes frames: auto, compact (a network), gan (the paper's), none.")]
Network = Annotated[str | None, typer.Option(help="The network of compact: fast (default) or best; in-band best alone.")]
Search = Annotated[str | None, typer.Option(help="How many choices are weighed: fast (default) or thorough.")]
Adapt = Annotated[str | None, typer.Option(help="Training on the video: off, auto (default), seconds, 2000steps, 50epochs.")]
Compatible = Annotated[bool | None, typer.Option("--compatible", help="Luma as 4:2:0 that hardware plays.")]
X265Preset = Annotated[str | None, typer.Option(help="x265's preset; default medium.")]
X265Tune = Annotated[str | None, typer.Option(help="x265's tune; default psnr, which all our figures use.")]

GAN = "The paper's network"  # heading of its options in the help
Channels = Annotated[int | None, typer.Option(help="The paper's C; default 64.", rich_help_panel=GAN)]
Generator = Annotated[
    str | None, typer.Option(help="multiresunet (default), or what the paper compares it with.", rich_help_panel=GAN)
]
Attention = Annotated[str | None, typer.Option(help="Levels that attend to themselves: 3+4 (default), none.", rich_help_panel=GAN)]
Residual = Annotated[str | None, typer.Option(help="Skips: global (default) or original.", rich_help_panel=GAN)]
Generates = Annotated[str | None, typer.Option(help="rgb (the paper's) or ycbcr (of recipe cpu).", rich_help_panel=GAN)]
Conditional = Annotated[
    bool | None, typer.Option("--conditional", help="The discriminator sees the luma too.", rich_help_panel=GAN)
]
RecipeName = Annotated[str | None, typer.Option("--recipe", help="Training as in the paper, or cpu: fast.", rich_help_panel=GAN)]
Losses = Annotated[str | None, typer.Option(help="Terms of the loss: gan+mse+content+colour.", rich_help_panel=GAN)]
ContentLoss = Annotated[str | None, typer.Option(help="vgg19, or none: without that term.", rich_help_panel=GAN)]
Vgg19 = Annotated[str | None, typer.Option(help="torchvision's file of VGG-19, else it is fetched.", rich_help_panel=GAN)]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda.", rich_help_panel=GAN)]
Checkpoint = Annotated[str | None, typer.Option(help="A file from which a killed training goes on.", rich_help_panel=GAN)]


@app.command()
def encode(
    source: Source,
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="The Matroska file to write, *.mkv.")],
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
    from tinct.config import named_losses
    from tinct.encoder import encode as run
    from tinct.torchrun import process_number

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
            source, output, settings, overwrite=overwrite, progress=_counter(bars, "encoding"), training=_training(bars, quiet)
        )
    _tell(report, [] if quiet else _encode_lines(report, output), source, "coded")


@app.command()
def batch(
    source: Annotated[str, typer.Argument(metavar="IN", help="A folder of videos.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The folder for a .mkv of each.")],
    jobs: Annotated[int, typer.Option(help="Files at a time.")] = 1,
    engine: Annotated[str, typer.Option(help="local, or ray: a cluster whose nodes see the same folders.")] = "local",
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
    from tinct.batch import encode_folder as run

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
        print(f"{counts}; {report.source_bytes:,} bytes became {report.size_bytes:,}", file=sys.stderr)
    if report.failed:
        raise typer.Exit(DAMAGED)


@app.command()
def decode(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A Tinct file, or any video.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="*.mp4, *.mkv (lossless), *.y4m, a folder, or - for y4m.")],
    start: Annotated[float, typer.Option(help="Seconds to skip.")] = 0.0,
    duration: Annotated[float | None, typer.Option(help="Seconds to decode; default all.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Decode a Tinct file to an ordinary video in colour."""
    from tinct.decoder import decode as run

    with _progress("decoding", quiet or output == "-") as progress:
        report = run(source, output, start_seconds=start, duration_seconds=duration, overwrite=overwrite, progress=progress)
    _notes(report.notes)
    if not report.tinct:
        _say(f"{source} has no Tinct in it: its {report.frames} frames are written as they are")
    if report.damage:
        _say(f"{source} is damaged: {report.frames} frames written, {report.damage}")
        raise typer.Exit(DAMAGED)


@app.command()
def colourise(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Any video; its own colour is not looked at.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="*.mp4, *.mkv (lossless), *.y4m, a folder, or - for y4m.")],
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="MOMENT=FILE", help="A coloured picture of a frame, by number or time; may be repeated."),
    ] = None,
    references: Annotated[str | None, typer.Option(metavar="FOLDER", help="Pictures named by frame number or time.")] = None,
    leave_grey: Annotated[bool, typer.Option("--leave-grey", help="Shots without a reference stay grey.")] = False,
    adapt: Annotated[float | None, typer.Option(metavar="SECONDS", help="Train on the references first.")] = None,
    confidence: Annotated[
        str | None, typer.Option(metavar="FILE", help="A video of how far colour can be trusted, such as c.mkv.")
    ] = None,
    page: Annotated[str | None, typer.Option(metavar="FILE", help="An HTML page of how colour goes along the video.")] = None,
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


@app.command()
def keyframes(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Any video.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="The new folder for PNGs, named by frame number.")],
    count: Annotated[str, typer.Option(help="How many frames: auto or a number.")] = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the frames worth colouring, as PNGs to be coloured and given to `colourise --references`."""
    from tinct.colouring import write_keyframes as run

    number = _auto_or_number("count", count)
    with _bars(quiet) as bars:
        looked, written = _counter(bars, "looking"), _counter(bars, "writing", waits=True)
        numbers, notes = run(source, out, count=cast("int | Literal['auto']", number), looked=looked, progress=written)
    _notes(notes)
    if not quiet:
        print(f"{out}: frames {', '.join(map(str, numbers))}", file=sys.stderr)


@app.command()
def info(
    source: Annotated[str, typer.Argument(metavar="FILE")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a file holds and where its bits go."""
    from tinct.inspection import info as run

    found = run(source)
    print(json.dumps(found.to_dict(), indent=2) if as_json else "\n".join(_info_lines(found)))


@app.command()
def verify(
    source: Annotated[str, typer.Argument(metavar="FILE")],
    against: Annotated[str | None, typer.Option(help="The source, to measure PSNR against.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Decode every frame of a file; with the source, measure PSNR by plane."""
    from tinct.inspection import verify as run

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


@app.command()
def evaluate(
    clips: Annotated[list[str] | None, typer.Argument(metavar="CLIP...", help="Videos to measure on.")] = None,
    codec: Annotated[list[str] | None, typer.Option(help="family[:structure][,option=value]..., such as x265:intra.")] = None,
    qp: Annotated[list[int] | None, typer.Option(help="Default 27 32 37 42.")] = None,
    out: Annotated[str | None, typer.Option(help="The new folder for results.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with a results folder; its finished points are kept.")] = None,
    frames: Annotated[int | None, typer.Option(help="The first frames of each clip, 0 for all. Default 96.")] = None,
    points: Annotated[list[str] | None, typer.Option(help="JSON of points measured elsewhere, of the same clips.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Points at a time; times are comparable only at 1. Default 1.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: a cluster whose nodes see the same folders.")] = "local",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare codecs on clips: real files, every bit counted. --codec, --qp and --points take several values."""
    with _extra("lab", "the lab"):
        from tinct.evaluation import bench as lab
    asked = bool(clips or codec or qp or points or frames is not None)
    if resume is not None and (asked or out is not None):
        raise CodecError("contradictory options: --resume goes on with what its folder asks for; give --jobs and --engine only")
    if resume is None and (not clips or not codec or out is None):
        raise CodecError(
            "expected clips, --codec and --out, or --resume FOLDER; such as: evaluate a.mp4 --codec tinct x265 --out r"
        )
    with _progress("measuring", quiet, "points") as progress:
        if resume is not None:
            outcome = lab.resume(Path(resume), jobs=jobs, engine=_engine(engine), progress=progress)
        else:
            assert out is not None
            first = lab.FRAMES if frames is None else frames or None
            setup = lab.Setup(clips or [], codec or [], qp or list(lab.QPS), first, points or [], 1 if jobs is None else jobs)
            outcome = lab.start(setup, Path(out), engine=_engine(engine), progress=progress)
    _outcome_notes(outcome, resume or str(out), f"--resume {resume or out}")
    if not quiet:
        print("\n".join(_rate_lines(outcome)))
    if outcome.failures:
        raise typer.Exit(DAMAGED)


@app.command()
def report(
    results: Annotated[str, typer.Argument(metavar="RESULTS", help="A folder that `evaluate` wrote.")],
    debug: Debug = False,
) -> None:
    """Write RESULTS/report.html, which works from disk, and RESULTS/report.md."""
    with _extra("lab", "the lab"):
        from tinct.evaluation.report import write_report
    for path in write_report(Path(results)):
        print(path)


@app.command()
def reproduce(
    what: Annotated[
        list[str], typer.Argument(metavar="WHAT...", help="published (the printed numbers), or of table2, 3, 4, 6, 7.")
    ],
    clips: Annotated[list[str] | None, typer.Option(help="Videos to train and measure on.")] = None,
    qp: Annotated[list[int] | None, typer.Option(help="Default the table's own.")] = None,
    channels: Channels = None,
    recipe: RecipeName = None,
    budget: Annotated[str, typer.Option(help="Of each training, as encode's --adapt.")] = "auto",
    content_loss: ContentLoss = None,
    vgg19: Vgg19 = None,
    frames: Annotated[int, typer.Option(help="The first frames of each clip, 0 for all.")] = 96,
    out: Annotated[str | None, typer.Option(help="The folder for results; a run that was interrupted goes on in it.")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Do the paper's experiments again; `published` checks its printed BD-rates and averages against its printed points."""
    with _extra("lab", "the lab"):
        from tinct.evaluation import published
        from tinct.evaluation import reproduce as lab
    if what == ["published"]:
        print("\n".join(_published_lines(published.sequences(), published.means())))
        return
    if not clips or out is None:
        raise CodecError("expected --clips and --out; such as: reproduce table2 --clips a.mp4 --channels 16 --recipe cpu --out r")
    experiment = lab.Experiment(64 if channels is None else channels, recipe or "paper", budget, content_loss, vgg19)
    with _progress("measuring", quiet, "points") as progress:
        outcome = lab.reproduce(
            what, clips, qp or lab.usual_qps(what), experiment, Path(out), frames=frames or None, progress=progress
        )
    _outcome_notes(outcome, out, "the same call")
    print("\n".join((Path(out) / f"{table}.md").read_text() for table in what), end="")
    if outcome.failures:
        raise typer.Exit(DAMAGED)


@app.command()
def train(
    data: Annotated[str, typer.Option(help="A folder of videos to learn from.")],
    out: Annotated[str, typer.Option(help="The weights to write, *.safetensors; a run that was interrupted goes on.")],
    first: Annotated[str | None, typer.Option(help="Weights of a first pass: train a second one on what they make.")] = None,
    in_band: Annotated[bool, typer.Option("--in-band", help="Learn to restore what was coded with its colour.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Steps of 16 crops.")] = 30_000,
    width: Annotated[int, typer.Option(min=1, help="Channels of the network.")] = 32,
    depth: Annotated[int, typer.Option(min=1, help="3x3 convolutions of the network.")] = 3,
    stretches: Annotated[int, typer.Option(min=1, help="Stretches of each video to make samples of.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    cache: Annotated[str | None, typer.Option(help="Where samples are kept, beside the weights unless given.")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the colouriser `compact` on a folder of videos."""
    with _extra("networks", "training"):
        from tinct.colouriser.compact import CompactConfig
        from tinct.training import loop
    recipe = loop.Recipe(CompactConfig(width, depth, second=in_band or first is not None), steps=steps, seed=seed)

    def show(point: loop.Point) -> None:
        if not quiet:
            _say(f"step {point.step}, {point.seconds:.0f} s: loss {point.loss:.3f}, Y of held-out crops {point.psnr_y_db:.3f} dB")

    with _progress("samples", quiet, "stretches") as prepared:
        made = loop.train(
            Path(data), Path(out), recipe, first=(first and Path(first)) or None, in_band=in_band, stretches=stretches,
            cache=(cache and Path(cache)) or None, prepared=prepared, progress=show,
        )  # fmt: skip
    for clip, reason in made.failed.items():
        _say(f"{clip} is left out: {reason}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error becomes one line on stderr and an exit code."""
    arguments = _repeated(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, stream=sys.stderr, format="%(name)s: %(message)s")
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
            _say(f"expected to write to stdout, found {getattr(error, 'strerror', 'nobody who reads it')}")
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
    kept = {"batch": same, "evaluate": "--resume goes on", "reproduce": same, "train": same}.get(command)
    if command == "encode" and any(word.partition("=")[0] == "--checkpoint" for word in arguments):
        return f"interrupted, nothing was written but the checkpoint of a training; {same}"
    return f"interrupted, what was finished is kept; {kept}" if kept else "interrupted, nothing was written"


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(message: str) -> None:
    with suppress(OSError):  # where nobody can be told, the exit code tells
        print(f"tinct: {_printable(message)}", file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    """One line that does nothing to a terminal: names and tags come from files, and may hold anything."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))


def _notes(notes: list[str]) -> None:
    for note in notes:
        _say(note)


def _tell(report: "EncodeReport | ColouriseReport", lines: Sequence[str], source: str, done: str) -> None:
    """What there is to say of a finished output; exit code 3 where its source is damaged."""
    _notes(report.notes)
    for line in lines:
        print(line, file=sys.stderr)
    if report.damaged:
        _say(f"{source} is damaged: {report.damaged} packets or frames of it are lost, the rest is {done}")
        raise typer.Exit(DAMAGED)


def _auto_or_number(option: str, text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise CodecError(f"--{option}: expected auto or a whole number, found {text}") from error


def _config(preset: str, **given: object) -> "EncodeConfig":
    """The configuration that encode's options name; those not given are None."""
    from tinct import config

    if sum(given[name] is not None for name in ("qp", "crf", "bitrate_kbps")) > 1:
        raise CodecError("contradictory options: --qp, --crf and --bitrate exclude each other")
    for option in ("group", "key_boost"):
        given[option] = _auto_or_number(option.replace("_", "-"), cast("str | None", given[option]))
    return config.preset(preset, **{name: value for name, value in given.items() if value is not None})


def _engine(name: str) -> "Engine":
    if name not in ("local", "ray"):
        raise CodecError(f"--engine: expected one of local, ray; found {name}")
    return cast("Engine", name)


@contextmanager
def _extra(extra: str, what: str) -> Iterator[None]:
    """Imports of what stands on an extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tinct"):
            raise
        raise CodecError(
            f"{what} needs {error.name}, which is not installed; get all of it: pip install 'tinct[{extra}]'"
        ) from error


@contextmanager
def _progress(what: str, quiet: bool, unit: str = "frames") -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar with frames, speed and time left, where stderr is a terminal."""
    with _bars(quiet) as bars:
        yield _counter(bars, what, unit)


@contextmanager
def _bars(quiet: bool) -> "Iterator[Progress | None]":
    """Where stderr is a terminal, a place for bars."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    said = TextColumn("{task.fields[said]}", table_column=Column(overflow="fold"))
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), said, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield bars


def _counter(
    bars: "Progress | None", name: str, unit: str = "frames", *, waits: bool = False
) -> Callable[[int, int | None], None] | None:
    """What moves a bar; one that waits is shown once there is something to show."""
    if bars is None:
        return None
    task = bars.add_task(name, total=None, said="", visible=not waits, start=not waits)

    def update(done: int, total: int | None) -> None:
        if not bars.tasks[task].started:
            bars.start_task(task)
        rate = bars.tasks[task].speed
        bars.update(task, completed=done, total=total, said=f"{rate:.1f} {unit}/s" if rate else "", visible=True)

    return update


def _training(bars: "Progress | None", quiet: bool) -> "Callable[[Step], None] | None":
    """What a training has come to: a bar of percent where there are bars, else a line for each tenth of it."""
    if quiet:
        return None
    task = None if bars is None else bars.add_task("training", total=100, said="", visible=False, start=False)
    tenth, watched = -1, ""

    def show(step: "Step") -> None:
        nonlocal tenth, watched
        if step.watched_db is not None:
            watched = f", watched pictures {step.watched_db:.2f} dB"
        said = f"step {step.number}: " + " ".join(f"{name} {value:.4f}" for name, value in step.terms.items()) + watched
        if bars is not None and task is not None:
            if not bars.tasks[task].started:
                bars.start_task(task)
            bars.update(task, completed=int(100 * step.spent), said=said, visible=True)
        elif int(10 * step.spent) > tenth:
            tenth = int(10 * step.spent)
            print(f"tinct: training {step.spent:4.0%}, {said}", file=sys.stderr)

    return show


def _psnr_text(psnr: "tuple[Psnr, Psnr, Psnr]") -> str:
    """By plane, as the mean over frames and from the pooled squared error."""
    named = zip("YUV", psnr, strict=True)
    return ", ".join(f"{name} {p.mean_db:.2f} dB (pooled {p.pooled_db:.2f})" for name, p in named)


def _encode_lines(report: "EncodeReport", output: str) -> list[str]:
    parts = {"luma" if report.tinct else "video": report.luma_bytes, "colour": report.colour_bytes, "update": report.update_bytes}
    parts["other"] = report.size_bytes - sum(parts.values())
    sizes = ", ".join(f"{name} {size:,}" for name, size in parts.items() if size)
    lines = [
        f"{output}: {report.frames} frames, {report.size_bytes:,} bytes ({sizes}), {report.frames / report.seconds:.1f} frames/s",
        f"PSNR {_psnr_text(report.psnr)}",
    ]
    plan = report.plan
    if not report.tinct and plan.plain is not None:
        tried = "the network" if report.config.colour == "in-band" else "colour on a track of its own"
        lines.append(f"{tried} does not pay on this video: this is plain HEVC")
    if plan.plain is not None and plan.random_access is not None:
        costs = {f"plain HEVC {report.config.structure}": plan.plain, "plain HEVC random-access": plan.random_access}
        if plan.track is not None:
            costs = {"Tinct": plan.track, **costs}
        lines.append("on samples, bits a frame: " + ", ".join(f"{name} {cost.bits:,.0f}" for name, cost in costs.items()))
    return lines


def _colour_lines(report: "ColouriseReport", output: str) -> list[str]:
    lines = [
        f"{one.name}: frame {one.number}, match {one.match:.0%}, covers {one.covered:.0%}, {one.way}" for one in report.references
    ]
    mean = sum(report.trust) / len(report.trust)
    lines.append(f"{output}: {report.frames} frames, {report.frames / report.seconds:.1f} frames/s, mean trust {mean:.0%}")
    if report.grey:
        shots = ", ".join(f"{shot.start}-{shot.stop - 1}" for shot in report.grey)
        lines.append(f"shots without a reference, left grey: frames {shots}")
    if report.helpful:
        lines.append(f"colour of these frames would help most: {', '.join(map(str, report.helpful))}")
    return lines


def _info_lines(found: "FileInfo") -> list[str]:
    kind = f"Tinct, layout {found.layout}, colouriser {found.colouriser}" if found.layout else "no Tinct in it"
    keys = f", {found.key_frames} of them key frames" if found.key_frames is not None else ""
    lines = [
        f"{_printable(found.path)}: {kind}",
        f"{found.width}x{found.height}, {found.bit_depth} bit, {found.frames} frames{keys}, {found.duration_seconds:.3f} s, "
        f"{found.frame_rate} frames/s, {found.structure}",
    ]
    rates = found.rate_kbps
    for part, size in {**found.bytes_by_part, "total": found.size_bytes}.items():
        rate = f"{rates[part]:>12,.1f} kbit/s" if part in rates else ""
        lines.append(f"  {part:<10}{size:>14,} bytes{rate}{size / found.size_bytes:>8.1%}")
    return lines


def _outcome_notes(outcome: "Outcome", folder: str, again: str) -> None:
    """What a reader of the numbers has to know first."""
    for codec, reason in outcome.skipped.items():
        _say(f"{codec} is skipped: {reason}")
    for line in outcome.notes:
        _say(line)
    if outcome.failures:
        _say(f"{len(outcome.failures)} points are refused, {len(outcome.points)} are in {folder}; {again} tries again")


def _rate_lines(outcome: "Outcome") -> list[str]:
    """BD-rate of each codec on each clip, against the anchor of its structure."""
    from tinct.evaluation.points import bd_rate

    lines = []
    wide = [max(map(len, names), default=0) for names in (outcome.codecs, outcome.clips)]
    for codec in outcome.codecs:
        anchor = outcome.anchor_of(codec)
        for clip in outcome.clips:
            ours, theirs = outcome.of(clip, codec), outcome.of(clip, anchor)
            if codec != anchor and min(len(ours), len(theirs)) >= 2:
                delta = bd_rate(theirs, ours).text()
                lines.append(f"  {codec:<{wide[0]}}  {clip:<{wide[1]}}  {delta:<22}  against {anchor}")
    if not lines:
        return ["no BD-rate: it takes two codecs with points at two QPs each, on one clip"]
    return ["BD-rate on (6Y+U+V)/8 PSNR, percent of the anchor's file size at equal quality:", *lines]


def _published_lines(sequences: "list[PublishedSequence]", means: "list[Mean]") -> list[str]:
    """Table 2 as printed and as computed again, and the averages of tables 3 and 4."""
    lines = [f"{'':<18}{'BD-rate, percent':^32}{'BD-PSNR, dB':^22}{'from saved bits'}"]
    lines.append(f"{'Table 2':<18}{'printed':>9}{'computed':>11}{'overlap':>9}   {'printed':>9}{'computed':>10}   {'alone':>12}")
    for row in sequences:
        rate, psnr, saved = (_number(delta.value, digits) for delta, digits in ((row.rate, 2), (row.psnr, 3), (row.saved_bits, 2)))
        doubt = "" if row.rate_holds and row.psnr_holds else "   does not hold"
        bd_rate = f"{row.printed_rate_percent:>9.2f}{rate:>11}{row.rate.overlap:>9.0%}"
        lines.append(f"{row.name:<18}{bd_rate}   {row.printed_psnr_db:>9.3f}{psnr:>10}   {saved:>12}{doubt}")
    computed = [row.rate.value for row in sequences if row.rate.value is not None]
    printed = sum(row.printed_rate_percent for row in sequences) / len(sequences)
    alone = [row.saved_bits.value for row in sequences if row.saved_bits.value is not None]
    lines.append(
        f"{'mean':<18}{printed:>9.2f}{sum(computed) / len(computed):>11.2f}   of {len(computed)} defined"
        f"{'':>21}{sum(alone) / len(alone):>12.2f}"
    )
    for mean in means:
        doubt = "" if mean.holds else "   does not hold"
        lines.append(
            f"Table {mean.table}, {mean.variant}: average printed {mean.printed_db:.3f} dB, of its {mean.rows} rows "
            f"{mean.recomputed_db:.3f} dB{doubt}"
        )
    return lines


def _number(value: float | None, digits: int) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
