"""Reading of Matroska's element structure: bounds before FFmpeg opens a file, and its checksums.

Payloads are skipped where possible. `demux` checks bounds before it opens a file, `decoder` and
`inspection` verify checksums; `matroska` writes elements.
"""

import io
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import BinaryIO

from tinct.errors import CodecError
from tinct.limits import (
    MAX_ATTACHMENTS,
    MAX_ELEMENTS,
    MAX_HEAD_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_TRACKS,
    MAX_UPDATE_BYTES,
    max_clusters,
    max_live_elements,
)

# Identities of elements, with their length marker.
EBML, SEGMENT, VOID, CRC = 0x1A45DFA3, 0x18538067, 0xEC, 0xBF
TRACKS, TRACK, VIDEO, CLUSTER = 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675
SEEK_HEAD, SEEK, SEEK_ID, SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
ATTACHMENTS, ATTACHED_FILE, FILE_NAME, FILE_DATA = 0x1941A469, 0x61A7, 0x466E, 0x465C
PICTURE_COLOUR, CHROMA_ACROSS, CHROMA_DOWN = 0x55B0, 0x55B7, 0x55B8
INFO, CUES, TAGS, CHAPTERS = 0x1549A966, 0x1C53BB6B, 0x1254C367, 0x1043A770

# Chroma's place by Matroska's two numbers for it: across 1 is left and 2 the centre, down 1 is the
# top, 2 the centre and 3 the bottom.
CHROMA_PLACES = {"center": (2, 2), "topleft": (1, 1), "top": (2, 1), "bottomleft": (1, 3)}
CHROMA_PLACES |= {"bottom": (2, 3)}
ATTACHMENT_LIMITS = {  # bytes of Tinct's own attachments, by name
    "tinct.json": MAX_MANIFEST_BYTES,
    "update.bin": MAX_UPDATE_BYTES,
}
MAX_FIELDS = 32  # fields of an attachment that are looked at
MAX_NAME_BYTES = 16  # bytes of its name that are read: Tinct's own names are shorter
# Elements beside a cluster in the segment: one of them ends a cluster of unknown size.
_AFTER_CLUSTER = {CLUSTER, SEEK_HEAD, TRACKS, ATTACHMENTS, INFO, CUES, TAGS, CHAPTERS}
_CHECKED = (TRACKS, ATTACHMENTS, CLUSTER)  # what a decoder reads
_CHUNK_BYTES = 1 << 20
MAX_HEADER_BYTES = 12  # identity and size of an element


@dataclass(frozen=True)
class Element:
    """One element: its identity with the length marker, and where in the file its payload lies.

    An element that is not `sized` states no size; it then ends where the element around it ends.
    One that states more than there is ends there too, `missing` bytes too early.
    """

    identity: int
    start: int
    end: int
    sized: bool = True
    missing: int = 0


def walk_elements(file: BinaryIO, start: int, end: int) -> Iterator[Element]:
    """Yield the elements between two positions in a file, as far as they are well formed."""
    while start < end:
        file.seek(start)
        head = file.read(MAX_HEADER_BYTES)
        width = 9 - head[0].bit_length() if head else 9
        if width > 4 or len(head) <= width:
            return
        identity = int.from_bytes(head[:width], "big")
        size_width = 9 - head[width].bit_length()
        if size_width > 8 or len(head) < width + size_width:
            return
        size = int.from_bytes(head[width : width + size_width], "big") - (1 << 7 * size_width)
        start += width + size_width
        unknown = size == (1 << 7 * size_width) - 1
        stop = end if unknown else min(start + size, end)
        missing = 0 if unknown else start + size - stop
        yield Element(identity, start, stop, sized=not unknown, missing=missing)
        start = stop


