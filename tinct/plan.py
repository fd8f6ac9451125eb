"""What pays on this very video, measured on sample groups before the encode: colour track or not, its QP, its spacing.

"Pays" is the lower D + slope * R: D the squared error of what the decoder would show, 6:1:1 over the planes, each relative to
plain HEVC's own; R bits a frame; slope that of plain HEVC between QP and QP + 2 on the same samples. Where a network restores,
`choices` weighs instead. `encoder` carries it out.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np

from tinct.base import HevcSettings, stack_chroma, unstack_chroma
from tinct.choices import best_choice, gain
from tinct.config import MAX_QP, EncodeConfig, chroma_qp, key_qp, other_qp, restores_in_band
from tinct.container import IDR_SECONDS, Layout
from tinct.frames import Frame
from tinct.keyframes import Group, Seen, Spacing, groups, look
from tinct.planes import Planes
from tinct.propagate import KeyView, LumaView, propagate
from tinct.psnr import squared_error
from tinct.rehearsal import (
    FILE_OVERHEAD_BITS,
    FLAT_ERROR,
    PACKET_OVERHEAD_BITS,
    PLANE_WEIGHTS,
    Cost,
    exchange_rate,
)
from tinct.samples import Samples, may_restore

INTRA_STEP = 4  # all-intra frames are independent: every fourth of a stretch is coded, the key frames apart
SLOPE_STEP = 2  # QP
FIRST_GROUP = 8  # frames, to learn what a key frame costs
USUAL_OFFSET = -12
COLOUR_OFFSETS = (-18, -15, USUAL_OFFSET, -9, -6, -3, 0)  # of the colour track's QP from HEVC's chroma QP
KEYINT = 250  # frames; x265's default distance of intra pictures
RESTORED_SHARE = 2  # times the bits of a network's file that plain HEVC takes at its QP, about
QP_STEP = 0.13  # of the logarithm of bits, about
PILOT_QP = 32  # where the search for a bitrate's QP starts


@dataclass(frozen=True)
class Plan:
    """How the video will be coded. `colour_qp` and `spacing` are of the colour track.

    `track`, `plain` (HEVC of the same structure) and `random_access` are what was measured on the samples; None where
    it was not. `slope` is D per bit a frame. `colour_bits` is the colour track's share of `track`.
    """

    layout: Layout
    qp: int
    colour_qp: int = 0
    spacing: Spacing = field(default_factory=lambda: Spacing("auto"))
    slope: float = 0.0
    colour_bits: float = 0.0
    colouriser: str = "none"
    network: str = "fast"
    key_boost: int = 0
    track: Cost | None = None
    plain: Cost | None = None
    random_access: Cost | None = None

    @property
    def pays(self) -> bool:
        """Whether the colour track beats plain HEVC on the samples."""
        assert self.track is not None
        assert self.plain is not None
        return self.cost(self.track) < self.cost(self.plain)

    def cost(self, of: Cost) -> float:
        """D + slope * R."""
        assert self.plain is not None
        return of.distortion(self.plain) + self.slope * of.bits


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
    settings = HevcSettings(config.structure, samples.info, qp=qp, preset=config.x265_preset, tune=config.x265_tune)
    near_qp = qp + SLOPE_STEP if qp + SLOPE_STEP <= MAX_QP else qp - SLOPE_STEP
    near_settings, ra_settings = replace(settings, qp=near_qp), replace(settings, structure="random-access")
    if restores_in_band(config):
        plain, near = (_plain(samples, trial) for trial in (settings, near_settings))
        return Plan("in-band", qp, slope=_slope(plain, near), colouriser="compact", network="in-band", plain=plain)
    if config.colour == "in-band":
        return Plan("in-band", qp)
    trials = list(dict.fromkeys((settings, near_settings, ra_settings)))
    # x265 reads its table of motion costs while another instance may be filling it: side by side where one uses it
    with ThreadPoolExecutor(max_workers=3 if config.structure == "intra" else 1) as pool:
        costs = dict(zip(trials, pool.map(partial(_plain, samples), trials), strict=True))
    plain, near, ra = costs[settings], costs[near_settings], costs[ra_settings]
    measured = Plan("in-band", qp, slope=_slope(plain, near), plain=plain, random_access=ra)
    if config.key_form == "full":
        assert config.group != "auto"
        network = "gan" if config.colouriser == "gan" else "none"
        return replace(measured, layout="full", spacing=Spacing(config.group, end_keys=False), colouriser=network)
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
    return max((near.distortion(plain) - plain.distortion(plain)) / ((plain.bits - near.bits) or 1.0), 0.0)


def _best_track(samples: Samples, config: EncodeConfig, measured: Plan) -> Plan:
    """The colour QP, with key frames spaced for it, that costs least: from the usual offset, finer or coarser while it helps."""
    luma = _LumaCoder(samples, config, measured.qp)
    seen = [list(look(stretch)) for stretch in samples.stretches]
    base_qp = chroma_qp(key_qp(measured.qp, _boost(config)))
    qps = sorted({max(0, base_qp + offset) for offset in COLOUR_OFFSETS})  # several offsets may come to QP 0

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
    settings = HevcSettings("colour", luma.info, qp=plan.colour_qp, preset=config.x265_preset, tune=config.x265_tune)
    pilot = [_Keys.coded(list(groups(s, Spacing(FIRST_GROUP))), luma.samples, settings) for s in seen]
    key_bits = float(np.mean([bits for keys in pilot for bits in keys.bits[1:]] or [keys.bits[0] for keys in pilot]))
    spacing = Spacing(config.group, plan.slope, key_bits + PACKET_OVERHEAD_BITS, (0.0, *_weights(plan)[1:]))
    sampled = [_sampled(index, list(groups(stretch, spacing)), luma, settings) for index, stretch in enumerate(seen)]
    frames = sum(len(stretch) for stretch in seen)
    share = sum(len(s.keys.bits) for s in sampled) / frames  # of key frames
    luma_cost = np.mean([cost for s in sampled for cost in s.luma], axis=0) + share * np.mean(
        [cost for s in sampled for cost in s.boost], axis=0
    )
    at_keys = np.mean([error for s in sampled for error in s.key_errors], axis=0)
    between = np.mean([error for s in sampled for error in s.other_errors] or [at_keys], axis=0)
    cb, cr = share * at_keys + (1 - share) * between
    entered = luma.info.frame_count or 10 * KEYINT
    idr_bits = float(np.mean([s.keys.bits[0] for s in sampled])) / min(entered, IDR_SECONDS * float(luma.info.mean_rate))
    later_bits = sum(bits + PACKET_OVERHEAD_BITS for s in sampled for bits in s.keys.bits[1:]) / frames
    colour_bits = later_bits + idr_bits
    cost = Cost(float(luma_cost[0]) + colour_bits + FILE_OVERHEAD_BITS / entered, (float(luma_cost[1]), float(cb), float(cr)))
    return replace(plan, spacing=spacing, colour_bits=colour_bits, key_boost=_boost(config), track=cost)


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
    fine, coarse = luma.coded(index, key_frames, key=True), luma.coded(index, judged + key_frames, key=False)
    keys = _Keys.coded(cut, luma.samples, settings)
    views = [KeyView(fine[f.pts].view, *chroma) for f, chroma in zip(key_frames, keys.chroma, strict=True)]
    other_errors = []
    wanted = {frame.pts for frame in judged} - {frame.pts for frame in key_frames}
    for number, group in enumerate(cut):
        ends = views[number : number + 2] if group.closed else views[number : number + 1]
        for frame in group.frames:
            if frame.pts in wanted:
                other_errors.append(_chroma_errors(frame, propagate(coarse[frame.pts].view, ends)))
    return _Sampled(
        keys,
        luma=[(coarse[f.pts].bits, coarse[f.pts].error) for f in judged],
        boost=[(fine[f.pts].bits - coarse[f.pts].bits, fine[f.pts].error - coarse[f.pts].error) for f in key_frames],
        key_errors=[_chroma_errors(f, (view.cb, view.cr)) for f, view in zip(key_frames, views, strict=True)],
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
        return cls([bits for bits, _ in coded], [unstack_chroma(planes[0], shape) for _, planes in coded])


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
        self.step = _step(config.structure)
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
            settings = HevcSettings(config.structure, self.info, qp=qp, preset=config.x265_preset, tune=config.x265_tune)
            coded = _amortised(self.samples.code([(f.y,) for f in missing], settings, grey=True), settings)
            known.update((f.pts, self._seen(f, bits, planes[0])) for f, (bits, planes) in zip(missing, coded, strict=True))
        return known

    def _seen(self, frame: Frame, bits: float, decoded: np.ndarray) -> _CodedLuma:
        y = np.ascontiguousarray(decoded[: self.info.height, : self.info.width])
        return _CodedLuma(LumaView(y, self.info.bit_depth, frame.pts), bits, squared_error(frame.y, y, self.info.bit_depth))


def _plain(samples: Samples, settings: HevcSettings) -> Cost:
    """4:2:0 HEVC on the samples."""
    bits: list[float] = []
    errors: list[tuple[float, float, float]] = []
    for stretch in samples.stretches:
        frames = stretch[:: _step(settings.structure)]
        coded = _amortised(samples.code([(f.y, f.cb, f.cr) for f in frames], settings, grey=False), settings)
        bits += [b for b, _ in coded]
        errors += [_errors(f, planes) for f, (_, planes) in zip(frames, coded, strict=True)]
    return Cost(float(np.mean(bits)), _mean_errors(errors))


def _amortised(coded: list[tuple[float, Planes]], settings: HevcSettings) -> list[tuple[float, Planes]]:
    """With the first picture's bits spread as in a long video, where few pictures are intra."""
    if settings.structure == "intra" or len(coded) < 2:
        return coded
    usual = float(np.mean([bits for bits, _ in coded[1:]]))
    intra_share = len(coded) / min(settings.info.frame_count or KEYINT, KEYINT)
    first, planes = coded[0]
    return [(usual + max(0.0, first - usual) * intra_share, planes), *coded[1:]]


