"""Outputs of `encode`: plain MP4 and WebM, several inputs, and a report that agrees with `info`."""

import re
from pathlib import Path

import av
import pytest
from helpers import read_message, run
from synthetic import write_clip

import tinct
from tinct.encoder.formats import fit_format
from tinct.errors import CodecError


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    write_clip(path, frames=12, size=(96, 80), codec="libx264", audio="aac")
    return path


@pytest.mark.parametrize(
    ("name", "base", "codec", "sound"),
    [
        ("a.mp4", "av1", "av1", "aac"),
        ("a.mp4", "hevc", "hevc", "aac"),
        ("a.mp4", "avc", "h264", "aac"),
        ("a.webm", "auto", "av1", "opus"),
    ],
)
def test_a_plain_file_has_nothing_of_tinct(
    talk: Path, name: str, base: str, codec: str, sound: str
) -> None:
    target = talk.with_name(name)
    report = tinct.encode(str(talk), str(target), tinct.EncodeConfig(base=base))
    assert not report.tinct
    with av.open(str(target)) as opened:
        assert opened.streams.video[0].codec_context.codec.canonical_name == codec
        assert opened.streams.audio[0].codec_context.codec.canonical_name == sound
        assert "TINCT" not in opened.streams.video[0].metadata
    verified = tinct.verify(str(target), str(talk))
    assert (verified.frames, verified.whole) == (12, True)
    assert verified.psnr is not None
    assert report.psnr is not None
    assert verified.psnr[0].mean_db == pytest.approx(report.psnr[0].mean_db, abs=1e-6)


def test_the_pictures_are_those_of_the_plain_matroska_file(talk: Path) -> None:
    config = tinct.EncodeConfig(colouriser="none")
    for name in ("a.mkv", "a.mp4"):
        tinct.encode(str(talk), str(talk.with_name(name)), config)
    a, b = (list(tinct.open(str(talk.with_name(name)))) for name in ("a.mkv", "a.mp4"))
    assert all((x.y == y.y).all() and (x.cb == y.cb).all() for x, y in zip(a, b, strict=True))
    assert [round(f.pts_seconds, 3) for f in a] == [round(f.pts_seconds, 3) for f in b]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"group": 8}, r"ending in \.mkv with --group, found a\.mp4: MP4 holds plain video alone"),
        ({"colour": "track"}, r"\.mkv with --colour"),
        ({"network": "best"}, r"\.mkv with --network"),
        ({"colouriser": "gan"}, r"\.mkv with --colouriser"),
        ({"hints": "on"}, r"\.mkv with --hints"),
    ],
    ids=str,
)
def test_what_needs_tinct_needs_matroska(options: dict[str, object], words: str) -> None:
    with pytest.raises(CodecError, match=words):
        fit_format(tinct.preset("default", **options), Path("a.mp4"))


def test_a_codec_that_webm_does_not_hold_is_refused() -> None:
    with pytest.raises(CodecError, match=r"expected AV1 in WebM, found --base hevc"):
        fit_format(tinct.EncodeConfig(base="hevc"), Path("a.webm"))
    assert fit_format(tinct.EncodeConfig(structure="intra"), Path("a.webm")).base == "av1"


def test_padding_that_a_plain_file_cannot_say_is_told(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=3, size=(97, 81))
    report = tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mp4"))
    assert "97x81 is padded to 98x82" in report.notes


def test_a_name_left_out_and_the_report(talk: Path) -> None:
    result = run("encode", "talk.mp4", cwd=talk.parent)
    assert result.returncode == 0, result.stderr
    found = tinct.info(str(talk.with_suffix(".mkv")))
    said = result.stderr.decode()
    share = f"{found.size_bytes / talk.stat().st_size:.0%} of the source"
    parts = ", ".join(f"{part} {size:,}" for part, size in found.bytes_by_part.items())
    assert said.startswith(f"talk.mkv: AV1 {found.structure}, 96x80, 12 frames, ")
    assert f"{found.size_bytes:,} bytes, {share} ({parts}), " in said
    assert "expected no file at talk.mkv" in read_message(
        run("encode", "talk.mp4", cwd=talk.parent), 2
    )


def test_several_inputs_go_into_a_folder_and_a_second_call_goes_on(talk: Path) -> None:
    folder = talk.parent
    write_clip(folder / "b.mkv", frames=4)
    (folder / "c.mp4").write_text("no video")
    arguments = ("encode", "talk.mp4", "b.mkv", "c.mp4", "--out", "coded", "--format", "mp4")
    first = run(*arguments, cwd=folder)
    assert first.returncode == 3
    assert b"c.mp4 failed: expected a video file" in first.stderr
    assert b"2 encoded, 0 there already, 1 failed" in first.stderr
    assert sorted(p.name for p in (folder / "coded").iterdir()) == ["b.mp4", "talk.mp4"]
    write_clip(folder / "c.mp4", frames=4, codec="libx264")
    second = run(*arguments, cwd=folder)
    assert second.returncode == 0, second.stderr
    assert b"1 encoded, 2 there already, 0 failed" in second.stderr


def test_decode_reports_what_came_out(tinct_path: Path, tmp_path: Path) -> None:
    result = run("decode", tinct_path, tmp_path / "a.mp4")
    assert result.returncode == 0
    pattern = r"a\.mp4: H\.264 random-access, 64x48, 40 frames, [\d,]+ bytes \(video [\d,]+, "
    assert re.search(pattern, result.stderr.decode()), result.stderr
