"""The search for the colour track's QP and spacing where no network restores: `none` and the paper's layout."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from tinct.bitstream.hevc import HevcSettings, stack_chroma, unstack_chroma
from tinct.bitstream.manifest import IDR_SECONDS
from tinct.bitstream.qp import chroma_qp, key_qp, other_qp
from tinct.config import EncodeConfig
from tinct.encoder.cost import (
    FILE_OVERHEAD_BITS,
    FLAT_ERROR,
    KEYINT,
    PACKET_OVERHEAD_BITS,
    Cost,
    chroma_errors,
    frame_step,
    spread_intra_bits,
)
from tinct.encoder.keyframes import Group, Spacing, groups
from tinct.encoder.plan import Plan
from tinct.encoder.samples import Samples
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.motion.prior import propagate
from tinct.motion.shots import Seen, look
from tinct.motion.views import KeyView, LumaView
from tinct.psnr import PLANE_WEIGHTS, squared_error

FIRST_GROUP = 8  # frames, to learn what a key frame costs
USUAL_OFFSET = -12
COLOUR_OFFSETS = (
    -18,
    -15,
    USUAL_OFFSET,
    -9,
    -6,
    -3,
    0,
)  # of the colour track's QP from HEVC's chroma QP


def _best_track(samples: Samples, config: EncodeConfig, measured: Plan) -> Plan:
    """The colour QP, with key frames spaced for it, that costs least: from the usual offset, finer or coarser while it helps."""
    luma = _LumaCoder(samples, config, measured.qp)
    seen = [list(look(stretch)) for stretch in samples.stretches]
    base_qp = chroma_qp(key_qp(measured.qp, _boost(config)))
    qps = sorted(
        {max(0, base_qp + offset) for offset in COLOUR_OFFSETS}
    )  # several offsets may come to QP 0

    @cache
    def plan(index: int) -> Plan:
        return _track(seen, luma, replace(measured, layout="chroma", colour_qp=qps[index]), config)

    def cost(index: int) -> float:
        track = plan(index).track
        assert track is not None
        return measured.cost(track)

    best = qps.index(max(0, base_qp + USUAL_OFFSET))
    for step in (-1, 1):
        while 0 <= best + step < len(qps) and cost(best + step) < cost(best):
            best += step
    return plan(best)


def _track(seen: list[list[Seen]], luma: "_LumaCoder", plan: Plan, config: EncodeConfig) -> Plan:
    """The plan with its spacing and with what the samples cost by it."""
    settings = HevcSettings(
        "colour", luma.info, qp=plan.colour_qp, preset=config.x265_preset, tune=config.x265_tune
    )
    pilot = [
        _Keys.coded(list(groups(s, Spacing(FIRST_GROUP))), luma.samples, settings) for s in seen
    ]
    key_bits = float(
        np.mean(
            [bits for keys in pilot for bits in keys.bits[1:]] or [keys.bits[0] for keys in pilot]
        )
    )
    spacing = Spacing(
        config.group, plan.slope, key_bits + PACKET_OVERHEAD_BITS, (0.0, *_weights(plan)[1:])
    )
    sampled = [
        _sampled(index, list(groups(stretch, spacing)), luma, settings)
        for index, stretch in enumerate(seen)
    ]
    frames = sum(len(stretch) for stretch in seen)
    share = sum(len(s.keys.bits) for s in sampled) / frames  # of key frames
    luma_cost = np.mean([cost for s in sampled for cost in s.luma], axis=0) + share * np.mean(
        [cost for s in sampled for cost in s.boost], axis=0
    )
    at_keys = np.mean([error for s in sampled for error in s.key_errors], axis=0)
    between = np.mean([error for s in sampled for error in s.other_errors] or [at_keys], axis=0)
    cb, cr = share * at_keys + (1 - share) * between
    entered = luma.info.frame_count or 10 * KEYINT
    idr_bits = float(np.mean([s.keys.bits[0] for s in sampled])) / min(
        entered, IDR_SECONDS * float(luma.info.mean_rate)
    )
    later_bits = (
        sum(bits + PACKET_OVERHEAD_BITS for s in sampled for bits in s.keys.bits[1:]) / frames
    )
    colour_bits = later_bits + idr_bits
    cost = Cost(
        float(luma_cost[0]) + colour_bits + FILE_OVERHEAD_BITS / entered,
        (float(luma_cost[1]), float(cb), float(cr)),
    )
    return replace(
        plan, spacing=spacing, colour_bits=colour_bits, key_boost=_boost(config), track=cost
    )


@dataclass(frozen=True)
class _Sampled:
    """What one stretch costs. `luma` is (bits, error) of the judged frames, `boost` what each key frame adds to that.

    Errors of colour are (Cb, Cr), of key frames and of judged frames between them.
    """

    keys: "_Keys"
    luma: list[tuple[float, float]]
    boost: list[tuple[float, float]]
    key_errors: list[tuple[float, float]]
    other_errors: list[tuple[float, float]]


def _sampled(index: int, cut: list[Group], luma: "_LumaCoder", settings: HevcSettings) -> _Sampled:
    key_frames = [group.frames[0] for group in cut]
    judged = [frame for group in cut for frame in group.frames][:: luma.step]
    fine, coarse = (
        luma.coded(index, key_frames, key=True),
        luma.coded(index, judged + key_frames, key=False),
    )
    keys = _Keys.coded(cut, luma.samples, settings)
    views = [
        KeyView(fine[f.pts].view, *chroma)
        for f, chroma in zip(key_frames, keys.chroma, strict=True)
    ]
    other_errors = []
    wanted = {frame.pts for frame in judged} - {frame.pts for frame in key_frames}
    for number, group in enumerate(cut):
        ends = views[number : number + 2] if group.closed else views[number : number + 1]
        for frame in group.frames:
            if frame.pts in wanted:
                other_errors.append(chroma_errors(frame, propagate(coarse[frame.pts].view, ends)))
    return _Sampled(
        keys,
        luma=[(coarse[f.pts].bits, coarse[f.pts].error) for f in judged],
        boost=[
            (fine[f.pts].bits - coarse[f.pts].bits, fine[f.pts].error - coarse[f.pts].error)
            for f in key_frames
        ],
        key_errors=[
            chroma_errors(f, (view.cb, view.cr)) for f, view in zip(key_frames, views, strict=True)
        ],
        other_errors=other_errors,
    )


@dataclass(frozen=True)
class _Keys:
    """The colour track of one stretch: bits and decoded chroma of each group's key frame."""

    bits: list[float]
    chroma: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def coded(cls, cut: list[Group], samples: Samples, settings: HevcSettings) -> "_Keys":
        keys = [group.frames[0] for group in cut]
        pictures: list[Planes] = [(stack_chroma(key.cb, key.cr),) for key in keys]
        coded = samples.code(pictures, settings, grey=True)
        shape = settings.info.chroma_shape
        return cls(
            [bits for bits, _ in coded], [unstack_chroma(planes[0], shape) for _, planes in coded]
        )


