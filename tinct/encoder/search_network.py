"""The search for what is sent at which QP, where a shipped network restores.

It is for a shipped network, which improves the luma of the frames between key frames, too, so that
key frames which are finer by the key boost pay. Each choice is tried by a rehearsal on samples
(`rehearsal`); `decide` asks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

from tinct.bitstream.qp import MAX_QP, chroma_qp, key_qp
from tinct.config import EncodeConfig
from tinct.encoder.cost import FLAT_ERROR, Cost
from tinct.encoder.defaults import (
    BLOCK_ERROR,
    BLOCK_TIMES,
    BOOST,
    COLOUR_OFFSET,
    Weights,
    bound_blocks,
    make_sending,
    make_spacing,
)
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Choice
from tinct.encoder.rehearsal import Rehearsal
from tinct.encoder.samples import Samples
from tinct.encoder.sending import SEND_ALL, Sending
from tinct.networks.compact_config import FAST_NETWORK
from tinct.phases import tell
from tinct.psnr import PLANE_WEIGHTS

BOOSTS = (0, 4, 8, 12, 16, 20, 24)  # QP steps that key frames are finer
QP_STEPS = (-10, -8, -6, -4, -2, 0, 2, 4)  # of luma from the QP that was asked for
# Frames from key frame to key frame, after by content; the longest first. Where every frame is sent
# a network takes luma from them, which the small copies do not show.
LENGTHS: tuple[int | Literal["auto"], ...] = ("auto", 16, 12, 8, 4)
COLOUR_OFFSETS = (-18, -12, -6, 0)  # of the colour track's QP
# Multiples of the usual bound on blocks of colour, the loosest first: where much moves, a strict
# one asks for many key frames.
LOOSENESSES = (math.inf, 3.0, 1.0)
HINTS = {"auto": (False, True), "on": (True,), "off": (False,)}
BOUND_WORTH = 0.05  # of the logarithm of bits, for each stricter bound: PSNR hardly sees a block
# Axes in the order of a place. The boost is searched late, since luma that was coded once at a QP
# serves again; hints when it is known what the bound on blocks would cost.
BOOST_AXIS, SPACING_AXIS, COLOUR_AXIS, SENDING_AXIS = range(4)
QP_AXIS, BOUND_AXIS, HINT_AXIS, LENGTH_AXIS = range(4, 8)
SEARCH_ORDER = (
    *(SENDING_AXIS, BOUND_AXIS, HINT_AXIS, QP_AXIS),
    *(SPACING_AXIS, LENGTH_AXIS, BOOST_AXIS, COLOUR_AXIS),
)
# Of the logarithm of bits, where hints are weighed, for a unit of the logarithm of the worst
# block's error of colour. They may stray to better colour: the QP, searched next, takes it back.
BLOCK_COST = 0.1
ROUNDS = {"fast": 1, "thorough": 2}  # through the axes
REHEARSED = FAST_NETWORK.name  # one more pass is better everywhere, and slow
PRICES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of what usually pays
FREE_STRAY_DB = 0.5  # of (6Y+U+V)/8 PSNR from plain HEVC's
STRAY_COST = 0.3  # of the logarithm of bits, for a squared dB more
FREE_SPREAD_DB = 3.0  # of PSNR-Y of key frames over the others
SPREAD_COST = 0.01  # of the logarithm of bits, for a squared dB more


def gain(track: Cost, plain: Cost, rate: float) -> float:
    """Return by how much `track` takes fewer bits than plain HEVC would at equal quality.

    It is a logarithm of bits; quality is (6Y+U+V)/8 PSNR of the pooled error. `rate` is plain
    HEVC's exchange rate of bits for error, which does not reach far.
    """
    return -math.log(track.bits / plain.bits) - rate * track.log_distortion(plain)


def stray_penalty(track: Cost, plain: Cost) -> float:
    """Return what a quality far from plain HEVC's counts against a choice: a QP promises that one.

    It is a logarithm of bits.
    """
    stray_db = abs(track.log_distortion(plain)) * 10 / math.log(10)
    return STRAY_COST * max(0.0, stray_db - FREE_STRAY_DB) ** 2


def spread_penalty(track: Cost) -> float:
    """Return what key frames that stand out count against a choice, as a logarithm of bits."""
    return SPREAD_COST * max(0.0, track.spread_db - FREE_SPREAD_DB) ** 2


def block_penalty(track: Cost, plain: Cost) -> float:
    """Return what wrong colour in the worst blocks counts against a choice, as a log of bits."""
    usual = BLOCK_ERROR + BLOCK_TIMES * sum(plain.error[1:])
    return BLOCK_COST * max(0.0, math.log(max(track.block_error, usual) / usual))


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
        colouriser=make_compact_colouriser(network, size, about.bit_depth),
        plain=plain,
        interpolate=make_interpolator(network, size, about.bit_depth),
    )
    cost = cache(rehearsal.cost)

    axes = _list_axes(config, plain, qp)

    def gain_of(at: Place, *, axis: int) -> float:
        found = cost(axes.choice(at))
        about_axis = block_penalty if axis == HINT_AXIS else stray_penalty
        penalty = spread_penalty(found) + about_axis(found, plain)
        return gain(found, plain, rate) - penalty + BOUND_WORTH * at[BOUND_AXIS]

    at = axes.start(qp)
    order = SEARCH_ORDER * ROUNDS[config.search]
    for number, axis in enumerate(order):
        tell("planning", number, len(order))
        if axis == HINT_AXIS and not block_penalty(cost(axes.choice(at)), plain):
            continue  # no block has a colour that hints could mend
        at = _climb(axes, at, axis=axis, gain_of=partial(gain_of, axis=axis))
    best = axes.choice(at)
    return best, cost(best)


Place = tuple[int, ...]  # an index on each axis


@dataclass(frozen=True)
class Axes:
    """The values that are searched; `offsets` are those of the colour's QP."""

    boosts: Sequence[int]
    spacings: Sequence[Spacing]
    offsets: Sequence[int]
    sendings: Sequence[Sending]
    qps: Sequence[int]
    loosenesses: Sequence[float]
    hints: Sequence[bool]
    lengths: Sequence[int | Literal["auto"]]

    def length(self, axis: int) -> int:
        of_keys = (self.boosts, self.spacings, self.offsets)
        of_frames = (self.sendings, self.qps, self.loosenesses, self.hints)
        return len((*of_keys, *of_frames, self.lengths)[axis])

    def start(self, qp: int) -> Place:
        """Return the place of what usually pays, for a file of `qp`."""
        return (
            _nearest(self.boosts, BOOST),
            len(self.spacings) // 2,
            _nearest(self.offsets, COLOUR_OFFSET),
            len(self.sendings) // 2,
            _nearest(self.qps, qp),
            0,
            0,
            0,
        )

    def choice(self, at: Place) -> Choice:
        """Return what stands at a place."""
        qp = self.qps[at[QP_AXIS]]
        boost = self.boosts[at[BOOST_AXIS]]
        colour_qp = chroma_qp(key_qp(qp, boost)) + self.offsets[at[COLOUR_AXIS]]
        hints = self.hints[at[HINT_AXIS]]
        looseness = math.inf if hints else self.loosenesses[at[BOUND_AXIS]]
        spacing = bound_blocks(self.spacings[at[SPACING_AXIS]], looseness)
        if (length := self.lengths[at[LENGTH_AXIS]]) != "auto":
            spacing = make_spacing(length, spacing.weights)
        return Choice(
            qp=qp,
            boost=boost,
            spacing=spacing,
            colour_qp=min(max(colour_qp, 0), MAX_QP),
            sending=self.sendings[at[SENDING_AXIS]],
            hints=hints,
        )


