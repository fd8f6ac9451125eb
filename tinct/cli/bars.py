"""Progress of the commands: bars where stderr is a terminal, lines of a training elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinct.cli.say import say

if TYPE_CHECKING:
    from rich.progress import Progress

    from tinct.adapt.budget import Step

Counter = Callable[[int, int | None], None]  # takes what is done, and of how many where known


@contextmanager
def open_bars(quiet: bool) -> "Iterator[Progress | None]":
    """Yield a place for bars; None where nobody would see them."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    status = progress.TextColumn(
        "{task.fields[status]}", table_column=Column(overflow="fold"), markup=False
    )
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(20),
        progress.MofNCompleteColumn(),
        status,
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bars:
        yield bars


@contextmanager
def show_progress(name: str, quiet: bool, unit: str = "frames") -> Iterator[Counter | None]:
    """Yield what moves a single bar with count, speed and time left; None where there is no bar."""
    with open_bars(quiet) as bars:
        yield frame_counter(bars, name, unit)


def frame_counter(
    bars: "Progress | None", name: str, unit: str = "frames", *, waits: bool = False
) -> Counter | None:
    """Return what moves a new bar; one that `waits` appears with the first count."""
    if bars is None:
        return None
    task = bars.add_task(name, total=None, status="", visible=not waits, start=not waits)

    def count(done: int, total: int | None) -> None:
        if not bars.tasks[task].started:
            bars.start_task(task)
        rate = bars.tasks[task].speed
        status = f"{rate:.1f} {unit}/s" if rate else ""
        bars.update(task, completed=done, total=total, status=status, visible=True)

    return count


def training_counter(bars: "Progress | None", quiet: bool) -> "Callable[[Step], None] | None":
    """Return what shows the steps of a training: a bar in percent, else a line for each tenth."""
    if quiet:
        return None
    task = None
    if bars is not None:
        task = bars.add_task("training", total=100, status="", visible=False, start=False)
    tenth, watched = -1, ""

    def show(step: "Step") -> None:
        nonlocal tenth, watched
        if step.watched_db is not None:
            watched = f", watched pictures {step.watched_db:.2f} dB"
        terms = " ".join(f"{name} {value:.4f}" for name, value in step.terms.items())
        status = f"step {step.number}: {terms}{watched}"
        if bars is not None and task is not None:
            if not bars.tasks[task].started:
                bars.start_task(task)
            bars.update(task, completed=int(100 * step.spent), status=status, visible=True)
        elif int(10 * step.spent) > tenth:
            tenth = int(10 * step.spent)
            say(f"training {step.spent:4.0%}, {status}")

    return show