@dataclass(frozen=True)
class _CodedLuma:
    """One frame's luma as the decoder will see it, its bits and its squared error in 8-bit levels."""

    view: LumaView
    bits: float
    error: float


class _LumaCoder:
    """Luma of the samples, coded when it is asked for: all-intra frames one by one, others by the stretch.

    `step`: every how many frames are judged.
    """

    def __init__(self, samples: Samples, config: EncodeConfig, qp: int) -> None:
        self.samples, self.info = samples, samples.info
        self.step = frame_step(config.structure)
        self._config = config
        self._qps = {True: key_qp(qp, _boost(config)), False: other_qp(qp, _boost(config))}
        self._known: dict[tuple[int, int], dict[int, _CodedLuma]] = {}

    def coded(self, stretch: int, frames: list[Frame], *, key: bool) -> dict[int, _CodedLuma]:
        """By pts, coded as key frames or as the others are: `frames` at least."""
        config, qp = self._config, self._qps[key]
        known = self._known.setdefault((stretch, qp), {})
        missing = [f for f in self.samples.stretches[stretch] if f.pts not in known]
        if config.structure == "intra":
            asked = {f.pts for f in frames}
            missing = [f for f in missing if f.pts in asked]
        if missing:
            settings = HevcSettings(
                config.structure, self.info, qp=qp, preset=config.x265_preset, tune=config.x265_tune
            )
            coded = spread_intra_bits(
                self.samples.code([(f.y,) for f in missing], settings, grey=True), settings
            )
            known.update(
                (f.pts, self._seen(f, bits, planes[0]))
                for f, (bits, planes) in zip(missing, coded, strict=True)
            )
        return known

    def _seen(self, frame: Frame, bits: float, decoded: np.ndarray) -> _CodedLuma:
        y = np.ascontiguousarray(decoded[: self.info.height, : self.info.width])
        return _CodedLuma(
            LumaView(y, self.info.bit_depth, frame.pts),
            bits,
            squared_error(frame.y, y, self.info.bit_depth),
        )


def _weights(plan: Plan) -> tuple[float, float, float]:
    """What a squared error of Y, of Cb and of Cr counts in D."""
    assert plan.plain is not None
    y, cb, cr = (
        w / max(p, FLAT_ERROR) for w, p in zip(PLANE_WEIGHTS, plan.plain.error, strict=True)
    )
    return y, cb, cr


def _boost(config: EncodeConfig) -> int:
    assert isinstance(config.key_boost, int), "an unresolved configuration"
    return config.key_boost
