"""Annex B, the byte stream of H.264 and HEVC: NAL units, each behind a start code."""

import re


def split_units(data: bytes) -> list[bytes]:
    """Return the NAL units of a byte stream, each with a start code of four bytes."""
    return [b"\0\0\0\1" + unit for unit in re.split(rb"\x00?\x00\x00\x01", data)[1:]]
