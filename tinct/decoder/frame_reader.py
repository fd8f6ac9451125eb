"""Frames of a video by their number: decoded on from the last one, or entered anew."""

from collections.abc import Callable, Generator

import numpy as np

from tinct.errors import CodecError
from tinct.frames import Frame


class FrameReader:
    """Reads frames by number, at the sorted `ticks` that they have.

    `read_from` opens the frames from a number on, at the entry point before it. Up to `ahead`
    frames are passed over where that takes less time than to enter anew. One thread may read at a
    time.
    """

    def __init__(
        self,
        ticks: np.ndarray,
        read_from: Callable[[int], Generator[Frame, None, None]],
        *,
        ahead: int,
    ) -> None:
        self.ticks, self._read_from, self._ahead = ticks, read_from, ahead
        self._frames: Generator[Frame, None, None] | None = None
        self._next = 0  # the number that `_frames` gives next
        self._latest: tuple[int, Frame] | None = None

    def read(self, number: int) -> Frame:
        """Return frame `number`, from 0. Raise CodecError where it is lost."""
        if self._latest is not None and self._latest[0] == number:
            return self._latest[1]
        if self._frames is None or not 0 <= number - self._next <= self._ahead:
            self.close()
            self._frames = self._read_from(number)
        tick = int(self.ticks[number])
        frame = next((frame for frame in self._frames if frame.pts >= tick), None)
        if frame is None or frame.pts > tick:
            self.close()
            raise CodecError(f"expected frame {number} to decode, found it lost")
        self._next, self._latest = number + 1, (number, frame)
        return frame

    def close(self) -> None:
        """End the decoding under way."""
        if self._frames is not None:
            self._frames.close()
        self._frames = self._latest = None
