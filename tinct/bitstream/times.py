"""Ascending times as text for the manifest: steps from time to time, packed and deflated.

A step is a variable-length number: seven bits a byte, lowest first, the highest bit set in all
bytes but the last. All steps are deflated (RFC 1951) and written in base64 (RFC 4648) without
padding.
"""

import base64
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from tinct.limits import MAX_INTERPOLATED, MAX_STEP_BYTES

_RAW = -15  # zlib's window size for deflate without a header
_PIECE_BYTES = 1 << 16  # that are unpacked at a time


def pack_times(times: Sequence[int]) -> str:
    """Return the text of times in ascending order, 0 or later."""
    steps = [later - earlier for earlier, later in pairwise([-1, *times])]
    assert all(step > 0 for step in steps), "times ascend"
    packer = zlib.compressobj(level=9, wbits=_RAW)
    data = packer.compress(b"".join(map(_pack_step, steps))) + packer.flush()
    return base64.b64encode(data).decode().rstrip("=")


def unpack_times(text: str) -> "array[int]":
    """Return the times of a text. Raise ValueError where it is none, or beyond the limits.

    A time takes eight bytes, however many there are.
    """
    times: array[int] = array("q")
    last, rest = -1, b""
    for piece in _inflate(base64.b64decode(text + "=" * (-len(text) % 4), validate=True)):
        found, rest = _read_times(rest + piece, last)
        if len(times) + len(found) > MAX_INTERPOLATED:
            raise ValueError("the times are too many")
        times.frombytes(found.tobytes())
        last = times[-1] if times else last
    if rest:
        raise ValueError("the last step does not end")
    return times


def _inflate(data: bytes) -> Iterator[bytes]:
    """Yield what was deflated, in pieces of bounded size. Raise ValueError where it is not whole.

    `data` is all that there is.
    """
    unpacker = zlib.decompressobj(wbits=_RAW)
    try:
        while not unpacker.eof:
            piece = unpacker.decompress(data, _PIECE_BYTES)
            if not piece and not unpacker.eof:
                raise ValueError("the times do not end")
            yield piece
            data = unpacker.unconsumed_tail
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if unpacker.unused_data:
        raise ValueError("bytes follow the times")


def _read_times(packed: bytes, last: int) -> tuple[np.ndarray, bytes]:
    """Return the times, int64, of the whole steps from the time `last` on, and the bytes left."""
    numbers = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(numbers < 0x80) + 1
    starts = np.concatenate([np.zeros(1, np.int64), ends])
    lengths = np.diff(starts)
    whole = int(starts[-1])
    if len(packed) - whole >= MAX_STEP_BYTES or lengths.max(initial=0) > MAX_STEP_BYTES:
        raise ValueError("a step is too long")
    steps = np.zeros(len(lengths), np.int64)
    for place in range(int(lengths.max(initial=0))):
        has = lengths > place
        steps[has] |= (numbers[starts[:-1][has] + place] & 0x7F).astype(np.int64) << 7 * place
    if not steps.all():
        raise ValueError("two times are the same")
    return last + np.cumsum(steps), packed[whole:]


def _pack_step(step: int) -> bytes:
    data = bytearray()
    while step > 0x7F:
        data.append(step & 0x7F | 0x80)
        step >>= 7
    return bytes([*data, step])
