"""A rehearsal: samples coded and restored as the encode will, at one choice, and what that costs.

`search_network` tries choices with it. The decoder's own code restores, so that what is measured
is what the decoder shows.
"""

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tinct.bitstream.layouts import CHROMA
from tinct.bitstream.manifest import COLOUR, IDR_SECONDS, LUMA
from tinct.bitstream.pictures import stack_chroma
from tinct.bitstream.qp import key_qp, other_qp
from tinct.config import EncodeConfig
from tinct.decoder.restorer import Restorer
from tinct.encoder.cost import FILE_OVERHEAD_BITS, FLAT_ERROR, PACKET_OVERHEAD_BITS, Cost, judge_by
from tinct.encoder.defaults import MOST_SAMPLES
from tinct.encoder.keyframes import Group, cut_groups
from tinct.encoder.late import find_late
from tinct.encoder.plan import Choice
from tinct.encoder.samples import Samples
from tinct.encoder.sending import RunErrors, choose_sent
from tinct.encoder.settings import base_settings
from tinct.encoder.tracks import LumaForm
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.motion.interpolation import interpolate_frame
from tinct.motion.shots import scan_frames
from tinct.motion.views import KeyView
from tinct.networks.interface import Colouriser, Interpolator
from tinct.psnr import Psnr, plane_errors

COLOUR_BLOCK = 8  # chroma samples a side, anywhere in a frame
# An interpolated frame saves the overhead of a packet, which nobody counts for the others.
UNSENT_BITS = -PACKET_OVERHEAD_BITS


@dataclass(frozen=True)
class _Restored:
    """A stretch as the decoder shows it.

    `frames` are (original, shown, bits of its luma); `colour_bits` the colour track's by time.
    """

    frames: list[tuple[Frame, Frame, float]]
    colour_bits: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class _LumaKind:
    """How pictures of the luma track of a stretch are coded; those of one kind serve again."""

    stretch: int
    qp: int
    form: LumaForm
    is_key: bool


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """What is counted of a stretch.

    Bits, plane errors and the error of the worst block of colour are by frame. Beside them are the
    bits of its first key frame's colour, and the spread of key frames over the others (None without
    both).
    """

    bits: list[float]
    errors: list[tuple[float, float, float]]
    block_errors: list[float]
    first_colour_bits: float
    spread_db: float | None


