"""Matroska's elements walked without reading what they hold: bounds before FFmpeg takes the memory, and the file's own checksums.

`demux` asks before it opens a file, `inspection` and `decoder` ask whether a file is as it was written; `matroska` writes.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

from tinct.errors import CodecError
from tinct.limits import (
    MAX_ATTACHMENTS,
    MAX_ELEMENTS,
    MAX_HEAD_BYTES,
    MAX_LIVE_ELEMENTS,
    MAX_MANIFEST_BYTES,
    MAX_TRACKS,
    MAX_UPDATE_BYTES,
)

EBML, SEGMENT, TRACKS, TRACK, CLUSTER, VOID, CRC = (
    0x1A45DFA3,
    0x18538067,
    0x1654AE6B,
    0xAE,
    0x1F43B675,
    0xEC,
    0xBF,
)
SEEK_HEAD, SEEK, SEEK_ID, SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
ATTACHMENTS, ATTACHED_FILE, FILE_NAME, FILE_DATA = 0x1941A469, 0x61A7, 0x466E, 0x465C
OWN_LIMITS = {
    "tinct.json": MAX_MANIFEST_BYTES,
    "update.bin": MAX_UPDATE_BYTES,
}  # by attachment, bytes
_AFTER_CLUSTER = {  # what ends one of unknown size: all that may stand beside it
    CLUSTER, SEEK_HEAD, TRACKS, ATTACHMENTS, 0x1549A966, 0x1C53BB6B, 0x1254C367, 0x1043A770,
}  # fmt: skip
_CHECKED = (TRACKS, ATTACHMENTS, CLUSTER)  # what a decoder reads
_CHUNK_BYTES = 1 << 20
MAX_FIELDS, MAX_NAME_BYTES = (
    32,
    16,
)  # of an attachment, that are looked at: its own names are shorter


@dataclass(frozen=True)
class Element:
    """One element: `identity` with its length marker, and where in the file its payload lies. Not `sized`: to the end of all."""

    identity: int
    start: int
    end: int
    sized: bool = True


def elements(file: BinaryIO, start: int, end: int) -> Iterator[Element]:
    """The elements between two places in a file, as far as they are well formed; one of unknown size reaches to the end."""
    while start < end:
        file.seek(start)
        head = file.read(12)
        width = 9 - head[0].bit_length() if head else 9
        if width > 4 or len(head) <= width:
            return
        identity = int.from_bytes(head[:width], "big")
        sized = 9 - head[width].bit_length()
        if sized > 8 or len(head) < width + sized:
            return
        size = int.from_bytes(head[width : width + sized], "big") - (1 << 7 * sized)
        start += width + sized
        unknown = size == (1 << 7 * sized) - 1
        stop = end if unknown else min(start + size, end)
        yield Element(identity, start, stop, not unknown)
        start = stop


def elements_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Identity and payload of each element in memory."""
    return ((e.identity, data[e.start : e.end]) for e in elements(io.BytesIO(data), 0, len(data)))


def parts(file: BinaryIO) -> list[Element]:
    """The parts of a Matroska file's segment; none of any other file. Raises CodecError where they are too many."""
    segment = _segment(file)
    if segment is None:
        return []
    found = list(islice(_parts(file, segment.start, segment.end), MAX_ELEMENTS + 1))
    _check_count("elements", len(found), MAX_ELEMENTS)
    return found


def _segment(file: BinaryIO) -> Element | None:
    outer = islice(elements(file, 0, file.seek(0, io.SEEK_END)), MAX_ELEMENTS)
    if getattr(next(outer, None), "identity", None) != EBML:
        return None
    return next((element for element in outer if element.identity == SEGMENT), None)


def _parts(file: BinaryIO, start: int, end: int) -> Iterator[Element]:
    """The elements of a segment; a cluster of unknown size, as live recorders write, ends where the next part begins."""
    walked = 0
    while start < end:
        begun, start = start, end
        for part in elements(file, begun, end):  # one of unknown size is its last
            if part.identity == CLUSTER and not part.sized:
                start = part.start
                for inner in elements(file, part.start, end):
                    if inner.identity in _AFTER_CLUSTER:
                        break
                    walked += 1
                    _check_count("elements in clusters of unknown size", walked, MAX_LIVE_ELEMENTS)
                    start = inner.end
                yield replace(part, end=start)
            else:
                yield part


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise CodecError(
            f"expected at most {most:,} {what} in a file, found {count:,} or more; no recorder writes so many"
        )


