"""Samples of a video coded and restored just as the encode will, at a choice of key boost, spacing and colour; what each costs.

`plan` chooses; `encoder` carries it out. What is measured here is what the decoder shows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinct.base import HevcSettings, stack_chroma
from tinct.colouriser import Colouriser, Judge
from tinct.config import EncodeConfig, key_qp, other_qp
from tinct.container import COLOUR, IDR_SECONDS, LUMA
from tinct.frames import Frame
from tinct.keyframes import Group, Seen, Spacing, groups, look
from tinct.planes import Planes
from tinct.psnr import plane_errors, squared_error
from tinct.restore import Restorer
from tinct.samples import Samples

PLANE_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)  # Y, Cb, Cr
FLAT_ERROR = 0.05  # squared 8-bit levels, 61 dB; less is worth no bit
FILE_OVERHEAD_BITS = 8 * 700  # a second track and an attachment in Matroska
PACKET_OVERHEAD_BITS = 8 * 12  # one more packet in Matroska


@dataclass(frozen=True)
class Cost:
    """One way to code the samples: bits a frame, and the mean squared error of Y, Cb and Cr in 8-bit levels.

    `spread_db` is mean PSNR-Y of key frames less that of the others, within a stretch; 0 where it is not asked for.
    """

    bits: float
    error: tuple[float, float, float]
    spread_db: float = 0.0

    def distortion(self, plain: "Cost") -> float:
        """D: 6:1:1 over the planes, each plane's error relative to that of plain HEVC at the same QP."""
        planes = zip(PLANE_WEIGHTS, self.error, plain.error, strict=True)
        return sum(w * max(e, FLAT_ERROR) / max(p, FLAT_ERROR) for w, e, p in planes)

    def log_distortion(self, plain: "Cost") -> float:
        """The same as a logarithm, plane by plane, as PSNR counts it."""
        planes = zip(PLANE_WEIGHTS, self.error, plain.error, strict=True)
        return sum(w * math.log(max(e, FLAT_ERROR) / max(p, FLAT_ERROR)) for w, e, p in planes)


def exchange_rate(here: Cost, near: Cost) -> float:
    """By how much the logarithm of bits falls where that of the error rises, from one point of a curve to another."""
    worse = near.log_distortion(here)
    return max(math.log(here.bits / near.bits) / worse, 0.0) if worse else 0.0


@dataclass(frozen=True)
class Choice:
    """What can be chosen where a network restores: QP steps that key frames are finer, where they stand, QP of their colour."""

    boost: int
    spacing: Spacing
    colour_qp: int


