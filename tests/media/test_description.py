"""Chroma's place and the crop of a container are kept, or their loss is named."""

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import run
from synthetic import write_clip

import tinct
from fuzz.matroska import VIDEO, Node, list_nodes, parse, seal, write
from tinct.media.description import describe_stream
from tinct.media.source import open_source

CROP_BOTTOM, CROP_TOP, CROP_LEFT, CROP_RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
FAST = tinct.EncodeConfig(colour="in-band", x265_preset="ultrafast")


def read_location(path: Path) -> str | None:
    with av.open(str(path)) as container:
        return describe_stream(container.streams.video[0]).chroma_location


@pytest.mark.parametrize(
    ("word", "location"),
    [("420jpeg", "center"), ("420paldv", "topleft"), ("420mpeg2", None), ("420", "center")],
)
def test_the_place_of_chroma_is_kept(tmp_path: Path, word: str, location: str | None) -> None:
    """It goes from YUV4MPEG2, also by a pipe, into HEVC and H.264, and back."""
    head = b"YUV4MPEG2 W64 H48 F25:1 C%s\n" % word.encode()
    data = head + 3 * (b"FRAME\n" + bytes(range(64)) * 72)
    (tmp_path / "a.y4m").write_bytes(data)
    notes = tinct.encode(str(tmp_path / "a.y4m"), str(tmp_path / "b.mkv"), FAST).notes
    assert not any("location" in note for note in notes)
    assert read_location(tmp_path / "b.mkv") == location
    tinct.decode(str(tmp_path / "b.mkv"), str(tmp_path / "c.mp4"))
    assert read_location(tmp_path / "c.mp4") == location
    tinct.decode(str(tmp_path / "b.mkv"), str(tmp_path / "d.y4m"))
    assert read_location(tmp_path / "d.y4m") == location
    run("encode", "-", tmp_path / "e.mkv", "--colour", "in-band", "--quiet", given=data)
    assert read_location(tmp_path / "e.mkv") == location


def test_a_place_that_is_not_kept_is_named(tmp_path: Path) -> None:
    head = b"YUV4MPEG2 W64 H48 F25:1 C420jpeg\n"
    (tmp_path / "a.y4m").write_bytes(head + 3 * (b"FRAME\n" + bytes(range(64)) * 72))
    config = tinct.EncodeConfig(colour="track", colouriser="none")
    report = tinct.encode(str(tmp_path / "a.y4m"), str(tmp_path / "b.mkv"), config)
    assert "the location of chroma (center) is not kept" in report.notes
    decoded = tinct.decode(str(tmp_path / "a.y4m"), str(tmp_path / "c.mkv"))
    assert "the location of chroma (center) is not kept" in decoded.notes


def crop(source: Path, target: Path, **sides: int) -> None:
    """Copy a Matroska file; its video is cropped at these sides."""
    tree = parse(source.read_bytes())
    video = next(node for node in list_nodes(tree) if node.identity == VIDEO)
    names = {"top": CROP_TOP, "bottom": CROP_BOTTOM, "left": CROP_LEFT, "right": CROP_RIGHT}
    video.inner += [Node(names[side], bytes([count])) for side, count in sides.items()]
    seal(tree)
    target.write_bytes(write(tree))


@pytest.mark.parametrize(
    ("sides", "shown"),
    [
        ({"top": 8, "bottom": 4}, (slice(8, 44), slice(0, 64))),
        ({"left": 6, "right": 3}, (slice(0, 48), slice(6, 61))),
        ({"top": 5}, (slice(4, 48), slice(0, 64))),  # chroma lies at every second row
    ],
)
def test_a_containers_crop_is_applied(
    tmp_path: Path, sides: dict[str, int], shown: tuple[slice, slice]
) -> None:
    write_clip(tmp_path / "a.mkv", frames=2)
    crop(tmp_path / "a.mkv", tmp_path / "b.mkv", **sides)
    whole = list(open_source(str(tmp_path / "a.mkv")))
    source = open_source(str(tmp_path / "b.mkv"))
    halves = tuple(slice(part.start // 2, -(-part.stop // 2)) for part in shown)
    for frame, original in zip(source, whole, strict=True):
        assert np.array_equal(frame.y, original.y[shown])
        assert np.array_equal(frame.cb, original.cb[halves])
    height, width = frame.y.shape
    assert f"the container's crop is applied: 64x48 becomes {width}x{height}" in source.notes
    report = tinct.encode(str(tmp_path / "b.mkv"), str(tmp_path / "c.mkv"), FAST)
    assert report.damaged == 0
    assert next(iter(tinct.open(str(tmp_path / "c.mkv")))).y.shape == (height, width)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("libx265", "hevc")])
def test_a_crop_within_the_bitstream_is_applied_on_the_left_too(
    tmp_path: Path, codec: str, name: str
) -> None:
    write_clip(tmp_path / "a.mkv", frames=1, codec=codec)
    marked = ["-c", "copy", "-bsf:v", f"{name}_metadata=crop_left=6:crop_top=4:crop_right=2"]
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.mkv"), *marked]
    subprocess.run([*command, str(tmp_path / "b.mkv")], check=True)
    (before,), (found,) = (open_source(str(tmp_path / n)) for n in ("a.mkv", "b.mkv"))
    assert np.array_equal(found.y, before.y[4:, 6:62])
    assert np.array_equal(found.cb, before.cb[2:, 3:31])
