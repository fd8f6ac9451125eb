"""Bounds on MP4 and QuickTime files, checked before FFmpeg opens them.

FFmpeg holds an entry of its index for each sample that a file's tables name, and a table may name
thousands of millions in a few bytes. Here the boxes are walked in FFmpeg's way, and what their
tables name is compared with the size of the file. A file of another format has no such boxes.
"""

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from tinct.errors import CodecError
from tinct.limits import EQUAL_SAMPLE_BYTES, SPARE_TABLE_BYTES, max_boxes

# Boxes in which FFmpeg looks for boxes, wherever they stand.
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"ilst"}
_CONTAINERS |= {b"wave", b"moof", b"traf", b"mvex", b"mfra", b"tref", b"sinf", b"schi"}
_CONTAINERS |= {b"iprp", b"ipco"}
_MAX_DEPTH = 12  # FFmpeg refuses a file that goes deeper than 10
# Bytes of an entry in tables of entries, whose number stands behind version and flags.
_ENTRY_BYTES = {b"stts": 8, b"ctts": 8, b"stsc": 12, b"stco": 4, b"co64": 8}
_ENTRY_BYTES |= {b"stss": 4, b"stps": 4, b"keys": 8}
_TRUN_FIELDS = 0xF00  # flags of the fields, of 4 bytes each, that each sample of a run has
# Pictures of one size count with their bytes, not with 8 each: where an edit list shows few of them
# the time of FFmpeg's seek grows with the square of their number, a minute for half a million. The
# bytes have a bound, so that a file of uncompressed video that was cut off is still read.
_MAX_EQUAL_BYTES = 256
_SOUND_UNITS = 160  # samples of sound, at least, that share an entry of FFmpeg's index
_MEDIA_HANDLERS = (b"vide", b"soun", b"m1a ", b"subp", b"clcp")
_MAX_DESCRIPTION_BYTES = 1 << 24  # of a track's sample descriptions; colour profiles take 1 MB
_CHUNK_BYTES = 120 << 13  # read at a time: a multiple of the bytes of all entries


@dataclass(frozen=True)
class Box:
    """A box: its kind, and where in the file its payload lies."""

    kind: bytes
    start: int
    end: int


def walk_boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two positions in a file, as far as they are well formed."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        size, width = int.from_bytes(head[:4], "big"), 8
        if size == 1 and start + 16 <= end:
            size, width = int.from_bytes(head[8:16], "big"), 16
        is_last = size == width - 8  # no size: the box ends where the one around it ends
        if not is_last and not width <= size < 1 << 63:
            return
        stop = end if is_last else min(start + size, end)
        yield Box(head[4:8], start + width, stop)
        start = stop


@dataclass
class _Track:
    """What the tables of a track name."""

    samples: int = 0
    equal_samples: int = 0  # those of one size, which has no table
    equal_bytes: int = 0  # what they take in the file, up to _MAX_EQUAL_BYTES each
    chunks: int = 0
    largest_chunk: int = 0  # samples
    edits: int = 0
    handlers: set[bytes] = field(default_factory=set)
    has_unit_times: bool = True  # every sample lasts one tick, as in uncompressed sound

    def count_bytes(self) -> int:
        """Return the bytes that a file needs to name so many entries of FFmpeg's index."""
        unlisted = self.equal_samples
        if self.has_unit_times and self.handlers == {b"soun"}:
            unlisted = max(unlisted, self.chunks * self.largest_chunk) // _SOUND_UNITS
        repeated = max(0, self.edits - 1) * (self.samples + unlisted)
        listed = EQUAL_SAMPLE_BYTES * (unlisted + repeated)
        return listed if self.handlers == {b"soun"} else max(listed, self.equal_bytes)


