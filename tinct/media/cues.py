"""The index of a finished Matroska file: an entry a second is enough to seek, one a frame is not.

FFmpeg writes an entry of 20 bytes for each key picture, which of an all-intra video is each frame.
`ebml` reads elements; `bitstream.container` has an all-intra file thinned when it is whole.
"""

import os
import zlib
from pathlib import Path
from typing import BinaryIO

from tinct.media.ebml import CRC, CUES, SEGMENT, Element, parse_elements, walk_elements

_POINT, _TIME, _PLACE, _TRACK = 0xBB, 0xB3, 0xB7, 0xF7
SIZE_BYTES = 8  # of a size as FFmpeg writes it for a segment
ENTRY_MS = 1000  # from one entry to the next


def thin_index(path: Path) -> None:
    """Keep of the index the entries of its first track that are ENTRY_MS or more apart.

    An index that this would not halve stays, and so does one that is not the file's last part.
    """
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        segment = next(e for e in walk_elements(file, 0, end) if e.identity == SEGMENT)
        *others, cues = walk_elements(file, segment.start, segment.end)
        if (cues.identity, cues.end) != (CUES, end):
            return
        points = _select_points(file, cues)
        if 2 * len(points) > cues.end - cues.start:
            return
        checksum = bytes([CRC, 0x84]) + zlib.crc32(points).to_bytes(4, "little")
        file.seek(others[-1].end)
        file.write(CUES.to_bytes(4, "big") + _pack_size(len(checksum + points)))
        file.write(checksum + points)
        file.truncate()
        size = file.tell() - segment.start
        file.seek(segment.start - SIZE_BYTES)
        file.write(_pack_size(size))


def _select_points(file: BinaryIO, cues: Element) -> bytes:
    """Return the entries to keep, as they stand in the file."""
    kept: list[bytes] = []
    first_track: int | None = None
    last_ms = -ENTRY_MS
    position = cues.start
    for point in walk_elements(file, cues.start, cues.end):
        file.seek(position)
        data, position = file.read(point.end - position), point.end
        if point.identity != _POINT:
            continue
        time_ms, track = _read_point(data[point.start - point.end :])
        first_track = track if first_track is None else first_track
        if track == first_track and time_ms - last_ms >= ENTRY_MS:
            kept.append(data)
            last_ms = time_ms
    return b"".join(kept)


def _read_point(data: bytes) -> tuple[int, int]:
    """Return the time of an entry in milliseconds, and the number of its first track."""
    fields = list(parse_elements(data))
    time_ms = next(value for identity, value in fields if identity == _TIME)
    place = next(value for identity, value in fields if identity == _PLACE)
    track = dict(parse_elements(place))[_TRACK]
    return int.from_bytes(time_ms, "big"), int.from_bytes(track, "big")


def _pack_size(size: int) -> bytes:
    """Return a size in eight bytes."""
    return b"\x01" + size.to_bytes(SIZE_BYTES - 1, "big")
