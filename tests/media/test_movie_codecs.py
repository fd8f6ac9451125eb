"""Movies by every codec in every container that holds it; what cannot be is refused in one line."""

from pathlib import Path

import av
import numpy as np
import pytest
from synthetic import write_clip

import tinct
from tinct.errors import CodecError
from tinct.media.containers import CONTAINERS
from tinct.media.movie_codecs import MOVIE_CODECS, Coding, choose_codec

HELD = [
    (suffix, name)
    for suffix, container in CONTAINERS.items()
    for name, row in MOVIE_CODECS.items()
    if row.coded_as in container.codecs
]


@pytest.mark.parametrize(("suffix", "codec"), HELD)
def test_a_codec_in_a_container(tmp_path: Path, suffix: str, codec: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=6, size=(97, 81))
    target = str(tmp_path / f"b{suffix}")
    report = tinct.decode(str(tmp_path / "a.mkv"), target, codec=codec)
    assert report.frames == 6
    with av.open(target) as opened:
        assert opened.streams.video[0].codec_context.codec.canonical_name == codec
    pairs = zip(tinct.open(target), tinct.open(str(tmp_path / "a.mkv")), strict=True)
    errors = [np.abs(a.y[:81, :97].astype(int) - b.y).mean() for a, b in pairs]
    assert max(errors) < 4
    is_padded = any("is padded to 98x82" in note for note in report.notes)
    assert is_padded == (codec != "ffv1")


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_lower_crf_is_larger(tmp_path: Path, suffix: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=6, size=(96, 80))
    sizes = []
    for crf in (None, 40.0, 10.0):
        target = tmp_path / f"{crf}{suffix}"
        tinct.decode(str(tmp_path / "a.mkv"), str(target), crf=crf)
        sizes.append(target.stat().st_size)
    assert sizes[1] < sizes[0] < sizes[2]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("b.mp4", {"codec": "ffv1"}, "--codec: expected h264 or hevc or av1 or vp9 in MP4, found"),
        ("b.webm", {"codec": "h264"}, r"found h264; H.264 goes into \.mp4, \.mov, \.mkv"),
        ("b.mp4", {"codec": "h265"}, "did you mean h264"),
        ("b.mkv", {"crf": 20.0}, "FFV1, which is lossless"),
        ("b.mp4", {"crf": 52.0}, "--crf: expected 0 to 51 for H.264; found 52"),
        ("b.y4m", {"crf": 20.0}, r"--crf: expected an output ending in \.mp4"),
        ("b.mp4", {"codec": "av1"}, "expected pictures of 64 pixels a side or more for AV1"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, name: str, options: dict[str, object], words: str
) -> None:
    write_clip(tmp_path / "a.mkv", frames=2, size=(62, 48))
    with pytest.raises(CodecError, match=words):
        tinct.decode(str(tmp_path / "a.mkv"), str(tmp_path / name), **options)  # type: ignore[arg-type]
    assert not (tmp_path / name).exists()


def test_every_container_has_a_usual_codec() -> None:
    usual = {suffix: choose_codec(Coding(), row).title for suffix, row in CONTAINERS.items()}
    assert usual == {".mp4": "H.264", ".mov": "H.264", ".mkv": "FFV1", ".webm": "VP9"}
