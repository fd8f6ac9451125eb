"""`colourise`: grey footage coloured from a few frames; `write_keyframes`: the frames to colour.

video ─ analysis ─► shots ─────────────┐
pictures ─ registration ─► references ─┴► propagation (tracking, blending) ─► frames ─► outputs
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import Literal, cast

from tinct.colouring.analysis import analyse_video, choose_keyframes, format_shots
from tinct.colouring.blending import Correction
from tinct.colouring.chroma import make_grey_frame
from tinct.colouring.first_pass import (
    FirstPass,
    open_grey_video,
    refuse_grey_shots,
    run_first_pass,
)
from tinct.colouring.lessons import open_correction
from tinct.colouring.outputs import ColourOutputs, open_outputs
from tinct.colouring.page import write_page
from tinct.colouring.pictures import Picture, Pictures
from tinct.colouring.propagation import Propagation
from tinct.colouring.report import ColouriseReport, choose_helpful_frames
from tinct.colouring.scratch import ScratchFile
from tinct.colouring.statistics import ColourStatistics
from tinct.errors import CodecError
from tinct.frames import Frame, Progress
from tinct.media.file_objects import (
    Format,
    Input,
    Output,
    choose_suffix,
    hold_input,
    hold_output,
)
from tinct.media.movie_codecs import Coding
from tinct.media.sink import check_coding, open_sink
from tinct.media.source import Source
from tinct.moments import Moment


def colourise(
    source: Input,
    destination: Output,
    *,
    references: Pictures,
    format: Format | None = None,
    leave_grey: bool = False,
    adapt_seconds: float | None = None,
    confidence: Output | None = None,
    page: Output | None = None,
    codec: str | None = None,
    crf: float | None = None,
    overwrite: bool = False,
    looked: Progress | None = None,
    progress: Progress | None = None,
) -> ColouriseReport:
    """Write the video `source` to `destination` with its own luma and the references' colour.

    The name of `destination` gives its format, as in `tinct.decode`; `format` is that of a file
    object. `codec` and `crf` are `tinct.decode`'s. Each input and output may be a binary file
    object. Colour of the source, if it has any, is ignored.

    `references` has a picture by the moment that it shows: a whole number is a frame from 0, any
    other number is seconds. A picture is a file that Pillow reads, a Pillow image, uint8 R'G'B' or
    R'G'B'A [H, W, 3 or 4], or a `Frame` of the video's size.

    `adapt_seconds` first trains a small network on the references (extra `networks`), which is used
    where it lowers the error on a reference held out. `confidence` names a video to write of each
    pixel's trust, white for 1; `page` an HTML page of trust, colourfulness and flicker by frame.
    `looked` is called during the first pass, `progress` during the second.

    Raises CodecError, with nothing written, for bad input, a picture that does not show its frame,
    and shots without a reference unless `leave_grey`.
    """
    with ExitStack() as stack:

        def hold(output: Output | None, suffix: str) -> str | None:
            return None if output is None else stack.enter_context(hold_output(output, suffix))

        suffix = choose_suffix(destination, format)
        return _colourise(
            stack.enter_context(hold_input(source)),
            stack.enter_context(hold_output(destination, suffix)),
            references=references,
            leave_grey=leave_grey,
            adapt_seconds=adapt_seconds,
            confidence=hold(confidence, suffix or ".mkv"),
            page=hold(page, ".html"),
            coding=Coding(codec=codec, crf=crf),
            overwrite=overwrite,
            looked=looked,
            progress=progress,
        )


def _colourise(
    source: str,
    destination: str,
    *,
    references: Pictures,
    leave_grey: bool,
    adapt_seconds: float | None,
    confidence: str | None,
    page: str | None,
    coding: Coding,
    overwrite: bool,
    looked: Progress | None,
    progress: Progress | None,
) -> ColouriseReport:
    """Colour a file to files."""
    began = time.monotonic()
    names = [name for name in (destination, confidence, page) if name is not None]
    video = open_grey_video(source, names, overwrite=overwrite)
    check_coding(destination, coding)
    _refuse_none(references)
    with (
        open_outputs(
            video.info, (destination, coding), confidence, source=source, overwrite=overwrite
        ) as outputs,
        ScratchFile(_choose_scratch_folder(destination)) as scratch,
    ):
        pictures = cast("Mapping[Moment, Picture]", references)
        first = run_first_pass(video, pictures, scratch, progress=looked)
        if not leave_grey:
            refuse_grey_shots(first)
        with open_correction(video, first, scratch, seconds=adapt_seconds) as (correct, notes):
            statistics = _run_second_pass(
                video, first, scratch, outputs=outputs, correct=correct, progress=progress
            )
    notes = [*video.notes, *first.notes, *notes, *outputs.video.notes]
    report = _make_report(video, first, statistics, notes=notes, began=began)
    if page is not None:
        write_page(Path(page), statistics, report, name=Path(source).name, overwrite=overwrite)
    return report


def _refuse_none(references: Pictures) -> None:
    if not references:
        raise CodecError(
            "expected references, found none; "
            "`tinct keyframes VIDEO --out frames/` writes frames to colour"
        )


def write_keyframes(
    source: Input,
    folder: str | PathLike[str],
    *,
    count: int | Literal["auto"] = "auto",
    overwrite: bool = False,
    looked: Progress | None = None,
    progress: Progress | None = None,
) -> tuple[list[int], list[str]]:
    """Write the frames worth colouring as grey PNGs, named by number, into a new `folder`.

    Returns their numbers, and notes. `auto` are as many as it takes for no frame to differ too much
    from its nearest. `looked` is called during the first pass, `progress` for each PNG. Raises
    CodecError for bad input and a folder with files.
    """
    with hold_input(source) as path:
        return _write_keyframes(
            path, fspath(folder), count=count, overwrite=overwrite, looked=looked, progress=progress
        )


def _write_keyframes(
    source: str,
    folder: str,
    *,
    count: int | Literal["auto"],
    overwrite: bool,
    looked: Progress | None,
    progress: Progress | None,
) -> tuple[list[int], list[str]]:
    video = open_grey_video(source, [f"{folder}/"], overwrite=overwrite)
    total = video.info.frame_count
    if count != "auto" and not 1 <= count <= (total or 1):
        raise CodecError(f"--count: expected auto or 1 to {total}, found {count}")

    def report_progress(number: int, _: Frame) -> None:
        if looked is not None:
            looked(number + 1, total)

    analysis = analyse_video(video, report_progress)
    numbers = choose_keyframes(analysis, None if count == "auto" else count)
    notes = list(video.notes)
    if without := analysis.find_shots_without(numbers):
        notes.append(
            f"shots without a frame: {format_shots(without)}; "
            f"{len(analysis.shots)} frames would reach all"
        )
    with open_sink(f"{folder}/", video.info, names=numbers) as sink:
        for done, number in enumerate(numbers, 1):
            tick = int(analysis.ticks[number])
            frame = next(video.read_between(tick, tick))
            sink.write(make_grey_frame(frame.y, frame.pts, frame.info))
            if progress is not None:
                progress(done, len(numbers))
    return numbers, notes + sink.notes


def _choose_scratch_folder(destination: str) -> Path | None:
    """Return the folder of the output, which has to have room; None for stdout."""
    return None if destination == "-" else Path(destination).absolute().parent


def _run_second_pass(
    video: Source,
    first: FirstPass,
    scratch: ScratchFile,
    *,
    outputs: ColourOutputs,
    correct: Correction | None,
    progress: Progress | None,
) -> ColourStatistics:
    """Colour and write every frame; return their statistics."""
    statistics = ColourStatistics(video.info, first.numbers, first.analysis.starts)
    with Propagation(
        video, first.analysis, scratch, references=first.numbers, correct=correct
    ) as propagation:
        for coloured in propagation:
            outputs.write(coloured)
            statistics.add(coloured)
            if progress is not None:
                progress(len(statistics.trust), video.info.frame_count)
        outputs.finish()
    return statistics


def _make_report(
    video: Source, first: FirstPass, statistics: ColourStatistics, *, notes: list[str], began: float
) -> ColouriseReport:
    """Return the report of a colouring that began at `began` seconds of the monotonic clock."""
    analysis, grey, trust = first.analysis, first.grey_shots, statistics.trust
    return ColouriseReport(
        frames=len(trust),
        seconds=time.monotonic() - began,
        references=first.references,
        shots=analysis.shots,
        grey=grey,
        helpful=choose_helpful_frames(analysis, grey, trust),
        trust=trust,
        notes=notes,
        damaged=max(first.damaged, video.damaged),
    )
