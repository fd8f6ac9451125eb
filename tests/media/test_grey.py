"""Grey pictures: an untagged range is full, a tagged one is kept."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media_files import read_frames

from tinct.media.sink import open_sink
from tinct.media.source import open_source

CODES = np.array([0, 51, 102, 153, 204, 255])


def write_grey(path: Path, codec: str, pix_fmt: str, colour_range: int) -> None:
    """Write one picture of six vertical bars, CODES / 255 of the highest code."""
    bars = np.repeat(CODES, 16) * np.ones((64, 1), int)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.color_range = colour_range
        raw = av.VideoFrame(96, 64, pix_fmt)
        bits = raw.format.components[0].bits
        levels = bars * ((1 << bits) - 1) // 255
        plane = raw.planes[0]
        memory = np.zeros((64, plane.line_size), np.uint8)
        if pix_fmt == "ya8":
            levels = np.stack([levels, np.full_like(levels, 255)], -1).reshape(64, -1)
        row = levels.astype(np.uint8 if bits == 8 else "<u2").view(np.uint8)
        memory[:, : row.shape[1]] = row
        plane.update(memory.tobytes())
        raw.pts, raw.color_range = 0, colour_range
        out.mux(stream.encode(raw))
        out.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        ("rawvideo", "gray"),
        ("ffv1", "gray"),
        ("ffv1", "ya8"),
        ("ffv1", "gray10le"),
        ("ffv1", "gray12le"),
        ("ffv1", "gray16le"),
    ],
)
def test_untagged_grey_is_full_range_in_every_output(
    tmp_path: Path, codec: str, pix_fmt: str
) -> None:
    write_grey(tmp_path / "a.mkv", codec, pix_fmt, 0)
    source = open_source(str(tmp_path / "a.mkv"))
    assert source.info.colour.full_range is True
    frames = read_frames(tmp_path / "a.mkv")
    for name in ("png", "b.mkv", "b.mp4", "b.y4m"):
        with open_sink(str(tmp_path / name), source.info) as sink:
            for frame in frames:
                sink.write(frame)
    shown = cv2.imread(str(tmp_path / "png" / "000000.png"))
    assert shown is not None
    assert np.abs(shown[32, 8::16].astype(int) - CODES[:, None]).max() <= 1
    for name in ("b.mkv", "b.mp4", "b.y4m"):
        (found,) = read_frames(tmp_path / name)
        assert found.info.colour.full_range is True, name
        assert np.abs(found.rgb()[32, 8::16].astype(int) - CODES[:, None]).max() <= 3, name


def test_grey_tagged_limited_stays_limited(tmp_path: Path) -> None:
    write_grey(tmp_path / "a.mkv", "ffv1", "gray", 1)
    assert open_source(str(tmp_path / "a.mkv")).info.colour.full_range is False