class _Tables:
    """Adds up what the tables of one file name. Raises CodecError where that is out of bounds."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self._path = path
        self._most = size_bytes + SPARE_TABLE_BYTES
        self._most_boxes = max_boxes(size_bytes)
        self._boxes = self._needed = self._tracks = self._fragments = 0
        self._track = _Track()
        self._readers: dict[bytes, Callable[[BinaryIO, Box], None]] = {
            b"stsz": self._read_sizes,
            b"stz2": self._read_sizes,
            b"stts": self._read_times,
            b"stsc": self._read_chunks,
            b"stco": self._read_offsets,
            b"co64": self._read_offsets,
            b"elst": self._read_edits,
            b"hdlr": self._read_handler,
            b"trun": self._read_run,
            b"sidx": self._read_fragments,
            b"tfra": self._read_fragments,
            b"sbgp": self._read_groups,
            b"sgpd": self._read_group_kinds,
            b"iinf": self._read_items,
            b"iloc": self._read_items,
            b"keys": self._read_keys,
        }

    def walk(self, file: BinaryIO, outer: Box, depth: int = 0) -> None:
        """Read the tables in a box, and in the boxes inside it."""
        for box in walk_boxes(file, outer.start, outer.end):
            self._boxes += 1
            if self._boxes > self._most_boxes:
                raise CodecError(
                    f"expected at most {self._most_boxes:,} boxes in a file of this size, "
                    f"found more in {self._path}; get the file again"
                )
            if depth < _MAX_DEPTH and (box.kind != b"keys" or outer.kind == b"meta"):
                self._read(file, box, depth)

    def finish(self) -> None:
        """Count what is known only when every track and fragment has been read."""
        self._need(self._track.count_bytes())
        self._need(EQUAL_SAMPLE_BYTES * self._fragments * self._tracks)

    def _read(self, file: BinaryIO, box: Box, depth: int) -> None:
        if box.kind in _ENTRY_BYTES:
            self._need(_read_number(file, box.start + 4) * _ENTRY_BYTES[box.kind])
        if box.kind in self._readers:
            self._readers[box.kind](file, box)
        elif box.kind in _CONTAINERS or _is_hidden_movie(file, box):
            self.walk(file, box, depth + 1)
        elif box.kind == b"meta":
            self.walk(file, _find_metadata(file, box), depth + 1)
        elif box.kind == b"stsd":
            self._read_descriptions(file, box, depth)
        elif box.kind == b"cmov":
            self._read_compressed(file, box, depth)
        self._fragments += box.kind == b"moof"
        if box.kind == b"trak":
            self._need(self._track.count_bytes())
            self._track = _Track()
            self._tracks += 1

    def _need(self, count: int) -> None:
        self._needed += count
        if self._needed > self._most:
            raise CodecError(
                "expected tables of samples that fit the size of the file, "
                f"found tables that need {self._needed:,} bytes in {self._path}; get the file again"
            )

    # ── tables ───────────────────────────────────────────────────────────────────────────────────

    def _read_sizes(self, file: BinaryIO, box: Box) -> None:
        size, count = (_read_number(file, box.start + at) for at in (4, 8))
        if box.kind == b"stsz" and size:
            self._track.equal_samples += count
            self._track.equal_bytes += count * min(size, _MAX_EQUAL_BYTES)
        else:
            self._need(4 * count)
            self._track.samples += count

    def _read_times(self, file: BinaryIO, box: Box) -> None:
        entries, _, ticks = (_read_number(file, box.start + at) for at in (4, 8, 12))
        self._track.has_unit_times &= (entries, ticks) == (1, 1)

    def _read_chunks(self, file: BinaryIO, box: Box) -> None:
        count = _read_number(file, box.start + 4)
        for rows in _read_rows(file, box.start + 8, count=count, row_bytes=12):
            largest = int(rows.view(">u4")[:, 1].max())
            self._track.largest_chunk = max(self._track.largest_chunk, largest)

    def _read_offsets(self, file: BinaryIO, box: Box) -> None:
        self._track.chunks += _read_number(file, box.start + 4)

    def _read_edits(self, file: BinaryIO, box: Box) -> None:
        """Count the edits that show samples; FFmpeg takes their number from the box's size."""
        file.seek(box.start)
        is_long = file.read(1) == b"\1"
        row_bytes, time = (20, slice(8, 16)) if is_long else (12, slice(4, 8))
        count = max(0, box.end - box.start - 8) // row_bytes
        self._need(count * row_bytes)
        for rows in _read_rows(file, box.start + 8, count=count, row_bytes=row_bytes):
            self._track.edits += int((rows[:, time] != 255).any(axis=1).sum())  # -1: a pause

    def _read_groups(self, file: BinaryIO, box: Box) -> None:
        """Count the samples in runs of key frames, which FFmpeg lists one by one."""
        file.seek(box.start)
        head = file.read(12)
        if head[4:8] != b"sync":
            return
        start = box.start + (12 if head[:1] == b"\1" else 8)
        count = _read_number(file, start)
        self._need(8 * count)
        for rows in _read_rows(file, start + 4, count=count, row_bytes=8):
            self._need(4 * int(rows.view(">u4")[:, 0].sum(dtype=np.int64)))

    def _read_group_kinds(self, file: BinaryIO, box: Box) -> None:
        file.seek(box.start)
        head = file.read(8)
        if head[4:] == b"sync":
            self._need(_read_number(file, box.start + (12 if head[0] else 8)))

    def _read_items(self, file: BinaryIO, box: Box) -> None:
        """Count the pictures of a file of stills; small numbers have 16 bits."""
        version, place = _read_number(file, box.start) >> 24, 4 if box.kind == b"iinf" else 6
        if version > (1 if box.kind == b"iloc" else 0):
            self._need(EQUAL_SAMPLE_BYTES * _read_number(file, box.start + place))

    def _read_handler(self, file: BinaryIO, box: Box) -> None:
        file.seek(box.start + 8)
        handler = file.read(4)
        if handler in _MEDIA_HANDLERS:
            self._track.handlers.add(handler)

    def _read_run(self, file: BinaryIO, box: Box) -> None:
        flags, count = (_read_number(file, box.start + at) for at in (0, 4))
        self._need(count * (4 * (flags & _TRUN_FIELDS).bit_count() or EQUAL_SAMPLE_BYTES))

    def _read_fragments(self, file: BinaryIO, box: Box) -> None:
        """Count the fragments of an index by the bytes that their entries take at least."""
        self._fragments += (box.end - box.start) // (12 if box.kind == b"sidx" else 11)

    # ── boxes of a form of their own ─────────────────────────────────────────────────────────────

    def _read_descriptions(self, file: BinaryIO, box: Box, depth: int) -> None:
        """Read tables among sample descriptions, where boxes begin at places of all kinds."""
        if box.end - box.start > _MAX_DESCRIPTION_BYTES:
            raise CodecError(
                f"expected at most {_MAX_DESCRIPTION_BYTES:,} bytes of sample descriptions, "
                f"found {box.end - box.start:,} in {self._path}; get the file again"
            )
        file.seek(box.start)
        data = file.read(box.end - box.start)
        for kind in (*self._readers, *_ENTRY_BYTES.keys() - self._readers.keys(), b"cmov"):
            place = data.find(kind, data.find(b"meta") if kind == b"keys" else 0)
            while place >= 0 and (kind != b"keys" or b"meta" in data):
                self._boxes += 1
                self._read(file, Box(kind, box.start + place + 4, box.end), depth + 1)
                place = data.find(kind, place + 1)

    def _read_compressed(self, file: BinaryIO, box: Box, depth: int) -> None:
        """Read the tables of a compressed movie: `dcom` with "zlib", and `cmvd` with size, data."""
        size = _read_number(file, box.start + 20)
        self._need(box.end - box.start + size)
        data = file.read(max(0, box.end - box.start - 24))
        try:
            movie = zlib.decompressobj().decompress(data, size or 1)
        except zlib.error:
            return  # which FFmpeg refuses
        self.walk(io.BytesIO(movie), Box(b"moov", 0, len(movie)), depth + 1)

    def _read_keys(self, file: BinaryIO, box: Box) -> None:
        """Count the bytes that FFmpeg takes for names of metadata, whatever their box holds."""
        place = box.start + 8
        for _ in range(_read_number(file, box.start + 4)):
            size = _read_number(file, place)
            if size < 8:
                return
            self._need(size)
            place += size


