"""Files that break off are told from whole ones by the size that their container states."""

from pathlib import Path

import pytest
from helpers import run
from synthetic import write_clip

import tinct
from tinct.media.source import open_source
from tinct.media.truncation import CountedPipe, count_y4m_frame, is_cut_off

FAST = tinct.EncodeConfig(colour="in-band", x265_preset="ultrafast")
CONTAINERS = {
    "mkv": "ffv1",
    "avi": "mjpeg",
    "flv": "flv1",
    "ts": "mpeg2video",
    "m2ts": "libx264",
    "mp4": "libx264",
    "vob": "mpeg2video",
    "ogv": "vp8",
    "asf": "msmpeg4",
    "gif": "gif",
}
OPTIONS = {
    "mp4": {"movflags": "+faststart"},  # without its index no frame can be read
    "ogv": {"page_duration": "1000"},  # microseconds: a page for each frame
}
TENTHS = {".mp4": 8, ".ogv": 8}  # of a file that are left: their index is long beside pictures
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8"}


@pytest.fixture(params=CONTAINERS)
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"a.{request.param}"
    codec = CONTAINERS[request.param]
    write_clip(
        path,
        frames=12,
        codec=codec,
        pix_fmt=PIXELS.get(codec, "yuv420p"),
        container_options=OPTIONS.get(request.param),
    )
    return path


def test_a_part_of_a_file_is_told_from_the_whole(whole: Path) -> None:
    assert not is_cut_off(str(whole))
    source = open_source(str(whole))
    assert len(list(source)) == 12
    assert source.damaged == 0
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * TENTHS.get(whole.suffix, 4) // 10 + 5])
    assert is_cut_off(str(whole))
    source = open_source(str(whole))
    assert 1 <= len(list(source)) < 12
    assert source.damaged >= 1


def test_a_cut_file_is_coded_and_named(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=12)
    tinct.decode(str(tmp_path / "a.mkv"), str(tmp_path / "a.y4m"))
    data = (tmp_path / "a.y4m").read_bytes()
    (tmp_path / "cut.y4m").write_bytes(data[: len(data) // 2])
    report = tinct.encode(str(tmp_path / "cut.y4m"), str(tmp_path / "b.mkv"), FAST)
    assert (report.frames, report.damaged) == (5, 1)
    options = ["--colour", "in-band", "--quiet"]
    done = run("encode", "-", tmp_path / "c.mkv", *options, given=data[: len(data) // 2])
    assert done.returncode == 3
    assert b"tinct: the video from stdin is damaged" in done.stderr
    assert run("encode", "-", tmp_path / "d.mkv", *options, given=data).returncode == 0


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (b"YUV4MPEG2 W64 H48 F25:1", 64 * 48 * 3 // 2),
        (b"YUV4MPEG2 W63 H47 F25:1 C420jpeg", 63 * 47 + 2 * 32 * 24),
        (b"YUV4MPEG2 W64 H48 C422p10", 2 * 64 * 48 * 2),
        (b"YUV4MPEG2 W64 H48 C444", 64 * 48 * 3),
        (b"YUV4MPEG2 W64 H48 Cmono", 64 * 48),
        (b"YUV4MPEG2 W64 H48 Cmono10", 2 * 64 * 48),
        (b"YUV4MPEG2 W64 H48 C420p10 XYSCSS=420P10", 64 * 48 * 3),
        (b"YUV4MPEG2 H48", 0),
        (b"YUV4MPEG2 W64 H48 C444alpha", 0),
    ],
)
def test_the_size_of_a_frame_follows_from_the_header(header: bytes, size: int) -> None:
    assert count_y4m_frame(header) == size


def test_a_pipe_is_counted_to_its_end() -> None:
    parts = [b"YUV4MPEG2 W4 H2 F25:1\n", b"FRAME\n" + bytes(12), b"FRAME\n" + bytes(12), b"FRAME"]
    for count, is_cut in ((3, False), (4, True)):
        left = list(parts[:count])
        pipe = CountedPipe(lambda size, left=left: left.pop(0) if left else b"")
        while pipe.read(1 << 10):
            pass
        assert pipe.is_cut == is_cut
