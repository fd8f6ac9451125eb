"""Transparency is named where pictures have some: not for pixels with an alpha that is opaque."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from PIL import Image
from synthetic import write_clip

from tinct.media.conversion import has_transparency
from tinct.media.source import open_source

# Formats by the way in which they hold alpha, with a pixel's bytes where its alpha is half.
PACKED = {
    "bgra": b"\0\0\0\x80",
    "argb": b"\x80\0\0\0",
    "ya8": b"\0\x80",
    "ya16be": b"\0\0\x80\0",
    "rgba64le": b"\0\0\0\0\0\0\0\x80",
    "ayuv64le": b"\0\x80\0\0\0\0\0\0",
}
PLANAR = {
    "yuva420p": b"\x80",
    "gbrap": b"\x80",
    "yuva444p10le": b"\0\x02",
    "yuva422p12be": b"\x08\0",
}


def make_picture(pixels: str) -> av.VideoFrame:
    """Return an opaque picture of an odd width, with noise for colour.

    FFmpeg's scaler does not make it: one picture in a hundred has a row of alpha that is not whole.
    """
    picture, random = av.VideoFrame(21, 18, pixels), np.random.default_rng(0)
    for plane in picture.planes:
        plane.update(random.bytes(plane.buffer_size))
    alpha, bits = picture.planes[-1], picture.format.components[-1].bits
    if pixels not in PACKED | PLANAR:
        return picture
    if pixels in PLANAR:
        order: Literal["big", "little"] = "big" if picture.format.is_big_endian else "little"
        opaque = ((1 << bits) - 1).to_bytes(len(PLANAR[pixels]), order)
        alpha.update(opaque * (alpha.buffer_size // len(opaque)))
        return picture
    half, size = PACKED[pixels], bits // 8
    first = next(at for at, byte in enumerate(half) if byte) // size * size
    data = np.frombuffer(alpha, np.uint8).reshape(-1, len(half)).copy()
    data[:, first : first + size] = 255
    alpha.update(data.tobytes())
    return picture


@pytest.mark.parametrize("pixels", [*PACKED, *PLANAR])
def test_one_pixel_that_is_not_opaque_is_found(pixels: str) -> None:
    picture = make_picture(pixels)
    assert not has_transparency(picture)
    plane, half = picture.planes[-1], (PACKED | PLANAR)[pixels]
    data = bytearray(plane)
    at = 17 * plane.line_size + 20 * len(half)  # the last pixel
    data[at : at + len(half)] = half
    plane.update(bytes(data))
    assert has_transparency(picture)


def test_a_colour_that_is_not_opaque_counts_where_it_is_used() -> None:
    picture = av.VideoFrame(16, 16, "pal8")
    picture.planes[0].update(bytes(picture.planes[0].buffer_size))
    palette = np.full(256, 0xFF808080, np.uint32)
    palette[9] = 0
    picture.planes[1].update(palette.tobytes())
    assert not has_transparency(picture)
    picture.planes[0].update(bytes(99) + b"\x09" + bytes(picture.planes[0].buffer_size - 100))
    assert has_transparency(picture)


@pytest.mark.parametrize("pixels", ["yuv420p", "gray", "nv12", "rgb24", "bgr0"])
def test_pixels_without_alpha_are_opaque(pixels: str) -> None:
    assert not has_transparency(make_picture(pixels))


def write_gif(path: Path, *, alpha: int) -> None:
    """Write a GIF of two pictures with a square that is transparent where `alpha` is 0."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 4), dtype=np.uint8)
    noise[..., 3] = 255
    noise[:, 10:30, 10:30, 3] = alpha
    first, second = (Image.fromarray(picture) for picture in noise)
    first.save(path, save_all=True, append_images=[second], duration=100, disposal=2)


@pytest.mark.parametrize(("alpha", "is_named"), [(255, False), (0, True)])
def test_a_gif_is_said_to_lose_what_it_has(tmp_path: Path, alpha: int, is_named: bool) -> None:
    write_gif(tmp_path / "a.gif", alpha=alpha)
    source = open_source(str(tmp_path / "a.gif"))
    assert len(list(source)) == 2
    assert "bgra is converted to 8-bit 4:2:0 by the matrix of BT.601" in source.notes
    assert ("transparency is left out" in source.notes) == is_named


def test_transparency_from_the_second_picture_on_is_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mov"), "w") as out:
        video = out.add_stream("qtrle", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "argb"
        for number, alpha in enumerate((255, 40, 255)):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 4), alpha, np.uint8), "argb")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    source = open_source(str(tmp_path / "a.mov"))
    assert len(list(source)) == 3
    assert source.notes.count("transparency is left out") == 1


def test_alpha_beside_the_pictures_of_webm_is_named(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", video_metadata={"alpha_mode": "1"})
    assert open_source(str(tmp_path / "a.mkv")).notes == ["transparency is left out"]
