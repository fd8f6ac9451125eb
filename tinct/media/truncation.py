"""Files that break off: a container that says how long it is, and is longer than its file.

FFmpeg shows what there is of such a file without a word. `source` counts it as damage. One function
and one row of `_CONTAINERS` for each kind of file; a file that states no size is taken as whole.
"""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tinct.media.ebml import find_segment, walk_parts

_Check = Callable[[BinaryIO, int], bool]  # takes a file and its size
_HEAD_BYTES = 16
_TS_PACKET = 188
_LINE_BYTES = 256  # of YUV4MPEG2's header, at most
# Samples of luma and chroma to 8 bits of a frame of YUV4MPEG2, by the first letters of its C tag:
# halves of the width and height of chroma.
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


def _is_ts_cut(file: BinaryIO, size: int) -> bool:
    """MPEG-TS: a file of packets of 188 bytes that ends inside one."""
    file.seek(_TS_PACKET)
    return file.read(1) == b"G" and size % _TS_PACKET != 0


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
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), _is_asf_cut),
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
