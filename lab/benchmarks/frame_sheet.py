"""A sheet of the worst interpolated frames: source, decoded, and their difference, a row a frame.

`interpolation` writes it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

import tinct
from tinct.frames import Frame
from tinct.media.source import open_source

ROWS = 10
ROWS_A_CLIP = 3
GAIN = 4  # of the difference, around grey
MAX_BYTES = 400_000
# Widths of a picture and qualities of JPEG: the first with which the sheet is small enough.
SIZES = ((320, 85), (320, 75), (256, 75), (256, 60), (192, 60), (160, 50), (128, 40))
LABEL_HEIGHT, BORDER = 22, 2
DARK, WHITE = (20, 20, 20), (255, 255, 255)
SUFFIXES = (".jpg", ".png")


@dataclass(frozen=True, kw_only=True)
class BadFrame:
    """An interpolated frame: its number, PSNR-Y, and how far that is below the median frame's.

    `before` and `after` are the distances, in frames, to the sent frames around it.
    """

    clip: str
    qp: int
    number: int
    luma_db: float
    below_db: float
    before: int
    after: int
    source: Path
    coded: Path

    @property
    def label(self) -> str:
        return (
            f"{self.clip}, QP {self.qp}, frame {self.number}: {self.luma_db:.1f} dB, "
            f"{self.below_db:.1f} below the median; sent: {self.before} before, {self.after} after"
        )


def measure_distances(sent: Sequence[int], number: int) -> tuple[int, int]:
    """Return how many frames `number` is from the nearest of `sent` before and after it.

    The numbers of sent frames ascend; one is before, one after.
    """
    place = bisect_left(sent, number)
    return number - sent[place - 1], sent[place] - number


def choose_rows(
    candidates: Iterable[BadFrame], *, rows: int = ROWS, rows_a_clip: int = ROWS_A_CLIP
) -> list[BadFrame]:
    """Return the worst frames, the worst first, of each clip only so many."""
    chosen: list[BadFrame] = []
    taken: Counter[str] = Counter()
    for frame in sorted(candidates, key=lambda frame: -frame.below_db):
        if len(chosen) < rows and taken[frame.clip] < rows_a_clip:
            chosen.append(frame)
            taken[frame.clip] += 1
    return chosen


def write_sheet(path: Path, frames: Sequence[BadFrame]) -> None:
    """Write the sheet as a picture of the kind that the suffix names, of MAX_BYTES at most.

    A picture that is too large even at the smallest size is written all the same.
    """
    pictures = [_read_pictures(frame) for frame in frames]
    for width, quality in SIZES:
        rows = [
            _draw_row(frame.label, three, width)
            for frame, three in zip(frames, pictures, strict=True)
        ]
        done, data = cv2.imencode(
            path.suffix, np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        assert done
        if data.nbytes <= MAX_BYTES:
            break
    path.write_bytes(data.tobytes())


def _read_pictures(frame: BadFrame) -> list[np.ndarray]:
    """Return R'G'B' of source, decoded frame and amplified difference."""
    source = _read_frame(open_source(str(frame.source)), frame.number).rgb()
    decoded = _read_frame(tinct.open(str(frame.coded)), frame.number).rgb()
    return [source, decoded, amplify_difference(source, decoded)]


def _read_frame(video: Iterable[Frame], number: int) -> Frame:
    return next(islice(video, number, None))


def amplify_difference(source: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Return R'G'B' in which equal samples are grey and others GAIN times as far from it."""
    difference = decoded.astype(np.int16) - source
    return np.clip(128 + GAIN * difference, 0, 255).astype(np.uint8)


def _draw_row(label: str, pictures: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Return R'G'B' of pictures side by side, scaled to a width each, with a label above."""
    height = round(pictures[0].shape[0] * width / pictures[0].shape[1])
    scaled = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in pictures]
    edges = (LABEL_HEIGHT, BORDER, 0, 0)
    framed = cv2.copyMakeBorder(np.hstack(scaled), *edges, cv2.BORDER_CONSTANT, value=DARK)
    scale = width / 320 * 0.45
    origin = (4, LABEL_HEIGHT - 7)
    return cv2.putText(
        framed, label, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, WHITE, 1, cv2.LINE_AA
    )
