"""HEVC packets: what they hold, in which order they come, and what decodes from them."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import measure_psnr, read_track_packets
from synthetic import draw_clip, make_info, write_clip

import tinct
from tinct.bitstream.base import IntraEncoder, PictureEncoder, coded_shape
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.decoding import PictureDecoder
from tinct.bitstream.hevc import STRUCTURES, split_header
from tinct.bitstream.pictures import Packet, stack_chroma, unstack_chroma
from tinct.frames import Hdr
from tinct.media.planes import Planes, from_av_frame

HDR = Hdr("G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)", "1000,400")
PARAMETER_SETS = {32, 33, 34}


def make_settings(structure: str = "intra", **changes: object) -> BaseSettings:
    return replace(BaseSettings(structure=structure, info=make_info(), qp=32), **changes)  # type: ignore[arg-type]


def encode_all(encoder: PictureEncoder, pictures: list[Planes]) -> list[Packet]:
    """Return the packets of all pictures, of which the first is an IDR picture."""
    packets: list[Packet] = []
    for n, picture in enumerate(pictures):
        packets += encoder.encode(picture, n, idr=n == 0)
    return packets + encoder.flush()


def encode_at_qps(encoder: IntraEncoder, pictures: list[Planes], qps: list[int]) -> list[Packet]:
    """Return the packets of all pictures, each coded at its QP."""
    packets: list[Packet] = []
    for n, (picture, qp) in enumerate(zip(pictures, qps, strict=True)):
        packets += encoder.encode(picture, n, qp)
    return packets + encoder.flush()


def decode_all(
    header: bytes, packets: list[Packet], *, low_delay: bool = False
) -> list[tuple[int, Planes]]:
    """Return (pts, planes) of all pictures, and check that none is damaged."""
    decoder = PictureDecoder(header, low_delay=low_delay)
    pictures: list[tuple[int, Planes]] = []
    for packet in packets:
        pictures += decoder.decode(packet.data, packet.pts)
    pictures += decoder.flush()
    assert decoder.damaged == 0
    return pictures


def unit_types(data: bytes) -> list[int]:
    """Return the NAL unit types of Annex B bytes."""
    starts = [n + 3 for n in range(len(data) - 3) if data[n : n + 3] == b"\0\0\1"]
    return [(data[n] >> 1) & 63 for n in starts]


def assert_same_planes(found: Planes, expected: Planes) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours, theirs)


GREY = [(p[0],) for p in draw_clip(12)]
COLOUR = list(draw_clip(12))


@pytest.mark.parametrize(
    ("structure", "grey", "depth"), list(product(STRUCTURES, [True, False], [8, 10]))
)
def test_packets_carry_no_parameter_sets_and_decode_to_every_picture(
    structure: str, grey: bool, depth: int
) -> None:
    source = draw_clip(12, bit_depth=depth)
    pictures: list[Planes] = [p[:1] if grey else p for p in source]
    encoder = PictureEncoder(
        make_settings(structure, info=make_info(bit_depth=depth)), (48, 64), grey=grey
    )
    packets = encode_all(encoder, pictures)
    assert set(unit_types(encoder.header)) == PARAMETER_SETS
    for packet in packets:
        assert not set(unit_types(packet.data)) & PARAMETER_SETS
        assert not set(unit_types(packet.data)) & {39, 40}  # x265's text about itself
    found = decode_all(encoder.header, packets)
    assert [pts for pts, _ in found] == list(range(12))
    for (_, ours), theirs in zip(found, pictures, strict=True):
        assert 33 < measure_psnr(ours[0], theirs[0], 255 << (depth - 8)) < 44


@pytest.mark.parametrize("structure", ["intra", "random-access", "colour"])
def test_packets_of_a_structure_come_in_its_order(structure: str) -> None:
    packets = encode_all(PictureEncoder(make_settings(structure), (48, 64), grey=True), GREY)
    times = [p.pts for p in packets]
    assert sorted(times) == list(range(12))
    assert (times == sorted(times)) == (structure != "random-access")
    assert [p.keyframe for p in packets] == [structure == "intra" or n == 0 for n in range(12)]


def test_idr_pictures_stand_where_they_are_asked_for() -> None:
    encoder = PictureEncoder(make_settings("colour"), (48, 64), grey=True)
    packets: list[Packet] = []
    for n, picture in enumerate(GREY):
        packets += encoder.encode(picture, n, idr=n in (0, 7))
    packets += encoder.flush()
    assert [p.pts for p in packets if p.keyframe] == [0, 7]
    assert [unit_types(p.data)[-1] in (19, 20) for p in packets] == [n in (0, 7) for n in range(12)]
    entered = decode_all(encoder.header, packets[7:])
    assert [pts for pts, _ in entered] == list(range(7, 12))
    for (_, ours), (_, theirs) in zip(
        entered, decode_all(encoder.header, packets)[7:], strict=True
    ):
        assert_same_planes(ours, theirs)


def test_colour_packets_come_without_delay() -> None:
    encoder = PictureEncoder(make_settings("colour"), (48, 64), grey=True)
    late = 0
    for n, picture in enumerate(GREY):
        packets = encoder.encode(picture, n, idr=n == 0)
        late = max(late, n - packets[-1].pts if packets else 0)
    assert late <= 5  # with x265's defaults it is 25 and more


def test_every_decoder_shows_the_same_pictures() -> None:
    for structure in STRUCTURES:
        encoder = PictureEncoder(make_settings(structure), (48, 64), grey=False)
        packets = encode_all(encoder, COLOUR)
        usual = decode_all(encoder.header, packets)
        low_delay = decode_all(encoder.header, packets, low_delay=True)
        for (_, ours), (_, theirs) in zip(usual, low_delay, strict=True):
            assert_same_planes(ours, theirs)


def test_a_muxed_track_decodes_to_what_the_encoder_coded(tinct_path: Path) -> None:
    """A decoder of libavcodec, given the file, gives the same pictures as `PictureDecoder`."""
    for name, track in (("luma", 0), ("colour", 1)):
        with av.open(str(tinct_path)) as container:
            theirs = [from_av_frame(frame) for frame in container.decode(video=track)]
            header = container.streams.video[track].codec_context.extradata
        decoder = PictureDecoder(header)
        packets = read_track_packets(tinct_path, name)
        ours: list[tuple[int, Planes]] = []
        for n, packet in enumerate(packets):
            ours += decoder.decode(bytes(packet), n)
        ours += decoder.flush()
        assert len(ours) == len(theirs) == len(packets)
        for (_, mine), other in zip(ours, theirs, strict=True):
            assert_same_planes(mine, other)


# ── a QP for each picture ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("grey", [True, False])
def test_mixed_qps_come_in_order_and_alone_or_among_others_are_the_same(grey: bool) -> None:
    pictures: list[Planes] = GREY if grey else list(COLOUR)
    qps = [25 if n % 6 == 0 else 37 for n in range(12)]
    encoder = IntraEncoder(make_settings(qp=32), (48, 64), grey=grey)
    packets = encode_at_qps(encoder, pictures, qps)
    assert [p.pts for p in packets] == list(range(12))
    shown = dict(decode_all(encoder.header, packets))
    for qp in (25, 37):
        alone = PictureEncoder(make_settings(qp=qp), (48, 64), grey=grey)
        expected = {p.pts: p.data for p in encode_all(alone, pictures)}
        for n in range(12):
            if qps[n] == qp:
                # the bytes differ in one flag, which x265 derives from the picture's number
                assert len(packets[n].data) == len(expected[n])
                assert_same_planes(shown[n], dict(decode_all(alone.header, [packets[n]]))[n])


def test_qps_that_never_repeat_stay_in_order() -> None:
    encoder = IntraEncoder(make_settings(qp=32), (48, 64), grey=True)
    packets = encode_at_qps(encoder, GREY, [20 + (n * 5) % 12 for n in range(12)])
    assert [p.pts for p in packets] == list(range(12))
    found = decode_all(encoder.header, packets)
    quality = [measure_psnr(planes[0], GREY[pts][0]) for pts, planes in found]
    assert quality[0] > quality[7] + 2  # QP 20 and 31


def test_a_finer_qp_is_finer() -> None:
    found = []
    for qp in (0, 12, 22, 32, 42, 51):
        encoder = PictureEncoder(make_settings(qp=qp), (48, 64), grey=True)
        packets = encode_all(encoder, GREY[:2])
        _, (luma,) = decode_all(encoder.header, packets)[1]
        found.append((measure_psnr(luma, GREY[1][0]), len(packets[1].data)))
    assert sorted(found, reverse=True) == found
    assert [size for _, size in found] == sorted((size for _, size in found), reverse=True)


# ── sizes and headers ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shape", "grey", "wanted"),
    [
        ((48, 64), True, (48, 64)),
        ((33, 17), True, (33, 18)),
        ((33, 17), False, (34, 18)),
        ((33, 21), True, (33, 21)),
        ((1, 1), True, (16, 18)),
        ((1, 1), False, (16, 18)),
        ((16, 18), False, (16, 18)),
        ((1080, 1920), False, (1080, 1920)),
    ],
)
def test_shapes_are_what_x265_takes(
    shape: tuple[int, int], grey: bool, wanted: tuple[int, int]
) -> None:
    assert coded_shape(shape, grey=grey) == wanted
    assert PictureEncoder(make_settings(), shape, grey=grey).shape == wanted


def test_stacked_chroma_comes_apart_whatever_was_padded() -> None:
    cb, cr = np.random.default_rng(0).integers(0, 256, (2, 17, 9), np.uint8)
    stacked = stack_chroma(cb, cr)
    padded = np.pad(stacked, ((0, 5), (0, 9)), mode="edge")
    for picture in (stacked, padded):
        found = unstack_chroma(picture, (17, 9))
        assert_same_planes(found, (cb, cr))


def test_hdr_messages_go_with_key_pictures() -> None:
    about = make_info(bit_depth=10, hdr=HDR)
    encoder = PictureEncoder(make_settings("random-access", info=about), (48, 64), grey=True)
    packets = encode_all(encoder, [p[:1] for p in draw_clip(6, bit_depth=10)])
    assert set(unit_types(encoder.header)) == PARAMETER_SETS
    assert [39 in unit_types(p.data) for p in packets] == [p.keyframe for p in packets]


@pytest.mark.parametrize("zeros", [b"\0\0\1", b"\0\0\0\1"])
def test_a_header_is_split_at_its_units(zeros: bytes) -> None:
    sets = [bytes([kind << 1, 1, 7]) for kind in (32, 33, 34)]
    message = bytes([39 << 1, 1, 5])
    header = b"".join(zeros + unit for unit in (*sets, message))
    start = b"\0\0\0\1"
    assert split_header(header) == (b"".join(start + unit for unit in sets), start + message)


@pytest.mark.slow
def test_the_colour_track_can_be_entered_every_ten_seconds(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=130, size=(32, 32), rate=4)
    tinct.encode(
        str(tmp_path / "a.mkv"),
        str(tmp_path / "b.mkv"),
        tinct.EncodeConfig(colour="track", group=8),
    )
    times = [
        p.pts / 1000 for p in read_track_packets(tmp_path / "b.mkv", "colour") if p.is_keyframe
    ]
    assert times[0] == 0
    assert max(np.diff([*times, 32.25])) <= 10
    assert len(times) <= 6  # and not much more often


# ── faults that were found once ───────────────────────────────────────────────────────────────────

REPEATED = """
import sys
sys.path[:0] = ["tests", "tests/bitstream", "tests/media"]
import hashlib
import numpy as np
from itertools import product
from test_hevc import encode_all, make_settings
from tinct.bitstream.base import PictureEncoder

