"""Strengths of the post-filter: found on pictures whose best ones are known."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import make_info

from tinct.bitstream.strengths import NEUTRAL, UNIT, Strengths
from tinct.decoder.postfilter import filter_plane
from tinct.encoder.strengths import choose_strengths
from tinct.frames import Frame
from tinct.media.planes import Planes

SIDE = 64
INFO = make_info(SIDE, SIDE)
MANY = 1e6  # bits, of which any gain is worth a change
FEW = 100.0


def draw(seed: int) -> Planes:
    """Return a smooth random picture."""
    random = np.random.default_rng(seed)
    planes = []
    for side in (SIDE, SIDE // 2, SIDE // 2):
        noise = random.normal(0, 60, (side + 8, side + 8))
        for axis in (0, 1):
            noise = sum(np.roll(noise, n, axis) for n in range(4)) / 2
        planes.append(np.clip(128 + noise[8:, 8:], 20, 235).astype(np.uint8))
    return tuple(planes)


def frame_of(planes: Planes) -> Frame:
    y, cb, cr = planes
    return Frame(y, cb, cr, pts=0, info=INFO)


def choose(
    originals: list[Planes],
    restored: list[Planes],
    prior: list[Planes],
    *,
    current: Strengths = NEUTRAL,
    shares_network: bool = True,
    bits: float = MANY,
) -> list[Strengths]:
    return choose_strengths(
        [frame_of(planes) for planes in originals],
        restored,
        prior,
        current=[current] * 3,
        shares_network=shares_network,
        bits=bits,
    )


def test_the_filter_that_was_applied_is_found() -> None:
    """The original is what a filter makes of the network's planes, so least squares find it."""
    wanted = Strengths(edges=6, rows=-4, columns=3)
    restored = [draw(seed) for seed in range(3)]
    originals = [
        tuple(filter_plane(plane, plane, wanted, depth=8) for plane in planes)
        for planes in restored
    ]
    for found in choose(originals, restored, restored, shares_network=False):
        assert found.network == UNIT
        assert np.abs(np.subtract(found.smoothing, wanted.smoothing)).max() <= 1


@pytest.mark.parametrize("share", [0, 3, 8, 12])
def test_the_share_of_the_network_is_found(share: int) -> None:
    prior = [draw(seed) for seed in range(2)]
    other = [draw(seed) for seed in range(2, 4)]
    restored = [
        tuple((a + (b.astype(int) - a) // 8).astype(np.uint8) for a, b in zip(*both, strict=True))
        for both in zip(prior, other, strict=True)
    ]
    originals = [
        tuple(filter_plane(b, a, Strengths(share), depth=8) for a, b in zip(*both, strict=True))
        for both in zip(prior, restored, strict=True)
    ]
    for found in choose(originals, restored, prior):
        assert abs(found.network - share) <= 1
        assert np.abs(found.smoothing).max() <= 1


def test_a_track_has_the_network_or_not() -> None:
    prior = [draw(0)]
    restored = [tuple(plane + 9 for plane in prior[0])]
    y, cb, cr = prior[0]
    originals: list[Planes] = [(y, cb + 9, cr + 4)]
    found = choose(originals, restored, prior, shares_network=False)
    assert [one.network for one in found] == [0, UNIT, 0]


def test_what_is_not_worth_its_bits_stays_as_it_was() -> None:
    """The sharper original differs little; of few bits hardly any would be saved."""
    wanted = Strengths(rows=-1)
    restored = [draw(5)]
    originals = [tuple(filter_plane(p, p, wanted, depth=8) for p in restored[0])]
    noise = np.random.default_rng(9).integers(-6, 7, (SIDE, SIDE))
    y = (originals[0][0].astype(int) + noise).astype(np.uint8)
    originals = [(y, *originals[0][1:])]
    current = Strengths(columns=1)
    rich = choose(originals, restored, restored, current=current)
    poor = choose(originals, restored, restored, current=current, bits=FEW)
    assert rich[0] != current
    assert poor[0] == current
    plain = choose(originals, restored, restored, current=current, shares_network=False, bits=FEW)
    assert plain[0] == replace(current, network=plain[0].network)