class Rehearsal:
    """Rehearses all-intra samples in layout `chroma`. Luma is coded once at each QP."""

    def __init__(
        self,
        samples: Samples,
        config: EncodeConfig,
        *,
        colouriser: Colouriser,
        plain: Cost,
        interpolate: Interpolator = interpolate_frame,
    ) -> None:
        self._samples, self._info, self._config = samples, samples.info, config
        self._colouriser, self._interpolate = colouriser, interpolate
        self._usual_db = Psnr.of([plain.error[0]]).mean_db
        self._scanned = [
            list(scan_frames(stretch, most_samples=MOST_SAMPLES / samples.scale))
            for stretch in samples.stretches
        ]
        self._run_errors: list[RunErrors] = [{} for _ in samples.stretches]
        # bits and decoded planes by time; each stretch counts time from its own start
        self._luma: dict[_LumaKind, dict[int, tuple[float, Planes]]] = {}
        # Choices often come to the same key frames and sent frames.
        self._judged: dict[Hashable, _Judged] = {}

    def cost(self, choice: Choice) -> Cost:
        """Return what the samples cost by a choice."""
        judged = [self._judge(stretch, choice) for stretch in range(len(self._scanned))]
        bits = [bit for one in judged for bit in one.bits]
        spreads_db = [one.spread_db for one in judged if one.spread_db is not None]
        video_frames = self._info.frame_count or len(bits)
        frames_per_idr = min(video_frames, IDR_SECONDS * float(self._info.mean_rate))
        idr_bits = float(np.mean([one.first_colour_bits for one in judged]))
        overhead = FILE_OVERHEAD_BITS / video_frames + idr_bits / frames_per_idr
        y, cb, cr = np.mean([error for one in judged for error in one.errors], axis=0)
        return Cost(
            float(np.mean(bits)) + overhead,
            (float(y), float(cb), float(cr)),
            spread_db=float(np.mean(spreads_db or [0.0])),
            block_error=float(np.mean([error for one in judged for error in one.block_errors])),
        )

    def _judge(self, stretch: int, choice: Choice) -> _Judged:
        groups = list(cut_groups(self._scanned[stretch], choice.spacing))
        run_errors = self._run_errors[stretch]
        sent = [choose_sent(group, choice.sending, run_errors) for group in groups]
        shapes = tuple((len(group.frames), group.closed) for group in groups)
        qps = (choice.qp, choice.boost, choice.colour_qp)
        key = (stretch, shapes, tuple(sent), qps, choice.hints)
        if key not in self._judged:
            self._judged[key] = self._judge_groups(stretch, groups, sent=sent, choice=choice)
        return self._judged[key]

    def _judge_groups(
        self, stretch: int, groups: list[Group], *, sent: list[frozenset[int]], choice: Choice
    ) -> _Judged:
        restored = self._restore(stretch, groups, sent=sent, choice=choice)
        colour_bits = restored.colour_bits
        # a key frame that ends a part of a video belongs to the next group, which is not here
        has_end_key = not self._samples.whole and len(groups) > 1 and len(groups[-1].frames) == 1
        counted_groups = groups[:-1] if has_end_key else groups
        counted = {frame.pts for group in counted_groups for frame in group.frames}
        first = groups[0].frames[0].pts
        bits: list[float] = []
        errors: list[tuple[float, float, float]] = []
        block_errors: list[float] = []
        luma_db: dict[bool, list[float]] = {True: [], False: []}  # of key frames, of the others
        for original, shown, luma_bits in restored.frames:
            if original.pts not in counted:
                continue
            is_later_key = original.pts in colour_bits and original.pts != first
            bits.append(luma_bits + (colour_bits[original.pts] if is_later_key else 0.0))
            errors.append(plane_errors(original, shown))
            block_errors.append(_measure_worst_block(original, shown))
            luma_error = max(errors[-1][0], FLAT_ERROR)
            luma_db[original.pts in colour_bits].append(-10 * math.log10(luma_error))
        spread_db = None
        if luma_db[True] and luma_db[False]:
            spread_db = float(np.mean(luma_db[True]) - np.mean(luma_db[False]))
        return _Judged(
            bits=bits,
            errors=errors,
            block_errors=block_errors,
            first_colour_bits=colour_bits[first],
            spread_db=spread_db,
        )

    def _restore(
        self, stretch: int, groups: list[Group], *, sent: list[frozenset[int]], choice: Choice
    ) -> _Restored:
        """Code a stretch that is cut into `groups`, and restore it as the decoder does."""
        keys = [group.frames[0] for group in groups]
        others = [
            frame
            for group, indices in zip(groups, sent, strict=True)
            for index, frame in enumerate(group.frames)
            if index > 0 and index in indices
        ]
        of_keys, of_others = key_qp(choice.qp, choice.boost), other_qp(choice.qp, choice.boost)
        form = LumaForm(hints=choice.hints, boost=choice.boost if choice.hints else 0)
        luma = self._code_luma(keys, _LumaKind(stretch=stretch, qp=of_keys, form=form, is_key=True))
        of_sent = _LumaKind(stretch=stretch, qp=of_others, form=form, is_key=False)
        luma |= self._code_luma(others, of_sent)
        settings = base_settings(self._config, self._info, qp=choice.colour_qp, structure="colour")
        pictures: list[Planes] = [(stack_chroma(frame.cb, frame.cr),) for frame in keys]
        stacked = self._samples.code(pictures, settings, grey=True)
        colour = {key.pts: coded for key, coded in zip(keys, stacked, strict=True)}
        originals = {frame.pts: frame for group in groups for frame in group.frames}
        luma_order = [pts for pts in originals if pts in luma]
        shown: list[Frame] = []

        def send_late(
            frames: Sequence[KeyView], times: Sequence[int], keys: Collection[int]
        ) -> list[tuple[int, Planes]]:
            late = find_late(
                frames,
                times,
                keys=keys,
                originals=originals,
                usual_db=self._usual_db,
                interpolate=self._interpolate,
            )
            luma.update(self._code_luma([originals[pts] for pts in late], of_sent))
            return [(pts, luma[pts][1]) for pts in late]

        with Restorer(
            self._info,
            CHROMA.name,
            colouriser=self._colouriser,
            open_keys={group.frames[0].pts for group in groups if not group.closed},
            qps=[(0, of_keys, of_others)],
            judge=judge_by(originals),
            interpolated=[pts for pts in originals if pts not in luma],
            interpolate=self._interpolate,
            inspect=send_late,
            has_hints=choice.hints,
        ) as restorer:
            for pts in luma_order:
                if pts in colour:
                    shown += restorer.push(COLOUR, pts, colour[pts][1])
                shown += restorer.push(LUMA, pts, luma[pts][1])
            shown += restorer.flush()
        bits = {pts: luma[pts][0] if pts in luma else UNSENT_BITS for pts in originals}
        return _Restored(
            frames=[(originals[frame.pts], frame, bits[frame.pts]) for frame in shown],
            colour_bits={pts: bits + PACKET_OVERHEAD_BITS for pts, (bits, _) in colour.items()},
        )

    def _code_luma(self, frames: list[Frame], kind: _LumaKind) -> dict[int, tuple[float, Planes]]:
        """Return bits and decoded planes of `frames` in the luma track, by time."""
        known = self._luma.setdefault(kind, {})
        missing = [frame for frame in frames if frame.pts not in known]
        if missing:
            form = kind.form
            settings = base_settings(self._config, self._info, qp=kind.qp, structure="intra")
            pictures = [form.list_planes(frame, is_key=kind.is_key) for frame in missing]
            coded = self._samples.code(pictures, form.adapt(settings), grey=form.is_grey)
            known.update({frame.pts: one for frame, one in zip(missing, coded, strict=True)})
        return {frame.pts: known[frame.pts] for frame in frames}


def _measure_worst_block(original: Frame, shown: Frame) -> float:
    """Return the squared error of Cb and Cr together in a frame's worst block, in 8-bit levels."""
    scale = 1 << (original.info.bit_depth - 8)
    error = sum(
        np.square((plane.astype(np.float32) - made) / scale)
        for plane, made in ((original.cb, shown.cb), (original.cr, shown.cr))
    )
    return float(cv2.blur(error, (COLOUR_BLOCK, COLOUR_BLOCK)).max())
