"""Codecs by name: refusals, command lines of programs that need not be installed, the anchor."""

import subprocess
from pathlib import Path

import pytest
from helpers import read_payloads
from synthetic import make_info

import tinct
from tinct.errors import CodecError
from tinct.evaluation.codecs import (
    DECODED,
    FAMILIES,
    PYTHON,
    find_missing,
    make_decode_command,
    make_paths_absolute,
    parse_codec,
)
from tinct.media.source import open_source

INFO = make_info(frame_count=40, duration_seconds=1.6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "x266",
            "expected a codec of tinct, beside, x265, x264, svt-av1, hm, vtm, vvenc; found x266",
        ),
        ("", "found nothing in ''"),
        (
            "x265:all-intra",
            "expected x265 with a structure of intra, low-delay, random-access; found all-intra",
        ),
        (
            "x265:intra,speed=1",
            "expected x265 with options of preset, chroma-offset, every, keyint; found speed",
        ),
        ("x265:intra,chroma-offset=13", "chroma-offset: expected -12 to 12, found 13"),
        ("x265:intra,chroma-offset=x", "chroma-offset: expected -12 to 12, found x"),
        ("x265:intra,every=0", "every: expected 1 to 64, found 0"),
        ("x265:intra,every=", "every: expected 1 to 64, found "),
        ("x265:low-delay,every=4", "every: expected the structure intra, from which frames can be"),
        ("x264:intra,preset=quick", "x264's preset: expected one of ultrafast"),
        ("tinct:intra,preset=papers", "expected a preset of default, paper"),
        ("tinct:random-access,key-form=full,group=6", "--key-form full needs --structure intra"),
        ("tinct:intra,group=0", "group: expected auto or 1 to 96; found 0"),
    ],
)
def test_what_is_no_codec_is_refused_before_any_work(text: str, words: str) -> None:
    with pytest.raises(CodecError) as caught:
        parse_codec(text)
    assert words in str(caught.value)


def command(text: str, qp: int = 32) -> list[str]:
    codec = parse_codec(text)
    return FAMILIES[codec.family].make_command(codec, qp, INFO)


def test_tinct_is_the_command_line_that_users_have() -> None:
    found = command("tinct:intra,key-form=full,group=6,compatible")
    expected = (
        "-m tinct encode --quiet --structure=intra --qp=32 "
        "--key-form=full --group=6 --compatible clip.mkv coded.mkv"
    )
    assert found == [PYTHON, *expected.split()]


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["intra", "low-delay", "random-access"])
def test_the_anchor_is_plain_hevc_of_tinct_to_the_byte(
    clip_path: Path, tmp_path: Path, structure: str
) -> None:
    (tmp_path / "clip.mkv").symlink_to(clip_path)
    subprocess.run(command(f"x265:{structure}"), cwd=tmp_path, check=True)
    config = tinct.EncodeConfig(
        structure=structure,  # type: ignore[arg-type]
        base="hevc",
        colour="in-band",
        qp=32,
    )
    tinct.encode(str(clip_path), str(tmp_path / "plain.mkv"), config)
    anchor, plain = (
        [data for _, data in read_payloads(tmp_path / name, "video")]
        for name in ("coded.mkv", "plain.mkv")
    )
    assert anchor == plain
    assert len(anchor) == 40


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "bits", "psnr"),
    [
        ("x265:intra,chroma-offset=6", (0.7, 0.97), (38, 41)),
        ("x264:intra", (1, 1.6), (35, 39)),
        ("x264:low-delay", (0.2, 0.7), (35, 39)),
        ("x264", (0.2, 0.7), (35, 39)),
        ("svt-av1:intra,preset=10", (0.8, 1.6), (37, 42)),
        ("svt-av1:random-access,preset=10", (0.1, 0.5), (33, 40)),
        ("svt-av1:low-delay,preset=10", (0.1, 0.6), (35, 40)),
    ],
)
def test_rivals_write_files_of_every_frame(
    clip_path: Path, tmp_path: Path, text: str, bits: tuple[float, float], psnr: tuple[float, float]
) -> None:
    """`bits` bounds the file's size as a share of x265 all-intra's at the same QP."""
    (tmp_path / "clip.mkv").symlink_to(clip_path)
    subprocess.run(command("x265:intra"), cwd=tmp_path, check=True)
    anchor = (tmp_path / "coded.mkv").stat().st_size
    subprocess.run(command(text), cwd=tmp_path, check=True)
    size = (tmp_path / "coded.mkv").stat().st_size
    subprocess.run(make_decode_command(parse_codec(text)), cwd=tmp_path, check=True)
    result = tinct.verify(str(tmp_path / "coded.mkv"), str(clip_path))
    assert result.psnr is not None
    assert len(list(open_source(str(tmp_path / DECODED)))) == 40
    assert bits[0] < size / anchor < bits[1]
    assert psnr[0] < result.psnr[0].mean_db < psnr[1]