def check_tables(path: str) -> None:
    """Refuse an MP4 or QuickTime file whose tables name more than a file of its size can hold."""
    with open(path, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        tables = _Tables(path, size)
        tables.walk(file, Box(b"", 0, size))
        tables.finish()


def _read_number(file: BinaryIO, place: int) -> int:
    """Return the 32-bit number at a place, 0 behind the end of the file."""
    file.seek(place)
    return int.from_bytes(file.read(4), "big")


def _read_rows(file: BinaryIO, start: int, *, count: int, row_bytes: int) -> Iterator[np.ndarray]:
    """Yield the whole entries of a table as bytes [n, row_bytes], a part of the table at a time."""
    file.seek(start)
    left = count * row_bytes
    while left and (data := file.read(min(left, _CHUNK_BYTES // row_bytes * row_bytes))):
        left -= len(data)
        if rows := len(data) // row_bytes:
            yield np.frombuffer(data, np.uint8, rows * row_bytes).reshape(rows, row_bytes)


def _is_hidden_movie(file: BinaryIO, box: Box) -> bool:
    """Return whether FFmpeg takes a box of free space for the movie, as some editors leave it."""
    if box.kind not in (b"free", b"hoov"):
        return False
    file.seek(box.start + 4)
    return file.read(4) in (b"mvhd", b"cmov")


def _find_metadata(file: BinaryIO, box: Box) -> Box:
    """Return the part of a `meta` box that FFmpeg reads: from the first aligned `hdlr` on."""
    file.seek(box.start)
    place = box.start
    while data := file.read(min(_CHUNK_BYTES, box.end - place)):
        at = data.find(b"hdlr")
        while at % 4 and at >= 0:
            at = data.find(b"hdlr", at + 1)
        if at >= 0:
            return Box(b"meta", place + at - 4, box.end)
        place += len(data)
    return Box(b"meta", box.end, box.end)
