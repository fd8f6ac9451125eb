"""Frames between two frames: content is where it would be, by golden values and by quality."""

import numpy as np
import pytest
from helpers import measure_psnr
from synthetic import draw_scene

from tinct.motion.interpolation import Match, Place, interpolate_frame, match
from tinct.motion.views import KeyView, LumaView


def view(time: float, *, size: tuple[int, int] = (192, 144), depth: int = 8) -> KeyView:
    y, cb, cr = draw_scene(time, *size, depth)
    return KeyView(LumaView(y, depth, round(time)), cb, cr)


def at(share: float) -> Place:
    return Place(share=share, distances=(1, 1))


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_content_is_found_at_the_time_between(share: float, depth: int) -> None:
    before, after = view(0, depth=depth), view(4, depth=depth)
    y, cb, _ = interpolate_frame(before, after, motion=match(before, after), place=at(share))
    truth = view(4 * share, depth=depth)
    peak = 255 << (depth - 8)
    assert y.dtype == truth.luma.y.dtype
    assert y.shape == truth.luma.y.shape
    assert cb.shape == truth.cb.shape
    found_db = measure_psnr(y, truth.luma.y, peak)
    still_db = max(measure_psnr(v.luma.y, truth.luma.y, peak) for v in (before, after))
    assert found_db > still_db + 6
    assert measure_psnr(cb, truth.cb, peak) > measure_psnr(before.cb, truth.cb, peak)


def test_golden_values() -> None:
    """A ramp of 8 a column moves by 2 columns to the right; at a quarter of the way by a half."""
    ramp = np.tile(np.arange(0, 96, 1), (64, 1)) * 2 + 20
    moved = ramp - 4
    planes = [
        KeyView(
            LumaView(picture.astype(np.uint8), 8, pts),
            picture[::2, ::2].astype(np.uint8),
            255 - picture[::2, ::2].astype(np.uint8),
        )
        for pts, picture in ((0, ramp), (4, moved))
    ]
    right = np.zeros((64, 96, 2), np.float16)
    right[..., 0] = 2
    motion = Match(right, -right)
    y, cb, cr = interpolate_frame(planes[0], planes[1], motion=motion, place=at(0.25))
    columns = slice(8, 88)
    assert np.array_equal(y[:, columns], (ramp - 1)[:, columns])
    inside = slice(4, 44)
    assert np.array_equal(cb[:, inside], (ramp - 1)[::2, ::2][:, inside])
    assert np.array_equal(cr[:, inside], 255 - (ramp - 1)[::2, ::2][:, inside])


def test_each_sample_trusts_the_motion_along_which_both_frames_agree() -> None:
    """The later frame's motion is wrong in the right half: there the earlier one's is taken."""
    texture = np.random.default_rng(3).integers(40, 200, (64, 100)).astype(np.uint8)
    planes = [
        KeyView(
            LumaView(texture[:, at : at + 96].copy(), 8, pts),
            np.full((32, 48), 128, np.uint8),
            np.full((32, 48), 128, np.uint8),
        )
        for pts, at in ((0, 4), (2, 0))
    ]
    forward = np.zeros((64, 96, 2), np.float16)
    forward[..., 0] = 4
    backward = -forward
    backward[:, 48:, 0] = 20
    motion = Match(forward, backward)
    y, _, _ = interpolate_frame(planes[0], planes[1], motion=motion, place=at(0.5))
    truth = texture[:, 2 : 2 + 96]
    error = np.abs(y.astype(int) - truth)[:, 8:88]
    assert error.mean() < 6
    assert np.abs(planes[0].luma.y.astype(int) - truth)[:, 8:88].mean() > 40


def test_pictures_too_small_for_flow_are_mixed_where_they_stand() -> None:
    before, after = view(0, size=(17, 9)), view(4, size=(17, 9))
    motion = match(before, after)
    assert motion == Match(None, None)
    y, cb, _ = interpolate_frame(before, after, motion=motion, place=at(0.25))
    mixed = np.rint(0.75 * before.luma.y + 0.25 * after.luma.y)
    assert np.abs(y - mixed).max() <= 1
    assert np.abs(cb - np.rint(0.75 * before.cb + 0.25 * after.cb)).max() <= 1


def test_what_overshoots_at_an_edge_is_cut_to_the_peak() -> None:
    """Bicubic samples of a white step at half a column are beyond white, of 10 bit too."""
    step = np.zeros((64, 96), np.uint16)
    step[:, 48:] = 1023
    chroma = np.full((32, 48), 512, np.uint16)
    frame = KeyView(LumaView(step, 10, 0), chroma, chroma)
    right = np.zeros((64, 96, 2), np.float16)
    right[..., 0] = 1
    y, _, _ = interpolate_frame(frame, frame, motion=Match(right, -right), place=at(0.5))
    assert y.max() == 1023
