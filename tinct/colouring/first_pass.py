"""First pass of a colouring: what is refused before work, shots, and references onto their frames.

`analysis` finds the shots, `registration` lays each picture onto its frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinct.bitstream.container import read_file_manifest
from tinct.colouring.analysis import VideoAnalysis, analyse_video, format_shots
from tinct.colouring.pictures import (
    Picture,
    find_frame_numbers,
    name_picture,
    note_broken_profile,
)
from tinct.colouring.registration import register
from tinct.colouring.report import RegisteredReference, choose_in_longest
from tinct.colouring.scratch import ScratchFile, store_reference
from tinct.errors import CodecError
from tinct.files import check_output
from tinct.frames import Frame, Progress
from tinct.media.source import Source, open_source
from tinct.moments import Moment

COLOURLESS = 2.0  # root mean square of chroma, 8-bit levels, below which a picture has no colour


@dataclass(frozen=True)
class FirstPass:
    """What the first pass found; the references themselves are in the scratch file.

    `damaged` counts packets and frames that did not decode, up to the file's end.
    """

    analysis: VideoAnalysis
    references: list[RegisteredReference]
    notes: list[str]
    damaged: int

    @property
    def numbers(self) -> list[int]:
        """Frame numbers of the references, sorted."""
        return [one.number for one in self.references]

    @property
    def grey_shots(self) -> list[range]:
        """Shots without a reference."""
        return self.analysis.find_shots_without(self.numbers)


def open_grey_video(source: str, outputs: Sequence[str], *, overwrite: bool) -> Source:
    """Open the video to colour. Raise CodecError for a pipe, a Tinct file and unusable outputs."""
    if source == "-":
        raise CodecError(
            "expected a file, found stdin; the video is read twice: write it to a file first"
        )
    for i, output in enumerate(outputs):
        check_output(output, source, overwrite=overwrite)
        others = [Path(other).absolute() for other in outputs[:i]]
        if output != "-" and Path(output).absolute() in others:
            raise CodecError(f"expected a name of its own for each output, found {output} twice")
    if Path(source).is_file() and read_file_manifest(source) is not None:
        raise CodecError(
            f"expected grey footage, found a Tinct file in {source}; "
            f"decode it (tinct decode {source} out.mkv)"
        )
    return open_source(source)


def run_first_pass(
    video: Source,
    pictures: Mapping[Moment, Picture],
    scratch: ScratchFile,
    *,
    progress: Progress | None,
) -> FirstPass:
    """Analyse a video, and register and store its references.

    Raise CodecError for moments outside the video, pictures that do not show their frame, and where
    no picture has colour.
    """
    seconds = video.ticks * float(video.info.time_base)
    end_seconds = float(seconds[-1]) + 1 / float(video.info.mean_rate)
    moments = find_frame_numbers(pictures, seconds, end_seconds)
    references: list[RegisteredReference] = []
    notes: list[str] = []

    def register_picture(number: int, frame: Frame) -> None:
        if number in moments:
            picture = pictures[moments[number]]
            name = name_picture(picture, moments[number])
            found = register(picture, frame, number=number, name=name)
            notes.extend(note_broken_profile(picture, name))
            if float(np.sqrt(np.square(found.reference.colour).mean())) < COLOURLESS:
                notes.append(f"{name} has no colour: it is left out")
            else:
                store_reference(scratch, found.reference)
                references.append(
                    RegisteredReference(
                        number=number,
                        seconds=frame.pts_seconds,
                        name=name,
                        match=found.match,
                        covered=found.covered,
                        way=found.way,
                    )
                )
        if progress is not None:
            progress(number + 1, video.info.frame_count)

    analysis = analyse_video(video, register_picture)
    if lost := [number for number in moments if number >= len(analysis.ticks)]:
        raise CodecError(
            f"expected frame {lost[0]} to decode, found {len(analysis.ticks)} frames; name another"
        )
    if not references:
        raise CodecError("expected a reference in colour, found none; colour one of them first")
    return FirstPass(analysis, references, notes=notes, damaged=video.damaged)


def refuse_grey_shots(first: FirstPass) -> None:
    """Raise CodecError where a shot has no reference, with the frames to colour first."""
    grey = first.grey_shots
    if not grey:
        return
    best = ", ".join(map(str, choose_in_longest(first.analysis, grey)))
    raise CodecError(
        f"expected a reference in each of {len(first.analysis.shots)} shots, "
        f"found none in {len(grey)}: frames {format_shots(grey)}; "
        f"colour frames {best} first, or leave these shots grey with --leave-grey"
    )
