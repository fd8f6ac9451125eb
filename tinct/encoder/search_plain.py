"""The search for the colour track's QP and spacing where key frames are as fine as the others.

That is for propagation alone (`none`) and for the paper's network, which take colour from key
frames, but no luma. Where a shipped network improves luma from finer key frames,
`search_network` searches, the key boost too; `decide` asks one of them.
"""

from dataclasses import dataclass, replace
from functools import cache
from itertools import count

import numpy as np

from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.layouts import CHROMA
from tinct.bitstream.manifest import IDR_SECONDS
from tinct.bitstream.pictures import stack_chroma, unstack_chroma
from tinct.bitstream.qp import chroma_qp, key_qp, other_qp
from tinct.config import EncodeConfig
from tinct.encoder.cost import (
    FILE_OVERHEAD_BITS,
    FLAT_ERROR,
    PACKET_OVERHEAD_BITS,
    Cost,
    chroma_errors,
    frame_step,
    spread_intra_bits,
)
from tinct.encoder.keyframes import Group, Spacing, cut_groups
from tinct.encoder.plan import Plan
from tinct.encoder.samples import Samples
from tinct.encoder.sending import SEND_ALL, Sending
from tinct.encoder.settings import base_settings
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.motion.prior import propagate
from tinct.motion.shots import ScannedFrame, scan_frames
from tinct.motion.views import KeyView, LumaView
from tinct.phases import tell
from tinct.psnr import PLANE_WEIGHTS, squared_error

# Of a sent frame's bits, how many its price counts: small copies show only a part of what
# interpolation spoils.
PRICED_SHARE = 0.5
UNKNOWN_FRAMES = 2500  # of a pipe
PILOT_GROUP = 8  # frames, of a trial that tells what a key frame costs
USUAL_OFFSET = -12
COLOUR_OFFSETS = (-18, -15, USUAL_OFFSET, -9, -6, -3, 0)  # of the colour's QP from HEVC's chroma QP


def search_plain(samples: Samples, config: EncodeConfig, measured: Plan) -> Plan:
    """Return the plan whose colour QP, with key frames spaced for it, costs least.

    The search starts at the usual offset and goes finer or coarser while that helps.
    """
    luma = _LumaCoder(samples, config, measured.qp)
    seen = [list(scan_frames(stretch)) for stretch in samples.stretches]
    base_qp = chroma_qp(key_qp(measured.qp, _boost(config)))
    # a set, since several offsets may come to QP 0
    qps = sorted({max(0, base_qp + offset) for offset in COLOUR_OFFSETS})
    tried = count()

    @cache
    def plan(index: int) -> Plan:
        tell("planning", next(tried), len(qps))  # or fewer
        trial = replace(measured, layout=CHROMA.name, colour_qp=qps[index])
        return _measure_track(seen, luma, plan=trial, config=config)

    def cost(index: int) -> float:
        track = plan(index).track
        assert track is not None
        return measured.cost(track)

    best = qps.index(max(0, base_qp + USUAL_OFFSET))
    for step in (-1, 1):
        while 0 <= best + step < len(qps) and cost(best + step) < cost(best):
            best += step
    found = plan(best)
    assert found.track is not None
    luma_bits = found.track.bits - found.colour_bits
    return replace(found, sending=price_unrestored(luma_bits, found, config))


def price_unrestored(luma_bits: float, plan: Plan, config: EncodeConfig) -> Sending:
    """Return how frames to send are chosen where no rehearsal weighs them.

    `luma_bits` are those of a frame that is sent.
    """
    if config.interpolate == "off":
        return SEND_ALL
    if isinstance(config.interpolate, int):
        return Sending(step=config.interpolate)
    price = PRICED_SHARE * plan.slope * (luma_bits + PACKET_OVERHEAD_BITS)
    return Sending(step=None, price=price, weights=_error_weights(plan))


