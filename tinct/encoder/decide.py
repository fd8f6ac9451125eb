"""What pays on this very video, measured on sample groups before the encode: colour track or not, its QP, its spacing.

"Pays" is the lower D + slope * R: D the squared error of what the decoder would show, 6:1:1 over the planes, each relative to
plain HEVC's own; R bits a frame; slope that of plain HEVC between QP and QP + 2 on the same samples. Where a network restores,
`choices` weighs instead. `encoder` carries it out.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from tinct.bitstream.hevc import HevcSettings
from tinct.bitstream.qp import MAX_QP
from tinct.config import EncodeConfig, restores_in_band
from tinct.encoder.cost import Cost, exchange_rate, plain_cost
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Plan
from tinct.encoder.samples import Samples, may_restore
from tinct.encoder.search_network import best_choice, gain
from tinct.encoder.search_plain import _best_track

SLOPE_STEP = 2  # QP
RESTORED_SHARE = 2  # times the bits of a network's file that plain HEVC takes at its QP, about
QP_STEP = 0.13  # of the logarithm of bits, about
PILOT_QP = 32  # where the search for a bitrate's QP starts


def needs_samples(config: EncodeConfig) -> bool:
    """Of plain HEVC nothing is decided but the QP that a bitrate starts from, and what bits are worth to a network."""
    return config.colour != "in-band" or config.bitrate_kbps is not None or restores_in_band(config)


def make_plan(samples: Samples, config: EncodeConfig) -> Plan:
    """Decide on samples, where `needs_samples` says so."""
    kbps = config.bitrate_kbps
    if kbps is None:
        return _plan_at(config.qp, samples, config)
    if may_restore(config):
        plan = _plan_at(_qp_for(RESTORED_SHARE * kbps, samples, config), samples, config)
        if plan.colouriser == "compact":
            return _met(plan, kbps * 1000 / float(samples.info.mean_rate))
        config = replace(config, colouriser="none")
    return _plan_at(_qp_for(kbps, samples, config), samples, config)


def _met(plan: Plan, wanted_bits: float) -> Plan:
    """The plan at the QP at which its samples would take about `wanted_bits` a frame."""
    assert plan.track is not None
    shift = round(math.log(plan.track.bits / wanted_bits) / QP_STEP)
    qp = min(max(plan.qp + shift, 0), MAX_QP)
    return replace(plan, qp=qp, colour_qp=min(max(plan.colour_qp + qp - plan.qp, 0), MAX_QP))


def _plan_at(qp: int, samples: Samples, config: EncodeConfig) -> Plan:
    settings = HevcSettings(
        config.structure, samples.info, qp=qp, preset=config.x265_preset, tune=config.x265_tune
    )
    near_qp = qp + SLOPE_STEP if qp + SLOPE_STEP <= MAX_QP else qp - SLOPE_STEP
    near_settings, ra_settings = (
        replace(settings, qp=near_qp),
        replace(settings, structure="random-access"),
    )
    if restores_in_band(config):
        plain, near = (plain_cost(samples, trial) for trial in (settings, near_settings))
        return Plan(
            "in-band",
            qp,
            slope=_slope(plain, near),
            colouriser="compact",
            network="in-band",
            plain=plain,
        )
    if config.colour == "in-band":
        return Plan("in-band", qp)
    trials = list(dict.fromkeys((settings, near_settings, ra_settings)))
    # x265 reads its table of motion costs while another instance may be filling it: side by side where one uses it
    with ThreadPoolExecutor(max_workers=3 if config.structure == "intra" else 1) as pool:
        costs = dict(zip(trials, pool.map(partial(plain_cost, samples), trials), strict=True))
    plain, near, ra = costs[settings], costs[near_settings], costs[ra_settings]
    measured = Plan("in-band", qp, slope=_slope(plain, near), plain=plain, random_access=ra)
    if config.key_form == "full":
        assert config.group != "auto"
        network = "gan" if config.colouriser == "gan" else "none"
        return replace(
            measured,
            layout="full",
            spacing=Spacing(config.group, end_keys=False),
            colouriser=network,
        )
    if may_restore(config):
        rate = exchange_rate(plain, near)
        choice, track = best_choice(samples, config, qp, plain, rate)
        # spread counts among tracks only: plain HEVC, which has none, is beaten by bits and quality alone
        if gain(track, plain, rate) > 0 or config.colouriser == "compact":
            return replace(
                measured, layout="chroma", colouriser="compact", network=config.network, key_boost=choice.boost,
                spacing=choice.spacing, colour_qp=choice.colour_qp, track=track,
            )  # fmt: skip
    if config.key_boost == "auto":
        config = replace(config, key_boost=0)  # only a network can use finer key frames' luma
    best = _best_track(samples, config, measured)
    if config.colouriser == "gan":
        return replace(best, colouriser="gan")
    return best if config.colour == "track" or best.pays else replace(measured, track=best.track)


def _slope(plain: Cost, near: Cost) -> float:
    """D per bit a frame, of plain HEVC, from one QP to another."""
    return max(
        (near.distortion(plain) - plain.distortion(plain)) / ((plain.bits - near.bits) or 1.0), 0.0
    )


def _qp_for(bitrate_kbps: float, samples: Samples, config: EncodeConfig) -> int:
    """The QP at which plain HEVC takes about `bitrate_kbps`: bits halve about every 6 QP, how fast is measured."""
    settings = HevcSettings(
        config.structure,
        samples.info,
        qp=PILOT_QP,
        preset=config.x265_preset,
        tune=config.x265_tune,
    )
    here = plain_cost(samples, settings).bits
    further = plain_cost(samples, replace(settings, qp=PILOT_QP + 4)).bits
    wanted = bitrate_kbps * 1000 / float(samples.info.mean_rate)
    per_qp = max(math.log(here / further) / 4, 0.03)
    return round(min(max(PILOT_QP + math.log(here / wanted) / per_qp, 0), MAX_QP))