def test_paths_of_programs_mean_the_same_from_every_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    found = make_paths_absolute("hm:intra,binary=./hm,config=cfg")
    assert found == f"hm:intra,binary={tmp_path}/hm,config={tmp_path}/cfg"
    found = make_paths_absolute("tinct:intra,base=hm,encoder=./hm,encoder-config=a.cfg")
    assert found == f"tinct:intra,base=hm,encoder={tmp_path}/hm,encoder-config={tmp_path}/a.cfg"
    for name in ("x265:intra,chroma-offset=6", "tinct", "vvenc,binary=vvencapp"):
        assert make_paths_absolute(name) == name


def write_program(path: Path) -> str:
    """Make a file that looks like a program; nothing runs it."""
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_programs_that_are_not_here_are_named() -> None:
    binaries = {"hm": "TAppEncoderStatic", "vtm": "EncoderAppStatic", "vvenc": "vvencapp"}
    for name, binary in binaries.items():
        reason = find_missing(parse_codec(f"{name},binary=/nowhere/{binary}"))
        assert reason is not None
        assert f"no program /nowhere/{binary}" in reason
    assert find_missing(parse_codec("x265")) is None


def test_reference_encoders_need_their_configuration(tmp_path: Path) -> None:
    binary = write_program(tmp_path / "TAppEncoderStatic")
    reason = find_missing(parse_codec(f"hm:intra,binary={binary}"))
    assert reason is not None
    assert "config=FOLDER" in reason
    assert find_missing(parse_codec(f"hm:intra,binary={binary},config={tmp_path}")) is None


def test_hm_has_the_command_line_of_its_anchor(tmp_path: Path) -> None:
    binary = write_program(tmp_path / "TAppEncoderStatic")
    expected = (
        f"{binary} -c {tmp_path}/encoder_intra_main.cfg "
        "-i clip.yuv -wdt 64 -hgt 48 -fr 25 -f 40 -q 37 "
        "--InputBitDepth=8 --InternalBitDepth=8 --InputChromaFormat=420 --ConformanceMode=1 "
        "--Profile=main --Level=6.2 --SEIDecodedPictureHash=0 -b coded.hevc"
    )
    assert command(f"hm:intra,binary={binary},config={tmp_path}", 37) == expected.split()
    low_delay = command(f"hm:low-delay,binary={binary},config={tmp_path}")
    assert low_delay[2] == f"{tmp_path}/encoder_lowdelay_main.cfg"


def test_vvc_encoders_have_their_own(tmp_path: Path) -> None:
    binary = write_program(tmp_path / "encoder")
    found = command(f"vtm:intra,binary={binary},config={tmp_path}")
    assert found[2] == f"{tmp_path}/encoder_intra_vtm.cfg"
    found = command(f"vvenc:intra,binary={binary}")
    assert found[1:3] == ["-i", "clip.y4m"]
    assert found[found.index("--intraperiod") + 1] == "1"
