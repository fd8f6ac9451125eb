"""Videos shorter than x265's delay: every packet has the right times."""

import pytest
from synthetic import draw_clip, make_info

from tinct.bitstream.base import PictureEncoder
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.hevc import STRUCTURES
from tinct.bitstream.pictures import Packet


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("count", [1, 2])
def test_short_videos_decode_in_the_order_they_are_shown(structure: str, count: int) -> None:
    """x265 returned random decoding times in random access; ten runs always showed them."""
    for _ in range(10):
        settings = BaseSettings(structure=structure, info=make_info(), qp=32)
        encoder = PictureEncoder(settings, (48, 64), grey=False)
        packets: list[Packet] = []
        for i, picture in enumerate(draw_clip(count, 64, 48)):
            packets += encoder.encode(picture, i)
        packets += encoder.flush()
        assert [(p.pts, p.dts) for p in packets] == [(i, i) for i in range(count)]