def _measure_track(
    seen: list[list[ScannedFrame]], luma: "_LumaCoder", *, plan: Plan, config: EncodeConfig
) -> Plan:
    """Return the plan with its spacing, and with what the samples cost by it."""
    settings = base_settings(config, luma.info, qp=plan.colour_qp, structure="colour")
    spacing = _space_keys(seen, luma, settings=settings, plan=plan, config=config)
    trials = [
        _try_stretch(index, list(cut_groups(stretch, spacing)), luma=luma, settings=settings)
        for index, stretch in enumerate(seen)
    ]
    frames = sum(len(stretch) for stretch in seen)
    key_share = sum(len(trial.keys.bits) for trial in trials) / frames
    luma_cost = np.mean([cost for trial in trials for cost in trial.luma], axis=0)
    luma_cost = luma_cost + key_share * np.mean(
        [cost for trial in trials for cost in trial.boost], axis=0
    )
    at_keys = np.mean([error for trial in trials for error in trial.key_errors], axis=0)
    others = [error for trial in trials for error in trial.other_errors] or [at_keys]
    cb, cr = key_share * at_keys + (1 - key_share) * np.mean(others, axis=0)
    colour_bits = _colour_bits(trials, luma, frames)
    overhead = FILE_OVERHEAD_BITS / _video_frames(luma)
    cost = Cost(
        float(luma_cost[0]) + colour_bits + overhead, (float(luma_cost[1]), float(cb), float(cr))
    )
    return replace(
        plan, spacing=spacing, colour_bits=colour_bits, key_boost=_boost(config), track=cost
    )


def _space_keys(
    seen: list[list[ScannedFrame]],
    luma: "_LumaCoder",
    *,
    settings: BaseSettings,
    plan: Plan,
    config: EncodeConfig,
) -> Spacing:
    """Return key frames spaced by what one of them costs in a trial."""
    pilot_spacing = Spacing(group=PILOT_GROUP)
    pilot = [
        _code_keys(list(cut_groups(stretch, pilot_spacing)), luma.samples, settings)
        for stretch in seen
    ]
    later = [bits for keys in pilot for bits in keys.bits[1:]]
    key_bits = float(np.mean(later or [keys.bits[0] for keys in pilot]))
    _, cb, cr = _error_weights(plan)
    return Spacing(
        group=config.group,
        slope=plan.slope,
        key_bits=key_bits + PACKET_OVERHEAD_BITS,
        weights=(0.0, cb, cr),
    )


def _colour_bits(trials: list["_Trial"], luma: "_LumaCoder", frames: int) -> float:
    """Return the colour track's bits a frame, its IDR pictures spread over the video."""
    frames_per_idr = min(_video_frames(luma), IDR_SECONDS * float(luma.info.mean_rate))
    idr_bits = float(np.mean([trial.keys.bits[0] for trial in trials])) / frames_per_idr
    later = sum(bits + PACKET_OVERHEAD_BITS for trial in trials for bits in trial.keys.bits[1:])
    return later / frames + idr_bits


def _video_frames(luma: "_LumaCoder") -> int:
    return luma.info.frame_count or UNKNOWN_FRAMES


@dataclass(frozen=True)
class _CodedKeys:
    """The colour track of one stretch: bits and decoded chroma of each group's key frame."""

    bits: list[float]
    chroma: list[tuple[np.ndarray, np.ndarray]]


def _code_keys(groups: list[Group], samples: Samples, settings: BaseSettings) -> _CodedKeys:
    keys = [group.frames[0] for group in groups]
    pictures: list[Planes] = [(stack_chroma(key.cb, key.cr),) for key in keys]
    coded = samples.code(pictures, settings, grey=True)
    shape = settings.info.chroma_shape
    chroma = [unstack_chroma(planes[0], shape) for _, planes in coded]
    return _CodedKeys([bits for bits, _ in coded], chroma)


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """What one stretch costs.

    `luma` is (bits, error) of the judged frames, `boost` what each key frame adds to that. Errors
    of colour are (Cb, Cr), of key frames and of the judged frames between them.
    """

    keys: _CodedKeys
    luma: list[tuple[float, float]]
    boost: list[tuple[float, float]]
    key_errors: list[tuple[float, float]]
    other_errors: list[tuple[float, float]]


