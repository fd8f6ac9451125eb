"""The interface of the colourisers: propagation alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinct.motion.views import KeyView, LumaView
from tinct.networks.interface import propagate_group


@pytest.mark.parametrize(("bit_depth", "grey"), [(8, 128), (10, 512)])
def test_without_a_key_frame_chroma_is_grey(bit_depth: int, grey: int) -> None:
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    luma = LumaView(np.arange(15, dtype=dtype).reshape(3, 5), bit_depth, 0)
    with ThreadPoolExecutor(1) as pool:
        (planes,) = propagate_group([luma], [], pool)
        y, cb, cr = planes.result()
    assert y is luma.y
    for plane in (cb, cr):
        assert plane.dtype == dtype
        assert plane.tolist() == [[grey] * 3] * 2


def test_luma_stays_and_chroma_comes_from_the_key_frame() -> None:
    """16 rows are too few for optical flow: the key frame is copied."""
    still = LumaView(np.full((16, 16), 90, np.uint8), 8, 1)
    chroma = np.arange(64, dtype=np.uint8).reshape(8, 8)
    key = KeyView(LumaView(np.full((16, 16), 80, np.uint8), 8, 0), chroma, chroma + 100)
    with ThreadPoolExecutor(1) as pool:
        (planes,) = propagate_group([still], [key], pool)
        y, cb, cr = planes.result()
    assert y is still.y
    assert np.array_equal(cb, chroma)
    assert np.array_equal(cr, chroma + 100)
