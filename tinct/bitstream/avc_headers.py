"""Headers of H.264: whether pictures are grey, and the number that tells IDR pictures apart.

The tables that are named are those of ITU-T H.264.
"""

import re
from dataclasses import dataclass
from functools import cache

from tinct.bitstream.annexb import split_units

IDR, SPS, PPS = 5, 7, 8  # NAL unit types (table 7-1)
# Profiles whose SPS names the chroma format; in all others that is 4:2:0 (7.3.2.1.1).
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128}
_HEAD_BYTES = 64  # a slice header of ours takes fewer


def is_grey(header: bytes) -> bool:
    """Return whether the SPS of a track says 4:0:0.

    `header` is in Annex B form or, as Matroska has it, that of an `avcC` box.
    """
    try:
        return _read_chroma_format(_Bits(_remove_escapes(_find_sps(header)[1:]))) == 0
    except (ValueError, IndexError):  # it is cut off: no decoder takes it
        return False


def number_idr(header: bytes, data: bytes, number: int) -> bytes:
    """Return a packet whose IDR picture differs in `idr_pic_id` from one with the next number.

    `header` is x264's, in Annex B form as `data` is. Other packets are returned as they are.
    """
    sets = _read_sets(header)
    units = split_units(data)
    numbered = [_number_slice(unit, sets, number & 1) for unit in units]
    return data if numbered == units else b"".join(numbered)


@dataclass(frozen=True, kw_only=True)
class _Sets:
    """What the parameter sets say of slice headers; `order_bits` is 0 where they have no order."""

    frame_bits: int
    order_bits: int
    is_cabac: bool
    has_order_delta: bool
    has_deblocking: bool
    has_redundancy: bool


class _Bits:
    """Reads numbers from bits. Raise ValueError at their end."""

    def __init__(self, data: bytes) -> None:
        self.text = _to_text(data)
        self.place = 0

    def read(self, count: int) -> int:
        """Return a number of fixed length, u(v) of 7.2."""
        self.place += count
        return int(self.text[self.place - count : self.place], 2) if count else 0

    def read_ue(self) -> int:
        """Return a number of variable length, ue(v) of 9.1; se(v) has the same length."""
        zeros = self.text.index("1", self.place) - self.place
        self.place += zeros
        return self.read(zeros + 1) - 1


def _read_chroma_format(sps: _Bits) -> int:
    profile = sps.read(8)
    sps.read(16)  # constraints, level
    sps.read_ue()  # seq_parameter_set_id
    return sps.read_ue() if profile in _HIGH_PROFILES else 1


@cache
def _read_sets(header: bytes) -> _Sets:
    """Read x264's parameter sets, which have no field coding and no groups of slices."""
    by_type = {unit[4] & 31: _Bits(_remove_escapes(unit[5:])) for unit in split_units(header)}
    sps, pps = by_type[SPS], by_type[PPS]
    _read_chroma_format(sps)
    if int(sps.text[:8], 2) in _HIGH_PROFILES:
        sps.read_ue(), sps.read_ue(), sps.read(1)  # bit depths, lossless
        assert not sps.read(1), "scaling matrices are not asked for"
    frame_bits = sps.read_ue() + 4
    order_type = sps.read_ue()
    assert order_type in (0, 2), order_type
    order_bits = sps.read_ue() + 4 if order_type == 0 else 0
    pps.read_ue(), pps.read_ue()  # identifiers
    is_cabac, has_order_delta = bool(pps.read(1)), bool(pps.read(1))
    assert pps.read_ue() == 0, "groups of slices are not asked for"
    pps.read_ue(), pps.read_ue(), pps.read(3)  # references, weights
    pps.read_ue(), pps.read_ue(), pps.read_ue()  # QPs of luma, SP and chroma
    has_deblocking, _, has_redundancy = (bool(pps.read(1)) for _ in range(3))
    return _Sets(
        frame_bits=frame_bits,
        order_bits=order_bits,
        is_cabac=is_cabac,
        has_order_delta=has_order_delta,
        has_deblocking=has_deblocking,
        has_redundancy=has_redundancy,
    )


def _number_slice(unit: bytes, sets: _Sets, number: int) -> bytes:
    """Return a NAL unit with another `idr_pic_id` if it is a slice of an IDR picture (7.3.3)."""
    if unit[4] & 31 != IDR:
        return unit
    head = _Bits(_remove_escapes(unit[5 : 5 + _HEAD_BYTES]))
    head.read_ue(), head.read_ue(), head.read_ue()  # first macroblock, type, PPS
    head.read(sets.frame_bits)
    start = head.place
    if head.read_ue() == number:
        return unit
    stop = head.place
    before, own = head.text[:start], _write_ue(number)
    payload = _remove_escapes(unit[5:])
    if sets.is_cabac:  # arithmetic codes begin at a whole byte, behind ones
        _pass_header_end(head, sets)
        text = before + own + head.text[stop : head.place]
        text += "1" * (-len(text) % 8)
        coded = _to_bytes(text) + payload[-(-head.place // 8) :]
    else:  # all the rest moves; it ends in a one and in zeros up to a whole byte
        text = before + own + _to_text(payload)[stop:].rstrip("0")
        coded = _to_bytes(text + "0" * (-len(text) % 8))
    return unit[:5] + _add_escapes(coded)


def _pass_header_end(head: _Bits, sets: _Sets) -> None:
    """Move behind the header of a slice of an IDR picture, from behind its `idr_pic_id`."""
    head.read(sets.order_bits)
    if sets.order_bits and sets.has_order_delta:
        head.read_ue()
    if sets.has_redundancy:
        head.read_ue()
    head.read(2)  # marking of references
    head.read_ue()  # QP
    if sets.has_deblocking and head.read_ue() != 1:
        head.read_ue(), head.read_ue()


def _find_sps(header: bytes) -> bytes:
    """Return the first SPS, from the byte with its NAL unit type on. Raise IndexError without."""
    if header[0] == 1:  # configurationVersion of avcC; Annex B begins with 0
        return header[8 : 8 + int.from_bytes(header[6:8])]
    return next((unit[4:] for unit in split_units(header) if unit[4] & 31 == SPS), b"")


def _write_ue(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _to_text(data: bytes) -> str:
    """Return bytes as binary digits."""
    return f"{int.from_bytes(data):0{8 * len(data)}b}" if data else ""


def _to_bytes(text: str) -> bytes:
    return int(text, 2).to_bytes(len(text) // 8)


def _remove_escapes(unit: bytes) -> bytes:
    """Take out the bytes that keep start codes out of NAL units (7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def _add_escapes(payload: bytes) -> bytes:
    return re.sub(rb"\0\0(?=[\0-\3]|\Z)", b"\0\0\3", payload)
