"""The short manifest: its golden text, what it does not hold, and texts that are refused."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from helpers import read_attachments, read_message, remux, run
from synthetic import write_clip

import tinct
from tinct.bitstream.container import read_file_manifest
from tinct.bitstream.manifest import Manifest
from tinct.bitstream.short_manifest import read_short, write_short
from tinct.bitstream.strengths import Strengths
from tinct.errors import CodecError
from tinct.networks.compact import load_network

HASH = "0123456789abcdef"
PLAIN = Manifest(
    size=(352, 288),
    frames=96,
    layout="in-band",
    rate=Fraction(30000, 1001),
    colouriser="compact",
    network=("fast-av1", HASH),
    qps=((0, 37, 37),),
)
GOLDEN = [
    (PLAIN, f"3 fast-av1 {HASH} 37 96 30000/1001"),
    (replace(PLAIN, rate=None), f"3 fast-av1 {HASH} 37 96"),
    (
        replace(PLAIN, rate=Fraction((1 << 31) - 1, 90_000_000)),  # the longest terms there are
        f"3 fast-av1 {HASH} 37 96 2147483647/90000000",
    ),
    (
        replace(PLAIN, plain=((), (0, 1, 7), (2,))),
        f"3 fast-av1 {HASH} 37 96 30000/1001 ;0,1,7;2",
    ),
    (replace(PLAIN, rate=None, plain=((4,), (), ())), f"3 fast-av1 {HASH} 37 96 4;;"),
    (
        replace(PLAIN, strengths=(((0, Strengths(4, 1, -2, 3)),), (), ((2, Strengths(rows=-32)),))),
        f"4 fast-av1 {HASH} 37 96 30000/1001 ;; 0khej;;2ogAg",
    ),
    (
        replace(PLAIN, rate=None, plain=((), (1,), ()), strengths=((), ((0, Strengths(0)),), ())),
        f"4 fast-av1 {HASH} 37 96 ;1; ;0gggg;",
    ),
]


@pytest.mark.parametrize(("manifest", "text"), GOLDEN)
def test_golden_texts(manifest: Manifest, text: str) -> None:
    assert write_short(manifest, (288, 352)) == text
    assert read_short(text, (288, 352)) == manifest


@pytest.mark.parametrize(
    "manifest",
    [
        replace(PLAIN, size=(350, 288)),  # the decoder crops
        replace(PLAIN, qps=((0, 37, 37), (9, 38, 38))),
        replace(PLAIN, network=None, colouriser="none", qps=()),
        replace(PLAIN, layout="chroma", network=("fast", HASH)),
    ],
)
def test_what_it_does_not_hold_needs_the_long_one(manifest: Manifest) -> None:
    assert write_short(manifest, (288, 352)) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found ''; get the file again"),
        ("5 fast-av1", "it takes a newer tinct to read it"),
        ("4 fast-av1", "get the file again"),
        (f"4 fast-av1 {HASH} 37 96 25/1 ;;", "get the file again"),  # without strengths
        (f"3 fast-av1 {HASH} 37 96 25/1 ;; 0khej;;", "get the file again"),
        (f"4 fast-av1 {HASH} 37 96 25/1 ;; ;;", "get the file again"),  # none in them
        (f"4 fast-av1 {HASH} 37 96 25/1 ;; 0khe;;", "get the file again"),
        (f"4 fast-av1 {HASH} 37 96 25/1 ;; 0xggg;;", "get the file again"),  # a share above 2
        (f"4 fast-av1 {HASH} 37 96 25/1 ;; 3khej,2khej;;", "get the file again"),  # descending
        (f"3 fast-av1 {HASH} 37", "expected network, hash, QP and frames"),
        (f"3 fast-av1 {HASH} 52 96", "get the file again"),
        (f"3 fast-av1 {HASH} 37 0", "get the file again"),
        (f"3 fast-av1 {HASH[1:]} 37 96", "get the file again"),
        (f"3 fast {HASH} 37 96", "get the file again"),  # of no use in-band
        (f"3 magic {HASH} 37 96", "get the file again"),
        (f"3 fast-av1 {HASH} 37 96 1000/0", "get the file again"),
        (f"3 fast-av1 {HASH} 37 96 25/1 3,2;;", "get the file again"),  # descending
        (f"3 fast-av1 {HASH} 37 96 25/1 ;;;", "get the file again"),
        (f"3 fast-av1 {HASH} 37 96 25/1 ;; ", "get the file again"),
        (f"3 fast-av1 {HASH} 37 99999999999", "get the file again"),
        ("3 " + "9" * 1_000_000, "get the file again"),
    ],
)
def test_other_texts_are_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(CodecError) as caught:
        read_short(text, (288, 352))
    message = str(caught.value)
    assert message.startswith("damaged tag TINCT: ")
    assert words in message
    assert "\n" not in message
    assert len(message) < 250


# ── in files ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("short")
    write_clip(folder / "clip.mkv", frames=12, size=(96, 80))
    config = tinct.EncodeConfig(base="av1", colouriser="compact", qp=40)
    tinct.encode(str(folder / "clip.mkv"), str(folder / "a.mkv"), config)
    return folder / "a.mkv"


def test_a_file_has_the_tag_and_no_attachment(tagged: Path) -> None:
    assert not read_attachments(tagged)
    manifest = read_file_manifest(str(tagged))
    assert manifest is not None
    identity = load_network("fast-av1").identity
    assert (manifest.network, manifest.size) == (("fast-av1", identity), (96, 80))
    assert tinct.info(str(tagged)).layout == "in-band"


def test_a_false_tag_is_refused(tagged: Path, tmp_path: Path) -> None:
    remux(tagged, tmp_path / "lie.mkv", tag="3 fast-av1 0")
    for command in (("info",), ("decode", tmp_path / "out.mkv")):
        name, *rest = command
        assert "damaged tag TINCT" in read_message(run(name, tmp_path / "lie.mkv", *rest), 2)
    assert not (tmp_path / "out.mkv").exists()


def test_a_network_of_another_version_is_named(tagged: Path, tmp_path: Path) -> None:
    remux(tagged, tmp_path / "other.mkv", tag=f"3 fast-av1 {HASH} 40 12 25/1")
    message = read_message(run("decode", tmp_path / "other.mkv", tmp_path / "out.mkv"), 2)
    assert f"expected the network fast-av1-{HASH}" in message


def test_a_tag_that_another_program_left_on_another_codec_is_ignored(
    tagged: Path, tmp_path: Path
) -> None:
    text = f"3 fast-av1 {HASH} 40 12 25/1"
    write_clip(tmp_path / "again.mkv", frames=3, codec="libx264", video_metadata={"TINCT": text})
    assert read_file_manifest(str(tmp_path / "again.mkv")) is None
    assert len(list(tinct.open(str(tmp_path / "again.mkv")))) == 3


def test_the_tag_of_a_source_does_not_pass_through(tmp_path: Path) -> None:
    text = f"3 fast-av1 {HASH} 40 12 25/1"
    write_clip(tmp_path / "clip.mkv", frames=3, codec="libx264", video_metadata={"TINCT": text})
    config = tinct.EncodeConfig(base="hevc", colouriser="none")
    tinct.encode(str(tmp_path / "clip.mkv"), str(tmp_path / "a.mkv"), config)
    assert b"TINCT" not in (tmp_path / "a.mkv").read_bytes()
