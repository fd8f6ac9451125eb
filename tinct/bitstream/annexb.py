"""NAL units of H.264 and HEVC: behind start codes in Annex B, behind their lengths in Matroska."""

import re
from collections.abc import Iterator

START_CODE = b"\0\0\0\1"
LENGTH_BYTES = 4


def split_units(data: bytes) -> list[bytes]:
    """Return the NAL units of a byte stream, each with a start code of four bytes."""
    return [START_CODE + unit for unit in re.split(rb"\x00?\x00\x00\x01", data)[1:]]


def iterate_units(packet: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a packet of either form, bare; what is no unit ends them."""
    if packet.startswith(START_CODE):
        bare = (unit.removeprefix(START_CODE) for unit in split_units(packet))
        yield from (unit for unit in bare if unit)
        return
    at = 0
    while at + LENGTH_BYTES < len(packet):
        first = at + LENGTH_BYTES
        at = first + int.from_bytes(packet[at:first], "big")
        if at == first:
            return
        yield packet[first:at]
