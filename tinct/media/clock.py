"""One clock for files whose own restarts or jumps: recordings joined end to end, cells of a DVD.

MPEG-TS and MPEG-PS have no index: each part brings its own times. The parts are put one behind the
other, by one offset for picture and sound, so that these stay in step. `demux` corrects packets.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from av.packet import Packet

DISCONTINUOUS_FORMATS = ("mpegts", "mpeg")
# FFmpeg's program takes the same steps for a jump.
MAX_BACK_SECONDS = Fraction(1, 10)  # within one stream
MAX_AHEAD_SECONDS = 10  # from all streams


@dataclass(frozen=True)
class Clock:
    """Offsets in seconds that make times continuous.

    `changes` lists for each stream, by index, from which position in the file on which offset
    holds: packets of two streams stand in each other's parts.
    """

    changes: Mapping[int, tuple[tuple[int, ...], tuple[Fraction, ...]]]

    @property
    def jumps(self) -> bool:
        return bool(self.changes)

    def correct(self, packet: "Packet[Any]", position: int) -> None:
        """Move a packet's times; `position` is its own, or that of its stream's last with one."""
        positions, offsets = self.changes.get(packet.stream_index, ((), ()))
        change = bisect_right(positions, position) - 1
        if change < 0:
            return
        ticks = round(offsets[change] / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks


STEADY = Clock({})


@dataclass
class _Part:
    """A part of a file with one clock: its first and last time in seconds."""

    first: Fraction
    last: Fraction


@dataclass
class _Stream:
    """Where a stream stands: its part, its last decoding time, and where its parts begin."""

    part: int
    decoded: Fraction
    begins: list[tuple[int, int]]  # position, part


def find_clock(packets: "Iterable[Packet[Any]]") -> Clock:
    """Return the clock of a file by all of its packets, in the order of the file."""
    parts: list[_Part] = []
    streams: dict[int, _Stream] = {}
    positions = Positions()
    for packet in packets:
        position = positions.find(packet)
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            continue
        decoded = stamp * packet.time_base
        shown = (packet.pts if packet.pts is not None else stamp) * packet.time_base
        ends = shown + (packet.duration or 0) * packet.time_base
        stream = streams.get(packet.stream_index)
        if stream is None:
            part = max(len(parts) - 1, 0)
            stream = streams[packet.stream_index] = _Stream(part, decoded, [(position, part)])
        elif _is_jump(decoded, stream, streams.values()):
            stream.part += 1
            stream.begins.append((position, stream.part))
        stream.decoded = decoded
        if stream.part == len(parts):
            parts.append(_Part(shown, ends))
        about = parts[stream.part]
        about.first, about.last = min(about.first, shown), max(about.last, ends)
    return _join(parts, streams)


def _is_jump(decoded: Fraction, stream: _Stream, streams: Iterable[_Stream]) -> bool:
    latest = max(other.decoded for other in streams if other.part == stream.part)
    is_back = decoded < stream.decoded - MAX_BACK_SECONDS
    return is_back or decoded > latest + MAX_AHEAD_SECONDS


def _join(parts: list[_Part], streams: Mapping[int, _Stream]) -> Clock:
    """Return the clock that puts each part behind the one before."""
    if len(parts) < 2:
        return STEADY
    offsets = [Fraction(0)]
    for before, part in pairwise(parts):
        offsets.append(before.last + offsets[-1] - part.first)
    return Clock(
        {
            index: (
                tuple(position for position, _ in stream.begins),
                tuple(offsets[part] for _, part in stream.begins),
            )
            for index, stream in streams.items()
        }
    )


class Positions:
    """Where in the file packets stand: several in a row may share one that only the first knows."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def find(self, packet: "Packet[Any]") -> int:
        known = self._last.get(packet.stream_index, 0)
        position = known if packet.pos is None else max(known, packet.pos)
        self._last[packet.stream_index] = position
        return position
