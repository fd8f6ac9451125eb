"""Files that break off: a container that says how long it is, and is longer than its file.

FFmpeg shows what there is of such a file without a word. `source` counts it as damage. One function
and one row of `_CONTAINERS` for each kind of file; a file that states no size is taken as whole.
"""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tinct.limits import MAX_ELEMENTS
from tinct.media.ebml import find_segment, walk_parts

_Check = Callable[[BinaryIO, int], bool]  # takes a file and its size
_HEAD_BYTES = 16
_TAIL_BYTES = 1 << 17  # a page of Ogg or a packet of MPEG-PS has at most half of it
_TS_PACKET, _M2TS_PACKET = 188, 192
_PACK, _PS_END = b"\0\0\1\xba", 0xB9
_LINE_BYTES = 256  # of YUV4MPEG2's header, at most
# By how much chroma is narrower and lower than luma, by the first letters of YUV4MPEG2's C tag; 0
# where there is none.
_Y4M_CHROMA = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "411": (4, 1), "mono": (0, 0)}


def is_cut_off(path: str) -> bool:
    """Return whether a file says that it is longer than it is; one that has gone does not."""
    if not Path(path).exists():
        return False
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(_HEAD_BYTES)
        for magic, check in _CONTAINERS:
            if head.startswith(magic):
                return check(file, size)
        for magic, check in _CONTAINERS_BY_KIND:
            if head[4:].startswith(magic):
                return check(file, size)
    return False


def _is_matroska_cut(file: BinaryIO, size: int) -> bool:
    """Matroska: the segment states a size, or where a recorder left that open, the last part."""
    segment = find_segment(file)
    if segment is None or segment.missing:
        return segment is not None
    return any(part.missing for part in deque(walk_parts(file), maxlen=1))


def _is_riff_cut(file: BinaryIO, size: int) -> bool:
    """AVI: the size of the first RIFF chunk; recorders that never finish leave 0 there."""
    file.seek(4)
    stated = int.from_bytes(file.read(4), "little")
    return stated not in (0, 0xFFFFFFFF) and 8 + stated > size


def _is_y4m_cut(file: BinaryIO, size: int) -> bool:
    file.seek(0)
    header = file.readline(_LINE_BYTES)
    frame = count_y4m_frame(header)
    line = file.readline(_LINE_BYTES)
    if frame == 0 or line != b"FRAME\n":
        return False
    return (size - len(header)) % (len(line) + frame) != 0


_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"udta"}
_MP4_BOXES |= {b"meta", b"pdin", b"styp", b"sidx", b"ssix", b"prft", b"emsg", b"mfra"}


def _is_mp4_cut(file: BinaryIO, size: int) -> bool:
    """MP4 and MOV: the last box outside all others states a size; 0 is "to the end"."""
    place = 0
    for _ in range(MAX_ELEMENTS):
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8 or head[4:8] not in _MP4_BOXES:
            return False  # the rest is no box that counts, or it goes to the end
        place += length
        if place >= size:
            return place > size
    return False


def _is_ts_cut(file: BinaryIO, size: int) -> bool:
    """MPEG-TS: a file of packets of 188 bytes that ends inside one."""
    return _has_syncs(file, 0, _TS_PACKET) and size % _TS_PACKET != 0


def _is_m2ts_cut(file: BinaryIO, size: int) -> bool:
    """M2TS: as MPEG-TS, with a time of 4 bytes in front of each packet."""
    return _has_syncs(file, 4, _M2TS_PACKET) and size % _M2TS_PACKET != 0


def _has_syncs(file: BinaryIO, first: int, distance: int) -> bool:
    """Return whether the second and the third packet begin as packets of MPEG-TS do."""
    file.seek(first)
    data = file.read(2 * distance + 1)
    return data[distance::distance] == b"GG"


def _is_ogg_cut(file: BinaryIO, size: int) -> bool:
    """Ogg (RFC 3533): the last page ends where its segments say, or has no whole header."""
    tail = _read_tail(file, size)
    place = tail.rfind(b"OggS")
    segments = tail[place + 27 : place + 27 + (tail[place + 26 : place + 27] or b"\0")[0]]
    return place >= 0 and place + 27 + len(segments) + sum(segments) > len(tail)


