"""The command line: arguments to one API call each. Only this module prints; video libraries load inside the commands."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from tinct.errors import CodecError

if TYPE_CHECKING:
    from tinct.encoder import EncodeReport
    from tinct.inspection import FileInfo
    from tinct.psnr import Psnr

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


@app.command()
def encode(
    source: Source,
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="The Matroska file to write, *.mkv.")],
    preset: Annotated[str, typer.Option(help="default, or paper: the 2019 paper's layout.")] = "default",
    structure: Annotated[str | None, typer.Option(help="How HEVC predicts: intra (default), low-delay, random-access.")] = None,
    qp: Annotated[int | None, typer.Option(help="Quality, about that of HEVC at this QP, 0 to 51; default 32.")] = None,
    crf: Annotated[float | None, typer.Option(help="x265's own quality control, in-band only.")] = None,
    bitrate: Annotated[float | None, typer.Option(help="kbit/s of all video tracks, instead of --qp.")] = None,
    colour: Annotated[str | None, typer.Option(help="Where colour goes: auto, track (of its own), in-band.")] = None,
    key_form: Annotated[str | None, typer.Option(help="chroma: key frames' colour alone; full: whole 4:2:0 key frames.")] = None,
    group: Annotated[str | None, typer.Option(help="Frames from key frame to key frame: auto or a number.")] = None,
    key_boost: Annotated[str | None, typer.Option(help="QP steps that key frames are finer: auto or a number.")] = None,
    colouriser: Annotated[str | None, typer.Option(help="auto or none.")] = None,
    compatible: Annotated[bool | None, typer.Option("--compatible", help="Luma as 4:2:0 that hardware plays.")] = None,
    x265_preset: Annotated[str | None, typer.Option(help="x265's preset; default medium.")] = None,
    x265_tune: Annotated[str | None, typer.Option(help="x265's tune; default psnr, which all our figures use.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Encode a video to a Tinct file that any player opens."""
    from tinct import config
    from tinct.encoder import encode as run

    given = {
        "structure": structure, "qp": qp, "crf": crf, "bitrate_kbps": bitrate, "colour": colour, "key_form": key_form,
        "group": _auto_or_number("group", group), "key_boost": _auto_or_number("key-boost", key_boost),
        "colouriser": colouriser, "compatible": compatible, "x265_preset": x265_preset, "x265_tune": x265_tune,
    }  # fmt: skip
    if sum(value is not None for value in (qp, crf, bitrate)) > 1:
        raise CodecError("contradictory options: --qp, --crf and --bitrate exclude each other")
    settings = config.preset(preset, **{name: value for name, value in given.items() if value is not None})
    with _progress("encoding", quiet) as progress:
        report = run(source, output, settings, overwrite=overwrite, progress=progress)
    _notes(report.notes)
    if not quiet:
        print("\n".join(_encode_lines(report, output)), file=sys.stderr)
    if report.damaged:
        _say(f"{source} is damaged: {report.damaged} packets or frames of it are lost, the rest is coded")
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


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error becomes one line on stderr and an exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, stream=sys.stderr, format="%(name)s: %(message)s")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(args=arguments, standalone_mode=False)
        if code == INTERRUPTED:  # typer keeps KeyboardInterrupt to itself
            _say("interrupted, nothing was written")
    except (CodecError, TyperException) as error:
        if debug:
            logging.getLogger(__name__).exception("traceback")
        _say(error.format_message() if hasattr(error, "format_message") else str(error))
        code = REFUSED
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted, nothing was written")
        code = INTERRUPTED
    except MemoryError:
        if debug:
            logging.getLogger(__name__).exception("traceback")
        _say("not enough memory for this video; free some, or scale it down first")
        code = REFUSED
    sys.exit(code or DONE)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(message: str) -> None:
    print(f"tinct: {' '.join(message.split())}", file=sys.stderr)


def _notes(notes: list[str]) -> None:
    for note in notes:
        _say(note)


def _auto_or_number(option: str, text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise CodecError(f"--{option}: expected auto or a whole number, found {text}") from error


@contextmanager
def _progress(what: str, quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar with frames, speed and time left, where stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    speed = TextColumn("{task.fields[speed]}")
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None, speed="")

        def update(done: int, total: int | None) -> None:
            rate = bar.tasks[task].speed
            bar.update(task, completed=done, total=total, speed=f"{rate:.1f} frames/s" if rate else "")

        yield update


def _psnr_text(psnr: "tuple[Psnr, Psnr, Psnr]") -> str:
    """By plane, as the mean over frames and from the pooled squared error."""
    named = zip("YUV", psnr, strict=True)
    return ", ".join(f"{name} {p.mean_db:.2f} dB (pooled {p.pooled_db:.2f})" for name, p in named)


def _encode_lines(report: "EncodeReport", output: str) -> list[str]:
    parts = {"luma" if report.tinct else "video": report.luma_bytes, "colour": report.colour_bytes}
    parts["other"] = report.size_bytes - sum(parts.values())
    sizes = ", ".join(f"{name} {size:,}" for name, size in parts.items() if size)
    lines = [
        f"{output}: {report.frames} frames, {report.size_bytes:,} bytes ({sizes}), {report.frames / report.seconds:.1f} frames/s",
        f"PSNR {_psnr_text(report.psnr)}",
    ]
    plan = report.plan
    if not report.tinct and plan.plain is not None:
        lines.append("colour on a track of its own does not pay on this video: this is plain HEVC")
    if plan.plain is not None and plan.random_access is not None:
        costs = {f"plain HEVC {report.config.structure}": plan.plain, "plain HEVC random-access": plan.random_access}
        if plan.track is not None:
            costs = {"Tinct": plan.track, **costs}
        lines.append("on samples, bits a frame: " + ", ".join(f"{name} {cost.bits:,.0f}" for name, cost in costs.items()))
    return lines


def _info_lines(found: "FileInfo") -> list[str]:
    kind = f"Tinct, layout {found.layout}, colouriser {found.colouriser}" if found.layout else "no Tinct in it"
    keys = f", {found.key_frames} of them key frames" if found.key_frames is not None else ""
    lines = [
        f"{found.path}: {kind}",
        f"{found.width}x{found.height}, {found.bit_depth} bit, {found.frames} frames{keys}, {found.duration_seconds:.3f} s, "
        f"{found.frame_rate} frames/s, {found.structure}",
    ]
    rates = found.rate_kbps
    for part, size in {**found.bytes_by_part, "total": found.size_bytes}.items():
        rate = f"{rates[part]:>12,.1f} kbit/s" if part in rates else ""
        lines.append(f"  {part:<10}{size:>14,} bytes{rate}{size / found.size_bytes:>8.1%}")
    return lines
