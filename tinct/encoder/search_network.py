"""The search for key boost, spacing of key frames and their colour's QP, for a shipped network.

Such a network improves the luma of the frames between key frames, too, so that key frames which
are finer by the key boost pay. Each choice is tried by a rehearsal on samples (`rehearsal`);
`decide` asks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from tinct.bitstream.qp import MAX_QP, chroma_qp, key_qp
from tinct.config import EncodeConfig
from tinct.encoder.cost import FLAT_ERROR, Cost
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Choice
from tinct.encoder.rehearsal import Rehearsal
from tinct.encoder.samples import Samples
from tinct.encoder.sending import Sending
from tinct.networks.compact_config import FAST_NETWORK
from tinct.psnr import PLANE_WEIGHTS

BOOSTS = (0, 4, 8, 12, 16, 20, 24)  # QP steps that key frames are finer
GROUPS = (2, 4, 8, 12, 16, 24, 32, 48)  # frames
COLOUR_OFFSETS = (-12, -6, 0, 4)  # of the colour track's QP, key frames being fine already
STEPS = (1, 2, 4, 8)  # of frames that are sent, before they are chosen by content
FIRST_CHOICE = (16, 16, 0, 4)
BOOST_AXIS, SPACING_AXIS, COLOUR_AXIS, SENDING_AXIS = range(4)
# The spacing is searched first, since luma that was coded once at a QP serves again.
SEARCH_ORDER = (SPACING_AXIS, SENDING_AXIS, BOOST_AXIS, COLOUR_AXIS)
ROUNDS = {"fast": 1, "thorough": 2}  # through the axes
REHEARSED = FAST_NETWORK.name  # one more pass is better everywhere, and slow
# Prices are multiples of a key frame's bits: small copies do not tell the scale of luma's error.
PRICES = (0.25, 0.5, 1.0, 2.0, 4.0)
FREE_STRAY_DB = 1.5  # of (6Y+U+V)/8 PSNR from plain HEVC's
STRAY_COST = 0.05  # of the logarithm of bits, for a squared dB more
FREE_SPREAD_DB = 3.0  # of PSNR-Y of key frames over the others
SPREAD_COST = 0.01  # of the logarithm of bits, for a squared dB more
MIN_RATE = 1e-3  # of the exchange rate; keeps a flat curve from making key frames free


def gain(track: Cost, plain: Cost, rate: float) -> float:
    """Return by how much `track` takes fewer bits than plain HEVC would at equal quality.

    It is a logarithm of bits; quality is (6Y+U+V)/8 PSNR of the pooled error. `rate` is plain
    HEVC's exchange rate of bits for error, which does not reach far. A QP promises a quality, so
    straying far from plain HEVC's counts against a choice.
    """
    worse = track.log_distortion(plain)
    stray_db = max(0.0, abs(worse) * 10 / math.log(10) - FREE_STRAY_DB)
    return -math.log(track.bits / plain.bits) - rate * worse - STRAY_COST * stray_db**2


def spread_penalty(track: Cost) -> float:
    """Return what key frames that stand out count against a choice, as a logarithm of bits."""
    return SPREAD_COST * max(0.0, track.spread_db - FREE_SPREAD_DB) ** 2


def search_network(
    samples: Samples, config: EncodeConfig, *, qp: int, plain: Cost, rate: float
) -> tuple[Choice, Cost]:
    """Return the choice that gains most at nominal `qp` and is steady, and its cost.

    One axis after the other is searched, as far as the gain rises.
    """
    from tinct.networks.compact import load_network, make_compact_colouriser, make_interpolator

    network, about = load_network(REHEARSED), samples.info
    size = (about.height, about.width)
    rehearsal = Rehearsal(
        samples,
        config,
        qp=qp,
        colouriser=make_compact_colouriser(network, size, about.bit_depth),
        plain=plain,
        interpolate=make_interpolator(network, size, about.bit_depth),
    )
    cost = cache(rehearsal.cost)

    def gain_of(choice: Choice) -> float:
        return gain(cost(choice), plain, rate) - spread_penalty(cost(choice))

    axes = _axes(samples, config)
    at = axes.start()
    for axis in SEARCH_ORDER * ROUNDS[config.search]:
        at = _climb(axes, at, axis=axis, gain_of=gain_of, qp=qp)
    best = axes.choice(at, qp)
    if config.group == "auto":
        key_bits = rehearsal.key_bits(best)
        spacings = [_price_keys(cost(best), rate, key_bits=key_bits * price) for price in PRICES]
        axes = replace(axes, spacings=spacings)
        best = _climb_prices(axes, at, axis=SPACING_AXIS, gain_of=gain_of, qp=qp, best=best)
    if config.interpolate == "auto":
        bits = rehearsal.luma_bits(best)
        sendings = [_price_frames(cost(best), rate, bits=bits * price) for price in PRICES]
        axes = replace(axes, spacings=[best.spacing], sendings=sendings)
        at = (at[BOOST_AXIS], 0, at[COLOUR_AXIS], 0)
        best = _climb_prices(axes, at, axis=SENDING_AXIS, gain_of=gain_of, qp=qp, best=best)
    return best, cost(best)


def _climb_prices(
    axes: "Axes",
    at: "Place",
    *,
    axis: int,
    gain_of: Callable[[Choice], float],
    qp: int,
    best: Choice,
) -> Choice:
    """Return the best of the choices by PRICES on one axis, or `best` where none beats it."""
    middle = list(at)
    middle[axis] = PRICES.index(1.0)
    boost, spacing, offset, sending = middle
    at = _climb(axes, (boost, spacing, offset, sending), axis=axis, gain_of=gain_of, qp=qp)
    return max(best, axes.choice(at, qp), key=gain_of)


Place = tuple[int, int, int, int]  # an index on each axis


@dataclass(frozen=True)
class Axes:
    """The values that are searched: key boosts, spacings, offsets of the colour's QP, sendings."""

    boosts: Sequence[int]
    spacings: Sequence[Spacing]
    offsets: Sequence[int]
    sendings: Sequence[Sending]

    def length(self, axis: int) -> int:
        return len((self.boosts, self.spacings, self.offsets, self.sendings)[axis])

    def start(self) -> Place:
        """Return the place nearest to the usual choice."""
        lengths = [spacing.reach for spacing in self.spacings]
        steps = [sending.step or 1 for sending in self.sendings]
        first_boost, first_length, first_offset, first_step = FIRST_CHOICE
        return (
            _nearest(self.boosts, first_boost),
            _nearest(lengths, first_length),
            _nearest(self.offsets, first_offset),
            _nearest(steps, first_step),
        )

    def choice(self, at: Place, qp: int) -> Choice:
        """Return what stands at a place, for nominal `qp`."""
        boost = self.boosts[at[BOOST_AXIS]]
        colour_qp = chroma_qp(key_qp(qp, boost)) + self.offsets[at[COLOUR_AXIS]]
        return Choice(
            boost=boost,
            spacing=self.spacings[at[SPACING_AXIS]],
            colour_qp=min(max(colour_qp, 0), MAX_QP),
            sending=self.sendings[at[SENDING_AXIS]],
        )


