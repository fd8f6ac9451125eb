"""The first look over a video: where its shots begin, what is new in each frame, and which frames are worth colouring."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tinct.frames import Frame
from tinct.motion.shots import look

RENEWAL = (
    1.0  # of the picture's variance, new since the last key: then `auto` colours another frame
)
MARGIN = 2  # frames left free at both ends of a shot: cuts are often a frame of both


@dataclass(frozen=True)
class Survey:
    """`ticks` of every frame that decodes; `starts`, the number of each shot's first frame; `novelty`, by frame.

    Novelty is the share of a frame's variance that motion from the frame before does not explain, 0 where a shot starts.
    """

    ticks: np.ndarray
    starts: tuple[int, ...]
    novelty: np.ndarray

    @property
    def shots(self) -> list[range]:
        """The frames of each shot."""
        return [
            range(first, stop)
            for first, stop in zip(self.starts, [*self.starts[1:], len(self.ticks)], strict=True)
        ]

    def shot_of(self, number: int) -> range:
        return next(shot for shot in self.shots if number in shot)


def survey(frames: Iterable[Frame], each: Callable[[int, Frame], None]) -> Survey:
    """Look at all frames; `each` is given the number and the frame."""
    ticks, starts, novelty = [], [], []
    for number, seen in enumerate(look(frames)):
        ticks.append(seen.frame.pts)
        if number == 0 or seen.starts_shot:
            starts.append(number)
        novelty.append(0.0 if seen.starts_shot else seen.unpredicted)
        each(number, seen.frame)
    return Survey(np.array(ticks, np.int64), tuple(starts), np.array(novelty))


def worth_colouring(found: Survey, count: int | None = None) -> list[int]:
    """The frames whose colour reaches farthest: `count` of them, or as many as it takes for none to be too far from the next.

    Each shot has one first, the long shots before the short; then the shot where most changes between neighbours has one more.
    """
    shots = sorted(found.shots, key=len, reverse=True)
    if count is not None and count < len(shots):
        return sorted(number for shot in shots[:count] for number in spread(found, shot, 1))
    keys = dict.fromkeys(shots, 1)
    gains = [(-_gain(found, shot, 1), shot.start, shot) for shot in shots]
    heapq.heapify(gains)
    total = min(count, len(found.ticks)) if count is not None else None
    while gains and (total is None or sum(keys.values()) < total):
        _, _, shot = heapq.heappop(gains)
        if keys[shot] >= len(shot) or (
            total is None and _change(found, shot) / keys[shot] <= 2 * RENEWAL
        ):
            continue
        keys[shot] += 1
        heapq.heappush(gains, (-_gain(found, shot, keys[shot]), shot.start, shot))
    return sorted(
        number for shot, several in keys.items() for number in spread(found, shot, several)
    )


def spread(found: Survey, shot: range, count: int) -> list[int]:
    """`count` frames of a shot between which about as much changes, and half of that before the first and after the last."""
    change = np.cumsum(found.novelty[shot.start : shot.stop] + 1e-4)  # in a still shot, time alone
    free = min(MARGIN, (len(shot) - count) // 2)
    wanted = (np.arange(count) + 0.5) / count * change[-1]
    places = np.clip(np.searchsorted(change, wanted), free, len(shot) - 1 - free)
    for i in range(1, count):  # each its own
        places[i] = max(places[i], places[i - 1] + 1)
    for i in range(count - 1, -1, -1):
        places[i] = min(places[i], len(shot) - count + i)
    return [shot.start + int(place) for place in places]


def ranges_text(shots: Sequence[range]) -> str:
    """Shots as users read them: frames 0-95, 130-201."""
    return ", ".join(f"{shot.start}-{shot.stop - 1}" for shot in shots)


def _change(found: Survey, shot: range) -> float:
    return float(found.novelty[shot.start : shot.stop].sum())


def _gain(found: Survey, shot: range, count: int) -> float:
    """What one more key takes off the change between frames and their nearest key, summed over the shot."""
    return (_change(found, shot) + 1e-4) * len(shot) / (4 * count * (count + 1))
