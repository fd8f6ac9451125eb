"""Restoration of groups: which frames come out, and with which colour."""

import numpy as np
import pytest
from synthetic import draw_clip, draw_texture, make_info

from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.decoder.losses import LossLog
from tinct.decoder.restorer import Restorer


def test_whole_key_frames_in_a_row_need_no_luma_between() -> None:
    """More key frames than the longest group has frames, and one luma frame at the end."""
    pictures = draw_clip(251)
    with Restorer(make_info(), "full") as restorer:
        shown = [frame for n in range(250) for frame in restorer.push(COLOUR, n, pictures[n])]
        shown += restorer.push(LUMA, 250, pictures[250][:1])
        shown += restorer.flush()
    assert [frame.pts for frame in shown] == list(range(251))
    for frame, (y, cb, cr) in zip(shown[:250], pictures, strict=False):
        assert np.array_equal(frame.y, y)
        assert np.array_equal(frame.cb, cb)
        assert np.array_equal(frame.cr, cr)
    assert np.array_equal(shown[250].y, pictures[250][0])


def test_frames_without_any_key_frame_near_are_grey_and_counted() -> None:
    pictures, losses = draw_clip(260), LossLog()
    with Restorer(make_info(), "chroma", losses=losses) as restorer:
        shown = [frame for n in range(250) for frame in restorer.push(LUMA, n, pictures[n][:1])]
        colour = np.concatenate(pictures[250][1:])
        for n in range(250, 260):
            shown += restorer.push(COLOUR, n, (colour,)) if n == 250 else []
            shown += restorer.push(LUMA, n, pictures[n][:1])
        shown += restorer.flush()
    assert [frame.pts for frame in shown] == list(range(260))
    touched = [frame for frame in shown if losses.pop_touched(frame.pts)]
    assert touched == shown[:250]
    grey = [frame for frame in touched if np.all(frame.cb == 128)]
    assert 0 < len(grey) < 250
    for frame in grey:
        assert np.all(frame.cb == 128)
        assert np.all(frame.cr == 128)
    assert np.array_equal(shown[250].cb, pictures[250][1])


@pytest.mark.parametrize(
    ("open_keys", "levels"),
    [
        pytest.param({0}, [90, 90, 90, 90, 90, 90, 90, 90, 200, 200], id="open"),
        pytest.param({8}, [90, 104, 117, 131, 145, 159, 172, 186, 200, 200], id="closed"),
    ],
)
def test_an_open_group_takes_no_colour_from_behind_the_cut(
    open_keys: set[int], levels: list[int]
) -> None:
    """Golden: nothing moves, so a closed group's colour fades from one key frame to the next."""
    luma = draw_texture(48, 64)
    colour = {0: np.full((48, 32), 90, np.uint8), 8: np.full((48, 32), 200, np.uint8)}
    shown = []
    with Restorer(make_info(), "chroma", open_keys=open_keys) as restorer:
        for pts in range(10):
            if pts in colour:
                shown += restorer.push(COLOUR, pts, (colour[pts],))
            shown += restorer.push(LUMA, pts, (luma,))
        shown += restorer.flush()
    assert [frame.pts for frame in shown] == list(range(10))
    for frame, level in zip(shown, levels, strict=True):
        assert np.all(frame.cb == level), frame.pts
        assert np.all(frame.cr == level), frame.pts
