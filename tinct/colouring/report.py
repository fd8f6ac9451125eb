"""What `colourise` reports, and which frames would help most if they were coloured next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinct.colouring.analysis import VideoAnalysis, spread_frames

HELPFUL = 5  # most frames that are named as helpful
DOUBTFUL = 0.9  # mean trust below which colour of a frame would help
APART = 24  # fewest frames between two that are named


@dataclass(frozen=True, kw_only=True)
class RegisteredReference:
    """How a reference fits its frame: `number` and `seconds` are the frame's.

    `match` is from 0 to 1, `covered` the share of the frame that the picture shows, `way` how it
    was placed, in words.
    """

    number: int
    seconds: float
    name: str
    match: float
    covered: float
    way: str


@dataclass(frozen=True, kw_only=True)
class ColouriseReport:
    """What `colourise` did.

    `grey` are the shots without a reference, `helpful` the frames whose colour would help most.
    `trust` is each frame's mean confidence, 0 to 1. `damaged` counts packets and frames of the
    source that did not decode.
    """

    frames: int
    seconds: float
    references: list[RegisteredReference]
    shots: list[range]
    grey: list[range]
    helpful: list[int]
    trust: Sequence[float]
    notes: list[str]
    damaged: int


def choose_helpful_frames(
    analysis: VideoAnalysis, grey: Sequence[range], trust: Sequence[float]
) -> list[int]:
    """Return the frames whose colour would help most, best first.

    Those are one frame of each grey shot, long shots first, then the frames of least trust.
    """
    numbers = choose_in_longest(analysis, grey)
    for number in np.argsort(trust, kind="stable"):
        if len(numbers) >= HELPFUL or trust[number] >= DOUBTFUL:
            break
        is_grey = any(number in shot for shot in grey)
        if not is_grey and all(abs(number - other) >= APART for other in numbers):
            numbers.append(int(number))
    return numbers


def choose_in_longest(analysis: VideoAnalysis, shots: Sequence[range]) -> list[int]:
    """Return one frame of each of the longest shots, the longest first, HELPFUL at most."""
    longest = sorted(shots, key=len, reverse=True)[:HELPFUL]
    return [spread_frames(analysis, shot)[0] for shot in longest]