def _errors(frame: Frame, planes: Planes) -> tuple[float, float, float]:
    y, cb, cr = planes
    return (squared_error(frame.y, y, frame.info.bit_depth), *_chroma_errors(frame, (cb, cr)))


def _chroma_errors(frame: Frame, chroma: Planes) -> tuple[float, float]:
    cb, cr = (squared_error(a, b, frame.info.bit_depth) for a, b in zip((frame.cb, frame.cr), chroma, strict=True))
    return cb, cr


def _step(structure: str) -> int:
    return INTRA_STEP if structure == "intra" else 1


def _weights(plan: Plan) -> tuple[float, float, float]:
    """What a squared error of Y, of Cb and of Cr counts in D."""
    assert plan.plain is not None
    y, cb, cr = (w / max(p, FLAT_ERROR) for w, p in zip(PLANE_WEIGHTS, plan.plain.error, strict=True))
    return y, cb, cr


def _mean_errors(errors: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    y, cb, cr = np.mean(errors, axis=0)
    return float(y), float(cb), float(cr)


def _qp_for(bitrate_kbps: float, samples: Samples, config: EncodeConfig) -> int:
    """The QP at which plain HEVC takes about `bitrate_kbps`: bits halve about every 6 QP, how fast is measured."""
    settings = HevcSettings(config.structure, samples.info, qp=PILOT_QP, preset=config.x265_preset, tune=config.x265_tune)
    here = _plain(samples, settings).bits
    further = _plain(samples, replace(settings, qp=PILOT_QP + 4)).bits
    wanted = bitrate_kbps * 1000 / float(samples.info.mean_rate)
    per_qp = max(math.log(here / further) / 4, 0.03)
    return round(min(max(PILOT_QP + math.log(here / wanted) / per_qp, 0), MAX_QP))


def _boost(config: EncodeConfig) -> int:
    assert isinstance(config.key_boost, int), "an unresolved configuration"
    return config.key_boost
