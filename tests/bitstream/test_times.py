"""Times as text: golden texts, round trips, and every text that is none."""

import base64
import subprocess
import sys
import zlib
from collections.abc import Sequence

import numpy as np
import pytest

import tinct.bitstream.times
from tinct.bitstream.times import pack_times, unpack_times
from tinct.limits import MAX_INTERPOLATED

GOLDEN = {
    "Y2QEAA": [0, 1],
    "Y2RkYgQA": [0, 1, 3, 4],
    "Y2IEAA": [1, 2],
    "Y2JkAkMA": [1, 2, 4, 5, 7, 8, 10, 11],
    "a2BsaGAUBQA": [127, 16511, 16532],
}


def deflate(data: bytes) -> bytes:
    """Return the data deflated without a header."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def write_text(data: bytes) -> str:
    """Return base64 without padding."""
    return base64.b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("text", GOLDEN)
def test_a_text_has_these_times(text: str) -> None:
    assert unpack_times(text).tolist() == GOLDEN[text]


def test_steps_are_packed_into_few_bytes() -> None:
    text = pack_times([127, 16511, 16532])
    steps = zlib.decompress(base64.b64decode(text + "=" * (-len(text) % 4)), wbits=-15)
    assert steps == bytes([0x80, 1, 0x80, 0x80, 1, 21])


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([0], id="first"),
        pytest.param([(1 << 35) - 2], id="longest step"),
        pytest.param([0, *(n * ((1 << 35) - 1) for n in range(1, 5))], id="longest steps"),
        pytest.param(range(1, 300_000, 3), id="regular"),
        pytest.param(range(127, 40_000, 128), id="two bytes"),
        pytest.param(
            np.cumsum(np.random.default_rng(3).integers(1, 1 << 22, 60_000)).tolist(), id="random"
        ),
    ],
)
def test_reading_is_the_inverse_of_writing(times: Sequence[int]) -> None:
    """The long ones do not end where a piece of the packed steps ends."""
    assert unpack_times(pack_times(times)).tolist() == list(times)


def test_padding_may_be_written() -> None:
    assert unpack_times("Y2QEAA==").tolist() == [0, 1]


def test_a_long_regular_list_is_short_text() -> None:
    times = [n for n in range(1, 1_000_000) if n % 8]
    assert len(pack_times(times)) < 5000


NO_TIMES = {
    "nothing": "",
    "no base64": "Y2QE!A",
    "no ASCII": "Y2QEÄA",
    "half base64": "Y2QEA",
    "no deflate": write_text(b"\xff\xff\xff\xff"),
    "cut": write_text(deflate(bytes([1, 2, 3] * 50))[:-3]),
    "bytes behind": write_text(deflate(bytes([1, 1])) + b"x"),
    "two streams": write_text(deflate(bytes([1, 1])) * 2),
    "step of 0": write_text(deflate(bytes([1, 0, 1]))),
    "long step of 0": write_text(deflate(bytes([1, 0x80, 0x80, 0, 1]))),
    "step without end": write_text(deflate(bytes([1, 0x81]))),
    "step of six bytes": write_text(deflate(bytes([1, *[0x81] * 5, 1]))),
    "step of many bytes": write_text(deflate(bytes([0x81] * 300_000))),
    "one too many": write_text(deflate(bytes([1]) * (MAX_INTERPOLATED + 1))),
}


@pytest.mark.parametrize("text", NO_TIMES.values(), ids=NO_TIMES)
def test_what_is_no_text_of_times_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack_times(text)


MEASURE = """
import resource, sys
from tinct.bitstream.times import unpack_times
text = sys.stdin.read()
def most_mib(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = most_mib()
try:
    print(len(unpack_times(text)), end=" ")
except ValueError:
    print(0, end=" ")
print(most_mib() - before)
"""


@pytest.mark.parametrize(
    ("count", "found"),
    [
        pytest.param(MAX_INTERPOLATED, MAX_INTERPOLATED, id="as many as are allowed"),
        pytest.param(8 * MAX_INTERPOLATED, 0, id="128 MiB of steps"),
    ],
)
def test_a_bomb_takes_eight_bytes_a_time(count: int, found: int) -> None:
    """The texts have 22 kB and 174 kB."""
    packer = zlib.compressobj(wbits=-15)
    piece = bytes([1]) * (1 << 20)
    data = b"".join(packer.compress(piece) for _ in range(count >> 20)) + packer.flush()
    command = [sys.executable, "-c", MEASURE]
    given = write_text(data).encode()
    result = subprocess.run(command, input=given, capture_output=True, check=True)
    times, mebibytes = map(int, result.stdout.split())
    assert times == found
    assert mebibytes < 200


def test_the_limit_of_times_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tinct.bitstream.times, "MAX_INTERPOLATED", 3)
    assert len(unpack_times(pack_times([1, 2, 3]))) == 3
    with pytest.raises(ValueError, match="too many"):
        unpack_times(pack_times([1, 2, 3, 4]))
