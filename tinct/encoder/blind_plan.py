"""The plan of a blind encode (`--search off`): fixed choices, where `decide` would measure samples.

The choices are those that the searches make on most real videos; the quality that a QP gives is
estimated, since nothing that was coded is looked at.
"""

import math

from tinct.bitstream.layouts import CHROMA, FULL, IN_BAND
from tinct.bitstream.qp import MAX_QP, chroma_qp, key_qp
from tinct.config import EncodeConfig
from tinct.encoder.colourisers import COMPACT, find_in_band_network, may_restore
from tinct.encoder.defaults import (
    BLIND_LOOSENESS,
    BOOST,
    COLOUR_OFFSET,
    MOST_SAMPLES,
    bound_blocks,
    make_sending,
    make_spacing,
)
from tinct.encoder.plan import Plan
from tinct.frames import VideoInfo
from tinct.psnr import PLANE_WEIGHTS

# Mean squared errors of HEVC all-intra in 8-bit levels at QP 32: of luma, of Cb and Cr; both are
# geometric means over twelve clips, from 2.7 to 31 and from 0.6 to 12.
LUMA_ERROR, CHROMA_ERROR = 7.5, 2.2
LUMA_GROWTH, CHROMA_GROWTH = 0.15, 0.085  # of their logarithms for a QP step
# Bits of all tracks for each luma sample at QP 32, and how their logarithm falls for a QP step.
BITS_PER_SAMPLE, BITS_FALL = 0.05, 0.12
COLOUR_SHARE = 0.1  # of a bitrate, for a colour track beside luma that is no longer all-intra


def plan_in_band(qp: int, config: EncodeConfig) -> Plan:
    """Return the plan for pictures with their colour, restored where there is a network for it."""
    network = find_in_band_network(config)
    colouriser = COMPACT.name if network is not None else "none"
    return Plan(layout=IN_BAND.name, qp=qp, colouriser=colouriser, network=network)


def make_blind_plan(info: VideoInfo, config: EncodeConfig) -> Plan:
    """Return the plan for a resolved configuration, without a look at the video."""
    assert config.qp is not None, "not resolved"
    qp = config.qp if config.bitrate_kbps is None else _guess_qp(info, config.bitrate_kbps)
    if config.is_in_band:
        return plan_in_band(qp, config)
    restores = may_restore(config) and config.is_intra and not config.has_whole_keys
    usual_boost = BOOST if restores else 0
    boost = usual_boost if config.key_boost == "auto" else config.key_boost
    weights = _weigh_errors(qp)
    kbps = config.bitrate_kbps or 0.0
    return Plan(
        layout=FULL.name if config.has_whole_keys else CHROMA.name,
        qp=qp,
        colour_qp=min(max(chroma_qp(key_qp(qp, boost)) + COLOUR_OFFSET, 0), MAX_QP),
        spacing=bound_blocks(
            make_spacing(
                config.group,
                weights if restores else (0.0, *weights[1:]),
                end_keys=not config.has_whole_keys,
            ),
            BLIND_LOOSENESS,
        ),
        sending=make_sending(config.interpolate, weights, qp=qp),
        hints=config.hints == "on",
        most_samples=MOST_SAMPLES,
        colour_bits=COLOUR_SHARE * kbps * 1000 / float(info.mean_rate),
        colouriser=COMPACT.name if restores else "none",
        network=config.network if restores else None,
        key_boost=boost,
    )


def _weigh_errors(qp: int) -> tuple[float, float, float]:
    """Return what a squared error of Y, Cb and Cr counts: 1 for those that `qp` gives, together."""
    luma = LUMA_ERROR * math.exp(LUMA_GROWTH * (qp - 32))
    chroma = CHROMA_ERROR * math.exp(CHROMA_GROWTH * (qp - 32))
    of_y, of_cb, of_cr = PLANE_WEIGHTS
    return of_y / luma, of_cb / chroma, of_cr / chroma


def _guess_qp(info: VideoInfo, kbps: float) -> int:
    """Return the QP from which rate control starts."""
    samples = float(info.mean_rate) * info.width * info.height
    fall = math.log(BITS_PER_SAMPLE * samples / (1000 * kbps))
    return round(min(max(32 + fall / BITS_FALL, 0), MAX_QP))
