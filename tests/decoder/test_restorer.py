"""The decoder's groups: what is shown when, and with what colour."""

import numpy as np
from synthetic import clip, info

from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.decoder.restorer import Restorer


def test_whole_key_frames_in_a_row_need_no_luma_between() -> None:
    """More of them than the longest group, and one frame of luma at last."""
    pictures = clip(251)
    with Restorer(info(), "full") as restorer:
        shown = [frame for n in range(250) for frame in restorer.push(COLOUR, n, pictures[n])]
        shown += restorer.push(LUMA, 250, pictures[250][:1]) + restorer.flush()
    assert [frame.pts for frame in shown] == list(range(251))
    for frame, (y, cb, cr) in zip(shown[:250], pictures, strict=False):
        assert np.array_equal(frame.y, y)
        assert np.array_equal(frame.cb, cb)
        assert np.array_equal(frame.cr, cr)
    assert np.array_equal(shown[250].y, pictures[250][0])


def test_frames_without_any_key_frame_near_are_grey_and_counted() -> None:
    pictures = clip(260)
    with Restorer(info(), "chroma") as restorer:
        shown = [frame for n in range(250) for frame in restorer.push(LUMA, n, pictures[n][:1])]
        colour = np.concatenate(pictures[250][1:])
        for n in range(250, 260):
            shown += restorer.push(COLOUR, n, (colour,)) if n == 250 else []
            shown += restorer.push(LUMA, n, pictures[n][:1])
        shown += restorer.flush()
    assert [frame.pts for frame in shown] == list(range(260))
    assert 0 < restorer.colourless < 250
    for frame in shown[: restorer.colourless]:
        assert np.all(frame.cb == 128)
        assert np.all(frame.cr == 128)
    assert np.array_equal(shown[250].cb, pictures[250][1])