def _nearest(values: Sequence[int], wanted: int) -> int:
    """Return the index of the value nearest to `wanted`, the first of several."""
    return min(range(len(values)), key=lambda index: abs(values[index] - wanted))


def _axes(samples: Samples, config: EncodeConfig) -> Axes:
    """Return what is searched: the options' own values where they are given."""
    reach = max(map(len, samples.stretches))
    boosts = BOOSTS if config.key_boost == "auto" else (config.key_boost,)
    if config.group == "auto":
        lengths = [group for group in GROUPS if group < reach or group == GROUPS[0]]
    else:
        lengths = [config.group]
    sendings = [Sending(step=step) for step in _list_steps(config)]
    spacings = [Spacing(group=length) for length in lengths]
    return Axes(boosts=boosts, spacings=spacings, offsets=COLOUR_OFFSETS, sendings=sendings)


def _list_steps(config: EncodeConfig) -> Sequence[int]:
    """Return the steps of sent frames that are searched, or the one that was asked for."""
    if isinstance(config.interpolate, int):
        return (config.interpolate,)
    return STEPS if config.interpolate == "auto" else STEPS[:1]


def _climb(
    axes: Axes, at: Place, *, axis: int, gain_of: Callable[[Choice], float], qp: int
) -> Place:
    """Return the place on one axis from which the gain rises no further, upwards then downwards."""
    for step in (1, -1):
        while 0 <= at[axis] + step < axes.length(axis):
            boost, spacing, offset, sending = (i + step * (n == axis) for n, i in enumerate(at))
            further = (boost, spacing, offset, sending)
            if gain_of(axes.choice(further, qp)) <= gain_of(axes.choice(at, qp)):
                break
            at = further
    return at


def _price_keys(cost: Cost, rate: float, *, key_bits: float) -> Spacing:
    """Return key frames spaced by content, at what errors and bits count around `cost`."""
    return Spacing(
        group="auto", slope=_bit_price(cost, rate), key_bits=key_bits, weights=_error_prices(cost)
    )


def _price_frames(cost: Cost, rate: float, *, bits: float) -> Sending:
    """Return frames sent by content, each at `bits`, at what errors and bits count around `cost`.

    Small copies show only a part of an interpolated frame's error, so the price is searched too.
    """
    return Sending(step=None, price=bits * _bit_price(cost, rate), weights=_error_prices(cost))


def _bit_price(cost: Cost, rate: float) -> float:
    """Return the error, as `_error_prices` counts it, that one bit a frame has to save."""
    return 1 / (cost.bits * max(rate, MIN_RATE))


def _error_prices(cost: Cost) -> tuple[float, float, float]:
    """Return what a squared error of Y, Cb and Cr counts: 1 for the errors of `cost` together."""
    y, cb, cr = (w / max(e, FLAT_ERROR) for w, e in zip(PLANE_WEIGHTS, cost.error, strict=True))
    return y, cb, cr
