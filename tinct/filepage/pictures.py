"""The pictures of a file's page: a few frames as other players and as Tinct show them.

With the source they have it and the difference beside them, and the worst frame is among them.
"""

from array import array
from bisect import bisect_left
from collections.abc import Generator
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from tinct.decoder.video import Video
from tinct.frames import Frame
from tinct.media.source import open_source
from tinct.page import encode_webp

SPREAD = 4  # pictures evenly along the video, from its first frame on
EVERY_INTERPOLATED = 2  # every second of them is of an interpolated frame, where there are any
LONGEST_SIDE = 960  # pixels of a picture; larger ones are reduced
QUALITY = 85  # of WebP
GAIN = 4  # how many times a difference is enlarged; grey is none
CLOSE_SECONDS = 0.001  # times in Matroska are rounded to it


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One frame as WebP pictures; `other` is None without Tinct, the last two without a source."""

    number: int
    is_worst: bool
    decoded: bytes
    other: bytes | None
    source: bytes | None
    difference: bytes | None


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """One frame with what is shown beside it, not yet coded."""

    number: int
    decoded: Frame
    other: Frame | None
    source: Frame | None


class Album:
    """Keeps a few frames of a video while it is decoded. A context: it decodes the file beside.

    Memory does not grow with the video: frames about evenly along it are coded at once, and the
    worst one so far, in luma, is kept as it is.
    """

    def __init__(self, video: Video) -> None:
        frames = video.info.frame_count or 1
        self._places = sorted({n * frames // SPREAD for n in range(SPREAD)})
        self._player = None if video.manifest is None else Player(video.path)
        self._interpolated = array("q") if video.manifest is None else video.manifest.interpolated
        self._worst: tuple[float, _Candidate] | None = None
        self._shown: list[Shown] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._player is not None:
            self._player.close()

    def add(self, number: int, decoded: Frame, source: Frame | None, *, error: float) -> None:
        """Take the next frame; `error` is that of its luma, 0 without a source."""
        other = None if self._player is None else self._player.show(decoded.pts_seconds)
        one = _Candidate(number=number, decoded=decoded, other=other, source=source)
        if source is not None and (self._worst is None or error > self._worst[0]):
            self._worst = error, one
        if self._is_next(one):
            self._shown.append(_encode_frame(one, is_worst=False))

    def _is_next(self, one: _Candidate) -> bool:
        """Return whether a frame is the next of those evenly along the video."""
        count = len(self._shown)
        if count == len(self._places) or one.number < self._places[count]:
            return False
        wants_interpolated = bool(self._interpolated) and count % EVERY_INTERPOLATED > 0
        place = bisect_left(self._interpolated, one.decoded.pts)
        is_interpolated = self._interpolated[place : place + 1] == array("q", [one.decoded.pts])
        return is_interpolated == wants_interpolated

    def finish(self) -> list[Shown]:
        """Return the frames in order of time, the worst among them."""
        if self._worst is None:
            return self._shown
        worst = _encode_frame(self._worst[1], is_worst=True)
        others = [one for one in self._shown if one.number != worst.number]
        return sorted([*others, worst], key=lambda one: one.number)


class Player:
    """Shows a Tinct file as a player without Tinct does: the track that is its default."""

    def __init__(self, path: str) -> None:
        self._frames = self._open(path)
        self._now = self._next = next(self._frames, None)

    @staticmethod
    def _open(path: str) -> Generator[Frame, None, None]:
        yield from open_source(path)

    def close(self) -> None:
        """End the decoding."""
        self._frames.close()

    def show(self, seconds: float) -> Frame | None:
        """Return what is on the screen at a time, no earlier than the one asked for before."""
        while self._next is not None and self._next.pts_seconds <= seconds + CLOSE_SECONDS:
            self._now, self._next = self._next, next(self._frames, None)
        return self._now


def _encode_frame(one: _Candidate, *, is_worst: bool) -> Shown:
    shape = one.decoded.y.shape
    decoded = one.decoded.rgb()
    other = None if one.other is None else one.other.rgb()[: shape[0], : shape[1]]
    source = None if one.source is None else one.source.rgb()
    difference = None if source is None else _enlarge_difference(decoded, source)

    def encode(rgb: np.ndarray | None) -> bytes | None:
        if rgb is None:
            return None
        return encode_webp(_shrink(np.rot90(rgb, -one.decoded.info.rotation // 90)), QUALITY)

    coded = encode(decoded)
    assert coded is not None
    return Shown(
        number=one.number,
        is_worst=is_worst,
        decoded=coded,
        other=encode(other),
        source=encode(source),
        difference=encode(difference),
    )


def _enlarge_difference(decoded: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return the difference of two pictures GAIN times, about the middle of the range."""
    difference = decoded.astype(np.int16) - source
    return np.clip(128 + GAIN * difference, 0, 255).astype(np.uint8)


def _shrink(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(rgb)
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    return cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA)