def check_bounds(path: str) -> None:
    """Refuse a Matroska file that would take more memory to open than any recorder's. Reads a few bytes of each part."""
    counts = {TRACK: 0, ATTACHED_FILE: 0}
    walked = 0
    with open(path, "rb", buffering=0) as file:
        segment, found = _segment(file), parts(file)
        starts = {part.end for part in found} | ({segment.start} if segment is not None else set())
        for part in found:
            for inner in (
                elements(file, part.start, part.end)
                if part.identity in (SEEK_HEAD, TRACKS, ATTACHMENTS)
                else ()
            ):
                walked += 1
                counts[inner.identity] = counts.get(inner.identity, 0) + 1
                _check_count("elements", walked, MAX_ELEMENTS)
                if inner.identity == SEEK and segment is not None:
                    _check_seek(file, inner, segment, starts, path)
                if inner.identity == ATTACHED_FILE and counts[ATTACHED_FILE] <= MAX_ATTACHMENTS:
                    _check_attachment(file, inner, path)
            if (
                part.identity not in (CLUSTER, VOID)
                and (size := part.end - part.start) > MAX_HEAD_BYTES
            ):
                raise CodecError(
                    f"expected at most {MAX_HEAD_BYTES:,} bytes beside the pictures and sound, found {size:,} in {path}"
                )
    _check_count("attachments", counts[ATTACHED_FILE], MAX_ATTACHMENTS)
    _check_count("tracks", counts[TRACK], MAX_TRACKS)


def _check_seek(
    file: BinaryIO, seek: Element, segment: Element, starts: set[int], path: str
) -> None:
    """Refuse a line of the table of contents that leads to an element inside another, which no bound would see."""
    fields = {
        field.identity: field for field in islice(elements(file, seek.start, seek.end), MAX_FIELDS)
    }
    if not {SEEK_ID, SEEK_POSITION} <= fields.keys():
        return
    identity, position = (_short(file, fields[name]) for name in (SEEK_ID, SEEK_POSITION))
    place = segment.start + int.from_bytes(position, "big")
    file.seek(min(place, segment.end))
    if place not in starts and file.read(len(identity)) == identity != b"":
        raise CodecError(
            f"expected a table of contents that names whole parts, found a part inside another in {path}; get the file again"
        )


def _short(file: BinaryIO, element: Element) -> bytes:
    file.seek(element.start)
    return file.read(min(element.end - element.start, 8))


def _check_attachment(file: BinaryIO, attached: Element, path: str) -> None:
    name, size = b"", 0
    for inner in islice(elements(file, attached.start, attached.end), MAX_FIELDS):
        if inner.identity == FILE_NAME:
            file.seek(inner.start)
            name = file.read(min(inner.end - inner.start, MAX_NAME_BYTES))
        if inner.identity == FILE_DATA:
            size = inner.end - inner.start
    known = name.rstrip(b"\0").decode(errors="replace")
    if size > (most := OWN_LIMITS.get(known, size)):
        raise CodecError(
            f"damaged {known}: expected at most {most:,} bytes, found {size:,} in {path}; get the file again"
        )


def broken_checksums(file: BinaryIO) -> int:
    """How many parts of a Matroska file, its tracks, attachments and stretches of packets, are not as they were written.

    A part without a checksum is taken as it is.
    """
    return sum(part.identity in _CHECKED and not _is_whole(file, part) for part in parts(file))


def _is_whole(file: BinaryIO, part: Element) -> bool:
    first = next(elements(file, part.start, part.end), None)
    if first is None or first.identity != CRC or first.end - first.start != 4:
        return True
    file.seek(first.start)
    expected, found, left = int.from_bytes(file.read(4), "little"), 0, part.end - first.end
    while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
        found = zlib.crc32(chunk, found)
        left -= len(chunk)
    return found == expected
