"""First pass over a video: its shots, what is new in each frame, and the frames worth colouring.

`motion.shots` finds the cuts; `propagation` makes the second pass.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tinct.frames import Frame
from tinct.motion.shots import scan_frames

RENEWAL = 1.0  # novelty from a frame to its nearest key frame above which `auto` adds a key frame
MARGIN = 2  # frames not chosen at both ends of a shot: a cut often mixes a frame of both sides
STILL_NOVELTY = 1e-4  # added to each frame's novelty, so that a still shot is divided by time alone


@dataclass(frozen=True)
class VideoAnalysis:
    """What the first pass found.

    `ticks` [frames] are the times of all frames that decode, in units of `time_base`. `starts` are
    the numbers of each shot's first frame. `novelty` [frames] is the share of a frame's luma
    variance that motion from the frame before does not explain, 0 where a shot starts.
    """

    ticks: np.ndarray
    starts: tuple[int, ...]
    novelty: np.ndarray

    @property
    def shots(self) -> list[range]:
        """Frame numbers of each shot."""
        stops = [*self.starts[1:], len(self.ticks)]
        return [range(first, stop) for first, stop in zip(self.starts, stops, strict=True)]

    def find_shot(self, number: int) -> range:
        """Return the shot that frame `number` belongs to."""
        return next(shot for shot in self.shots if number in shot)

    def find_shots_without(self, numbers: Sequence[int]) -> list[range]:
        """Return the shots that have none of the frames `numbers`."""
        return [shot for shot in self.shots if not any(number in shot for number in numbers)]


def analyse_video(frames: Iterable[Frame], on_frame: Callable[[int, Frame], None]) -> VideoAnalysis:
    """Find shots and novelty in one pass; `on_frame` is called with each frame and its number."""
    ticks, starts, novelty = [], [], []
    for number, scanned in enumerate(scan_frames(frames)):
        ticks.append(scanned.frame.pts)
        if number == 0 or scanned.starts_shot:
            starts.append(number)
        novelty.append(0.0 if scanned.starts_shot else scanned.unpredicted)
        on_frame(number, scanned.frame)
    return VideoAnalysis(np.array(ticks, np.int64), tuple(starts), np.array(novelty))


def choose_keyframes(analysis: VideoAnalysis, count: int | None = None) -> list[int]:
    """Return the numbers of the frames whose colour serves most other frames, sorted.

    Without `count` there are as many as it takes for no frame to differ too much from its nearest
    key frame. Each shot first gets one key frame, long shots before short ones; each further key
    frame goes to the shot where it lowers the difference to the nearest key frame most.
    """
    shots = sorted(analysis.shots, key=len, reverse=True)
    if count is not None and count < len(shots):
        return sorted(number for shot in shots[:count] for number in spread_frames(analysis, shot))
    total = min(count, len(analysis.ticks)) if count is not None else None
    keys = dict.fromkeys(shots, 1)
    gains = [(-_estimate_gain(analysis, shot, 1), shot.start, shot) for shot in shots]
    heapq.heapify(gains)
    while gains and (total is None or sum(keys.values()) < total):
        _, _, shot = heapq.heappop(gains)
        near_enough = _sum_novelty(analysis, shot) / keys[shot] <= 2 * RENEWAL
        if keys[shot] >= len(shot) or (total is None and near_enough):
            continue
        keys[shot] += 1
        gain = _estimate_gain(analysis, shot, keys[shot])
        heapq.heappush(gains, (-gain, shot.start, shot))
    chosen = [spread_frames(analysis, shot, several) for shot, several in keys.items()]
    return sorted(number for numbers in chosen for number in numbers)


def spread_frames(analysis: VideoAnalysis, shot: range, count: int = 1) -> list[int]:
    """Return `count` frames of a shot with equal novelty between them, half of it at both ends."""
    change = np.cumsum(analysis.novelty[shot.start : shot.stop] + STILL_NOVELTY)
    free = min(MARGIN, (len(shot) - count) // 2)
    wanted = (np.arange(count) + 0.5) / count * change[-1]
    places = np.clip(np.searchsorted(change, wanted), free, len(shot) - 1 - free)
    for i in range(1, count):  # no two chosen frames are the same
        places[i] = max(places[i], places[i - 1] + 1)
    for i in range(count - 1, -1, -1):
        places[i] = min(places[i], len(shot) - count + i)
    return [shot.start + int(place) for place in places]


def format_shots(shots: Sequence[range]) -> str:
    """Return shots as text for users, first and last frames: "0-95, 130-201"."""
    return ", ".join(f"{shot.start}-{shot.stop - 1}" for shot in shots)


def _sum_novelty(analysis: VideoAnalysis, shot: range) -> float:
    return float(analysis.novelty[shot.start : shot.stop].sum())


def _estimate_gain(analysis: VideoAnalysis, shot: range, count: int) -> float:
    """Estimate how far one key frame beyond `count` lowers the sum of novelty to the nearest one.

    With `count` evenly spread key frames the mean distance to the nearest is 1 / (4 count) of the
    shot, so one more lowers it by 1 / (4 count (count + 1)).
    """
    change = _sum_novelty(analysis, shot) + STILL_NOVELTY
    return change * len(shot) / (4 * count * (count + 1))
