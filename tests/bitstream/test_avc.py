"""H.264 packets of luma and of colour: grey pictures, QPs in turn, numbers of IDR pictures."""

import io
import os
import pickle
import re
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import measure_psnr
from synthetic import draw_clip, make_info

from tinct.bitstream.annexb import split_units
from tinct.bitstream.avc import AVC
from tinct.bitstream.avc_headers import IDR, PPS, SPS, is_grey, number_idr
from tinct.bitstream.base import IntraEncoder, PictureEncoder
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.decoding import PictureDecoder
from tinct.bitstream.pictures import Packet
from tinct.bitstream.spools import Spool
from tinct.media.planes import Planes

PRESETS = ("medium", "ultrafast")  # arithmetic and variable-length codes
QPS = (22, 37, 37, 30, 22, 37)


def make_settings(**changes: Any) -> BaseSettings:
    usual: dict[str, Any] = {"structure": "intra", "qp": 32, "info": make_info(), "base": "avc"}
    return BaseSettings(**{**usual, **changes})


def draw_pictures(count: int = len(QPS), *, depth: int = 8, grey: bool = True) -> list[Planes]:
    return [planes[: 1 if grey else 3] for planes in draw_clip(count, bit_depth=depth)]


def encode_in_turn(settings: BaseSettings, pictures: list[Planes]) -> tuple[bytes, list[Packet]]:
    """Return header and packets, whose QPs come from several encoders."""
    encoder = IntraEncoder(settings, (48, 64), grey=len(pictures[0]) == 1)
    packets = [
        packet
        for number, (picture, qp) in enumerate(zip(pictures, QPS, strict=True))
        for packet in encoder.encode(picture, number, qp)
    ]
    return encoder.header, packets + encoder.flush()


def decode(header: bytes, packets: list[bytes], *, low_delay: bool = False) -> list[Planes]:
    decoder = PictureDecoder(header, base=AVC, low_delay=low_delay)
    shown = [planes for pts, data in enumerate(packets) for _, planes in decoder.decode(data, pts)]
    shown += [planes for _, planes in decoder.flush()]
    assert (decoder.damaged, decoder.pictureless) == (0, 0)
    return shown


