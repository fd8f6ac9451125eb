"""Ascending times as text: golden texts, round trips, and what is refused."""

import base64
import random
import tracemalloc
import zlib

import pytest

from tinct.bitstream.times import pack_times, unpack_times
from tinct.limits import MAX_INTERPOLATED


def deflate(data: bytes) -> str:
    packer = zlib.compressobj(level=9, wbits=-15)
    return base64.b64encode(packer.compress(data) + packer.flush()).decode().rstrip("=")


def test_golden_text() -> None:
    """The steps of 1, 2, 3, 5 and 200 are 2, 1, 1, 2 and 195, the last in two bytes."""
    text = pack_times([1, 2, 3, 5, 200])
    packed = zlib.decompress(base64.b64decode(text + "=" * (-len(text) % 4)), wbits=-15)
    assert packed == bytes([2, 1, 1, 2, 0xC3, 0x01])
    assert unpack_times("Y2JkZDrMCAA") == unpack_times(deflate(packed)) == (1, 2, 3, 5, 200)


@pytest.mark.parametrize(
    "times",
    [
        [0],
        [(1 << 31) - 1],
        list(range(1000)),
        [n for n in range(10_000) if n % 8],
        sorted(random.Random(1).sample(range(1 << 31), 500)),
    ],
    ids=["zero", "latest", "all", "steps", "random"],
)
def test_times_come_back(times: list[int]) -> None:
    assert unpack_times(pack_times(times)) == tuple(times)


def test_a_pattern_takes_few_bytes() -> None:
    """An hour at 25 frames/s of which every eighth frame is sent."""
    assert len(pack_times([n for n in range(90_000) if n % 8])) < 500


REFUSED = {
    "no base64": "!",
    "cut": pack_times(list(range(0, 3000, 7)))[:-4],
    "no deflate": base64.b64encode(b"\xff\xff\xff").decode(),
    "bytes behind": base64.b64encode(base64.b64decode(deflate(b"\1") + "==") + b"x").decode(),
    "the same time twice": deflate(b"\1\0"),
    "a step without its end": deflate(b"\1\x81"),
    "a step that is too long": deflate(b"\xff\xff\xff\xff\xff\1"),
    "too many": deflate(b"\1" * (MAX_INTERPOLATED + 1)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_texts_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        unpack_times(REFUSED[kind])


def test_a_bomb_takes_no_memory() -> None:
    """Zeros deflate to a thousandth; only as many are unpacked as a video could have."""
    bomb = deflate(bytes(1 << 28))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"\w"):
        unpack_times(bomb)
    assert tracemalloc.get_traced_memory()[1] < 300 << 20
    tracemalloc.stop()
