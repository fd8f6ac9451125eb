"""A frame as arrays and tensors."""

import numpy as np
import pytest
from synthetic import draw_clip, make_frames, make_info


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_tensors_hold_what_arrays_hold(bit_depth: int) -> None:
    torch = pytest.importorskip("torch")
    (frame,) = make_frames(draw_clip(1, 17, 33, bit_depth), make_info(17, 33, bit_depth=bit_depth))
    rgb = frame.to_torch()
    assert (rgb.dtype, tuple(rgb.shape)) == (torch.uint8, (3, 33, 17))
    assert rgb.is_contiguous()
    assert np.array_equal(rgb.permute(1, 2, 0).numpy(), frame.rgb())
    planes = frame.planes_to_torch()
    for ours, true in zip(planes, (frame.y, frame.cb, frame.cr), strict=True):
        assert np.array_equal(ours.numpy(), true)
    planes[0][:] = 0
    assert frame.y.any()


def test_rgb_of_16_bit_is_finer() -> None:
    (frame,) = make_frames(draw_clip(1, bit_depth=10), make_info(bit_depth=10))
    wide = frame.rgb16()
    assert wide.dtype == np.uint16
    assert np.abs(wide / 257 - frame.rgb()).max() <= 0.51
    assert len(np.unique(wide)) > len(np.unique(frame.rgb()))
