"""Lessons for the network of `adaptation`: each reference, coloured by its neighbours."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from tinct.colouring.blending import BlendedColour, Correction
from tinct.colouring.chroma import MIDDLE, stack_chroma
from tinct.colouring.first_pass import FirstPass
from tinct.colouring.propagation import Propagation
from tinct.colouring.scratch import ScratchFile, load_reference
from tinct.errors import CodecError
from tinct.media.source import Source

if TYPE_CHECKING:
    from tinct.colouring.adaptation import Lesson

FEWEST_LESSONS = 3  # one is held out, and one alone to learn from misleads: see docs/colourise.md
MOST_SECONDS = 86_400


@contextmanager
def open_correction(
    video: Source, first: FirstPass, scratch: ScratchFile, *, seconds: float | None
) -> Iterator[tuple[Correction | None, list[str]]]:
    """Train a correction of blended colour for `seconds`; give it and notes for users.

    There is none without `seconds`, with too few references, and where it does not help. PyTorch
    keeps to one thread while the context is open, so that results do not depend on the cores. Raise
    CodecError for a time out of range.
    """
    if seconds is None:
        yield None, []
        return
    from tinct.adapt.processes import use_one_thread

    with use_one_thread():
        correct, note = _learn_correction(video, first, scratch, seconds=seconds)
        yield correct, [note]


def _learn_correction(
    video: Source, first: FirstPass, scratch: ScratchFile, *, seconds: float
) -> tuple[Correction | None, str]:
    from tinct.adapt.budget import Budget
    from tinct.colouring.adaptation import correct_colour, train_correction

    if not 0 < seconds <= MOST_SECONDS:
        raise CodecError(
            f"--adapt: expected seconds above 0 and up to {MOST_SECONDS}, found {seconds:g}"
        )
    began = time.monotonic()
    lessons: list[Lesson] = []
    for number in first.numbers:
        if lessons and time.monotonic() - began > seconds / 2:
            break
        lesson = _make_lesson(video, first, scratch, number=number)
        if lesson is not None:
            lessons.append(lesson)
    if len(lessons) < FEWEST_LESSONS:
        return None, (
            f"not adapted: it takes {FEWEST_LESSONS} references, one to be held back, "
            f"found {len(lessons)} with a neighbour in their shot"
        )
    result = train_correction(lessons, Budget(seconds=seconds))
    correct = None if result.network is None else partial(correct_colour, result.network)
    return correct, result.describe()


def _make_lesson(
    video: Source, first: FirstPass, scratch: ScratchFile, *, number: int
) -> "Lesson | None":
    """Return the lesson of reference `number`; None where no other reference is in its shot."""
    from tinct.colouring.adaptation import Lesson

    shot = first.analysis.find_shot(number)
    own = [other for other in first.numbers if other in shot]
    before = max((other for other in own if other < number), default=None)
    behind = min((other for other in own if other > number), default=None)
    neighbours = [other for other in (before, behind) if other is not None]
    if not neighbours:
        return None
    frames = range(min(number, *neighbours), max(number, *neighbours) + 1)
    with Propagation(
        video, first.analysis, scratch, references=neighbours, frames=frames
    ) as propagation:
        coloured = next(islice(propagation, number - frames.start, None))
    blended = BlendedColour(stack_chroma(coloured.frame) - MIDDLE, coloured.trust)
    return Lesson(load_reference(scratch, number), blended)