class Rehearsal:
    """All-intra samples in layout `chroma`. Luma that was coded once at a QP is kept."""

    def __init__(self, samples: Samples, config: EncodeConfig, qp: int, colouriser: Colouriser) -> None:
        self._samples, self._info, self._config, self._qp, self._colouriser = samples, samples.info, config, qp, colouriser
        self._seen: list[list[Seen]] = [list(look(stretch)) for stretch in samples.stretches]
        # bits and decoded luma by stretch, QP and time: each stretch counts time from its own start
        self._luma: dict[tuple[int, int, int], tuple[float, np.ndarray]] = {}

    def cost(self, choice: Choice) -> Cost:
        """What the samples cost by a choice."""
        bits: list[float] = []
        errors: list[tuple[float, float, float]] = []
        spreads_db: list[float] = []
        idr_bits: list[float] = []
        for stretch, seen in enumerate(self._seen):
            luma_db: dict[bool, list[float]] = {True: [], False: []}  # of key frames, of the others
            cut = list(groups(seen, choice.spacing))
            frames, colour = self._restored(stretch, cut, choice)
            # a key frame that ends a part of a video is of the next group, which is not here
            ends = not self._samples.whole and len(cut) > 1 and len(cut[-1].frames) == 1
            counted = {f.pts for group in (cut[:-1] if ends else cut) for f in group.frames}
            first = cut[0].frames[0].pts
            idr_bits.append(colour[first])
            for original, shown, luma_bits in frames:
                if original.pts in counted:
                    later = colour.get(original.pts, 0.0) if original.pts != first else 0.0
                    bits.append(luma_bits + later)
                    errors.append(plane_errors(original, shown))
                    luma_db[original.pts in colour].append(-10 * math.log10(max(errors[-1][0], FLAT_ERROR)))
            if luma_db[True] and luma_db[False]:
                spreads_db.append(float(np.mean(luma_db[True]) - np.mean(luma_db[False])))
        entered = self._info.frame_count or len(bits)
        frames_per_idr = min(entered, IDR_SECONDS * float(self._info.mean_rate))
        y, cb, cr = np.mean(errors, axis=0)
        overhead = FILE_OVERHEAD_BITS / entered + float(np.mean(idr_bits)) / frames_per_idr
        return Cost(float(np.mean(bits)) + overhead, (float(y), float(cb), float(cr)), float(np.mean(spreads_db or [0.0])))

    def key_bits(self, choice: Choice) -> float:
        """What one more key frame takes: its finer luma, and its colour."""
        fine, coarse = (
            [bits for (_, at, _), (bits, _) in self._luma.items() if at == qp]
            for qp in (key_qp(self._qp, choice.boost), other_qp(self._qp, choice.boost))
        )
        _, colour = self._restored(0, list(groups(self._seen[0], choice.spacing)), choice)
        later = list(colour.values())[1:] or list(colour.values())
        return float(np.mean(fine) - np.mean(coarse or fine) + np.mean(later))

    def _restored(
        self, stretch: int, cut: list[Group], choice: Choice
    ) -> tuple[list[tuple[Frame, Frame, float]], dict[int, float]]:
        """Each original with what the decoder shows and its luma's bits; the colour track's bits by time."""
        keys = [group.frames[0] for group in cut]
        others = [frame for group in cut for frame in group.frames[1:]]
        key_times = {frame.pts for frame in keys}
        luma = self._coded(stretch, keys, key_qp(self._qp, choice.boost))
        luma |= self._coded(stretch, others, other_qp(self._qp, choice.boost))
        settings = self._settings("colour", choice.colour_qp)
        stacked = self._samples.code([(stack_chroma(f.cb, f.cr),) for f in keys], settings, grey=True)
        colour = {key.pts: coded for key, coded in zip(keys, stacked, strict=True)}
        originals = {f.pts: f for group in cut for f in group.frames}
        open_keys = {group.frames[0].pts for group in cut if not group.closed}
        shown: list[Frame] = []
        qps = [(0, key_qp(self._qp, choice.boost), other_qp(self._qp, choice.boost))]
        with Restorer(
            self._info, "chroma", colouriser=self._colouriser, open_keys=open_keys, qps=qps, judge=judge_by(originals)
        ) as restorer:
            for pts in originals:
                if pts in key_times:
                    shown += restorer.push(COLOUR, pts, colour[pts][1])
                shown += restorer.push(LUMA, pts, (luma[pts][1],))
            shown += restorer.flush()
        done = [(originals[frame.pts], frame, luma[frame.pts][0]) for frame in shown]
        return done, {pts: bits + PACKET_OVERHEAD_BITS for pts, (bits, _) in colour.items()}

    def _coded(self, stretch: int, frames: list[Frame], qp: int) -> dict[int, tuple[float, np.ndarray]]:
        missing = [f for f in frames if (stretch, qp, f.pts) not in self._luma]
        if missing:
            coded = self._samples.code([(f.y,) for f in missing], self._settings("intra", qp), grey=True)
            self._luma.update(((stretch, qp, f.pts), (bits, planes[0])) for f, (bits, planes) in zip(missing, coded, strict=True))
        return {f.pts: self._luma[stretch, qp, f.pts] for f in frames}

    def _settings(self, structure: str, qp: int) -> HevcSettings:
        return HevcSettings(structure, self._info, qp=qp, preset=self._config.x265_preset, tune=self._config.x265_tune)


def judge_by(originals: Mapping[int, Frame]) -> Judge:
    """Says which planes of a group are nearer to the originals before the network than after it."""

    def judge(times: Sequence[int], restored: Sequence[Planes], prior: Sequence[Planes]) -> tuple[bool, ...]:
        error = {}
        for name, group in (("restored", restored), ("prior", prior)):
            error[name] = np.zeros(3)
            for pts, planes in zip(times, group, strict=True):
                frame = originals[pts]
                pairs = zip((frame.y, frame.cb, frame.cr), planes, strict=True)
                error[name] += [squared_error(a, b, frame.info.bit_depth) for a, b in pairs]
        return tuple(bool(better) for better in error["prior"] < error["restored"])

    return judge