def parse_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield identity and payload of each element in memory."""
    for element in walk_elements(io.BytesIO(data), 0, len(data)):
        yield element.identity, data[element.start : element.end]


def find_element(
    file: BinaryIO, path: tuple[int, ...], *, within: Element | None = None
) -> Element:
    """Return the first element at a path of identities in a file that FFmpeg has written."""
    start, end = (within.start, within.end) if within else (0, file.seek(0, io.SEEK_END))
    for identity in path:
        found = next(e for e in walk_elements(file, start, end) if e.identity == identity)
        start, end = found.start, found.end
    return found


def walk_parts(file: BinaryIO) -> Iterator[Element]:
    """Yield the parts of a Matroska file's segment, none for any other file.

    Raises CodecError where there are too many.
    """
    segment = find_segment(file)
    if segment is None:
        return
    most, counts = max_clusters(segment.end), Counter[bool]()
    for part in _walk_segment(file, segment.start, segment.end):
        is_cluster = part.identity == CLUSTER
        counts[is_cluster] += 1
        _check_count("elements", counts[False], MAX_ELEMENTS)
        _check_count("clusters", counts[True], most)
        yield part


def find_segment(file: BinaryIO) -> Element | None:
    """Return the segment of a Matroska file, which holds all parts; None for any other file."""
    outer = islice(walk_elements(file, 0, file.seek(0, io.SEEK_END)), MAX_ELEMENTS)
    if getattr(next(outer, None), "identity", None) != EBML:
        return None
    return next((element for element in outer if element.identity == SEGMENT), None)


def _walk_segment(file: BinaryIO, start: int, end: int) -> Iterator[Element]:
    """Yield the elements of a segment.

    A cluster of unknown size, as live recorders write, ends where the next part begins.
    """
    walked, most = 0, max_live_elements(end)
    while start < end:
        begin, start = start, end
        for part in walk_elements(file, begin, end):  # one of unknown size is its last
            if part.identity == CLUSTER and not part.sized:
                start = part.start
                for inner in walk_elements(file, part.start, end):
                    if inner.identity in _AFTER_CLUSTER:
                        break
                    walked += 1
                    _check_count("elements in clusters of unknown size", walked, most)
                    start = inner.end
                yield replace(part, end=start)
            else:
                yield part


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise CodecError(
            f"expected at most {most:,} {what} in a file, found {count:,} or more; "
            "no recorder writes so many"
        )


def check_bounds(path: str) -> None:
    """Refuse a Matroska file that would take more memory to open than any recorder's file.

    Reads a few bytes of each part.
    """
    counts, walked = Counter[int](), 0
    places: set[tuple[int, bytes]] = set()  # where tables of contents lead, and to what
    with open(path, "rb", buffering=0) as file:
        segment = find_segment(file)
        start = 0 if segment is None else segment.start
        starts = {start}  # of the parts that are no clusters
        for part in walk_parts(file):
            if part.identity != CLUSTER:
                starts.add(start)
            start = part.end
            for inner in _walk_listed(file, part):
                walked += 1
                counts[inner.identity] += 1
                _check_count("elements", walked, MAX_ELEMENTS)
                if inner.identity == SEEK and segment is not None:
                    places |= _read_seek(file, inner, segment)
                if inner.identity == ATTACHED_FILE and counts[ATTACHED_FILE] <= MAX_ATTACHMENTS:
                    _check_attachment(file, inner, path)
            _check_head_size(part, path)
        _check_places(file, {place for place in places if place[0] not in starts}, path)
    _check_count("attachments", counts[ATTACHED_FILE], MAX_ATTACHMENTS)
    _check_count("tracks", counts[TRACK], MAX_TRACKS)


def _walk_listed(file: BinaryIO, part: Element) -> Iterator[Element]:
    """Yield the entries of a part that is a list: of contents, tracks or attachments."""
    if part.identity in (SEEK_HEAD, TRACKS, ATTACHMENTS):
        yield from walk_elements(file, part.start, part.end)


def _check_head_size(part: Element, path: str) -> None:
    """Refuse a part that FFmpeg would hold in memory and that is larger than any recorder's."""
    size = part.end - part.start
    if part.identity not in (CLUSTER, VOID) and size > MAX_HEAD_BYTES:
        raise CodecError(
            f"expected at most {MAX_HEAD_BYTES:,} bytes beside the pictures and sound, "
            f"found {size:,} in {path}"
        )


def _read_seek(file: BinaryIO, seek: Element, segment: Element) -> set[tuple[int, bytes]]:
    """Return where an entry of a table of contents leads, with the identity that it names."""
    inner = islice(walk_elements(file, seek.start, seek.end), MAX_FIELDS)
    fields = {field.identity: field for field in inner}
    if not {SEEK_ID, SEEK_POSITION} <= fields.keys():
        return set()
    identity, position = (_read_short(file, fields[name]) for name in (SEEK_ID, SEEK_POSITION))
    return {(segment.start + int.from_bytes(position, "big"), identity)} if identity else set()


def _check_places(file: BinaryIO, places: set[tuple[int, bytes]], path: str) -> None:
    """Refuse a table of contents that leads to an element inside a part: no bound has seen it.

    `places` are those where no part begins, unless it is a cluster.
    """
    end = file.seek(0, io.SEEK_END)
    found = set()
    for place, identity in places:
        file.seek(min(place, end))
        is_named = file.read(len(identity)) == identity
        if is_named and next(walk_elements(file, place, end), None) is not None:  # not cut off
            found.add(place)
    if not found:
        return
    for part, _ in pairwise(walk_parts(file)):  # where a part ends, the next one begins
        found.discard(part.end)
    if found:
        raise CodecError(
            "expected a table of contents that names whole parts, "
            f"found a part inside another in {path}; get the file again"
        )


def _read_short(file: BinaryIO, element: Element) -> bytes:
    """Return at most 8 bytes of an element's payload."""
    file.seek(element.start)
    return file.read(min(element.end - element.start, 8))


def _check_attachment(file: BinaryIO, attached: Element, path: str) -> None:
    """Refuse one of Tinct's own attachments that is larger than its limit."""
    name, size = b"", 0
    for inner in islice(walk_elements(file, attached.start, attached.end), MAX_FIELDS):
        if inner.identity == FILE_NAME:
            file.seek(inner.start)
            name = file.read(min(inner.end - inner.start, MAX_NAME_BYTES))
        if inner.identity == FILE_DATA:
            size = inner.end - inner.start
    known = name.rstrip(b"\0").decode(errors="replace")
    if size > (most := ATTACHMENT_LIMITS.get(known, size)):
        raise CodecError(
            f"damaged {known}: expected at most {most:,} bytes, found {size:,} in {path}; "
            "get the file again"
        )


def count_broken_checksums(file: BinaryIO) -> int:
    """Return how many parts of a Matroska file differ from their checksums.

    Counts tracks, attachments and clusters. A part without a checksum counts as whole.
    """
    return sum(part.identity in _CHECKED and not _is_whole(file, part) for part in walk_parts(file))


def _is_whole(file: BinaryIO, part: Element) -> bool:
    first = next(walk_elements(file, part.start, part.end), None)
    if first is None or first.identity != CRC or first.end - first.start != 4:
        return True
    file.seek(first.start)
    expected, found, left = int.from_bytes(file.read(4), "little"), 0, part.end - first.end
    while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
        found = zlib.crc32(chunk, found)
        left -= len(chunk)
    return found == expected
