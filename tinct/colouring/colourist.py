"""Grey footage and a few coloured frames to a colour video: `colourise`; and the frames worth colouring: `write_keyframes`.

video ─ survey ─► shots ──────────────┐
pictures ─ registration ─► references ┴► passage (follow, mixing) ─► frames ─ sink ─► file
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np

from tinct.bitstream.container import read_file_manifest
from tinct.colouring.mixing import Mix
from tinct.colouring.passage import Coloured, Passage, put_away, take_down
from tinct.colouring.pictures import Moment, Picture, Pictures, frame_numbers, name_of
from tinct.colouring.registration import register
from tinct.colouring.shelf import Shelf
from tinct.colouring.strip import Strip, write_page
from tinct.colouring.survey import Survey, ranges_text, spread, survey, worth_colouring
from tinct.errors import CodecError
from tinct.files import check_output
from tinct.frames import ColourTags, Frame, Hdr, Progress, VideoInfo
from tinct.media.sink import Sink, open_sink
from tinct.media.source import Source, open_source
from tinct.motion.views import LumaView

HELPFUL = 5  # frames that are named as those that would help most
DOUBTFUL = 0.9  # mean trust under which a frame has use for a reference
APART = 24  # frames between two that are named
FEWEST_LESSONS = 3  # one held back judges what the others taught; of two, one alone would teach (see docs/colourise.md)
MOST_SECONDS = 86_400  # of --adapt
COLOURLESS = 2.0  # 8-bit levels of chroma, root mean square: a picture below has not been coloured


@dataclass(frozen=True)
class Laid:
    """How a reference was laid onto its frame. `match` from 0 to 1, `covered` the share of the frame that it speaks for."""

    number: int
    seconds: float
    name: str
    match: float
    covered: float
    way: str


@dataclass(frozen=True)
class ColouriseReport:
    """What `colourise` did. `trust` is each frame's mean confidence, `grey` are the shots without a reference.

    `helpful` are the frames whose colour would help most. `damaged` counts what of the source did not decode.
    """

    frames: int
    seconds: float
    references: list[Laid]
    shots: list[range]
    grey: list[range]
    helpful: list[int]
    trust: Sequence[float]
    notes: list[str]
    damaged: int


def colourise(
    source: str,
    destination: str,
    *,
    references: Pictures,
    leave_grey: bool = False,
    adapt_seconds: float | None = None,
    confidence: str | None = None,
    page: str | None = None,
    overwrite: bool = False,
    looked: Progress | None = None,
    progress: Progress | None = None,
) -> ColouriseReport:
    """Write the video `source` to `destination` (its format by its name, see `sink.open_sink`) in the colour of the references.

    `references` has a picture by the moment that it shows: a whole number is a frame from 0, any other number is seconds. Pictures
    are files that Pillow reads, Pillow images, uint8 R'G'B' or R'G'B'A [H, W, 3 or 4], or a `Frame` of the video's size. Luma is
    the source's own; its colour, if it has any, is not looked at.

    `adapt_seconds` lets a small network learn from the references first (extra `networks`); where it does not help on what is held
    back, it is not used. `confidence` names a video to write of how far each pixel's colour can be trusted, white for 1; `page` an
    HTML page on how colourfulness, flicker and trust go along. `looked` hears of the first pass, `progress` of the second.

    Raises CodecError, with nothing written, for bad input, a picture that does not show its frame, and shots without a reference
    unless `leave_grey`.
    """
    began = time.monotonic()
    outputs = [name for name in (destination, confidence, page) if name is not None]
    video = _opened(source, outputs, overwrite=overwrite)
    if not references:
        raise CodecError(
            "expected references, found none; `tinct keyframes VIDEO --out frames/` writes frames to colour"
        )
    with ExitStack() as stack:
        sink = stack.enter_context(
            open_sink(destination, video.info, source, keep_luma=True, overwrite=overwrite)
        )
        map_sink = (
            None
            if confidence is None
            else stack.enter_context(_open_map(confidence, video.info, overwrite=overwrite))
        )
        shelf = stack.enter_context(
            Shelf(None if destination == "-" else Path(destination).absolute().parent)
        )
        found, laid, notes = _prepared(
            video, cast("Mapping[Moment, Picture]", references), shelf, looked
        )
        grey = [shot for shot in found.shots if not any(one.number in shot for one in laid)]
        if grey and not leave_grey:
            raise CodecError(_missing(found, grey))
        numbers = [one.number for one in laid]
        correct: Callable[[LumaView, Mix], Mix] | None = None
        if adapt_seconds is not None:
            from tinct.adapt.checkpoint import on_one_thread

            stack.enter_context(on_one_thread())
            correct, note = _adapted(video, found, numbers, shelf, adapt_seconds)
            notes.append(note)
        damaged = video.damaged  # of the first reading, which goes on to the file's end
        strip = Strip(video.info, numbers, found.starts)
        passage = stack.enter_context(Passage(video, found, numbers, shelf, correct=correct))
        for coloured in passage:
            sink.write(coloured.frame)
            if map_sink is not None:
                map_sink.write(_map_frame(coloured, _map_info(video.info)))
            strip.see(coloured)
            if progress is not None:
                progress(len(strip.trust), video.info.frame_count)
        sink.finish()
        if map_sink is not None:
            map_sink.finish()
    report = ColouriseReport(
        len(strip.trust), time.monotonic() - began, laid, found.shots, grey, helpful(found, grey, strip.trust), strip.trust,
        [*video.notes, *notes, *sink.notes], max(damaged, video.damaged),
    )  # fmt: skip
    if page is not None:
        write_page(Path(page), Path(source).name, strip, report, overwrite=overwrite)
    return report


def write_keyframes(
    source: str,
    folder: str,
    *,
    count: int | Literal["auto"] = "auto",
    overwrite: bool = False,
    looked: Progress | None = None,
    progress: Progress | None = None,
) -> tuple[list[int], list[str]]:
    """Write the frames worth colouring as grey PNGs named by their numbers into a new `folder`; their numbers, and notes.

    `auto` are as many as it takes for no frame to be far from one of them. Raises CodecError for bad input and a folder with files.
    """
    video = _opened(source, [f"{folder}/"], overwrite=overwrite)
    if count != "auto" and not 1 <= count <= (video.info.frame_count or 1):
        raise CodecError(f"--count: expected auto or 1 to {video.info.frame_count}, found {count}")
    total = video.info.frame_count

    def each(number: int, frame: Frame) -> None:
        if looked is not None:
            looked(number + 1, total)

    found = survey(video, each)
    numbers = worth_colouring(found, None if count == "auto" else count)
    notes = list(video.notes)
    if without := [shot for shot in found.shots if not any(number in shot for number in numbers)]:
        notes.append(
            f"shots without a frame: {ranges_text(without)}; {len(found.shots)} frames would reach all"
        )
    with open_sink(f"{folder}/", video.info, names=numbers) as sink:
        for done, number in enumerate(numbers, 1):
            tick = int(found.ticks[number])
            frame = next(video.between(tick, tick))
            sink.write(_flattened(frame))
            if progress is not None:
                progress(done, len(numbers))
    return numbers, notes + sink.notes


def helpful(found: Survey, grey: Sequence[range], trust: Sequence[float]) -> list[int]:
    """Frames whose colour would help most: the middle of what changes in the longest grey shots, then where trust is least."""
    numbers = [spread(found, shot, 1)[0] for shot in sorted(grey, key=len, reverse=True)]
    for number in np.argsort(trust, kind="stable"):
        if len(numbers) >= HELPFUL or trust[number] >= DOUBTFUL:
            break
        if not any(number in shot for shot in grey) and all(
            abs(number - other) >= APART for other in numbers
        ):
            numbers.append(int(number))
    return numbers[:HELPFUL]


def _opened(source: str, outputs: list[str], *, overwrite: bool) -> Source:
    if source == "-":
        raise CodecError(
            "expected a file, found stdin; the video is looked over twice: write it to a file first"
        )
    for i, output in enumerate(outputs):
        check_output(output, source, overwrite=overwrite)
        if output != "-" and any(
            Path(output).absolute() == Path(other).absolute() for other in outputs[:i]
        ):
            raise CodecError(f"expected a name of its own for each output, found {output} twice")
    if Path(source).is_file() and read_file_manifest(source) is not None:
        raise CodecError(
            f"expected grey footage, found a Tinct file in {source}; decode it (tinct decode {source} out.mkv)"
        )
    return open_source(source)


def _prepared(
    video: Source, references: Mapping[Moment, Picture], shelf: Shelf, looked: Progress | None
) -> tuple[Survey, list[Laid], list[str]]:
    """The first pass: shots found, references laid onto their frames and put on the shelf."""
    seconds = video.ticks * float(video.info.time_base)
    moments = frame_numbers(
        references, seconds, float(seconds[-1]) + 1 / float(video.info.mean_rate)
    )
    laid: list[Laid] = []
    notes: list[str] = []

    def each(number: int, frame: Frame) -> None:
        if number in moments:
            picture = references[moments[number]]
            name = name_of(picture, moments[number])
            one = register(picture, frame, number, name)
            if float(np.sqrt(np.square(one.reference.colour).mean())) < COLOURLESS:
                notes.append(f"{name} has no colour: it is left out")
            else:
                put_away(shelf, one.reference)
                laid.append(Laid(number, frame.pts_seconds, name, one.match, one.covered, one.way))
        if looked is not None:
            looked(number + 1, video.info.frame_count)

    found = survey(video, each)
    if lost := [number for number in moments if number >= len(found.ticks)]:
        raise CodecError(
            f"expected frame {lost[0]} to decode, found {len(found.ticks)} frames; name another"
        )
    if not laid:
        raise CodecError("expected a reference in colour, found none; colour one of them first")
    return found, laid, notes


def _adapted(
    video: Source, found: Survey, numbers: Sequence[int], shelf: Shelf, seconds: float
) -> tuple[Callable[[LumaView, Mix], Mix] | None, str]:
    """What a network learns from each reference and what its neighbours make of its frame; and a word on how it went."""
    from tinct.adapt.budget import Budget
    from tinct.colouring.adapting import Lesson, adapt, corrected

    if not 0 < seconds <= MOST_SECONDS:
        raise CodecError(
            f"--adapt: expected seconds above 0 and up to {MOST_SECONDS}, found {seconds:g}"
        )
    began = time.monotonic()
    lessons: list[Lesson] = []
    for number in numbers:
        shot = found.shot_of(number)
        before = max((n for n in numbers if n in shot and n < number), default=None)
        behind = min((n for n in numbers if n in shot and n > number), default=None)
        if (before is None and behind is None) or (
            lessons and time.monotonic() - began > seconds / 2
        ):
            continue
        others = [n for n in (before, behind) if n is not None]
        frames = range(
            number if before is None else before, number + 1 if behind is None else behind + 1
        )
        with Passage(video, found, others, shelf, frames=frames) as passage:
            made = next(islice(passage, number - frames.start, None))
        planes = np.dstack((made.frame.cb, made.frame.cr)).astype(np.float32) / (
            1 << (video.info.bit_depth - 8)
        )
        lessons.append(Lesson(take_down(shelf, number), Mix(planes - np.float32(128), made.trust)))
    if len(lessons) < FEWEST_LESSONS:
        found_text = f"{len(lessons)} with a neighbour in their shot"
        return (
            None,
            f"not adapted: it takes {FEWEST_LESSONS} references, one to be held back, found {found_text}",
        )
    result = adapt(lessons, Budget(seconds=seconds))
    return None if result.network is None else partial(corrected, result.network), result.text()


def _missing(found: Survey, grey: list[range]) -> str:
    longest = sorted(grey, key=len, reverse=True)[:HELPFUL]
    best = ", ".join(str(spread(found, shot, 1)[0]) for shot in longest)
    return (
        f"expected a reference in each of {len(found.shots)} shots, found none in {len(grey)}: frames {ranges_text(grey)}; "
        f"colour frames {best} first, or leave these shots grey with --leave-grey"
    )


def _flattened(frame: Frame) -> Frame:
    flat = np.full(frame.info.chroma_shape, 128 << (frame.info.bit_depth - 8), frame.y.dtype)
    return Frame(frame.y, flat, flat, frame.pts, frame.info)


def _map_info(info: VideoInfo) -> VideoInfo:
    """Of the video of confidence: 8 bit, full range."""
    return replace(info, bit_depth=8, colour=ColourTags(full_range=True), hdr=Hdr())


def _open_map(path: str, info: VideoInfo, *, overwrite: bool) -> Sink:
    return open_sink(path, _map_info(info), overwrite=overwrite)


def _map_frame(coloured: Coloured, info: VideoInfo) -> Frame:
    """Trust as grey, 255 for 1."""
    size = (info.width, info.height)
    y = np.rint(cv2.resize(coloured.trust, size, interpolation=cv2.INTER_LINEAR) * 255).astype(
        np.uint8
    )
    flat = np.full(info.chroma_shape, 128, np.uint8)
    return Frame(y, flat, flat, coloured.frame.pts, info)
