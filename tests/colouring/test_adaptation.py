"""The network of `--adapt`, trained on the references of one video."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from synthetic import write_broken_start

import tinct
from tinct.adapt.budget import Budget
from tinct.colouring.adaptation import Lesson, correct_colour, train_correction
from tinct.colouring.blending import BlendedColour, Reference
from tinct.frames import Frame
from tinct.motion.views import LumaView


@pytest.mark.slow
def test_adapting_takes_three_references(grey: Path, truth: list[Frame], tmp_path: Path) -> None:
    references = {0: truth[0], 29: truth[29]}
    report = tinct.colourise(
        str(grey), str(tmp_path / "a.mkv"), references=references, adapt_seconds=1
    )
    assert any(note.startswith("not adapted: it takes 3 references") for note in report.notes)


def make_lesson(seed: int) -> Lesson:
    """Return a lesson where colour follows luma, blended at 0.3 of its saturation and trust."""
    noise = np.random.default_rng(seed).integers(0, 255, (96, 128), np.uint8)
    y = cv2.normalize(  # type: ignore[call-overload]
        cv2.GaussianBlur(noise, (0, 0), 6), None, 20, 230, cv2.NORM_MINMAX
    )
    luma = LumaView(y, 8, seed)
    half = luma.half.astype(np.float32)
    colour = np.dstack((half - 120, 100 - half)) * np.float32(0.4)
    whole = np.ones(half.shape, np.float32)
    target = Reference(seed, luma, colour=colour, weight=whole)
    return Lesson(target, BlendedColour(colour * np.float32(0.3), 0.3 * whole))


@pytest.mark.slow
def test_adapting_learns_colour_that_follows_luma() -> None:
    """What is learnt holds on the lesson held out; where trust is 1 nothing changes."""
    lessons = [make_lesson(seed) for seed in range(3)]
    result = train_correction(lessons, Budget(steps=40))
    assert result.network is not None, result.describe()
    assert result.error_after < 0.6 * result.error_before
    held_out = lessons[1]
    trusted = BlendedColour(held_out.target.colour, np.ones_like(held_out.blended.trust))
    corrected = correct_colour(result.network, held_out.target.luma, trusted)
    assert np.allclose(corrected.colour, trusted.colour, atol=1e-4)


@pytest.mark.slow
def test_damage_at_the_end_is_counted_though_lessons_are_read_again(tmp_path: Path) -> None:
    """Lessons are a second reading, which ends before the end of the file."""
    source = write_broken_start(tmp_path / "a.mkv", size=(128, 96))
    frames = list(tinct.open(str(source)))
    numbers = (0, len(frames) // 2, len(frames) - 1)
    references = {number: frames[number].rgb() for number in numbers}
    found = [
        tinct.colourise(
            str(source),
            str(tmp_path / f"{seconds}.mkv"),
            references=references,
            adapt_seconds=seconds,
        ).damaged
        for seconds in (None, 1.0)
    ]
    assert found[0] == found[1] > 0
