"""Spools: the packets of each track on disk, until `muxer` writes the file."""

import heapq
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count, repeat
from typing import IO

import av
from av.container import InputContainer

from tinct.bitstream.codecs import BaseCodec
from tinct.bitstream.pictures import Packet


@dataclass
class Spool:
    """The packets of one track, on disk until the file is muxed.

    Memory does not grow with the video. `header` is the track's parameter sets, `base` what codes
    it. Packets that are made late go to `late_file`, in ascending order too, and are read between
    the others. `last_pts` is the latest time of a packet.
    """

    name: str
    header: bytes
    base: BaseCodec
    file: IO[bytes]
    late_file: IO[bytes] | None = None
    _sizes: list[int] = field(default_factory=lambda: [0, 0], repr=False)
    _first: bytes = field(default=b"", repr=False)
    last_pts: int = -1

    @property
    def size_bytes(self) -> int:
        """Return the bytes of all packets so far."""
        return sum(self._sizes)

    @property
    def late_bytes(self) -> int:
        """Return the bytes of the packets that were made late."""
        return self._sizes[1]

    def write(self, packets: list[Packet]) -> None:
        for packet in packets:
            self._first = self._first or packet.data
            self.last_pts = max(self.last_pts, packet.pts)
            _write_record(self.file, packet)
            self._sizes[0] += len(packet.data)

    def write_late(self, packet: Packet) -> None:
        """Take a packet that belongs before others; called from any one thread."""
        assert self.late_file is not None, "a track of which all packets come in order"
        _write_record(self.late_file, packet)
        self._sizes[1] += len(packet.data)

    def read(self) -> Iterator[Packet]:
        """Yield all packets in the order of decoding."""
        return self._number_entries(self._read_ordered())

    def _read_ordered(self) -> Iterator[Packet]:
        if self.late_file is None:
            return _read_records(self.file)
        parts = (_read_records(file) for file in (self.file, self.late_file))
        return heapq.merge(*parts, key=lambda packet: packet.dts)

    def _number_entries(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        """Yield packets of which the entry points are numbered in the order of the track."""
        numbers = count()
        for packet in packets:
            if not packet.keyframe:
                yield packet
                continue
            data = self.base.number_entry(self.header, packet.data, next(numbers))
            yield replace(packet, data=data)

    def open_template(self) -> InputContainer:
        """Open the header and the first picture, from which FFmpeg knows the track's properties.

        These are size, profile, colour tags and parameter sets.
        """
        data = io.BytesIO(self.base.join(self.header, self._first))
        container = av.open(data, "r", format=self.base.raw_format)
        assert isinstance(container, InputContainer)
        return container


_RECORD = struct.Struct("<qqBI")  # pts, dts, keyframe, length


def _write_record(file: IO[bytes], packet: Packet) -> None:
    file.write(_RECORD.pack(packet.pts, packet.dts, packet.keyframe, len(packet.data)))
    file.write(packet.data)


def _read_records(file: IO[bytes]) -> Iterator[Packet]:
    file.seek(0)
    while record := file.read(_RECORD.size):
        pts, dts, keyframe, length = _RECORD.unpack(record)
        yield Packet(data=file.read(length), pts=pts, dts=dts, keyframe=bool(keyframe))


def merge_spools(spools: list[Spool]) -> Iterator[tuple[str, Packet]]:
    """Yield the packets of all tracks in order of decoding time, each with its track's name."""
    return heapq.merge(
        *(zip(repeat(spool.name), spool.read()) for spool in spools), key=lambda item: item[1].dts
    )
