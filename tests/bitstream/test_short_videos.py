"""Videos shorter than x265's delay: every packet has the time it must have, each time."""

import pytest
from synthetic import clip, info

from tinct.bitstream.hevc import STRUCTURES, HevcEncoder, HevcSettings


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("count", [1, 2])
def test_short_videos_decode_in_the_order_they_are_shown(structure: str, count: int) -> None:
    """In random access x265 used to give random decoding times; ten runs met them every time."""
    for _ in range(10):
        encoder = HevcEncoder(HevcSettings(structure, info(), qp=32), (48, 64), grey=False)
        pictures = clip(count, 64, 48)
        packets = [
            p for i, picture in enumerate(pictures) for p in encoder.encode(picture, i)
        ] + encoder.flush()
        assert [(p.pts, p.dts) for p in packets] == [(i, i) for i in range(count)]
