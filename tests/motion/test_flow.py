"""Optical flow: motion that is found, pictures of any size, and flows that move a picture."""

import numpy as np
import pytest
from synthetic import WORLD, draw_clip

from tinct.motion.flow import estimate_flow, scale_flow, track, warp, zero_still_flow
from tinct.motion.prior import propagate
from tinct.motion.views import KeyView, LumaView


def luma_view(height: int, width: int, pts: int) -> LumaView:
    """Noise that moves up by one row a tick."""
    noise = np.random.default_rng(0).integers(0, 255, (height + 8, width + 8), np.uint8)
    return LumaView(np.ascontiguousarray(noise[pts : pts + height, :width]), 8, pts)


def key_view(height: int, width: int, pts: int) -> KeyView:
    """The same, in the colour (90, 140) + pts."""
    cb = np.full(((height + 1) // 2, (width + 1) // 2), 90 + pts, np.uint8)
    return KeyView(luma_view(height, width, pts), cb, cb + 50)


@pytest.mark.parametrize(
    ("height", "width"), [(16, 500), (20, 400), (24, 192), (31, 96), (48, 192), (90, 728), (1, 500)]
)
def test_a_strip_takes_the_colour_of_its_key_frames(height: int, width: int) -> None:
    """Optical flow used to end the process on pictures 16 to 31 rows high."""
    keys = [key_view(height, width, 0), key_view(height, width, 2)]
    cb, cr = propagate(luma_view(height, width, 1), keys)
    assert 90 <= cb.min() <= cb.max() <= 92
    assert 140 <= cr.min() <= cr.max() <= 142


def test_a_small_picture_does_not_change_later_searches() -> None:
    """A search object keeps the settings that a small picture changes in it."""
    chroma = np.random.default_rng(1).integers(0, 255, (2, 48, 48), np.uint8)
    noisy = KeyView(luma_view(96, 96, 0), *chroma)
    before = propagate(luma_view(96, 96, 3), [noisy])
    for side in (32, 40):
        propagate(luma_view(side, side, 1), [key_view(side, side, 0)])
    after = propagate(luma_view(96, 96, 3), [noisy])
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_pictures_too_small_for_optical_flow_have_none() -> None:
    small, large = luma_view(31, 64, 0), luma_view(32, 64, 0)
    assert estimate_flow(small, small) is None
    assert track([small, small], small) == [None, None]
    flow = estimate_flow(large, large)
    assert flow is not None
    assert flow.shape == (16, 32, 2)


def test_motion_is_tracked_away_from_the_key_frame() -> None:
    """The clip moves by (1.5, 0.5) samples a frame, so frame n lies -n times that from frame 0."""
    views = [LumaView(y, 8, n) for n, (y, _, _) in enumerate(draw_clip(9, 128, 96))]
    for n, flow in enumerate(track(views[1:], views[0]), 1):
        assert flow is not None
        assert flow.dtype == np.float16
        inner = flow[24:-24, 24:-24].astype(np.float32)
        assert np.median(inner[..., 0]) == pytest.approx(-1.5 * n, abs=0.6)
        assert np.median(inner[..., 1]) == pytest.approx(-0.5 * n, abs=0.6)


def test_a_still_picture_has_no_flow_however_noisy_it_is() -> None:
    still = LumaView(draw_clip(1, 128, 96)[0][0], 8, 0)
    noise = np.random.default_rng(0).normal(0, 4, still.y.shape)
    noisy = LumaView(np.clip(still.y + noise, 0, 255).astype(np.uint8), 8, 1)
    flow = track([noisy], still)[0]
    assert flow is not None
    assert not flow.any()


def test_flow_is_zeroed_only_where_standing_still_fits() -> None:
    """The right half moved by 4 samples, the left half did not; the flow claims it for both."""
    source, target = WORLD[0][:96, :128], WORLD[0][:96, :128].copy()
    target[:, 64:] = WORLD[0][:96, 68:132]
    flow = np.full((96, 128, 2), (4, 0), np.float32)
    found = zero_still_flow(target, source, flow)
    assert not found[:, :48].any()
    assert (found[:, 80:112, 0] == 4).mean() > 0.9


@pytest.mark.parametrize(
    "scale", [0.5, 1.0, 2.0], ids=["half the flow", "its own size", "twice the flow"]
)
def test_a_flow_of_another_size_moves_a_picture_by_as_much_and_stays_as_it_is(scale: float) -> None:
    picture = WORLD[0][:96, :128]
    flow = np.full((int(96 * scale), int(128 * scale), 2), (4 * scale, -2 * scale), np.float32)
    before = flow.copy()
    moved = warp(picture, flow)
    assert (moved[2:, :-4] == picture[:-2, 4:]).all()
    assert (flow == before).all()


def test_a_warp_interpolates_bilinearly_and_repeats_the_edge() -> None:
    """The golden values of a ramp of 10 a column, moved by 1.25 columns."""
    ramp = np.tile(np.arange(0, 80, 10, np.float32), (4, 1))
    moved = warp(ramp, np.full((4, 8, 2), (1.25, 0), np.float32))
    assert moved.tolist() == [[12.5, 22.5, 32.5, 42.5, 52.5, 62.5, 70.0, 70.0]] * 4


@pytest.mark.parametrize(("shape", "expected"), [((5, 7), 4.0), ((3, 4), 2.0), ((10, 14), 8.0)])
def test_a_scaled_flow_has_displacements_of_its_own_grid(
    shape: tuple[int, int], expected: float
) -> None:
    scaled = scale_flow(np.full((5, 7, 2), 4, np.float32), shape)
    assert scaled.shape == (*shape, 2)
    assert scaled == pytest.approx(expected, rel=1e-6)
