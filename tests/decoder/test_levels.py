"""Levels of in-band pictures: told by real packets, in the form of the encoder and of a file."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from synthetic import make_info

from tinct.bitstream.annexb import iterate_units
from tinct.bitstream.base import BASES, PictureEncoder
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.pictures import Packet
from tinct.decoder.levels import Levels
from tinct.motion.references import find_pyramid_level

INFO = make_info(64, 96, frame_rate=Fraction(25))
FRAMES = 24


def code_moving(base: str, structure: str) -> list[Packet]:
    """Return the packets of a texture that moves by a sample a frame."""
    noise = np.random.default_rng(0).integers(60, 200, (INFO.height, 2 * INFO.width), np.uint8)
    smooth = (noise // 2 + np.roll(noise, 1, 1) // 2).astype(np.uint8)
    chroma = np.full(INFO.chroma_shape, 128, np.uint8)
    settings = BaseSettings(base=base, structure=structure, info=INFO, qp=30)
    encoder = PictureEncoder(settings, (INFO.height, INFO.width), grey=False)
    packets: list[Packet] = []
    for pts in range(FRAMES):
        y = np.ascontiguousarray(smooth[:, pts : pts + INFO.width])
        packets += encoder.encode((y, chroma, chroma), pts, idr=pts == 0)
    return packets + encoder.flush()


def level_by_time(packets: list[Packet], base: str) -> list[int]:
    levels = Levels(BASES[base])
    for packet in packets:
        levels.note(packet.data, packet.pts, is_entry=packet.keyframe)
    return [levels.take(pts) for pts in range(FRAMES)]


@pytest.mark.parametrize("base", ["hevc", "avc"])
def test_b_pictures_are_coarser_and_those_that_none_refers_to_coarsest(base: str) -> None:
    """x265 and x264 predict from the middle one of B pictures in a row, and from no other."""
    packets = code_moving(base, "random-access")
    found = level_by_time(packets, base)
    runs = [
        [level for _, level in run]
        for is_top, run in itertools.groupby(enumerate(found), lambda one: one[1] == 0)
        if not is_top
    ]
    assert max(len(run) for run in runs) >= 3
    for run in runs:
        assert run.count(1) == (len(run) > 1), found


@pytest.mark.parametrize("base", ["hevc", "avc"])
def test_without_b_pictures_all_are_of_level_0(base: str) -> None:
    assert level_by_time(code_moving(base, "low-delay"), base) == [0] * FRAMES


def test_a_regular_pyramid_starts_anew_at_an_entry_point() -> None:
    levels = Levels(BASES["av1"])
    for pts in (0, 9):
        levels.note(b"", pts, is_entry=True)
    levels.note(b"", 20, is_entry=False)
    assert [levels.take(pts) for pts in range(13)] == [0, 3, 2, 3, 1, 3, 2, 3, 0, 0, 3, 2, 3]
    assert [find_pyramid_level(place) for place in (8, 16, 24, 20)] == [0, 0, 0, 1]


@pytest.mark.parametrize("base", ["hevc", "avc"])
def test_the_form_of_a_packet_does_not_matter(base: str) -> None:
    """Matroska and MP4 have lengths in place of start codes."""
    is_reference = BASES[base].is_reference
    assert is_reference is not None
    kinds = set()
    for packet in code_moving(base, "random-access"):
        units = list(iterate_units(packet.data))
        with_lengths = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
        assert list(iterate_units(with_lengths)) == units
        assert is_reference(with_lengths) == is_reference(packet.data)
        kinds.add(is_reference(packet.data))
    assert kinds == {True, False}


@pytest.mark.parametrize("data", [b"", b"\0\0\0\1", b"\0\0\0\0\0", b"\xff" * 9, b"\0\0\1"])
def test_what_is_no_packet_has_no_level_of_its_own(data: bytes) -> None:
    for base in ("hevc", "avc"):
        levels = Levels(BASES[base])
        levels.note(b"", 9, is_entry=True)
        levels.note(data, 4, is_entry=False)
        assert levels.take(4) in (1, 2)
        assert levels.take(9) == 0
        assert levels.take(10) == 0