def _is_ps_cut(file: BinaryIO, size: int) -> bool:
    """MPEG-PS: packets of the last packs state their sizes (ISO/IEC 13818-1, 2.5.3)."""
    tail = _read_tail(file, size)
    place = tail.find(_PACK)
    if place < 0:
        return False
    while place + 6 <= len(tail):
        if tail[place : place + 3] != _PACK[:3]:
            return False  # padding, or a stream that states no size
        kind = tail[place + 3]
        if kind == _PACK[3]:
            is_mpeg2 = tail[place + 4] >> 6 == 1
            stuffing = (tail[place + 13 : place + 14] or b"\0")[0] & 7
            place += 14 + stuffing if is_mpeg2 else 12
        elif kind == _PS_END:
            return False
        else:
            place += 6 + int.from_bytes(tail[place + 4 : place + 6], "big")
    return place > len(tail)


def _read_tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - _TAIL_BYTES))
    return file.read()


def _is_flv_cut(file: BinaryIO, size: int) -> bool:
    """FLV: each tag is followed by its size, which leads back to a tag of that size."""
    file.seek(max(0, size - 4))
    back = int.from_bytes(file.read(4), "big")
    if not 11 <= back <= size - 13:
        return True
    file.seek(size - 4 - back + 1)
    return 11 + int.from_bytes(file.read(3), "big") != back


def _is_gif_cut(file: BinaryIO, size: int) -> bool:
    """GIF: a block that ends and the trailer are last, apart from padding."""
    file.seek(max(0, size - _HEAD_BYTES))
    return not file.read().rstrip(b"\0").endswith(b"\0\x3b")


def _is_asf_cut(file: BinaryIO, size: int) -> bool:
    """ASF: the header's file properties have the size of the whole file."""
    file.seek(0)
    head = file.read(1 << 16)
    place = head.find(_ASF_PROPERTIES)
    if place < 0 or len(head) < place + 48:
        return False
    stated = int.from_bytes(head[place + 40 : place + 48], "little")
    is_live = bool(head[place + 88 : place + 89] and head[place + 88] & 1)
    return not is_live and stated > size


_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_CONTAINERS: tuple[tuple[bytes, _Check], ...] = (
    (b"\x1a\x45\xdf\xa3", _is_matroska_cut),
    (b"RIFF", _is_riff_cut),
    (b"YUV4MPEG2 ", _is_y4m_cut),
    (b"FLV", _is_flv_cut),
    (b"GIF8", _is_gif_cut),
    (b"G", _is_ts_cut),
    (b"OggS", _is_ogg_cut),
    (_PACK, _is_ps_cut),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), _is_asf_cut),
)
# These begin with 4 bytes of size or time.
_CONTAINERS_BY_KIND: tuple[tuple[bytes, _Check], ...] = (
    *((kind, _is_mp4_cut) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    (b"G", _is_m2ts_cut),
)


# ── YUV4MPEG2 ────────────────────────────────────────────────────────────────────────────────────


def count_y4m_frame(header: bytes) -> int:
    """Return the bytes of a frame by the header line of YUV4MPEG2; 0 where it does not say."""
    words = header.decode("ascii", errors="replace").split()[1:]
    tags = {word[0]: word[1:] for word in reversed(words)}
    width, height, kind = tags.get("W", ""), tags.get("H", ""), tags.get("C", "420")
    if not (width.isdecimal() and height.isdecimal()):
        return 0
    across, down = next((v for k, v in _Y4M_CHROMA.items() if kind.startswith(k)), (-1, -1))
    if across < 0 or "alpha" in kind:
        return 0
    w, h = int(width), int(height)
    chroma = 2 * -(-w // across) * -(-h // down) if across else 0
    deep = kind.removeprefix("mono") if kind.startswith("mono") else kind.partition("p")[2]
    sample_bytes = 2 if deep.isdecimal() and int(deep) > 8 else 1
    return sample_bytes * (w * h + chroma)


class CountedPipe:
    """YUV4MPEG2 from a pipe, of which `is_cut` tells at its end whether it stopped in a frame."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read, self._count, self._head = read, 0, b""

    def read(self, size: int = -1) -> bytes:
        data = self._read(size)
        self._count += len(data)
        if len(self._head) < 2 * _LINE_BYTES:
            self._head += data[: 2 * _LINE_BYTES]
        return data

    @property
    def is_cut(self) -> bool:
        """Return whether what was read so far ends inside a frame."""
        header, _, rest = self._head.partition(b"\n")
        frame = count_y4m_frame(header)
        if frame == 0 or not rest.startswith(b"FRAME\n"):
            return False
        return (self._count - len(header) - 1) % (len(b"FRAME\n") + frame) != 0
