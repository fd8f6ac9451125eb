"""A sweep: every clip through every codec at every QP, as real files.

Finished points are kept in a results folder (`results`), and a sweep that was killed goes on.
`measurement` measures each point; where several machines do it, all of them must see that folder.
"""

import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

from tinct.bitstream.qp import MAX_QP
from tinct.errors import CodecError
from tinct.evaluation.anchors import check_anchors
from tinct.evaluation.clips import Clip, cut_clip, name_clip
from tinct.evaluation.codecs import check_clip, make_paths_absolute, parse_codec
from tinct.evaluation.measurement import Task, measure_point
from tinct.evaluation.points import RDPoint, format_point, read_external_points
from tinct.evaluation.results import (
    CLIPS,
    FILES,
    FRAMES,
    POINTS,
    WORK,
    Failure,
    Outcome,
    Setup,
    create,
    load,
    open_for_appending,
    write_failures,
)
from tinct.files import lock_folder
from tinct.frames import Progress
from tinct.media.source import open_source
from tinct.workers import Engine, run_tasks

logger = logging.getLogger(__name__)
QPS = (27, 32, 37, 42)  # of JVET's common test conditions, each 5 coarser


def sweep(
    clips: Sequence[str | Path],
    codecs: Sequence[str],
    qps: Sequence[int] = QPS,
    *,
    out: str | Path | None = None,
    frames: int | None = FRAMES,
    jobs: int = 1,
    engine: Engine = "local",
) -> list[RDPoint]:
    """Return the points of every clip, codec and QP.

    Results are kept in the new folder `out`, or nowhere. Points that are refused are logged as
    errors. Raise CodecError before any work for a clip or codec that cannot be measured.
    """
    setup = Setup(
        clips=[str(clip) for clip in clips],
        codecs=list(codecs),
        qps=list(qps),
        frames=frames,
        jobs=jobs,
    )
    if out is not None:
        return start(setup, Path(out), engine=engine).points
    with tempfile.TemporaryDirectory() as folder:
        found = start(setup, Path(folder) / "results", engine=engine).points
    return [replace(point, file=None) for point in found]


def start(
    setup: Setup, folder: Path, *, engine: Engine = "local", progress: Progress | None = None
) -> Outcome:
    """Begin a sweep in a new or empty folder, and measure all of it."""
    setup = locate_files(setup)
    check_setup(setup)
    create(folder, setup)
    return resume(folder, engine=engine, progress=progress)


def resume(
    folder: Path,
    *,
    jobs: int | None = None,
    engine: Engine = "local",
    progress: Progress | None = None,
) -> Outcome:
    """Measure what a results folder still lacks; `jobs` replaces the setup's number.

    `progress` takes points done and points in all.
    """
    folder = folder.absolute()  # workers may run in another folder
    load(folder)  # refuses what is no results folder
    with lock_folder(folder):
        outcome = load(folder)
        setup = outcome.setup if jobs is None else replace(outcome.setup, jobs=jobs)
        check_setup(setup)
        _make_folders(folder)
        clips = _cut_clips(folder, setup, engine)
        codecs = [codec for codec in setup.codecs if codec not in outcome.skipped]
        tasks = [
            Task(
                clip=clip,
                codec=codec,
                qp=qp,
                folder=str(folder),
                jobs=setup.jobs,
                metrics=setup.metrics,
            )
            for clip, codec, qp in product(clips, map(parse_codec, codecs), setup.qps)
        ]
        _measure_missing(folder, outcome, tasks, jobs=setup.jobs, engine=engine, progress=progress)
        shutil.rmtree(folder / WORK)
        return load(folder)


def locate_files(setup: Setup) -> Setup:
    """Return the setup with absolute paths, as a results folder keeps it."""
    return replace(
        setup,
        clips=[str(Path(name).absolute()) for name in setup.clips],
        codecs=[make_paths_absolute(codec) for codec in setup.codecs],
        external=[str(Path(name).absolute()) for name in setup.external],
        anchors=[list(map(make_paths_absolute, members)) for members in setup.anchors],
    )


def check_setup(setup: Setup) -> None:
    """Raise CodecError for what cannot be measured, before any work is done."""
    for option, values in (("clip", setup.clips), ("--codec", setup.codecs), ("--qp", setup.qps)):
        if not values:
            raise CodecError(f"expected at least one {option}, found none")
    _check_repeats("clips of different names", [name_clip(clip) for clip in setup.clips])
    _check_repeats("every codec once", setup.codecs)
    _check_repeats("every QP once", [str(qp) for qp in setup.qps])
    for qp in setup.qps:
        if not 0 <= qp <= MAX_QP:
            raise CodecError(f"--qp: expected 0 to {MAX_QP}, found {qp}")
    if setup.jobs < 1:
        raise CodecError(f"--jobs: expected 1 or more, found {setup.jobs}")
    if setup.frames is not None and setup.frames < 1:
        raise CodecError(f"--frames: expected 1 or more, found {setup.frames}")
    check_anchors(setup.anchors, setup.codecs)
    codecs = [parse_codec(codec) for codec in setup.codecs]
    for clip in setup.clips:
        info = open_source(clip).info
        for codec in codecs:
            check_clip(codec, clip, info)
    for path in setup.external:
        read_external_points(Path(path), {})


def _check_repeats(expected: str, values: Sequence[str]) -> None:
    if repeated := {value for value in values if values.count(value) > 1}:
        found = f"{', '.join(sorted(repeated))} more than once"
        raise CodecError(f"expected {expected}, found {found}")


def _make_folders(folder: Path) -> None:
    shutil.rmtree(folder / WORK, ignore_errors=True)  # of a run that was killed
    try:
        for name in (CLIPS, FILES, WORK):
            (folder / name).mkdir(exist_ok=True)
    except OSError as error:
        raise CodecError(f"expected to write into {folder}, found {error.strerror}") from error


def _cut_clips(folder: Path, setup: Setup, engine: Engine) -> list[Clip]:
    """Cut every clip that is not there yet. Raise CodecError for the first that fails."""
    tasks = [
        (path, str(folder / CLIPS / f"{name_clip(path)}.mkv"), setup.frames) for path in setup.clips
    ]
    cut = partial(cut_clip, square=setup.square)
    results = dict(run_tasks(cut, tasks, jobs=setup.jobs, engine=engine))
    clips = []
    for _, result in sorted(results.items()):
        if isinstance(result, CodecError):
            raise result
        clips.append(result)
    return clips


def _measure_missing(
    folder: Path,
    outcome: Outcome,
    tasks: Sequence[Task],
    *,
    jobs: int,
    engine: Engine,
    progress: Progress | None,
) -> None:
    """Measure the points that `outcome` lacks: append them, and list those that are refused."""
    measured = {point.key for point in outcome.points}
    missing = [task for task in tasks if task.key not in measured]
    done = len(tasks) - len(missing)
    failures = []
    arguments = [(task,) for task in missing]
    with open_for_appending(folder / POINTS) as append:
        for number, result in run_tasks(measure_point, arguments, jobs=jobs, engine=engine):
            task = missing[number]
            if isinstance(result, CodecError):
                failures.append(Failure(*task.key, reason=str(result)))
                logger.error("refused: %s", failures[-1])
            else:
                append(format_point(result))
                task.checkpoint.unlink(missing_ok=True)
            done += 1
            if progress is not None:
                progress(done, len(tasks))
    write_failures(folder, failures)
