"""Spans and windows, tracking over many frames, blending of references, working data."""

from pathlib import Path

import numpy as np
import pytest
from synthetic import draw_texture, make_info

from tinct.colouring.blending import (
    Reference,
    ReferenceFlow,
    blend_references,
    match_tone,
)
from tinct.colouring.chroma import MIDDLE, make_grey_frame, replace_chroma, stack_chroma
from tinct.colouring.propagation import Span, choose_window_length, split_spans
from tinct.colouring.scratch import (
    ScratchFile,
    load_flow,
    load_reference,
    store_flow,
    store_reference,
)
from tinct.colouring.tracking import TrackedFlow, start_tracking, track_frame
from tinct.errors import CodecError
from tinct.motion.views import LumaView


def test_spans_end_at_references_and_cuts() -> None:
    shots = [range(20), range(20, 34), range(34, 40)]
    assert split_spans(shots, [0, 12, 39]) == [
        Span(range(12), before=0, behind=12),
        Span(range(12, 20), before=12, behind=None),
        Span(range(20, 34), before=None, behind=None),
        Span(range(34, 39), before=None, behind=39),
        Span(range(39, 40), before=39, behind=None),
    ]


def test_windows_cover_a_span_once() -> None:
    windows = Span(range(5, 16), before=5, behind=16).split_windows(4)
    assert windows == [range(5, 9), range(9, 13), range(13, 16)]


@pytest.mark.parametrize(
    ("size", "length"), [((64, 48), 128), ((1280, 720), 17), ((7680, 4320), 8)]
)
def test_windows_hold_about_as_many_samples(size: tuple[int, int], length: int) -> None:
    assert choose_window_length(make_info(*size)) == length


def make_shifted(shift: int) -> np.ndarray:
    """Return luma [96, 128] of a texture that has moved `shift` samples to the left."""
    return np.ascontiguousarray(draw_texture(96, 200)[:, shift : shift + 128])


def test_motion_of_many_frames_is_tracked_without_drift() -> None:
    """40 steps of one sample: far more than a single search finds, less than a sample off."""
    tracked = start_tracking(make_shifted(0))
    for shift in range(1, 41):
        tracked = track_frame(make_shifted(shift), tracked, make_shifted(0))
    assert tracked.flow is not None
    inside = tracked.flow[16:-16, 16:72]
    assert np.abs(inside - (40, 0)).mean() < 0.5


def test_small_pictures_are_not_tracked() -> None:
    tracked = start_tracking(np.zeros((24, 128), np.uint8))
    assert track_frame(np.ones((24, 128), np.uint8), tracked, tracked.luma).flow is None


def make_reference(luma: LumaView, colour: tuple[float, float]) -> Reference:
    """Return a reference of one colour that covers its whole frame."""
    shape = luma.half.shape
    planes = np.full((*shape, 2), colour, np.float32)
    return Reference(0, luma, colour=planes, weight=np.ones(shape, np.float32))


@pytest.fixture(scope="module")
def luma() -> LumaView:
    return LumaView(draw_texture(96, 128), 8, 0)


def test_without_references_a_frame_is_grey(luma: LumaView) -> None:
    blended = blend_references(luma, [])
    assert not blended.colour.any()
    assert not blended.trust.any()


def test_a_reference_of_the_frame_itself_is_fully_trusted(luma: LumaView) -> None:
    blended = blend_references(luma, [ReferenceFlow(make_reference(luma, (20, -30)), None, 0)])
    assert np.allclose(blended.trust, 1, atol=1e-4)
    assert np.allclose(blended.colour, (20, -30), atol=1e-3)


def test_the_nearer_reference_counts_more(luma: LumaView) -> None:
    """Two that match alike are weighted by 1 / distance."""
    near = ReferenceFlow(make_reference(luma, (40, 0)), None, 1)
    far = ReferenceFlow(make_reference(luma, (0, 40)), None, 3)
    blended = blend_references(luma, [near, far])
    assert np.allclose(blended.colour, (30, 10), atol=1e-3)


def test_the_reference_that_matches_counts_more(luma: LumaView) -> None:
    other = LumaView(draw_texture(96, 128, seed=5), 8, 0)
    right = ReferenceFlow(make_reference(luma, (40, 0)), None, 2)
    wrong = ReferenceFlow(make_reference(other, (0, 40)), None, 2)
    blended = blend_references(luma, [right, wrong])
    assert np.median(blended.colour[..., 0]) > 39
    assert np.median(blended.colour[..., 1]) < 1


def test_a_foreign_reference_is_faint(luma: LumaView) -> None:
    other = LumaView(draw_texture(96, 128, seed=5), 8, 0)
    blended = blend_references(luma, [ReferenceFlow(make_reference(other, (40, 0)), None, 2)])
    assert blended.trust.mean() < 0.5
    assert np.allclose(blended.colour[..., 0], 40 * blended.trust, atol=1e-3)


def test_tone_is_fitted_but_for_outliers_and_wild_gains() -> None:
    own = draw_texture(96, 128).astype(np.float32)
    darker = 0.6 * own + 12
    darker[:20, :20] = 255  # an object that only one frame shows
    assert np.allclose(match_tone(own, darker)[24:], own[24:], atol=0.5)
    assert np.array_equal(match_tone(own, 0.1 * own), 0.1 * own)  # a gain of 10 is not believed


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_chroma_of_a_frame_survives_a_round_trip(bit_depth: int) -> None:
    about = make_info(bit_depth=bit_depth)
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    grey = make_grey_frame(np.zeros((48, 64), dtype), 7, about)
    assert np.all(stack_chroma(grey) == MIDDLE)
    levels = np.random.default_rng(2).integers(0, 1 << bit_depth, (24, 32, 2))
    colour = (levels / (1 << (bit_depth - 8)) - 128).astype(np.float32)
    frame = replace_chroma(grey, colour)
    assert np.array_equal(np.dstack((frame.cb, frame.cr)), levels)
    assert np.array_equal(stack_chroma(frame) - MIDDLE, colour)
    assert (frame.pts, frame.y.dtype) == (7, dtype)


def test_colour_out_of_range_is_clipped() -> None:
    grey = make_grey_frame(np.zeros((48, 64), np.uint8), 0, make_info())
    frame = replace_chroma(grey, np.full((24, 32, 2), (-140, 130), np.float32))
    assert (frame.cb.max(), frame.cr.min()) == (0, 255)


def test_working_data_comes_back(luma: LumaView, tmp_path: Path) -> None:
    flow = np.full((96, 128, 2), 1.25, np.float32)
    with ScratchFile(tmp_path) as scratch:
        store_reference(scratch, make_reference(luma, (20, -30)))
        store_flow(scratch, (0, 8), TrackedFlow(flow, luma.y))
        store_flow(scratch, (0, 16), TrackedFlow(None, luma.y))
        reference = load_reference(scratch, 0)
        moved, still = (load_flow(scratch, (0, number)) for number in (8, 16))
        assert list(tmp_path.iterdir()) == []  # the file has no name
    assert np.array_equal(reference.luma.y, luma.y)
    assert np.array_equal(reference.colour[0, 0], (20, -30))
    assert np.array_equal(reference.weight, np.ones(luma.half.shape))
    assert np.array_equal(moved.flow, flow)
    assert still.flow is None
    assert np.array_equal(still.luma, luma.y)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: full)
        with pytest.raises(CodecError, match="expected room for working data"):
            ScratchFile().put("key", np.zeros(10))
