"""Ascending times as text for the manifest: steps from time to time, packed and deflated.

A step is a variable-length number: seven bits a byte, lowest first, the highest bit set in all
bytes but the last. All steps are deflated (RFC 1951) and written in base64 (RFC 4648) without
padding.
"""

import base64
import binascii
import zlib
from collections.abc import Sequence
from itertools import pairwise

from tinct.limits import MAX_INTERPOLATED, MAX_STEP_BYTES, MAX_STEPS_PER_BYTE

_RAW = -15  # zlib's window size for deflate without a header


def pack_times(times: Sequence[int]) -> str:
    """Return the text of times in ascending order, 0 or later."""
    steps = [later - earlier for earlier, later in pairwise([-1, *times])]
    assert all(step > 0 for step in steps), "times ascend"
    packer = zlib.compressobj(level=9, wbits=_RAW)
    data = packer.compress(b"".join(map(_pack_step, steps))) + packer.flush()
    return base64.b64encode(data).decode().rstrip("=")


def unpack_times(text: str) -> tuple[int, ...]:
    """Return the times of a text. Raise ValueError where it is none, or beyond the limits."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        unpacker = zlib.decompressobj(wbits=_RAW)
        most = min(MAX_INTERPOLATED * MAX_STEP_BYTES, MAX_STEPS_PER_BYTE * len(data))
        packed = unpacker.decompress(data, most)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof or unpacker.unused_data or (packed and packed[-1] & 0x80):
        raise ValueError("the times do not end, or are too many")
    times: list[int] = []
    time, step, shift = -1, 0, 0
    for byte in packed:
        step |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            if shift >= 7 * MAX_STEP_BYTES:
                raise ValueError("a step is too long")
            continue
        if step == 0:
            raise ValueError("two times are the same")
        time += step
        times.append(time)
        step = shift = 0
    if len(times) > MAX_INTERPOLATED:
        raise ValueError("the times are too many")
    return tuple(times)


def _pack_step(step: int) -> bytes:
    data = bytearray()
    while step > 0x7F:
        data.append(step & 0x7F | 0x80)
        step >>= 7
    return bytes([*data, step])