def _move(at: Place, axis: int, to: int) -> Place:
    """Return the place with another index on one axis."""
    return (*at[:axis], to, *at[axis + 1 :])


def _nearest(values: Sequence[int], wanted: int) -> int:
    """Return the index of the value nearest to `wanted`, the first of several."""
    return min(range(len(values)), key=lambda index: abs(values[index] - wanted))


def _list_axes(config: EncodeConfig, plain: Cost, qp: int) -> Axes:
    """Return what is searched: the options' own values where they are given.

    `plain` tells the error that plain HEVC has at the QP.
    """
    weights = _weigh_errors(plain)
    spacings = [make_spacing(config.group, weights)]
    if config.group == "auto":
        spacings = [make_spacing("auto", weights, price=price) for price in PRICES]
    is_full = config.group == "auto" and config.interpolate == "off"
    sendings = [make_sending(config.interpolate, weights)]
    if config.interpolate == "auto":
        prices = [make_sending("auto", weights, price=price) for price in PRICES]
        sendings = [SEND_ALL, *prices]
    return Axes(
        boosts=BOOSTS if config.key_boost == "auto" else (config.key_boost,),
        spacings=spacings,
        offsets=COLOUR_OFFSETS,
        sendings=sendings,
        qps=[trial for step in QP_STEPS if 0 <= (trial := qp + step) <= MAX_QP],
        loosenesses=LOOSENESSES if config.group == "auto" else (math.inf,),
        hints=HINTS[config.hints],
        lengths=LENGTHS if is_full else ("auto",),
    )


def _climb(axes: Axes, at: Place, *, axis: int, gain_of: Callable[[Place], float]) -> Place:
    """Return the place on one axis from which the gain rises no further, upwards then downwards."""
    for step in (1, -1):
        while 0 <= at[axis] + step < axes.length(axis):
            further = _move(at, axis, at[axis] + step)
            if gain_of(further) <= gain_of(at):
                break
            at = further
    return at


def _weigh_errors(plain: Cost) -> Weights:
    """Return what a squared error of Y, Cb and Cr counts: 1 for those of `plain` together."""
    y, cb, cr = (w / max(e, FLAT_ERROR) for w, e in zip(PLANE_WEIGHTS, plain.error, strict=True))
    return y, cb, cr