def pan(width, height):
    shape = (height // 4 + 6, width // 4 + 6)
    blocks = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    scene = np.kron(blocks, np.ones((4, 4), np.uint8))
    luma = [scene[n % 9 : n % 9 + height, n % 17 : n % 17 + width].copy() for n in range(18)]
    return [(y, y[::2, ::2].copy(), y[1::2, 1::2].copy()) for y in luma]

sizes = [(16, 16), (32, 48), (32, 64), (64, 64), (18, 20), (48, 48), (300, 32), (300, 64)]
structures = ("low-delay", "random-access", "colour")
for (width, height), structure, rate in product(sizes, structures, ("qp", "crf")):
    grey = structure == "colour"
    settings = make_settings(structure, **{"qp": None, rate: 25})
    encoder = PictureEncoder(settings, (height, width), grey=grey)
    packets = encode_all(encoder, [p[:1] if grey else p for p in pan(width, height)])
    digest = hashlib.sha256(b"".join(p.data for p in packets)).hexdigest()
    print(width, height, structure, rate, digest)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MALLOC_PERTURB_ is glibc's")
def test_bytes_do_not_depend_on_uninitialised_memory() -> None:
    """x265 reads and writes beyond its buffers where pictures are small."""
    root = Path(__file__).parent.parent.parent
    outputs = set()
    for value in ("85", "170"):
        environment = {
            **os.environ,
            "MALLOC_PERTURB_": value,
            "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        }
        done = subprocess.run(
            [sys.executable, "-c", REPEATED],
            cwd=root,
            env=environment,
            capture_output=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1


CLOSED = """
import sys
sys.path[:0] = ["tests", "tests/bitstream", "tests/media"]
from test_hevc import decode_all, encode_all, make_settings
from synthetic import draw_clip
from tinct.bitstream.base import PictureEncoder
for _ in range(150):
    encoder = PictureEncoder(make_settings("random-access"), (16, 16), grey=False)
    packets = encode_all(encoder, draw_clip(2, 16, 16))
    decode_all(encoder.header, packets)
"""


@pytest.mark.slow
def test_decoders_can_be_closed_while_their_threads_free_packets() -> None:
    """A thread waited for the interpreter's lock, which the closing decoder held, and both hung."""
    root = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, "-c", CLOSED], cwd=root, check=True, timeout=60)
