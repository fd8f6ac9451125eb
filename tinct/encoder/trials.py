"""The search for the QP of a bitrate: a video is coded until one of the trials meets it.

`rate` steers the QP, or leaves the bitrate to the library, where a video is read only once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tinct.bitstream.base import BASES
from tinct.bitstream.qp import MAX_QP
from tinct.config import EncodeConfig
from tinct.encoder.coder import Coder
from tinct.encoder.plan import Plan
from tinct.encoder.rate import RATE_STEP
from tinct.frames import VideoInfo

CLOSE = 0.03  # of a bitrate; no trial follows one that is as near
MET = 0.05  # of a bitrate; a user is told of one that is missed by more
MAX_TRIALS = 6
# Of the logarithm of bits for a QP step; less would carry the QP too far, more not far enough.
MIN_STEP, MAX_STEP = 0.05, 0.3
# Nominal QPs beyond both ends of every codec's own scale, and steps in which the ends are sought.
OUTER_QPS, OUTER_STEP = (-16.0, 80.0), 0.25


@dataclass(frozen=True)
class Trial:
    """A nominal QP, and by how much the logarithm of the bits that it takes is above the wish."""

    qp: float
    excess: float


class RateSearch:
    """Says with which plan a video is coded, from trial to trial, until a bitrate is met."""

    def __init__(self, config: EncodeConfig, info: VideoInfo) -> None:
        self._config, self._info = config, info
        self._trials: list[Trial] = []

    def start(self, plan: Plan) -> Plan:
        """Return the plan of the first trial.

        It is `plan` without a bitrate, and where the video can be read, or is to be, only once.
        """
        config, is_file = self._config, self._info.frame_count is not None
        if config.bitrate_kbps is None or not is_file or config.is_blind:
            return plan
        return replace(plan, rate_qp=self._limit(plan.qp))

    def correct(self, plan: Plan, coder: Coder) -> Plan | None:
        """Return the plan of the next trial; None to keep what was coded with `plan`."""
        if plan.rate_qp is None:
            return None
        assert self._config.bitrate_kbps is not None
        kbps = measure_kbps(coder, self._info)
        trial = Trial(plan.rate_qp, math.log(kbps / self._config.bitrate_kbps))
        self._trials.append(trial)
        best = min(self._trials, key=lambda one: abs(one.excess))
        following = self._limit(choose_next(self._trials))
        coded = [find_setting(one.qp, self._config) for one in self._trials]
        is_coded = find_setting(following, self._config) in coded
        if abs(best.excess) < CLOSE or is_coded or len(coded) >= MAX_TRIALS:
            return None if best.qp == trial.qp else replace(plan, rate_qp=best.qp)
        return replace(plan, rate_qp=following)

    def _limit(self, qp: float) -> float:
        least, most = find_scale(self._config)
        return min(max(qp, least), most)


def choose_next(trials: Sequence[Trial]) -> float:
    """Return the nominal QP at which a line through the two nearest trials meets the wish.

    It lies between those that take too much and those that take too little.
    """
    near, *others = sorted(trials, key=lambda one: abs(one.excess))
    step = RATE_STEP
    if others and others[0].qp != near.qp:
        step = (near.excess - others[0].excess) / (others[0].qp - near.qp)
    qp = near.qp + near.excess / min(max(step, MIN_STEP), MAX_STEP)
    least = max((one.qp for one in trials if one.excess > 0), default=-math.inf)
    most = min((one.qp for one in trials if one.excess <= 0), default=math.inf)
    return qp if least <= qp <= most else (least + most) / 2


def measure_kbps(coder: Coder, info: VideoInfo) -> float:
    """Return the bitrate of all video tracks so far."""
    return 8 * coder.size_bytes / 1000 * float(info.mean_rate) / coder.frames


def describe_miss(kbps: float, plan: Plan, config: EncodeConfig) -> list[str]:
    """Return a note for users where the video tracks are far from the bitrate asked for."""
    wanted = config.bitrate_kbps
    if wanted is None or abs(kbps / wanted - 1) < MET:
        return []
    reason = ""
    if plan.rate_qp is None:
        reason = "; it was coded as it came, a file is coded again until it is met"
    elif plan.rate_qp in find_scale(config):
        end = "worst" if kbps > wanted else "best"
        reason = f", at the {end} quality of {BASES[config.base].maker}"
    return [f"--bitrate {wanted:g} is not met: the video takes {kbps:.1f} kbit/s{reason}"]


def find_setting(qp: float, config: EncodeConfig) -> float:
    """Return what a nominal QP becomes, which may be the same for others near it."""
    base = BASES[config.base]
    if config.is_intra and base.has_own_qps:
        return min(max(qp, 0), MAX_QP)
    return base.find_crf(qp, config.structure)


def find_scale(config: EncodeConfig) -> tuple[float, float]:
    """Return the nominal QPs at which the base codec's best and worst quality begin."""
    least, most = OUTER_QPS
    while find_setting(least + OUTER_STEP, config) == find_setting(least, config):
        least += OUTER_STEP
    while find_setting(most - OUTER_STEP, config) == find_setting(most, config):
        most -= OUTER_STEP
    return least, most
