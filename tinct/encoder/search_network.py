"""What a network is given to work with on this video: key boost, spacing of key frames and QP of their colour, by rehearsal."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from tinct.bitstream.qp import MAX_QP, chroma_qp, key_qp
from tinct.config import EncodeConfig
from tinct.encoder.cost import FLAT_ERROR, Cost
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Choice
from tinct.encoder.rehearsal import Rehearsal
from tinct.encoder.samples import Samples
from tinct.psnr import PLANE_WEIGHTS

BOOSTS = [0, 4, 8, 12, 16, 20, 24]  # QP steps that key frames are finer
GROUPS = [2, 4, 8, 12, 16, 24, 32, 48]  # frames
COLOUR_OFFSETS = [-12, -6, 0, 4]  # of the colour track's QP, key frames being fine already
FIRST_CHOICE = (16, 16, 0)
SEARCH_ORDER = (1, 0, 2)  # spacing first, since luma that was coded once serves again
PRICES = (
    0.25,
    0.5,
    1.0,
    2.0,
    4.0,
)  # times a key frame's bits: small copies do not tell the scale of luma's error
FREE_STRAY_DB = 1.5  # of (6Y+U+V)/8 PSNR from plain HEVC's
STRAY_COST = 0.05  # of the logarithm of bits, for a squared dB more
FREE_SPREAD_DB = 3.0  # of PSNR-Y of key frames over the others
SPREAD_COST = 0.01  # of the logarithm of bits, for a squared dB more


def gain(track: Cost, plain: Cost, rate: float) -> float:
    """By how much, as a logarithm, `track` takes fewer bits than plain HEVC would at its (6Y+U+V)/8 PSNR of the pooled error.

    `rate` is plain HEVC's exchange rate of bits for error. It does not reach far, and a QP promises a quality: straying far
    from plain HEVC's counts against a choice.
    """
    worse = track.log_distortion(plain)
    stray_db = max(0.0, abs(worse) * 10 / math.log(10) - FREE_STRAY_DB)
    return -math.log(track.bits / plain.bits) - rate * worse - STRAY_COST * stray_db**2


def spread_penalty(track: Cost) -> float:
    """What key frames that stand out count against a choice, as a logarithm of bits."""
    return SPREAD_COST * max(0.0, track.spread_db - FREE_SPREAD_DB) ** 2


def best_choice(
    samples: Samples, config: EncodeConfig, qp: int, plain: Cost, rate: float
) -> tuple[Choice, Cost]:
    """What gains most at nominal `qp` and is steady, searched along one axis after the other while it helps; what that costs."""
    from tinct.networks.compact import compact, load_network

    # its first pass alone: the second is better everywhere, and four times as slow
    about = samples.info
    rehearsal = Rehearsal(
        samples,
        config,
        qp,
        compact(load_network("fast"), (about.height, about.width), about.bit_depth),
    )
    cost = cache(rehearsal.cost)

    def choice(steps: Sequence[Sequence[Any]], at: Sequence[int]) -> Choice:
        boost, spacing, offset = (values[i] for values, i in zip(steps, at, strict=True))
        return Choice(boost, spacing, min(max(chroma_qp(key_qp(qp, boost)) + offset, 0), MAX_QP))

    def gained(some: Choice) -> float:
        return gain(cost(some), plain, rate) - spread_penalty(cost(some))

    def climb(axis: int, at: list[int], steps: Sequence[Sequence[Any]]) -> None:
        for step in (1, -1):
            while 0 <= at[axis] + step < len(steps[axis]):
                further = [i + step * (n == axis) for n, i in enumerate(at)]
                if gained(choice(steps, further)) <= gained(choice(steps, at)):
                    break
                at[:] = further

    reach = max(map(len, samples.stretches))
    boosts = BOOSTS if config.key_boost == "auto" else [config.key_boost]
    lengths = (
        [g for g in GROUPS if g < reach or g == GROUPS[0]]
        if config.group == "auto"
        else [config.group]
    )
    steps: list[list[Any]] = [boosts, [Spacing(g) for g in lengths], COLOUR_OFFSETS]
    start = [boosts, lengths, COLOUR_OFFSETS]
    at = [
        min(range(len(v)), key=lambda i: abs(v[i] - first))
        for v, first in zip(start, FIRST_CHOICE, strict=True)
    ]
    for axis in SEARCH_ORDER if config.search == "fast" else SEARCH_ORDER * 2:
        climb(axis, at, steps)
    best = choice(steps, at)
    if config.group == "auto":
        key_bits = rehearsal.key_bits(best)
        steps[1] = [_by_content(cost(best), rate, key_bits * price) for price in PRICES]
        at[1] = PRICES.index(1.0)
        climb(1, at, steps)
        best = max(best, choice(steps, at), key=gained)
    return best, cost(best)


def _by_content(cost: Cost, rate: float, key_bits: float) -> Spacing:
    """Key frames by content, one more for `key_bits`, at what errors and bits count around `cost`."""
    weights = [w / max(e, FLAT_ERROR) for w, e in zip(PLANE_WEIGHTS, cost.error, strict=True)]
    return Spacing(
        "auto", 1 / (cost.bits * max(rate, 1e-3)), key_bits, (weights[0], weights[1], weights[2])
    )
