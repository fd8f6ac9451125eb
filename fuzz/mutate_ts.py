"""Mutations of an MPEG transport stream: of its clocks above all, as in joined recordings."""

from collections.abc import Callable
from random import Random

from fuzz.mutate import mutate_bytes

PACKET_BYTES, SYNC = 188, 0x47
CLOCK_TICKS = 1 << 33  # at 90 kHz: times start again after 26 hours
# By how much a clock jumps, in ticks: frames, seconds, an hour, half the range.
JUMPS = (1, 3600, 90_000, 900_000, 324_000_000, 1 << 32, CLOCK_TICKS - 90_000)
Packets = list[bytearray]


def mutate_ts(data: bytes, random: Random) -> bytes:
    """Return a stream with one to four things wrong."""
    if random.random() < 0.1:
        return mutate_bytes(data, random)
    whole = len(data) // PACKET_BYTES * PACKET_BYTES
    packets = [bytearray(data[at : at + PACKET_BYTES]) for at in range(0, whole, PACKET_BYTES)]
    for _ in range(random.choice((1, 1, 2, 3, 4))):
        if packets:
            random.choice(_MUTATIONS)(packets, random)
    return b"".join(packets)


def _join(packets: Packets, random: Random) -> None:
    """Append the stream to itself: its clock starts anew."""
    packets += [bytearray(packet) for packet in packets[random.choice((0, 0, 1, 7)) :]]
    del packets[2000:]


def _jump(packets: Packets, random: Random) -> None:
    """Let all clocks jump in one place."""
    jump = random.choice((-1, 1)) * random.choice(JUMPS)
    for packet in packets[random.randrange(len(packets)) :]:
        shift_clocks(packet, jump)


def _jump_for_a_while(packets: Packets, random: Random) -> None:
    """Let the clocks of some packets jump, and return."""
    start = random.randrange(len(packets))
    jump = random.choice((-1, 1)) * random.choice(JUMPS)
    for packet in packets[start : start + random.choice((1, 1, 5, 50))]:
        shift_clocks(packet, jump)


def _drop(packets: Packets, random: Random) -> None:
    start = random.randrange(len(packets))
    del packets[start : start + random.choice((1, 1, 3, 30))]


def _repeat(packets: Packets, random: Random) -> None:
    start = random.randrange(len(packets))
    again = [bytearray(packet) for packet in packets[start : start + random.choice((1, 5, 30))]]
    packets[random.randrange(len(packets)) : 0] = again


def _swap(packets: Packets, random: Random) -> None:
    first, second = random.randrange(len(packets)), random.randrange(len(packets))
    packets[first], packets[second] = packets[second], packets[first]


def _rename(packets: Packets, random: Random) -> None:
    """Give a packet the number of another stream."""
    packet, other = random.choice(packets), random.choice(packets)
    packet[1:3] = bytes((packet[1] & 0xE0 | other[1] & 0x1F, other[2]))


def _bend(packets: Packets, random: Random) -> None:
    """Change some bytes of a packet."""
    packet = random.choice(packets)
    packet[:] = (mutate_bytes(bytes(packet), random) + bytes(PACKET_BYTES))[:PACKET_BYTES]


_MUTATIONS: tuple[Callable[[Packets, Random], None], ...] = (
    *(_join, _jump, _jump, _jump_for_a_while, _drop, _repeat, _swap, _rename, _bend),
)


def shift_clocks(packet: bytearray, ticks: int) -> None:
    """Add `ticks` to the times of a packet: those of its picture or sound, and its clock."""
    has_adaptation, has_payload = packet[3] & 0x20, packet[3] & 0x10
    start = 4
    if has_adaptation:
        start += 1 + packet[4]
        if packet[4] >= 7 and packet[5] & 0x10:
            clock = int.from_bytes(packet[6:12], "big")
            base = ((clock >> 15) + ticks) % CLOCK_TICKS
            packet[6:12] = (base << 15 | clock & 0x7FFF).to_bytes(6, "big")
    if not (has_payload and packet[1] & 0x40) or packet[start : start + 3] != b"\0\0\1":
        return
    for number, flag in enumerate((0x80, 0x40)):
        at = start + 9 + 5 * number
        if start + 8 < PACKET_BYTES and packet[start + 7] & flag and at + 5 <= PACKET_BYTES:
            packet[at : at + 5] = _shift_time(packet[at : at + 5], ticks)


def _shift_time(field: bytearray, ticks: int) -> bytes:
    """Return the 5 bytes of a time, of which 33 bits stand between marks, `ticks` later."""
    high, middle, low = (
        field[0] >> 1 & 7,
        field[1] << 7 | field[2] >> 1,
        field[3] << 7 | field[4] >> 1,
    )
    time = ((high << 30 | middle << 15 | low) + ticks) % CLOCK_TICKS
    parts = (time >> 30, time >> 15 & 0x7FFF, time & 0x7FFF)
    return bytes([field[0] & 0xF0 | parts[0] << 1 | 1]) + b"".join(
        (part << 1 | 1).to_bytes(2, "big") for part in parts[1:]
    )
