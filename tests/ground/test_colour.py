"""`to_rgb` follows H.273's formulas and is close to swscale; chroma is sited as in MPEG-2."""

from dataclasses import replace

import numpy as np
import pytest
from av.video.reformatter import Interpolation
from synthetic import draw_clip, make_info, to_av

from tinct.colour import choose_matrix, to_rgb, to_rgb16, upsample_chroma
from tinct.frames import ColourTags, Frame, VideoInfo

Codes = tuple[int, int, int]


def make_flat_frame(codes: Codes, about: VideoInfo) -> Frame:
    """Return a frame of one colour, given as code values of Y, Cb and Cr."""
    dtype = np.uint8 if about.bit_depth == 8 else np.uint16
    shapes = ((about.height, about.width), about.chroma_shape, about.chroma_shape)
    y, cb, cr = (np.full(shape, code, dtype) for shape, code in zip(shapes, codes, strict=True))
    return Frame(y, cb, cr, pts=0, info=about)


def compute_rgb(
    codes: Codes, *, depth: int, weights: tuple[float, float], full: bool
) -> np.ndarray:
    """Return R'G'B' of 0..1 by H.273 equations 38 onwards, inverted by hand.

    R = Y + 2 (1 - Kr) Cr and so on.
    """
    y, cb, cr = codes
    kr, kb = weights
    unit = 2 ** (depth - 8)
    top = 2**depth - 1
    luma = y / top if full else (y / unit - 16) / 219
    u, v = ((c - 128 * unit) / (top if full else 224 * unit) for c in (cb, cr))
    red, blue = luma + 2 * (1 - kr) * v, luma + 2 * (1 - kb) * u
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.array([red, green, blue]), 0, 1)


@pytest.mark.parametrize(
    ("matrix", "weights"),
    [(1, (0.2126, 0.0722)), (5, (0.299, 0.114)), (6, (0.299, 0.114)), (9, (0.2627, 0.0593))],
)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("depth", [8, 10])
def test_flat_colours_follow_the_matrix(
    matrix: int, weights: tuple[float, float], full: bool, depth: int
) -> None:
    about = make_info(18, 16, bit_depth=depth, colour=ColourTags(matrix=matrix, full_range=full))
    for y, cb, cr in (
        (16, 128, 128),
        (235, 128, 128),
        (81, 90, 240),
        (145, 54, 34),
        (41, 240, 110),
        (250, 20, 200),
    ):
        codes = (y << (depth - 8), cb << (depth - 8), cr << (depth - 8))
        frame = make_flat_frame(codes, about)
        truth = compute_rgb(codes, depth=depth, weights=weights, full=full)
        assert np.abs(to_rgb(frame).reshape(-1, 3) - truth * 255).max() <= 0.51
        assert np.abs(to_rgb16(frame).reshape(-1, 3) - truth * 65535).max() <= 2


def test_untagged_video_is_limited_and_its_matrix_goes_by_height() -> None:
    for matrix, height, chosen in ((2, 719, 6), (2, 720, 1), (9, 100, 9)):
        assert choose_matrix(matrix, height) == chosen
    for height, matrix in ((718, 6), (720, 1)):
        frame = make_flat_frame((81, 90, 240), make_info(18, height))
        tagged = replace(frame.info, colour=ColourTags(matrix=matrix, full_range=False))
        assert np.array_equal(to_rgb(frame), to_rgb(replace(frame, info=tagged)))


def test_chroma_is_left_sited() -> None:
    """It is level with even columns and a quarter sample off in rows: a ramp shows both offsets."""
    ramp = 10.0 * np.arange(8)[None, :] + 100.0 * np.arange(6)[:, None]
    up = upsample_chroma(ramp, 12, 16)
    rows, columns = np.arange(1, 11) / 2 - 0.25, np.arange(15) / 2
    assert np.abs(up[1:11, :15] - (10 * columns[None, :] + 100 * rows[:, None])).max() < 1e-3
    assert up[0, 0] == ramp[0, 0]
    assert up[11, 15] == ramp[5, 7]


def test_a_picture_is_within_two_levels_of_swscale() -> None:
    planes = draw_clip(1, 128, 96)[0]
    about = make_info(128, 96, colour=ColourTags(matrix=1, full_range=False))
    ours = to_rgb(Frame(*planes, pts=0, info=about)).astype(int)
    quality = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    raw = to_av(planes, "yuv420p", about.colour)
    theirs = raw.reformat(
        format="rgb24", interpolation=quality, src_colorspace=1, dst_color_range=2
    ).to_ndarray()
    # Siting shows at colour edges only.
    smooth = np.abs(np.gradient(upsample_chroma(planes[2], 96, 128))).max(axis=0) < 1
    assert smooth.mean() > 0.5
    assert np.abs(ours - theirs)[smooth].max() <= 2


@pytest.mark.parametrize(("width", "height"), [(1, 1), (17, 33), (2, 1)])
def test_odd_sizes_keep_flat_colours_flat(width: int, height: int) -> None:
    frame = make_flat_frame((81, 90, 240), make_info(width, height))
    rgb = to_rgb(frame)
    assert rgb.shape == (height, width, 3)
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) == 1
