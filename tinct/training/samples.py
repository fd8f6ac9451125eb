"""Samples to train `compact` on: the crops of many clips, kept on disk and read as one sequence.

`stretches` makes the crops, once; training maps them into memory.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tinct import workers
from tinct.adapt.crops import Crop
from tinct.config import TaskName
from tinct.errors import CodecError
from tinct.files import AtomicOutput
from tinct.training.shots import CROP
from tinct.training.stretches import CROP_PARTS, HELD_OUT, SETTINGS, Stretch, make_crops


def save_crops(crops: Crop, folder: Path) -> None:
    """Write stacked crops as NumPy files; the folder appears whole or not at all."""
    with AtomicOutput(folder, folder=True) as output:
        for name, part in zip(CROP_PARTS, crops, strict=True):
            np.save(output.path / f"{name}.npy", part)
        output.publish()


def load_crops(folder: Path) -> Crop:
    """Return the stacked crops of a folder, mapped from disk."""
    return Crop(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in CROP_PARTS))


class Samples:
    """The crops of many stretches as one sequence; `identity` names what they were made from."""

    def __init__(self, folders: Sequence[Path], identity: str) -> None:
        self._stretches = [load_crops(folder) for folder in folders]
        self._ends = np.cumsum([len(crops.luma) for crops in self._stretches])
        self.identity = identity

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, number: int) -> Crop:
        stretch = int(np.searchsorted(self._ends, number, side="right"))
        place = number - int(self._ends[stretch])  # negative: counted from the end
        return Crop(*(part[place] for part in self._stretches[stretch]))


@dataclass(frozen=True)
class PreparedSamples:
    """Samples to learn from and samples to watch; `failed` has the reason of each clip left out."""

    samples: Samples
    held_out: Samples
    clips: list[str]
    failed: dict[str, str]


def prepare_samples(
    clips: Sequence[Path],
    cache: Path,
    *,
    stretches: int,
    seed: int,
    task: TaskName,
    first: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedSamples:
    """Return the samples of all clips; those that the folder `cache` lacks are made.

    They are samples of a `task` of TASKS; `first` are the weights of a first pass where it needs
    them. Every HELD_OUT-th stretch of a clip is held out. A clip that does not decode is left out.
    Raises CodecError where no samples remain.
    """
    settings = repr((SETTINGS, seed, task, first and first.read_bytes()))
    identity = hashlib.sha256(settings.encode()).hexdigest()[:16]
    folder, found_cache = cache / identity, cache.exists()
    folder.mkdir(parents=True, exist_ok=True)
    planned = [
        Stretch(path=str(clip), number=number, seed=seed, task=task, first=str(first or ""))
        for number in range(stretches)
        for clip in clips
    ]
    failed = _make_missing(planned, folder, progress)
    good = [stretch for stretch in planned if stretch.path not in failed]
    learnt = [folder / stretch.name for stretch in good if not stretch.is_held_out]
    watched = [folder / stretch.name for stretch in good if stretch.is_held_out]
    names = sorted({Path(stretch.path).name for stretch in good})
    text = f"{identity} {stretches} {names}"
    prepared = PreparedSamples(Samples(learnt, text), Samples(watched, text), names, failed=failed)
    if not len(prepared.samples) or not len(prepared.held_out):
        with suppress(OSError):  # a folder that is not empty stays
            folder.rmdir()
            if not found_cache:
                cache.rmdir()
        reason = next((f"; of {Path(clip).name}: {failed[clip]}" for clip in sorted(failed)), "")
        raise CodecError(
            f"expected clips of {CROP} pixels a side or more and {HELD_OUT} stretches of each, "
            f"found none that serve{reason}"
        )
    return prepared


def _make_missing(
    stretches: Sequence[Stretch], folder: Path, progress: Callable[[int, int], None] | None
) -> dict[str, str]:
    """Write the crops that `folder` lacks; return the clips that fail, with the reasons."""
    missing = [stretch for stretch in stretches if not (folder / stretch.name).exists()]
    tasks = [(stretch, str(folder / stretch.name)) for stretch in missing]
    failed: dict[str, str] = {}
    results = workers.run_tasks(write_stretch, tasks, jobs=os.cpu_count() or 1)
    for done, (number, result) in enumerate(results, 1):
        if isinstance(result, CodecError):
            failed[missing[number].path] = str(result)
        if progress is not None:
            progress(done, len(missing))
    return failed


def write_stretch(stretch: Stretch, folder: str) -> None:
    """Make and write the crops of one stretch; a task for `workers`."""
    cv2.setNumThreads(1)
    save_crops(make_crops(stretch), Path(folder))
