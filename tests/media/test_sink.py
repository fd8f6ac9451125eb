"""Writing of user files: each format holds the frames, and appears whole or not at all."""

import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import TEST_PATH, FullDiskOutput
from media_files import NTSC, read_frames
from synthetic import draw_clip, make_frames, make_info, write_video

from tinct.colour import to_rgb16
from tinct.errors import CodecError
from tinct.frames import ColourTags
from tinct.media.sink import open_sink
from tinct.media.source import open_source

# ── formats ──────────────────────────────────────────────────────────────────────────────────────


def test_png_folder_holds_the_rgb_of_each_frame(tmp_path: Path) -> None:
    for depth in (8, 10):
        about = make_info(bit_depth=depth)
        planes = draw_clip(3, bit_depth=depth)
        folder = tmp_path / f"png{depth}"
        write_video(f"{folder}/", planes, about)
        assert sorted(os.listdir(folder)) == [f"00000{number}.png" for number in range(3)]
        frame = make_frames(planes, about)[2]
        stored = cv2.imread(str(folder / "000002.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(stored[..., ::-1], frame.rgb() if depth == 8 else to_rgb16(frame))


def test_mp4_is_close_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    planes = draw_clip(10, 65, 47)
    for name in ("a.mp4", "b.mp4"):
        notes = write_video(tmp_path / name, planes, make_info(65, 47))
    found = read_frames(tmp_path / "a.mp4")
    assert (found[0].info.width, found[0].info.height) == (66, 48)
    assert "padded" in notes[0]
    decoded = np.stack([frame.y[:47, :65] for frame in found]).astype(int)
    given = np.stack([luma for luma, _, _ in planes])
    assert np.mean((decoded - given) ** 2.0) < 20  # CRF 16
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_y4m_names_range_and_aspect(tmp_path: Path) -> None:
    about = make_info(
        colour=ColourTags(full_range=True), sample_aspect_ratio=Fraction(4, 3), frame_rate=NTSC
    )
    write_video(tmp_path / "a.y4m", draw_clip(2), about)
    head = b"YUV4MPEG2 W64 H48 F30000:1001 Ip A4:3 C420mpeg2 XCOLORRANGE=FULL\nFRAME\n"
    assert (tmp_path / "a.y4m").read_bytes().startswith(head)
    found = open_source(str(tmp_path / "a.y4m")).info
    assert found.colour.full_range is True
    assert (found.sample_aspect_ratio, found.frame_rate) == (Fraction(4, 3), NTSC)


# ── whole or not at all ──────────────────────────────────────────────────────────────────────────


def write_and_interrupt(path: Path) -> None:
    about = make_info()
    with open_sink(str(path), about) as sink:
        sink.write(make_frames(draw_clip(1), about)[0])
        assert len(list(path.parent.iterdir())) == 1
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.y4m", "pictures"])
def test_an_abort_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


WRITE_MOVIES = """
import sys
from pathlib import Path
from synthetic import draw_clip, make_info, write_video
for size in ((64, 48), (97, 80), (300, 48), (130, 130)):
    write_video(Path(sys.argv[1]) / f"{size[0]}.mp4", draw_clip(10, *size), make_info(*size))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MALLOC_PERTURB_ is glibc's")
def test_movies_do_not_depend_on_what_memory_held_before(tmp_path: Path) -> None:
    for value in ("85", "170"):
        (tmp_path / value).mkdir()
        subprocess.run(
            [sys.executable, "-c", WRITE_MOVIES, str(tmp_path / value)],
            env={**os.environ, "MALLOC_PERTURB_": value, "PYTHONPATH": TEST_PATH},
            check=True,
        )
    for path in (tmp_path / "85").iterdir():
        assert path.read_bytes() == (tmp_path / "170" / path.name).read_bytes(), path.name


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"old")
    about = make_info()
    with open_sink(str(path), about, overwrite=True) as sink:
        sink.write(make_frames(draw_clip(1), about)[0])
        assert path.read_bytes() == b"old"
        hidden = re.compile(r"\.a\.mkv\.[0-9a-f]{8}\.tinct-part")
        assert any(hidden.fullmatch(p.name) for p in tmp_path.iterdir())
    assert [p.name for p in tmp_path.iterdir()] == ["a.mkv"]
    assert open_source(str(path)).info.frame_count == 1


def test_bad_destinations_are_named(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.png").touch()
    for path, word in (("a.avi", ".mkv"), ("none/a.mkv", "to exist"), ("full", "empty folder")):
        with pytest.raises(CodecError, match=word):
            open_sink(str(tmp_path / path), make_info())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.y4m"])
def test_a_full_disk_is_one_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinct.media.sink.AtomicOutput", FullDiskOutput)
    with pytest.raises(CodecError, match="No space left"):
        write_video(tmp_path / name, draw_clip(8, 256, 256), make_info(256, 256))
    assert list(tmp_path.iterdir()) == []


# ── pipes ────────────────────────────────────────────────────────────────────────────────────────

PASS_ON = """
import sys
from tinct.errors import CodecError
from tinct.media.sink import open_sink
from tinct.media.source import open_source
try:
    source = open_source("-")
    assert source.info.frame_count is None
    with open_sink("-", source.info) as sink:
        for frame in source:
            sink.write(frame)
except CodecError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.parametrize("depth", [8, 10])
def test_y4m_passes_through_a_pipe(tmp_path: Path, depth: int) -> None:
    write_video(
        tmp_path / "a.y4m",
        draw_clip(4, bit_depth=depth),
        make_info(frame_rate=NTSC, bit_depth=depth),
    )
    given = (tmp_path / "a.y4m").read_bytes()
    passed = subprocess.run(
        [sys.executable, "-c", PASS_ON], input=given, capture_output=True, check=False
    )
    assert passed.stdout == given, passed.stderr


@pytest.mark.slow
def test_pipes_fail_in_one_line(tmp_path: Path) -> None:
    passed = subprocess.run(
        [sys.executable, "-c", PASS_ON], input=b"no video at all", capture_output=True, check=False
    )
    assert passed.stderr.startswith(b"refused: expected YUV4MPEG2 on stdin")
    assert passed.stderr.count(b"\n") == 1
    write_video(tmp_path / "a.y4m", draw_clip(20, 256, 256), make_info(256, 256))
    with (tmp_path / "a.y4m").open("rb") as given:
        process = subprocess.Popen(
            [sys.executable, "-c", PASS_ON],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert b"refused: expected to write stdout" in process.stderr.read()
        assert process.wait() == 1
