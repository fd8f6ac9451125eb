"""Frames of programs as a source: their kinds, their rate, and that nothing else passes."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_frames
from synthetic import draw_clip, make_frames, make_info, write_clip

import tinct
from tinct.colour import to_rgb
from tinct.media.arrays import open_frames, read_rate


def draw_rgb(count: int = 3, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    frames = make_frames(draw_clip(count, *size), make_info(*size))
    return np.stack([to_rgb(frame) for frame in frames])


@pytest.mark.parametrize("size", [(64, 48), (17, 33)])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_planes_pass_as_they_are(size: tuple[int, int], bit_depth: int) -> None:
    planes = draw_clip(3, *size, bit_depth=bit_depth)
    source = open_frames(planes, 25)
    assert_same_frames(list(source), make_frames(planes, source.info))
    assert (source.info.bit_depth, source.info.frame_rate) == (bit_depth, 25)
    assert source.info.frame_count is None


def test_rgb_is_converted_as_in_a_file(tmp_path: Path) -> None:
    write_clip(tmp_path / "rgb.mkv", frames=3, pix_fmt="bgr0")
    tinct_file = list(tinct.open(tmp_path / "rgb.mkv"))
    import av

    with av.open(str(tmp_path / "rgb.mkv")) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    source = open_frames(pictures, 25)
    assert_same_frames(list(source), tinct_file)
    assert source.info.colour == tinct_file[0].info.colour
    assert source.notes == ["rgb24 is converted to 8-bit 4:2:0 by the matrix of BT.601"]


def test_arrays_and_tensors_in_either_order_give_the_same() -> None:
    torch = pytest.importorskip("torch")
    rgb = draw_rgb()
    expected = list(open_frames(rgb, 25))
    tensors = torch.from_numpy(rgb)
    for frames in (rgb.transpose(0, 3, 1, 2), tensors, tensors.permute(0, 3, 1, 2), rgb[::1]):
        assert_same_frames(list(open_frames(frames, 25)), expected)
    planes = draw_clip(3)
    given = [tuple(map(torch.from_numpy, frame)) for frame in planes]
    assert_same_frames(list(open_frames(given, 25)), list(open_frames(planes, 25)))


def test_rgb_of_16_bit_becomes_10_bit() -> None:
    rgb = draw_rgb()
    wide = list(open_frames(rgb.astype(np.uint16) * 257, 25))
    assert wide[0].info.bit_depth == 10
    assert np.abs(wide[1].rgb().astype(int) - list(open_frames(rgb, 25))[1].rgb()).max() <= 3


def test_a_frame_is_copied() -> None:
    def reuse() -> Iterator[np.ndarray]:
        buffer = np.zeros((48, 64, 3), np.uint8)
        for level in (40, 80, 120):
            buffer[:] = level
            yield buffer

    levels = [frame.rgb()[0, 0, 0] for frame in list(open_frames(reuse(), 25))]
    assert np.abs(np.array(levels, int) - (40, 80, 120)).max() <= 1


def test_frames_keep_tags_and_times(tmp_path: Path) -> None:
    colour = tinct.frames.ColourTags(primaries=9, transfer=16, matrix=9, full_range=False)
    write_clip(tmp_path / "vfr.mkv", frames=5, vfr=[0, 40, 90, 120, 200], colour=colour)
    frames = list(tinct.open(tmp_path / "vfr.mkv"))
    source = open_frames(frames[1:], None)
    assert [frame.pts for frame in source] == [0, 50, 80, 160]
    assert source.info.colour == colour
    assert source.info.frame_rate is None
    counted = open_frames(frames[1:], 50)
    assert [frame.pts for frame in counted] == [0, 1, 2, 3]
    assert counted.info.frame_rate == 50


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        (25, Fraction(25)),
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (12.5, Fraction(25, 2)),
        (np.float32(29.97), Fraction(30000, 1001)),
        (np.int64(25), Fraction(25)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
    ],
)
def test_rates(given: Any, rate: Fraction) -> None:
    assert read_rate(given) == rate


@pytest.mark.parametrize("rate", [None, 0, -25, 1001, float("nan"), float("inf"), "25", True])
def test_what_is_no_rate_is_refused(rate: Any) -> None:
    with pytest.raises(tinct.OptionError) as caught:
        open_frames(draw_clip(1), rate)
    assert caught.value.option == "rate"


RGB = draw_rgb(1)[0]
Y, CB, CR = draw_clip(1)[0]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "expected frames to encode, found none"),
        (RGB, r"found uint8 \[64, 3\]"),
        ([RGB / 255], r"found float64 \[48, 64, 3\]"),
        ([RGB[..., :2]], r"found uint8 \[48, 64, 2\]"),
        (["a.png"], "found str"),
        ([(Y, CB)], r"found uint8 \[48, 64\], uint8 \[24, 32\]"),
        ([(Y, Y, Y)], "expected a frame"),
        ([(Y, CB.astype(np.uint16), CR)], "expected a frame"),
        ([tuple(p.astype(np.uint16) * 257 for p in (Y, CB, CR))], "expected planes of 10 bit"),
        ([RGB, RGB[:32]], "expected 64x48 rgb24 to the end, found 64x32 rgb24 in frame 1"),
        ([RGB, (Y, CB, CR)], "expected 64x48 rgb24 to the end, found 64x48 yuv420p in frame 1"),
    ],
)
def test_what_is_no_frame_is_refused(frames: Any, message: str) -> None:
    with pytest.raises(tinct.CodecError, match=message):
        list(open_frames(frames, 25))
