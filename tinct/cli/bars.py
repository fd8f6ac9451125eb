"""Progress of the commands: bars where stderr is a terminal, elsewhere a line every half minute.

Each phase that `tinct.phases` tells of has a name, a bar or a share, and the time that is left.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinct.cli.say import say
from tinct.moments import format_seconds
from tinct.phases import Listener, Phase, listen

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Counter = Callable[[int, int | None], None]  # takes what is done, and of how many where known
LINE_SECONDS = 30.0  # between lines where there is no terminal
LINE_WIDTH = 73  # of 80 columns, without the "tinct: " before
BAR_WIDTH = 12
MIN_PACE_SECONDS = 1.0  # of a phase, before the time left is guessed


@contextmanager
def show_phases(quiet: bool) -> Iterator[Listener | None]:
    """Show the phases that are told inside the `with`, and those handed to what this yields.

    It yields None where nothing is shown.
    """
    if quiet:
        yield None
        return
    with _show_bars() if sys.stderr.isatty() else _show_lines() as show, listen(show):
        yield show


def count_phase(show: Listener | None, name: str, unit: str = "frames") -> Counter | None:
    """Return what shows a phase that is counted; None where nothing is shown."""
    if show is None:
        return None
    return lambda done, total: show(Phase(name=name, done=done, total=total, unit=unit))


class _Pace:
    """How fast the phase at work is, since it was first told."""

    def __init__(self) -> None:
        self._name, self._began, self._first = "", 0.0, 0.0

    def measure(self, phase: Phase) -> tuple[float, float | None]:
        """Return what is done a second, 0 where that is not known yet, and the seconds left."""
        now = time.monotonic()
        if phase.name != self._name or phase.done < self._first:
            self._name, self._began, self._first = phase.name, now, phase.done
        seconds, done = now - self._began, phase.done - self._first
        if seconds < MIN_PACE_SECONDS or done <= 0:
            return 0.0, None
        rate = done / seconds
        return rate, None if phase.total is None else max(phase.total - phase.done, 0) / rate


@contextmanager
def _show_bars() -> Iterator[Listener]:
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    columns = [
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(BAR_WIDTH),
        *(
            progress.TextColumn(f"{{task.fields[{name}]}}", markup=False)
            for name in ("share", "left")
        ),
        progress.TextColumn(
            "{task.fields[note]}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
    ]
    with progress.Progress(*columns, console=Console(stderr=True), expand=True) as bars:
        yield _fill_bars(bars)


def _fill_bars(bars: "Progress") -> Listener:
    """Return what keeps a bar for each phase; one that another phase follows is full."""
    tasks: dict[str, TaskID] = {}
    pace, last = _Pace(), ""

    def show(phase: Phase) -> None:
        nonlocal last
        if last not in ("", phase.name):
            bars.update(tasks[last], total=1, completed=1, left="", note="")
        last = phase.name
        if phase.name not in tasks:
            tasks[phase.name] = bars.add_task(phase.name, share="", left="", note="")
        rate, left = pace.measure(phase)
        bars.update(
            tasks[phase.name],
            total=phase.total,
            completed=phase.done,
            share=_share_text(phase),
            left="" if left is None else f"{format_seconds(left)} left",
            note=phase.note or (f"{rate:.1f} {phase.unit}/s" if rate and phase.unit else ""),
        )

    return show


def _share_text(phase: Phase) -> str:
    """Return how far a phase is: "12/300" of what is counted, else "4%"."""
    if phase.unit:
        return f"{phase.done:.0f}" if phase.total is None else f"{phase.done:.0f}/{phase.total:.0f}"
    return f"{phase.done / phase.total:.0%}" if phase.total else ""


@contextmanager
def _show_lines() -> Iterator[Listener]:
    """Yield what a thread says of the latest phase every LINE_SECONDS, whether told or not."""
    latest: list[str] = []
    pace, ended = _Pace(), threading.Event()

    def show(phase: Phase) -> None:
        latest[:] = [line_text(phase, pace.measure(phase)[1])]

    def speak() -> None:
        while not ended.wait(LINE_SECONDS):
            for line in latest:
                say(line)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield show
    finally:
        ended.set()
        speaker.join()


def line_text(phase: Phase, left: float | None) -> str:
    """Return a line on a phase, such as "coding: 123 of 300 frames, 41%, about 2:10 left"."""
    parts = []
    if phase.unit:
        of = "" if phase.total is None else f" of {phase.total:.0f}"
        parts.append(f"{phase.done:.0f}{of} {phase.unit}")
    if phase.total:
        parts.append(f"{phase.done / phase.total:.0%}")
    if left is not None:
        parts.append(f"about {format_seconds(left)} left")
    if phase.note:
        parts.append(phase.note)
    line = f"{phase.name}: {', '.join(parts)}" if parts else phase.name
    return line if len(line) <= LINE_WIDTH else f"{line[: LINE_WIDTH - 3]}..."
