"""One clock for files whose own restarts or jumps: recordings joined end to end, cells of a DVD.

MPEG-TS and MPEG-PS have no index: each part brings its own times. The parts are put one behind the
other, by one offset for picture and sound, so that these stay in step. `demux` corrects packets.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappush, heappushpop
from itertools import pairwise
from typing import Any, NamedTuple

from av.packet import Packet

DISCONTINUOUS_FORMATS = ("mpegts", "mpeg")
# FFmpeg's program takes the same steps for a jump.
_TICKS = 90_000  # a second of these formats; all times here are such ticks
MAX_BACK = _TICKS // 10  # within one stream
MAX_AHEAD = 10 * _TICKS  # from all streams
MAX_SILENCE = 5 * _TICKS  # streams of one part begin nearer to each other than that
_WINDOW = 512  # packets by which the order of reading differs from that of the file


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


class _Place(NamedTuple):
    """A packet: its position in the file, by which it is sorted, and its times.

    `length` is 0 where the file does not say.
    """

    position: int
    stream_index: int
    decoded: int
    shown: int
    length: int


@dataclass
class _Part:
    """A part of a file with one clock: where it begins, and its first and last time."""

    begin: int
    first: int
    last: int


@dataclass
class _Stream:
    """Where a stream stands: its part, its last packet, and where its parts begin."""

    part: int
    last: _Place
    begins: list[tuple[int, int]]  # position, part


def find_clock(packets: "Iterable[Packet[Any]]") -> Clock:
    """Return the clock of a file by all of its packets, in the order of the file."""
    parts: list[_Part] = []
    streams: dict[int, _Stream] = {}
    for place in _sort_packets(packets):
        stream = streams.get(place.stream_index)
        if stream is None:
            part = max(len(parts) - 1, 0)
            stream = streams[place.stream_index] = _Stream(part, place, [(place.position, part)])
        else:
            part = _find_part(place, stream, streams=streams.values(), parts=parts)
            if part != stream.part:
                stream.begins.append((place.position, part))
            stream.part, stream.last = part, place
        if part == len(parts):
            parts.append(_Part(place.position, place.shown, place.shown))
        about = parts[part]
        about.first = min(about.first, place.shown)
        about.last = max(about.last, place.shown + place.length)
    return _join(parts, streams)


def _sort_packets(packets: "Iterable[Packet[Any]]") -> Iterator[_Place]:
    """Yield the places of packets as they stand in the file; long ones are read late."""
    positions = Positions()
    scales: dict[int, Fraction] = {}  # of a stream's times to ticks
    window: list[_Place] = []
    for packet in packets:
        stamp = packet.dts if packet.dts is not None else packet.pts
        position = positions.find(packet)
        if stamp is None:
            continue
        index = packet.stream_index
        if index not in scales:
            scales[index] = packet.time_base * _TICKS
        up, down = scales[index].as_integer_ratio()
        place = _Place(
            position=position,
            stream_index=index,
            decoded=stamp * up // down,
            shown=(packet.pts if packet.pts is not None else stamp) * up // down,
            length=(packet.duration or 0) * up // down,
        )
        if len(window) < _WINDOW:
            heappush(window, place)
        else:
            yield heappushpop(window, place)
    yield from sorted(window)


def _find_part(
    place: _Place, stream: _Stream, *, streams: Iterable[_Stream], parts: Sequence[_Part]
) -> int:
    """Return the part of a stream's next packet, which is a new one at the first jump into it.

    A part may lack a stream, as cells of a DVD without sound do: what counts is where in the file
    a packet stands.
    """
    newest = len(parts) - 1
    if stream.part == newest:
        return newest + _is_jump(place, stream, streams)
    missed = parts[stream.part + 1]
    was_silent = stream.last.position < missed.begin
    is_late = was_silent and missed.last - missed.first > MAX_SILENCE
    if not (is_late or _is_jump(place, stream, streams)):
        return stream.part
    is_behind = place.decoded < parts[newest].last - MAX_SILENCE
    return newest + is_behind


def _is_jump(place: _Place, stream: _Stream, streams: Iterable[_Stream]) -> bool:
    peers = (other.last for other in streams if other.part == stream.part)
    latest = max(last.decoded + last.length for last in peers)
    is_back = place.decoded < stream.last.decoded - MAX_BACK
    return is_back or place.decoded > latest + MAX_AHEAD


def _join(parts: list[_Part], streams: Mapping[int, _Stream]) -> Clock:
    """Return the clock that puts each part behind the one before."""
    if len(parts) < 2:
        return STEADY
    offsets = [0]
    for before, part in pairwise(parts):
        offsets.append(before.last + offsets[-1] - part.first)
    return Clock(
        {
            index: (
                tuple(position for position, _ in stream.begins),
                tuple(Fraction(offsets[part], _TICKS) for _, part in stream.begins),
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