def _try_stretch(
    index: int, groups: list[Group], *, luma: "_LumaCoder", settings: BaseSettings
) -> _Trial:
    """Code stretch `index`, cut into `groups`, and propagate its colour."""
    key_frames = [group.frames[0] for group in groups]
    judged = [frame for group in groups for frame in group.frames][:: luma.step]
    fine = luma.code(index, key_frames, key=True)
    coarse = luma.code(index, judged + key_frames, key=False)
    keys = _code_keys(groups, luma.samples, settings)
    views = [
        KeyView(fine[frame.pts].view, cb, cr)
        for frame, (cb, cr) in zip(key_frames, keys.chroma, strict=True)
    ]
    wanted = {frame.pts for frame in judged} - {frame.pts for frame in key_frames}
    other_errors = []
    for number, group in enumerate(groups):
        ends = views[number : number + 2] if group.closed else views[number : number + 1]
        between = [frame for frame in group.frames if frame.pts in wanted]
        for frame in between:
            other_errors.append(chroma_errors(frame, propagate(coarse[frame.pts].view, ends)))
    return _Trial(
        keys=keys,
        luma=[(coarse[frame.pts].bits, coarse[frame.pts].error) for frame in judged],
        boost=[_added(fine[frame.pts], coarse[frame.pts]) for frame in key_frames],
        key_errors=[
            chroma_errors(frame, (view.cb, view.cr))
            for frame, view in zip(key_frames, views, strict=True)
        ],
        other_errors=other_errors,
    )


@dataclass(frozen=True)
class _CodedLuma:
    """One frame's luma as the decoder will see it, its bits, and its error in 8-bit levels."""

    view: LumaView
    bits: float
    error: float


def _added(fine: _CodedLuma, coarse: _CodedLuma) -> tuple[float, float]:
    """Return the bits and the error that a finer coding adds."""
    return fine.bits - coarse.bits, fine.error - coarse.error


class _LumaCoder:
    """Codes luma of the samples when it is asked for, once at each QP.

    All-intra frames are coded one by one, others by the stretch. Every `step`-th frame is judged.
    """

    def __init__(self, samples: Samples, config: EncodeConfig, qp: int) -> None:
        self.samples, self.info = samples, samples.info
        self.step = frame_step(config.structure)
        self._config = config
        self._qps = {True: key_qp(qp, _boost(config)), False: other_qp(qp, _boost(config))}
        self._coded: dict[tuple[int, int], dict[int, _CodedLuma]] = {}

    def code(self, stretch: int, frames: list[Frame], *, key: bool) -> dict[int, _CodedLuma]:
        """Return at least `frames` by time, coded as key frames are or as the others."""
        qp = self._qps[key]
        coded = self._coded.setdefault((stretch, qp), {})
        missing = [frame for frame in self.samples.stretches[stretch] if frame.pts not in coded]
        if self._config.is_intra:
            asked = {frame.pts for frame in frames}
            missing = [frame for frame in missing if frame.pts in asked]
        if missing:
            settings = base_settings(self._config, self.info, qp=qp)
            pictures: list[Planes] = [(frame.y,) for frame in missing]
            made = spread_intra_bits(self.samples.code(pictures, settings, grey=True), settings)
            for frame, (bits, planes) in zip(missing, made, strict=True):
                coded[frame.pts] = self._judge(frame, bits, planes[0])
        return coded

    def _judge(self, frame: Frame, bits: float, decoded: np.ndarray) -> _CodedLuma:
        y = np.ascontiguousarray(decoded[: self.info.height, : self.info.width])
        error = squared_error(frame.y, y, self.info.bit_depth)
        return _CodedLuma(LumaView(y, self.info.bit_depth, frame.pts), bits, error)


def _error_weights(plan: Plan) -> tuple[float, float, float]:
    """Return what a squared error of Y, of Cb and of Cr counts in D."""
    assert plan.plain is not None
    errors = plan.plain.error
    y, cb, cr = (w / max(p, FLAT_ERROR) for w, p in zip(PLANE_WEIGHTS, errors, strict=True))
    return y, cb, cr


def _boost(config: EncodeConfig) -> int:
    assert isinstance(config.key_boost, int), "an unresolved configuration"
    return config.key_boost
