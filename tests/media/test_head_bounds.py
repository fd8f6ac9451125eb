"""AVI, FLV and Smacker files of a few bytes that state gigabytes are refused unopened."""

import struct
from pathlib import Path

import pytest
from synthetic import write_clip

import tinct
from tinct.errors import CodecError
from tinct.media.head_bounds import check_heads

HUGE = 0x7FFFFF00


def make_avi(list_bytes: int) -> bytes:
    """Return the head of an AVI file with a text of 2 GB in a list of so many bytes."""
    text = b"INFOINAM" + struct.pack("<I", HUGE) + bytes(20)
    texts = b"LIST" + struct.pack("<I", list_bytes) + text
    return b"RIFF" + struct.pack("<I", len(texts) + 4) + b"AVI " + texts


def make_flv(count: int, *, name: bytes = b"times") -> bytes:
    """Return an FLV file whose list of key frames has so many entries."""

    def prefix(text: bytes) -> bytes:
        return struct.pack(">H", len(text)) + text

    times = prefix(name) + b"\x0a" + struct.pack(">I", count) + bytes(9)
    body = b"\2" + prefix(b"onMetaData") + b"\x08" + struct.pack(">I", 1)
    body += prefix(b"keyframes") + b"\3" + times + b"\0\0\x09"
    tag = b"\x12" + struct.pack(">I", len(body))[1:] + bytes(7) + body
    return b"FLV\1\5" + struct.pack(">II", 9, 0) + tag + struct.pack(">I", len(body) + 11)


def make_smacker(frames: int) -> bytes:
    return b"SMK2" + struct.pack("<IIII", 64, 48, frames, 100) + bytes(500)


HOSTILE = {
    "a text of an AVI": make_avi(HUGE),
    "times of an FLV": make_flv(0x0FFFFFFF),
    "places of an FLV": make_flv(0x0FFFFFFF, name=b"filepositions"),
    "a name of an FLV that ends early": make_flv(0x0FFFFFFF, name=b"times\0and more"),
    "far into an FLV": make_flv(0) + bytes(1_048_400) + make_flv(0x0FFFFFFF),
    "frames of a Smacker": make_smacker(0xFFFFFF),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_head_that_states_more_than_the_file_holds_is_refused(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "attack"
    path.write_bytes(data)
    with pytest.raises(CodecError, match=r"fields that fit the [\d,]+ bytes of the file"):
        tinct.info(str(path))


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.flv", "flv")])
def test_ordinary_heads_are_read(tmp_path: Path, name: str, codec: str) -> None:
    options = {"flvflags": "add_keyframe_index"} if name == "a.flv" else {}
    write_clip(
        tmp_path / name,
        frames=6,
        codec=codec,
        metadata={"title": "INFO times"},
        container_options=options,
    )
    assert tinct.info(str(tmp_path / name)).frames == 6


def test_small_claims_are_no_attack(tmp_path: Path) -> None:
    for data in (make_avi(40), make_flv(1), make_smacker(20)):
        (tmp_path / "a").write_bytes(data)
        check_heads(str(tmp_path / "a"))
