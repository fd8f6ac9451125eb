"""QPs along a video: constant, steered towards a bitrate frame by frame, or left to x265."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinct.bitstream.hevc import HevcSettings
from tinct.bitstream.qp import MAX_QP
from tinct.config import EncodeConfig
from tinct.encoder.plan import Plan
from tinct.frames import VideoInfo

MIN_LUMA_SHARE = 0.5  # of a bitrate, whatever colour takes
RATE_WINDOW = 50  # frames over which a surplus or debt of bits is worked off
RATE_MEMORY = 12  # frames that tell what a QP costs at present
RATE_SLACK = 0.6  # QP; keeps the QP from swinging between two values
RATE_STEP = 0.13  # log of the bits that a QP step saves in intra frames, about


class RateControl:
    """QP along the video: constant, or all-intra steered towards `bitrate_kbps` frame by frame."""

    def __init__(
        self, config: EncodeConfig, plan: Plan, info: VideoInfo, spent_bytes: Callable[[], int]
    ) -> None:
        self._steered = config.bitrate_kbps is not None and config.structure == "intra"
        self._wanted = (config.bitrate_kbps or 0) * 1000 / float(info.mean_rate)  # bits a frame
        self._total = info.frame_count
        self._spent_bytes = spent_bytes
        self._qp = plan.qp
        # bits spent before a frame, and its QP; finer key frames come in bursts, which a memory of whole groups evens out
        memory = RATE_MEMORY if plan.key_boost == 0 else max(RATE_MEMORY, 2 * plan.spacing.reach)
        self._past: deque[tuple[int, int]] = deque(maxlen=memory)

    def qp(self, frame_number: int) -> int:
        """Of frame `frame_number`, counted from 1."""
        if not self._steered:
            return self._qp
        done, spent = frame_number - 1, 8 * self._spent_bytes()
        self._past.append((spent, self._qp))
        if done >= 4:
            window = max(RATE_WINDOW, len(self._past))
            left = window if self._total is None else max(1, min(window, self._total - done))
            affordable = max((self._wanted * (done + left) - spent) / left, self._wanted / 8)
            recent = max(spent - self._past[0][0], 1) / (len(self._past) - 1)
            ideal = (
                float(np.mean([qp for _, qp in self._past]))
                + math.log(recent / affordable) / RATE_STEP
            )
            if abs(ideal - self._qp) > RATE_SLACK:
                self._qp = min(max(self._qp + (1 if ideal > self._qp else -1), 0), MAX_QP)
        return self._qp


def with_x265_rate(settings: HevcSettings, config: EncodeConfig, plan: Plan) -> HevcSettings:
    """The settings with x265's own rate control, where the user asked for a CRF or a bitrate of luma and colour together."""
    if config.crf is not None:
        return replace(settings, qp=None, crf=config.crf)
    if config.bitrate_kbps is None:
        return settings
    colour_kbps = (
        plan.colour_bits * float(settings.info.mean_rate) / 1000
        if plan.layout != "in-band"
        else 0.0
    )
    return replace(
        settings,
        qp=None,
        bitrate_kbps=max(config.bitrate_kbps - colour_kbps, MIN_LUMA_SHARE * config.bitrate_kbps),
    )
