"""What FFmpeg cannot be told through PyAV about a Matroska track, written into the finished file: aspect ratio, HDR10."""

import os
import re
import struct
from pathlib import Path

from tinct.frames import VideoInfo
from tinct.media.ebml import SEGMENT, TRACK, TRACKS, VOID, elements, elements_of

# What PyAV cannot set on an output stream is written into the finished Matroska file: the pixels' shape and HDR10
# metadata. FFmpeg is made to leave room for it by a track name that is too long; nothing else in the file moves.
ROOM = " " * 250
_NAME, _VIDEO, _COLOUR, _MASTERING = 0x536E, 0xE0, 0x55B0, 0x55D0
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT, _MAX_CLL, _MAX_FALL = (
    0x54B0,
    0x54BA,
    0x54B2,
    0x55BC,
    0x55BD,
)
_ASPECT_UNIT = 3  # display width and height are a ratio, not pixels
# G, B, R, white: x then y of each; then most and least luminance, as in `Hdr.master_display`
_MASTERING_IDS = (0x55D3, 0x55D4, 0x55D5, 0x55D6, 0x55D1, 0x55D2, 0x55D7, 0x55D8, 0x55D9, 0x55DA)


def complete_matroska(path: Path, info: VideoInfo) -> None:
    """Rewrite the first track's entry, in the bytes that it has."""
    with path.open("r+b") as file:
        start, end = 0, file.seek(0, os.SEEK_END)
        for wanted in (SEGMENT, TRACKS, TRACK):
            start, end = next(
                (e.start, e.end) for e in elements(file, start, end) if e.identity == wanted
            )
        file.seek(start)
        fields = dict(elements_of(file.read(end - start)))
        fields[_NAME] = fields[_NAME].removesuffix(ROOM.encode())
        fields[_VIDEO] = _complete_video(fields[_VIDEO], info)
        entry = b"".join(
            _element(identity, data)
            for identity, data in fields.items()
            if data or identity != _NAME
        )
        room = end - start - len(entry)
        assert room >= 9, room
        file.seek(start)
        file.write(entry + bytes([VOID, 1]) + (room - 9).to_bytes(7, "big") + bytes(room - 9))


def _complete_video(data: bytes, info: VideoInfo) -> bytes:
    fields = dict(elements_of(data))
    aspect = info.sample_aspect_ratio * info.width / info.height
    fields |= {
        _DISPLAY_WIDTH: _number(aspect.numerator),
        _DISPLAY_HEIGHT: _number(aspect.denominator),
        _DISPLAY_UNIT: _number(_ASPECT_UNIT),
    }
    colour = fields.get(_COLOUR, b"")
    if info.hdr.max_cll:
        most, average = (_number(int(level)) for level in info.hdr.max_cll.split(","))
        colour += _element(_MAX_CLL, most) + _element(_MAX_FALL, average)
    if info.hdr.master_display:
        units = [50000] * 8 + [10000] * 2
        values = map(int, re.findall(r"\d+", info.hdr.master_display))
        numbers = (
            struct.pack(">d", value / unit) for value, unit in zip(values, units, strict=True)
        )
        colour += _element(_MASTERING, b"".join(map(_element, _MASTERING_IDS, numbers)))
    if colour:
        fields[_COLOUR] = colour
    return b"".join(_element(identity, data) for identity, data in fields.items())


def _number(value: int) -> bytes:
    """In 4 bytes, or in as many as it takes."""
    return value.to_bytes(max(4, (value.bit_length() + 7) // 8), "big")


def _element(identity: int, data: bytes) -> bytes:
    """EBML: identity, size in two bytes, data."""
    return (
        identity.to_bytes((identity.bit_length() + 7) // 8, "big")
        + (0x4000 | len(data)).to_bytes(2, "big")
        + data
    )
