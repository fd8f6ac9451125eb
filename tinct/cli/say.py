"""What the commands print: notes, bars and reports."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

from tinct.errors import CodecError

if TYPE_CHECKING:
    from rich.progress import Progress

    from tinct.adapt.budget import Step
    from tinct.colouring import ColouriseReport
    from tinct.decoder.inspection import FileInfo
    from tinct.encoder.api import EncodeReport
    from tinct.psnr import Psnr


DONE, REFUSED, DAMAGED, INTERRUPTED = 0, 2, 3, 130  # exit codes


def _say(message: str) -> None:
    with suppress(OSError):  # where nobody can be told, the exit code tells
        print(f"tinct: {_printable(message)}", file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    """One line that does nothing to a terminal: names and tags come from files, and may hold anything."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))


def _notes(notes: list[str]) -> None:
    for note in notes:
        _say(note)


def _tell(
    report: "EncodeReport | ColouriseReport", lines: Sequence[str], source: str, done: str
) -> None:
    """What there is to say of a finished output; exit code 3 where its source is damaged."""
    _notes(report.notes)
    for line in lines:
        print(line, file=sys.stderr)
    if report.damaged:
        _say(
            f"{source} is damaged: {report.damaged} packets or frames of it are lost, the rest is {done}"
        )
        raise typer.Exit(DAMAGED)


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
def _progress(
    what: str, quiet: bool, unit: str = "frames"
) -> Iterator[Callable[[int, int | None], None] | None]:
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
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    said = TextColumn("{task.fields[said]}", table_column=Column(overflow="fold"))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(20),
        MofNCompleteColumn(),
        said,
        TimeRemainingColumn(),
    )
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
        bars.update(
            task,
            completed=done,
            total=total,
            said=f"{rate:.1f} {unit}/s" if rate else "",
            visible=True,
        )

    return update


def _training(bars: "Progress | None", quiet: bool) -> "Callable[[Step], None] | None":
    """What a training has come to: a bar of percent where there are bars, else a line for each tenth of it."""
    if quiet:
        return None
    task = (
        None
        if bars is None
        else bars.add_task("training", total=100, said="", visible=False, start=False)
    )
    tenth, watched = -1, ""

    def show(step: "Step") -> None:
        nonlocal tenth, watched
        if step.watched_db is not None:
            watched = f", watched pictures {step.watched_db:.2f} dB"
        said = (
            f"step {step.number}: "
            + " ".join(f"{name} {value:.4f}" for name, value in step.terms.items())
            + watched
        )
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
    parts = {
        "luma" if report.tinct else "video": report.luma_bytes,
        "colour": report.colour_bytes,
        "update": report.update_bytes,
    }
    parts["other"] = report.size_bytes - sum(parts.values())
    sizes = ", ".join(f"{name} {size:,}" for name, size in parts.items() if size)
    lines = [
        f"{output}: {report.frames} frames, {report.size_bytes:,} bytes ({sizes}), {report.frames / report.seconds:.1f} frames/s",
        f"PSNR {_psnr_text(report.psnr)}",
    ]
    plan = report.plan
    if not report.tinct and plan.plain is not None:
        tried = (
            "the network" if report.config.colour == "in-band" else "colour on a track of its own"
        )
        lines.append(f"{tried} does not pay on this video: this is plain HEVC")
    if plan.plain is not None and plan.random_access is not None:
        costs = {
            f"plain HEVC {report.config.structure}": plan.plain,
            "plain HEVC random-access": plan.random_access,
        }
        if plan.track is not None:
            costs = {"Tinct": plan.track, **costs}
        lines.append(
            "on samples, bits a frame: "
            + ", ".join(f"{name} {cost.bits:,.0f}" for name, cost in costs.items())
        )
    return lines


def _colour_lines(report: "ColouriseReport", output: str) -> list[str]:
    lines = [
        f"{one.name}: frame {one.number}, match {one.match:.0%}, covers {one.covered:.0%}, {one.way}"
        for one in report.references
    ]
    mean = sum(report.trust) / len(report.trust)
    lines.append(
        f"{output}: {report.frames} frames, {report.frames / report.seconds:.1f} frames/s, mean trust {mean:.0%}"
    )
    if report.grey:
        shots = ", ".join(f"{shot.start}-{shot.stop - 1}" for shot in report.grey)
        lines.append(f"shots without a reference, left grey: frames {shots}")
    if report.helpful:
        lines.append(
            f"colour of these frames would help most: {', '.join(map(str, report.helpful))}"
        )
    return lines


def _info_lines(found: "FileInfo") -> list[str]:
    kind = (
        f"Tinct, layout {found.layout}, colouriser {found.colouriser}"
        if found.layout
        else "no Tinct in it"
    )
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
