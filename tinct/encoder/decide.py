"""The decision on how a video is coded, measured on samples of it before the encode.

"Pays" means a lower D + slope * R. D is the squared error of what the decoder would show, 6:1:1
over the planes, each relative to plain HEVC's own; R is bits a frame; slope is that of plain HEVC
between QP and QP + 2 on the same samples. Where a network restores, `search_network` weighs
instead; elsewhere `search_plain` looks for the colour track's QP and spacing.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from tinct.bitstream.layouts import CHROMA, FULL, IN_BAND
from tinct.bitstream.qp import MAX_QP
from tinct.config import EncodeConfig
from tinct.encoder.blind_plan import plan_in_band
from tinct.encoder.colourisers import (
    COMPACT,
    may_restore,
    select_colouriser,
)
from tinct.encoder.cost import Cost, exchange_rate, plain_cost
from tinct.encoder.defaults import MOST_SAMPLES
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Plan
from tinct.encoder.samples import Samples
from tinct.encoder.search_network import gain, search_network, stray_penalty
from tinct.encoder.search_plain import price_unrestored, search_plain
from tinct.encoder.settings import base_settings
from tinct.encoder.trials import Trial, choose_next

SLOPE_STEP = 2  # QP between the two points that give a slope
RESTORED_SHARE = 2  # plain HEVC takes about this many times the bits of a network's file at its QP
QP_STEP = 0.13  # of the logarithm of bits, about
PILOT_QP = 32  # where the search for a bitrate's QP starts
MAX_PILOTS = 4  # QPs that it tries
MAX_PLANS = 3  # for a bitrate, each at the QP that the one before leads to
MAX_SHIFT = 3  # QP steps over which a plan is as good as one that is made there


def needs_samples(config: EncodeConfig) -> bool:
    """Return whether anything is decided on samples.

    Of pictures with their colour that is only the QP from which a bitrate starts.
    """
    return not config.is_in_band or config.bitrate_kbps is not None


def make_plan(samples: Samples, config: EncodeConfig) -> Plan:
    """Return the plan for a resolved configuration, decided on samples where they are needed."""
    kbps = config.bitrate_kbps
    if kbps is None:
        assert config.qp is not None, "not resolved"
        return _plan_at(config.qp, samples, config)
    share = RESTORED_SHARE if may_restore(config) else 1
    qp = _find_qp(share * kbps, samples, config)
    plan = _plan_at(qp, samples, config)
    for _ in range(MAX_PLANS - 1):
        shift = _count_steps(plan, kbps * 1000 / float(samples.info.mean_rate))
        if abs(shift) <= MAX_SHIFT:
            break
        qp = min(max(qp + shift, 0), MAX_QP)
        plan = _plan_at(qp, samples, config)
    return _shift_qp(plan, _count_steps(plan, kbps * 1000 / float(samples.info.mean_rate)))


def _count_steps(plan: Plan, wanted_bits: float) -> int:
    """Return by how many QP steps the samples of a plan take more than `wanted_bits` a frame."""
    found = plan.track if plan.row.has_colour_track else plan.plain
    return 0 if found is None else round(math.log(found.bits / wanted_bits) / QP_STEP)


def _shift_qp(plan: Plan, shift: int) -> Plan:
    qp = min(max(plan.qp + shift, 0), MAX_QP)
    return replace(plan, qp=qp, colour_qp=min(max(plan.colour_qp + qp - plan.qp, 0), MAX_QP))


def _plan_at(qp: int, samples: Samples, config: EncodeConfig) -> Plan:
    if config.is_in_band:
        return plan_in_band(qp, config)
    plain, near, random_access = _measure_plain(qp, samples, config)
    measured = Plan(
        layout=IN_BAND.name,
        qp=qp,
        slope=_slope(plain, near),
        plain=plain,
        random_access=random_access,
    )
    if config.has_whole_keys:
        assert config.group != "auto"
        spacing = Spacing(group=config.group, end_keys=False)
        return replace(
            measured,
            layout=FULL.name,
            spacing=spacing,
            sending=price_unrestored(plain.bits, measured, config),
            hints=config.hints == "on",
            colouriser=config.colouriser,
        )
    if may_restore(config):
        plan = _plan_restored(measured, near, samples=samples, config=config)
        if plan is not None:
            return plan
    if config.key_boost == "auto":
        config = replace(config, key_boost=0)  # only a network can use finer key frames' luma
    best = replace(search_plain(samples, config, measured), hints=config.hints == "on")
    if select_colouriser(config).trains:
        return replace(best, colouriser=config.colouriser)
    is_chosen = config.colour == "track" or best.pays
    return best if is_chosen else replace(measured, track=best.track)


def _plan_restored(
    measured: Plan, near: Cost, *, samples: Samples, config: EncodeConfig
) -> Plan | None:
    """Return the best plan with a network on a colour track; None where plain HEVC beats it."""
    plain = measured.plain
    assert plain is not None
    rate = exchange_rate(plain, near)
    choice, track = search_network(samples, config, qp=measured.qp, plain=plain, rate=rate)
    # the spread over key frames counts among tracks only: plain HEVC, which has none, has to be
    # beaten by bits and quality alone
    if gain(track, plain, rate) <= stray_penalty(track, plain) and config.colouriser == "auto":
        return None
    return replace(
        measured,
        layout=CHROMA.name,
        colouriser=COMPACT.name,
        network=config.network,
        most_samples=MOST_SAMPLES,
        qp=choice.qp,
        key_boost=choice.boost,
        spacing=choice.spacing,
        colour_qp=choice.colour_qp,
        sending=choice.sending,
        hints=choice.hints,
        track=track,
    )


def _measure_plain(qp: int, samples: Samples, config: EncodeConfig) -> tuple[Cost, Cost, Cost]:
    """Return the costs of plain HEVC: at `qp`, near it, and with random access."""
    settings = base_settings(config, samples.info, qp=qp)
    near = replace(settings, qp=_near_qp(qp))
    random_access = replace(settings, structure="random-access")
    trials = list(dict.fromkeys((settings, near, random_access)))
    # x265 reads its table of motion costs while another instance may be filling it: only where
    # no more than one of the trials uses motion do they run side by side
    with ThreadPoolExecutor(max_workers=3 if config.is_intra else 1) as pool:
        costs = dict(zip(trials, pool.map(partial(plain_cost, samples), trials), strict=True))
    return costs[settings], costs[near], costs[random_access]


def _near_qp(qp: int) -> int:
    return qp + SLOPE_STEP if qp + SLOPE_STEP <= MAX_QP else qp - SLOPE_STEP


def _slope(plain: Cost, near: Cost) -> float:
    """Return D per bit a frame, of plain HEVC, from one QP to another."""
    worse = near.distortion(plain) - plain.distortion(plain)
    return max(worse / ((plain.bits - near.bits) or 1.0), 0.0)


def _find_qp(bitrate_kbps: float, samples: Samples, config: EncodeConfig) -> int:
    """Return the QP at which plain HEVC takes about `bitrate_kbps`, by trials on samples."""
    settings = base_settings(config, samples.info, qp=PILOT_QP)
    wanted = bitrate_kbps * 1000 / float(samples.info.mean_rate)
    qp, trials = PILOT_QP, list[Trial]()
    while len(trials) < MAX_PILOTS and qp not in [trial.qp for trial in trials]:
        bits = plain_cost(samples, replace(settings, qp=qp)).bits
        trials.append(Trial(qp, math.log(bits / wanted)))
        qp = round(min(max(choose_next(trials), 0), MAX_QP))
    return qp
