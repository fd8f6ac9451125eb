"""Completion of a finished Matroska track entry: shape of pixels, HDR10, chroma's place.

PyAV cannot set any on an output stream. FFmpeg is made to leave room in the entry by a track
name that ends in `ROOM`; nothing else in the file moves. `ebml` reads elements.
"""

import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from tinct.frames import VideoInfo
from tinct.media.ebml import (
    CHROMA_ACROSS,
    CHROMA_DOWN,
    CHROMA_PLACES,
    CRC,
    PICTURE_COLOUR,
    SEGMENT,
    TRACK,
    TRACKS,
    VIDEO,
    VOID,
    Element,
    find_element,
    parse_elements,
    walk_elements,
)

ROOM = " " * 250
_NAME, _MASTERING = 0x536E, 0x55D0
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_MAX_CLL, _MAX_FALL = 0x55BC, 0x55BD
_ASPECT_UNIT = 3  # display width and height are a ratio, not pixels
# Coordinates x and y of G, B, R and white, then highest and lowest luminance: the order of
# `Hdr.master_display`.
_MASTERING_IDS = (0x55D3, 0x55D4, 0x55D5, 0x55D6, 0x55D1, 0x55D2, 0x55D7, 0x55D8, 0x55D9, 0x55DA)
_MASTERING_UNITS = (50000,) * 8 + (10000,) * 2


def complete_matroska(path: Path, info: VideoInfo) -> None:
    """Rewrite the first track's entry within the bytes that it has."""
    with path.open("r+b") as file:
        tracks = find_element(file, (SEGMENT, TRACKS))
        track = find_element(file, (TRACK,), within=tracks)
        start, end = track.start, track.end
        file.seek(start)
        fields = dict(parse_elements(file.read(end - start)))
        fields[_NAME] = fields[_NAME].removesuffix(ROOM.encode())
        fields[VIDEO] = _complete_video(fields[VIDEO], info)
        entry = b"".join(
            _pack_element(identity, data)
            for identity, data in fields.items()
            if data or identity != _NAME
        )
        room = end - start - len(entry)
        assert room >= 9, room
        file.seek(start)
        file.write(entry + bytes([VOID, 1]) + (room - 9).to_bytes(7, "big") + bytes(room - 9))
        _update_checksum(file, tracks)


def _update_checksum(file: BinaryIO, part: Element) -> None:
    """Write the checksum of a part anew where its first element is one."""
    first = next(walk_elements(file, part.start, part.end), None)
    if first is None or first.identity != CRC:
        return
    file.seek(first.end)
    checksum = zlib.crc32(file.read(part.end - first.end))
    file.seek(first.start)
    file.write(checksum.to_bytes(4, "little"))


def _complete_video(data: bytes, info: VideoInfo) -> bytes:
    fields = dict(parse_elements(data))
    aspect = info.sample_aspect_ratio * info.width / info.height
    fields |= {
        _DISPLAY_WIDTH: _pack_number(aspect.numerator),
        _DISPLAY_HEIGHT: _pack_number(aspect.denominator),
        _DISPLAY_UNIT: _pack_number(_ASPECT_UNIT),
    }
    colour = fields.get(PICTURE_COLOUR, b"")
    if info.chroma_location is not None and CHROMA_ACROSS not in dict(parse_elements(colour)):
        place = map(_pack_number, CHROMA_PLACES[info.chroma_location])
        colour += b"".join(map(_pack_element, (CHROMA_ACROSS, CHROMA_DOWN), place))
    if info.hdr.max_cll:
        most, average = (_pack_number(int(level)) for level in info.hdr.max_cll.split(","))
        colour += _pack_element(_MAX_CLL, most) + _pack_element(_MAX_FALL, average)
    if info.hdr.master_display:
        values = map(int, re.findall(r"\d+", info.hdr.master_display))
        numbers = (
            struct.pack(">d", value / unit)
            for value, unit in zip(values, _MASTERING_UNITS, strict=True)
        )
        colour += _pack_element(_MASTERING, b"".join(map(_pack_element, _MASTERING_IDS, numbers)))
    if colour:
        fields[PICTURE_COLOUR] = colour
    return b"".join(_pack_element(identity, data) for identity, data in fields.items())


def _pack_number(value: int) -> bytes:
    """Return a number in 4 bytes, or in as many as it needs."""
    return value.to_bytes(max(4, (value.bit_length() + 7) // 8), "big")


def _pack_element(identity: int, data: bytes) -> bytes:
    """Return an EBML element: identity, size in two bytes, data."""
    head = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return head + (0x4000 | len(data)).to_bytes(2, "big") + data
