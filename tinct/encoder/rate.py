"""Rate control: the QP along a video, constant, steered to a bitrate, or left to the library.

`trials` finds the QP of a bitrate where a video can be coded more than once.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinct.bitstream.base import BASES
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.qp import MAX_QP
from tinct.config import EncodeConfig
from tinct.encoder.plan import Plan
from tinct.frames import VideoInfo

MIN_LUMA_SHARE = 0.5  # of a bitrate, whatever colour takes
RATE_WINDOW = 50  # frames over which a surplus or debt of bits is worked off
RATE_MEMORY = 12  # frames that tell what a QP costs at present
RATE_SLACK = 0.6  # QP; keeps the QP from swinging between two values
MIN_DONE = 4  # frames before the bits that they took say anything
RATE_STEP = 0.13  # log of the bits that a QP step saves in intra frames, about
# Multiples of the golden ratio fall evenly between whole numbers, whichever frames are sent.
GOLDEN = 0.6180339887


class RateControl:
    """Gives the QP of each frame: constant, or all-intra steered towards the bitrate.

    At a plan's `rate_qp` frames have the whole QPs on either side of it, mixed. `spent_bytes`
    returns the bytes of all packets of the frames so far.
    """

    def __init__(
        self, config: EncodeConfig, plan: Plan, info: VideoInfo, *, spent_bytes: Callable[[], int]
    ) -> None:
        self._rate_qp = plan.rate_qp
        self._steered = config.bitrate_kbps is not None and config.is_intra
        self._wanted = (config.bitrate_kbps or 0) * 1000 / float(info.mean_rate)  # bits a frame
        # a blind encode gives the same bytes from a pipe, whose length nobody knows
        self._total = None if config.is_blind else info.frame_count
        self._spent_bytes = spent_bytes
        self._qp = plan.qp
        # a memory of whole groups evens out bursts of bits: of finer key frames, and of those sent
        is_even = plan.key_boost == 0 and plan.sending.is_full
        memory = RATE_MEMORY if is_even else max(RATE_MEMORY, 2 * plan.spacing.reach)
        self._past: deque[tuple[int, int]] = deque(maxlen=memory)  # bits before a frame, its QP

    def qp(self, frame_number: int) -> int:
        """Return the QP of frame `frame_number`, counted from 1."""
        if self._rate_qp is not None:
            return mix_qps(self._rate_qp, frame_number)
        if not self._steered:
            return self._qp
        done, spent = frame_number - 1, 8 * self._spent_bytes()
        self._past.append((spent, self._qp))
        if done >= MIN_DONE:
            window = max(RATE_WINDOW, len(self._past))
            left = window if self._total is None else max(1, min(window, self._total - done))
            affordable = max((self._wanted * (done + left) - spent) / left, self._wanted / 8)
            recent = max(spent - self._past[0][0], 1) / (len(self._past) - 1)
            mean_qp = float(np.mean([qp for _, qp in self._past]))
            ideal = mean_qp + math.log(recent / affordable) / RATE_STEP
            if abs(ideal - self._qp) > RATE_SLACK:
                self._qp = min(max(self._qp + (1 if ideal > self._qp else -1), 0), MAX_QP)
        return self._qp


def mix_qps(qp: float, frame_number: int) -> int:
    """Return the QP of a frame, of those on either side of `qp` in such shares that it is met."""
    whole = math.floor(qp)
    return whole + (frame_number * GOLDEN % 1 < qp - whole)


def with_own_rate(settings: BaseSettings, config: EncodeConfig, plan: Plan) -> BaseSettings:
    """Return the settings with the library's own rate control for a CRF or a bitrate, if any.

    A bitrate is that of luma and colour together; at a plan's `rate_qp` it is a CRF.
    """
    if config.crf is not None:
        return replace(settings, qp=None, crf=config.crf)
    if plan.rate_qp is not None:
        crf = BASES[settings.base].find_crf(plan.rate_qp, settings.structure)
        return replace(settings, qp=None, crf=crf)
    if config.bitrate_kbps is None:
        return settings
    colour_kbps = 0.0
    if plan.row.has_colour_track:
        colour_kbps = plan.colour_bits * float(settings.info.mean_rate) / 1000
    least_kbps = MIN_LUMA_SHARE * config.bitrate_kbps
    return replace(
        settings, qp=None, bitrate_kbps=max(config.bitrate_kbps - colour_kbps, least_kbps)
    )
