"""The colouriser `gan`: golden values of the conversion from a generator's picture to samples."""

import numpy as np
import pytest
from synthetic import make_info

from tinct.networks.gan import to_planes
from tinct.networks.gan_config import GanConfig


@pytest.mark.parametrize(
    ("bit_depth", "values"),
    [(8, {-1: 0, 0: 128, 0.5: 191, 1: 255}), (10, {-1: 0, 0: 512, 0.5: 767, 1: 1023})],
)
def test_a_ycbcr_picture_spans_the_samples(bit_depth: int, values: dict[float, int]) -> None:
    """Half of the range is 127.5 or 511.5, which rounds to the even 128 or 512."""
    about = make_info(4, 4, bit_depth=bit_depth)
    for value, expected in values.items():
        planes = to_planes(np.full((3, 4, 4), value, np.float32), "ycbcr", about)
        assert [plane.shape for plane in planes] == [(4, 4), (2, 2), (2, 2)]
        assert all(plane.dtype == (np.uint8 if bit_depth == 8 else np.uint16) for plane in planes)
        assert [set(np.unique(plane)) for plane in planes] == [{expected}] * 3


@pytest.mark.parametrize(("bit_depth", "grey"), [(8, 128), (10, 512)])
def test_a_grey_rgb_picture_has_no_colour(bit_depth: int, grey: int) -> None:
    """Limited range: R'G'B' 0 to 255 is Y' 16 to 235 at 8 bit."""
    about = make_info(4, 4, bit_depth=bit_depth)
    for value, luma in ((-1, 16), (1, 235)):
        planes = to_planes(np.full((3, 4, 4), value, np.float32), "rgb", about)
        expected = [luma << (bit_depth - 8), grey, grey]
        assert [set(np.unique(plane)) for plane in planes] == [{level} for level in expected]


def test_what_is_no_number_becomes_a_picture() -> None:
    picture = np.zeros((3, 4, 4), np.float32)
    picture[0, 0, :3] = np.nan, np.inf, -np.inf
    assert to_planes(picture, "ycbcr", make_info(4, 4))[0][0].tolist() == [128, 255, 0, 128]


def test_widths_are_those_of_table_1() -> None:
    assert GanConfig(16).widths == (16, 16, 32, 32)
