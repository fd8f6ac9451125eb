"""What a file shows at the time of each frame of its clip: quality, sharpness, differences.

`interpolation` compares files by it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean

import numpy as np

import tinct
from tinct.decoder.damage import Damage
from tinct.evaluation.aggregates import find_worst_frame
from tinct.frames import Frame
from tinct.media.source import open_source
from tinct.psnr import Psnr, squared_error

TIME_TOLERANCE_SECONDS = 0.001  # Matroska's times are whole milliseconds


@dataclass(frozen=True, kw_only=True)
class ShownFrame:
    """A decoded frame beside its original.

    `tick` is its own time in the file, `planes_db` are PSNR of Y, Cb and Cr, `digest` is a hash of
    its planes, `energy` the gradient energy of its luma, `source_energy` that of the original.
    """

    tick: int
    planes_db: tuple[float, float, float]
    digest: bytes
    energy: float
    source_energy: float

    @property
    def luma_db(self) -> float:
        """Return PSNR-Y."""
        return self.planes_db[0]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """All that a file shows, a frame for each frame of the clip, and what the decoder missed."""

    frames: Sequence[ShownFrame]
    damage: Damage

    @property
    def luma_db(self) -> list[float]:
        """Return PSNR-Y of each frame."""
        return [frame.luma_db for frame in self.frames]

    @property
    def mean_db(self) -> float:
        """Return the mean of the frames' PSNR-Y."""
        return fmean(self.luma_db)

    @property
    def worst_frame_db(self) -> float:
        """Return how far PSNR-Y of the worst frame lies below that of the median frame, in dB."""
        return find_worst_frame(self.luma_db)


def show_file(path: Path, clip: Path) -> Shown:
    """Decode a file, Tinct's or any other, and compare it with its clip."""
    video = tinct.open(str(path))
    times = [frame.pts_seconds for frame in open_source(str(clip))]
    pairs = zip(open_source(str(clip)), hold_frames(video, times), strict=True)
    frames = [_compare(original, frame) for original, frame in pairs]
    return Shown(frames=frames, damage=video.damage)


def hold_frames(frames: Iterable[Frame], times: Iterable[float]) -> Iterator[Frame]:
    """Yield the frame that is on screen at each of the ascending `times`, in seconds.

    Before the first frame that is the first one. Frames after the last time are read as well, so
    that a decoder has counted all damage.
    """
    ahead = iter(frames)
    shown, following = next(ahead), next(ahead, None)
    for time in times:
        while following is not None and following.pts_seconds <= time + TIME_TOLERANCE_SECONDS:
            shown, following = following, next(ahead, None)
        yield shown
    deque(ahead, maxlen=0)


def _compare(original: Frame, frame: Frame) -> ShownFrame:
    height, width = original.y.shape
    planes = (frame.y, frame.cb, frame.cr)
    pairs = zip((original.y, original.cb, original.cr), planes, strict=True)
    y, cb, cr = (Psnr.of([squared_error(*pair, original.info.bit_depth)]).mean_db for pair in pairs)
    return ShownFrame(
        tick=frame.pts,
        planes_db=(y, cb, cr),
        digest=sha256(b"".join(plane.tobytes() for plane in planes)).digest(),
        energy=measure_gradient_energy(frame.y[:height, :width]),
        source_energy=measure_gradient_energy(original.y),
    )


def measure_gradient_energy(luma: np.ndarray) -> float:
    """Return the mean squared difference of samples side by side and one above the other."""
    differences = [np.diff(luma.astype(np.float64), axis=axis).ravel() for axis in (0, 1)]
    return float(np.mean(np.square(np.concatenate(differences))))


def relate_energies(frames: Sequence[ShownFrame]) -> float | None:
    """Return the frames' gradient energy as a share of their originals'; None where that is 0."""
    source = sum(frame.source_energy for frame in frames)
    return sum(frame.energy for frame in frames) / source if source else None
