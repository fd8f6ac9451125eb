"""The estimate of the error that a QP gives, beside what x265 does."""

import numpy as np
import pytest
from synthetic import draw_texture, make_info

from tinct.bitstream.base import encode_pictures
from tinct.bitstream.codecs import BaseSettings
from tinct.encoder.intra_error import REMAINDER, estimate_luma_error
from tinct.frames import Frame
from tinct.psnr import squared_error


def frame_of(y: np.ndarray, bit_depth: int = 8) -> Frame:
    height, width = y.shape
    info = make_info(width, height, bit_depth=bit_depth)
    grey = np.full(info.chroma_shape, 128 << (bit_depth - 8), y.dtype)
    return Frame(y, grey, grey, pts=0, info=info)


def test_a_flat_picture_has_no_error() -> None:
    assert estimate_luma_error(frame_of(np.full((48, 64), 77, np.uint8)), 51) < 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (480, 640)])
def test_noise_loses_all_or_a_share_of_the_step(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).normal(128, 10, shape).clip(0, 255).astype(np.uint8)
    found = [estimate_luma_error(frame_of(noise), qp) for qp in (4, 51)]
    assert found == sorted(found)
    if min(shape) > 8:
        assert found[0] == pytest.approx(REMAINDER * 63 / 64, rel=0.05)  # the step is 1 level
        assert found[1] == pytest.approx(100, rel=0.1)  # the variance


def test_ten_bits_count_in_eight_bit_levels() -> None:
    y = draw_texture(96, 128, 3)
    fine = frame_of(y.astype(np.uint16) << 2, 10)
    assert estimate_luma_error(fine, 32) == pytest.approx(estimate_luma_error(frame_of(y), 32))


@pytest.mark.parametrize("qp", [27, 37])
def test_x265_comes_near(qp: int) -> None:
    frame = frame_of(draw_texture(288, 352, 5))
    settings = BaseSettings(structure="intra", info=frame.info, qp=qp)
    ((_, (coded,)),) = encode_pictures([(frame.y,)], settings, grey=True)
    error = squared_error(frame.y, coded, 8)
    assert 0.6 * error < estimate_luma_error(frame, qp) < 1.6 * error
