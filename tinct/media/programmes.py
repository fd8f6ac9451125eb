"""Programmes of an MPEG transport stream: which sound belongs to which picture.

ISO/IEC 13818-1, 2.4.4: the programme association table (PAT, in packets of PID 0) leads to a map
table (PMT) for each programme, which lists the PIDs of its streams. FFmpeg gives a stream's PID as
its `id`.
"""

from collections.abc import Iterator
from typing import BinaryIO

_SYNC = 0x47
_PACKET_SIZES = (188, 192, 204)  # plain, with a time in front (M2TS), with a checksum behind
_READ_BYTES = 1 << 21  # tables come several times a second
_PAT_PID, _PAT_TABLE, _PMT_TABLE = 0, 0, 2


def find_programme(path: str, pid: int) -> frozenset[int] | None:
    """Return the PIDs of the programmes that `pid` belongs to; None where no table names it."""
    with open(path, "rb") as file:
        programmes = _read_programmes(file)
    own = [pids for pids in programmes.values() if pid in pids]
    return frozenset().union(*own) if own else None


def _read_programmes(file: BinaryIO) -> dict[int, frozenset[int]]:
    """Return the PIDs of each programme's streams, by the PID of its map."""
    data = file.read(_READ_BYTES)
    maps: set[int] = set()
    found: dict[int, frozenset[int]] = {}
    for pid, table, body in _read_sections(data, maps):
        if pid == _PAT_PID and table == _PAT_TABLE:
            maps |= set(_list_maps(body))
        elif pid in maps and table == _PMT_TABLE:
            found[pid] = frozenset(_list_streams(body))
            if len(found) == len(maps):
                break
    return found


def _read_sections(data: bytes, maps: set[int]) -> Iterator[tuple[int, int, bytes]]:
    """Yield PID, table and body of each whole section of the PAT, and of PIDs that are in `maps`.

    `maps` may grow meanwhile.
    """
    held: dict[int, bytes] = {}
    for packet in _split_packets(data):
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        if pid != _PAT_PID and pid not in maps:
            continue
        payload = _read_payload(packet)
        if packet[1] & 0x40:  # a section begins, behind the end of the one before
            held[pid] = payload[1 + payload[0] :] if payload else b""
        elif pid in held:
            held[pid] += payload
        section = held.get(pid, b"")
        length = 3 + (int.from_bytes(section[1:3], "big") & 0xFFF) if len(section) > 3 else 0
        if 12 <= length <= len(section):
            del held[pid]
            yield pid, section[0], section[8 : length - 4]


def _split_packets(data: bytes) -> Iterator[bytes]:
    """Yield packets of 188 bytes."""
    for size in _PACKET_SIZES:
        start = next((n for n in range(size) if _is_aligned(data, n, size)), None)
        if start is not None:
            for place in range(start, len(data) - 187, size):
                if data[place] == _SYNC:
                    yield data[place : place + 188]
            return


def _is_aligned(data: bytes, start: int, size: int) -> bool:
    places = range(start, min(len(data), start + 5 * size), size)
    return len(places) > 1 and all(data[place] == _SYNC for place in places)


def _read_payload(packet: bytes) -> bytes:
    if not packet[3] & 0x10:
        return b""
    return packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]


def _list_maps(body: bytes) -> Iterator[int]:
    """Yield the PID of each programme's map; number 0 is the network's own table."""
    for place in range(0, len(body) - 3, 4):
        if body[place : place + 2] != b"\0\0":
            yield int.from_bytes(body[place + 2 : place + 4], "big") & 0x1FFF


def _list_streams(body: bytes) -> Iterator[int]:
    place = 4 + (int.from_bytes(body[2:4], "big") & 0xFFF)
    while place + 5 <= len(body):
        yield int.from_bytes(body[place + 1 : place + 3], "big") & 0x1FFF
        place += 5 + (int.from_bytes(body[place + 3 : place + 5], "big") & 0xFFF)
