"""Bounds on AVI, FLV and Smacker files, checked before FFmpeg opens them.

For a few of their fields FFmpeg clears as much memory as they state, up to gigabytes, before it
reads what they describe. These fields are looked for in all of a file, since FFmpeg looks for the
next part of a broken file wherever one may begin.
"""

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tinct.errors import CodecError

_CHUNK_BYTES = 1 << 20
_MOST_FIELD_BYTES = 512  # from a mark that is searched for to the end of what it describes
_ARRAY = 10  # AMF's type of an array
_FLV_ENTRY_BYTES, _SMACKER_ENTRY_BYTES = 9, 5


def check_heads(path: str) -> None:
    """Refuse a file of these formats in which a field states more than the file holds."""
    with open(path, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        magic = file.read(4)
        for start, find_claims in _FORMATS.items():
            if magic.startswith(start):
                for claim in find_claims(file):
                    if claim > size:
                        raise CodecError(
                            f"expected fields that fit the {size:,} bytes of the file, "
                            f"found one of {claim:,} bytes in {path}; get the file again"
                        )


def _find_riff_claims(file: BinaryIO) -> Iterator[int]:
    """Yield the sizes of the lists of texts in an AVI file."""
    for data, place in _find(file, b"INFO"):
        if data[place - 8 : place - 4] == b"LIST":
            yield int.from_bytes(data[place - 4 : place], "little")


def _find_flv_claims(file: BinaryIO) -> Iterator[int]:
    """Yield the bytes of the lists of key frames in the metadata of an FLV file."""
    for name in (b"times", b"filepositions"):
        for data, place in _find(file, name):
            end = place + int.from_bytes(data[place - 2 : place], "big")  # of the list's name
            if data[end : end + 1] == bytes([_ARRAY]):
                yield _FLV_ENTRY_BYTES * int.from_bytes(data[end + 1 : end + 5], "big")


def _find_smacker_claims(file: BinaryIO) -> Iterator[int]:
    """Yield the bytes of the table of frames of a Smacker file."""
    file.seek(12)
    yield _SMACKER_ENTRY_BYTES * int.from_bytes(file.read(4), "little")


_FORMATS: dict[bytes, Callable[[BinaryIO], Iterator[int]]] = {
    b"RIFF": _find_riff_claims,
    b"ON2 ": _find_riff_claims,
    b"FLV": _find_flv_claims,
    b"SMK": _find_smacker_claims,
}


def _find(file: BinaryIO, mark: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each place of a mark, in a part of the file with what stands around it."""
    file.seek(0)
    before = b""
    while data := file.read(_CHUNK_BYTES):
        part = before + data
        place = part.find(mark)
        while place >= 0:
            yield part, place
            place = part.find(mark, place + 1)
        before = part[-_MOST_FIELD_BYTES:]