def are_same(found: list[Planes], expected: list[Planes]) -> bool:
    return len(found) == len(expected) and all(
        np.array_equal(a, b)
        for ours, theirs in zip(found, expected, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


def write_box(header: bytes) -> bytes:
    """Return parameter sets as Matroska has them, in an `avcC` box."""
    sets = {unit[4] & 31: unit[4:] for unit in split_units(header)}
    sps, pps = sets[SPS], sets[PPS]
    head = b"\1" + sps[1:4] + b"\xff\xe1"
    return head + len(sps).to_bytes(2) + sps + b"\1" + len(pps).to_bytes(2) + pps


def read_numbers(header: bytes, packets: list[bytes]) -> list[int]:
    """Return `idr_pic_id` of all slices, as a reader of FFmpeg's finds it."""
    program = """
import pickle, sys, av, av.logging
header, packets = pickle.load(sys.stdin.buffer)
av.logging.set_level(av.logging.INFO)
with av.logging.Capture() as lines:
    reader = av.BitStreamFilterContext("trace_headers", "h264")
    for data in packets:
        reader.filter(av.Packet(header + data))
print("".join(line for _, _, line in lines))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps((header, packets)),
        capture_output=True,
        check=True,
    )
    return [int(found) for found in re.findall(r"idr_pic_id +[01]+ = (\d+)", done.stdout.decode())]


# ── headers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("structure", "grey", "depth"), list(product(AVC.structures, [True, False], [8, 10]))
)
def test_the_header_tells_whether_pictures_are_grey(structure: str, grey: bool, depth: int) -> None:
    settings = make_settings(structure=structure, info=make_info(bit_depth=depth))
    header = PictureEncoder(settings, (48, 64), grey=grey).header
    for form in (header, write_box(header)):
        assert is_grey(form) == grey


def test_a_header_that_is_cut_off_is_no_error() -> None:
    header = PictureEncoder(make_settings(), (48, 64), grey=True).header
    for form in (header, write_box(header)):
        found = [is_grey(form[:length]) for length in range(len(form))]
        assert not any(found[:8])
    assert not is_grey(b"\1" + bytes(20))


@pytest.mark.parametrize("structure", ["intra", "colour"])
def test_the_header_is_the_same_at_every_qp(structure: str) -> None:
    """x264 writes the QP into it unless it is told not to, and other packets decode to nonsense."""
    headers = {
        PictureEncoder(make_settings(qp=qp, structure=structure), (48, 64), grey=True).header
        for qp in (0, 1, 12, 32, 51)
    }
    assert len(headers) == 1


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("preset", "grey", "depth"), list(product(PRESETS, [True, False], [8, 10]))
)
def test_qps_in_turn_decode_to_what_each_gives_alone(preset: str, grey: bool, depth: int) -> None:
    pictures = draw_pictures(depth=depth, grey=grey)
    settings = make_settings(preset=preset, info=make_info(bit_depth=depth))
    header, packets = encode_in_turn(settings, pictures)
    assert [packet.pts for packet in packets] == list(range(len(QPS)))
    shown = decode(header, [packet.data for packet in packets])
    assert [len(planes) for planes in shown] == [1 if grey else 3] * len(QPS)
    alone = [decode(header, [packet.data])[0] for packet in packets]
    assert are_same(shown, alone)
    quality = [
        measure_psnr(ours[0], theirs[0], 255 << (depth - 8))
        for ours, theirs in zip(shown, pictures, strict=True)
    ]
    assert 40 < min(quality[0], quality[4]) < 55
    assert 30 < max(quality[1], quality[2], quality[5]) < 38


def test_pictures_come_one_by_one_in_one_slice_each() -> None:
    """Slices by the number of threads would make other bytes on another machine."""
    for structure in ("intra", "intra-main", "colour"):
        encoder = PictureEncoder(make_settings(structure=structure), (48, 64), grey=True)
        for number, picture in enumerate(draw_pictures()):
            (packet,) = encoder.encode(picture, number, idr=number == 0)
            assert packet.pts == number
            assert len(split_units(packet.data)) == 1
        assert encoder.flush() == []


def test_colour_can_be_entered_where_that_was_asked_for() -> None:
    encoder = PictureEncoder(make_settings(structure="colour"), (48, 64), grey=True)
    packets = [
        packet
        for number, picture in enumerate(draw_pictures())
        for packet in encoder.encode(picture, number, idr=number in (0, 3))
    ]
    assert [packet.keyframe for packet in packets] == [n in (0, 3) for n in range(len(QPS))]
    data = [packet.data for packet in packets]
    whole = decode(encoder.header, data, low_delay=True)
    assert are_same(decode(encoder.header, data[3:], low_delay=True), whole[3:])


@pytest.mark.parametrize("depth", [8, 10])
def test_a_chroma_offset_is_coarser_colour_alone(depth: int) -> None:
    pictures = draw_pictures(grey=False, depth=depth)
    shown = {}
    for offset in (0, 6):
        settings = make_settings(chroma_qp_offset=offset, info=make_info(bit_depth=depth))
        header, packets = encode_in_turn(settings, pictures)
        shown[offset] = decode(header, [packet.data for packet in packets])[1]
    assert np.array_equal(shown[0][0], shown[6][0])
    fine, coarse = (
        measure_psnr(shown[offset][1], pictures[1][1], 255 << (depth - 8)) for offset in (0, 6)
    )
    assert 1 < fine - coarse < 8


# ── numbers of IDR pictures ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("preset", "grey", "depth"), list(product(PRESETS, [True, False], [8, 10]))
)
def test_neighbours_differ_in_number_and_show_the_same(preset: str, grey: bool, depth: int) -> None:
    settings = make_settings(preset=preset, info=make_info(bit_depth=depth))
    header, coded = encode_in_turn(settings, draw_pictures(depth=depth, grey=grey))
    packets = [packet.data for packet in coded]
    assert any(a == b for a, b in pairwise(read_numbers(header, packets)))
    numbered = [number_idr(header, data, n) for n, data in enumerate(packets)]
    assert read_numbers(header, numbered) == [0, 1, 0, 1, 0, 1]
    assert are_same(decode(header, numbered), decode(header, packets))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_number_and_back_are_the_same_bytes(preset: str) -> None:
    """The second packet of an encoder has the number 1 from x264 itself."""
    header, packets = encode_in_turn(make_settings(preset=preset), draw_pictures())
    for packet in packets:
        versions = {number_idr(header, packet.data, number) for number in (0, 1)}
        assert packet.data in versions
        assert len(versions) == 2
        assert {number_idr(header, data, 0) for data in versions} == {
            number_idr(header, packet.data, 0)
        }


@pytest.mark.parametrize("preset", PRESETS)
def test_what_looks_like_a_start_code_stays_escaped(preset: str) -> None:
    """Random slice data of small bytes behind a real header: no bit of it may change."""
    header, packets = encode_in_turn(make_settings(preset=preset), draw_pictures())
    (unit,) = split_units(packets[0].data)
    random = np.random.default_rng(0)
    for _ in range(200):
        payload = random.choice([0, 0, 0, 1, 2, 3, 255], 40).astype(np.uint8).tobytes()
        escaped = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload + b"\x80")
        slice_unit = unit[:12] + b"\xff" + escaped
        changed = number_idr(header, slice_unit, 1)
        assert changed != slice_unit
        assert not re.search(rb"\0\0[\0-\2]", changed[4:])
        assert number_idr(header, changed, 0) == slice_unit


def test_other_units_are_left_alone() -> None:
    encoder = PictureEncoder(make_settings(structure="colour"), (48, 64), grey=True)
    _, predicted = (
        packet
        for number, picture in enumerate(draw_pictures(2))
        for packet in encoder.encode(picture, number, idr=number == 0)
    )
    assert split_units(predicted.data)[0][4] & 31 != IDR
    assert number_idr(encoder.header, predicted.data, 1) == predicted.data
    message = b"\0\0\0\1\6\5\1\7\x80"
    assert number_idr(encoder.header, message, 1) == message


def test_a_track_numbers_its_pictures_in_the_order_of_the_file() -> None:
    """Frames that are sent late come from encoders of their own, and lie between the others."""
    header, packets = encode_in_turn(make_settings(), draw_pictures())
    spool = Spool("luma", header, AVC, file=io.BytesIO(), late_file=io.BytesIO())
    spool.write([packet for packet in packets if packet.pts % 3 != 1])
    for packet in packets[1::3]:
        spool.write_late(packet)
    read = list(spool.read())
    assert [packet.pts for packet in read] == list(range(len(QPS)))
    assert read_numbers(header, [packet.data for packet in read]) == [0, 1, 0, 1, 0, 1]
    assert list(spool.read()) == read


# ── repeated runs ────────────────────────────────────────────────────────────────────────────────

REPEATED = """
import sys
sys.path[:0] = ["tests", "tests/bitstream", "tests/media"]
import hashlib
import numpy as np
from itertools import product
from test_avc import make_settings
from tinct.bitstream.base import PictureEncoder

def pan(width, height):
    shape = (height // 4 + 6, width // 4 + 6)
    blocks = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    scene = np.kron(blocks, np.ones((4, 4), np.uint8))
    luma = [scene[n % 9 : n % 9 + height, n % 17 : n % 17 + width].copy() for n in range(12)]
    return [(y, y[::2, ::2].copy(), y[1::2, 1::2].copy()) for y in luma]

sizes = [(16, 16), (32, 48), (18, 20), (130, 34), (300, 32), (200, 100)]
for (width, height), structure, preset in product(sizes, ("intra", "colour"), ("medium", "slow")):
    for grey in (True, False):
        encoder = PictureEncoder(
            make_settings(structure=structure, preset=preset), (height, width), grey=grey
        )
        packets = []
        for number, planes in enumerate(pan(width, height)):
            packets += encoder.encode(planes[:1] if grey else planes, number, idr=number == 0)
        packets += encoder.flush()
        digest = hashlib.sha256(b"".join(p.data for p in packets)).hexdigest()
        print(width, height, structure, preset, grey, digest)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MALLOC_PERTURB_ is glibc's")
def test_bytes_of_tracks_do_not_depend_on_uninitialised_memory() -> None:
    root = Path(__file__).parent.parent.parent
    outputs = []
    for value in ("85", "170"):
        environment = {
            **os.environ,
            "MALLOC_PERTURB_": value,
            "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        }
        command = [sys.executable, "-c", REPEATED]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
        outputs.append(done.stdout)
    assert outputs[0].count(b"\n") == 48
    assert outputs[0] == outputs[1]
