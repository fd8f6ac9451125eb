"""Samples of a video on which the encode is decided (`decide`).

They are stretches of consecutive frames; of large pictures, a window that is like the whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, product

import cv2
import numpy as np

from tinct.bitstream.base import encode_pictures
from tinct.bitstream.codecs import BaseSettings
from tinct.encoder.keyframes import LONGEST_RESTORED
from tinct.frames import Frame, VideoInfo
from tinct.media.planes import Planes
from tinct.media.source import Source

STRETCH_FRAMES = 16
MIN_STRETCH_FRAMES = 4
MAX_STRETCHES = 3
# Frames of a video that is sampled whole, since a part says too little of the rest. Where a
# network's choices are weighed, which takes longer, a video is whole in one stretch or not at all.
WHOLE_FRAMES = 100
FRAMES_PER_STRETCH = 96  # of video; bounds what sampling costs
# The same where a network's choices are weighed. With fewer there would be more stretches, and the
# search would take longer than the coding.
FRAMES_PER_RESTORED = 150
MAX_SAMPLE_BYTES = 256 << 20
# Luma samples on which a network's choices are weighed: two stretches of 640x360.
MAX_RESTORED_SAMPLES = 25_000_000
MAX_WINDOW_SAMPLES = 250_000  # of luma in a picture; of a larger one a window is taken
WINDOW_STEP = 16  # samples; x265's blocks stay whole
PLACES = 5  # where a window may lie, along each side
COPY_STEP = 4  # every how many samples a picture is looked at to place the window
Stretch = list[Frame]


@dataclass(frozen=True)
class Samples:
    """Stretches of frames of `info`'s size; a whole picture is `scale` times as large."""

    stretches: list[Stretch]
    info: VideoInfo
    scale: float = 1.0

    def code(
        self, pictures: Sequence[Planes], settings: BaseSettings, *, grey: bool
    ) -> list[tuple[float, Planes]]:
        """Return the bits of each as a whole picture, and what decodes from it, padded as coded."""
        coded = encode_pictures(pictures, settings, grey=grey)
        return [(self.scale * bits, planes) for bits, planes in coded]

    @property
    def whole(self) -> bool:
        """Return whether they are every frame of the video."""
        return sum(map(len, self.stretches)) == self.info.frame_count


def sample(source: Source, *, restores: bool) -> tuple[Samples, Iterator[Frame]]:
    """Return samples spread over the video, and all its frames; a pipe is sampled at its start.

    Where a network restores, stretches are as long as the longest group: of large pictures there
    are fewer of them.
    """
    stretches, frames = _read_stretches(source, restores=restores)
    area = source.info.width * source.info.height
    if area <= MAX_WINDOW_SAMPLES:
        return Samples(stretches, source.info), frames
    window = _window_size(source.info)
    stretches = [_cut_window(stretch, window) for stretch in stretches]
    info = stretches[0][0].info
    return Samples(stretches, info, area / (info.width * info.height)), frames


def _read_stretches(source: Source, *, restores: bool) -> tuple[list[Stretch], Iterator[Frame]]:
    frames = source.info.frame_count
    samples = source.info.width * source.info.height
    bytes_per_sample = 3 if source.info.bit_depth > 8 else 2  # of luma, its chroma included
    most = max(MIN_STRETCH_FRAMES, MAX_SAMPLE_BYTES // (samples * bytes_per_sample))
    length, count, spacing = STRETCH_FRAMES, MAX_STRETCHES, FRAMES_PER_STRETCH
    if restores:
        length, spacing = LONGEST_RESTORED + 1, FRAMES_PER_RESTORED
        count = max(1, min(count, MAX_RESTORED_SAMPLES // (samples * length)))
    length = min(length, most)
    if frames is None:
        stream = iter(source)
        head = list(islice(stream, length))
        return [head], chain(head, stream)
    count = max(1, min(count, frames // spacing, most // length))
    whole = length if restores else min(WHOLE_FRAMES, most, length * MAX_STRETCHES)
    if frames <= whole:
        return [list(source)], iter(source)
    firsts = [round((i + 0.5) / count * max(0, frames - length)) for i in range(count)]
    return [list(islice(source.start_at(first), length)) for first in firsts], iter(source)


def _window_size(info: VideoInfo) -> tuple[int, int]:
    """Return height and width of the window in large pictures."""
    part = (MAX_WINDOW_SAMPLES / (info.width * info.height)) ** 0.5
    high, wide = (
        max(WINDOW_STEP, int(side * part) // WINDOW_STEP * WINDOW_STEP)
        for side in (info.height, info.width)
    )
    return min(high, info.height), min(wide, info.width)


def _cut_window(stretch: Stretch, window: tuple[int, int]) -> Stretch:
    """Return a stretch of the place whose detail and motion are nearest to the whole picture's."""
    detail = _detail(stretch)
    high, wide = (max(1, side // COPY_STEP) for side in window)
    steps = [
        np.linspace(0, side - part, PLACES).astype(int)
        for side, part in zip(detail.shape, (high, wide), strict=True)
    ]
    means = {
        (int(row), int(column)): float(detail[row : row + high, column : column + wide].mean())
        for row, column in product(*steps)
    }
    whole = float(detail.mean())
    place = min(means, key=lambda at: abs(means[at] - whole))
    row, column = (at * COPY_STEP // 2 * 2 for at in place)
    return [_crop(frame, (row, column), window) for frame in stretch]


def _detail(stretch: Sequence[Frame]) -> np.ndarray:
    """Return how hard each place is to code: gradients and changes in time, on a small copy."""
    middle = len(stretch) // 2
    first, last = (stretch[i].y[::COPY_STEP, ::COPY_STEP].astype(np.float32) for i in (middle, -1))
    across, down = (cv2.Sobel(first, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    return np.abs(across) + np.abs(down) + 4 * np.abs(last - first)


def _crop(frame: Frame, place: tuple[int, int], window: tuple[int, int]) -> Frame:
    """Return the part of a frame at `place` (row, column) of the size `window` (height, width)."""
    (row, column), (high, wide) = place, window
    info = replace(frame.info, height=high, width=wide)
    half_high, half_wide = info.chroma_shape
    luma = frame.y[row : row + high, column : column + wide]
    chroma = (slice(row // 2, row // 2 + half_high), slice(column // 2, column // 2 + half_wide))
    y, cb, cr = (
        np.ascontiguousarray(plane) for plane in (luma, frame.cb[chroma], frame.cr[chroma])
    )
    return Frame(y, cb, cr, pts=frame.pts, info=info)
