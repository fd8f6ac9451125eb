"""Samples of a video coded and restored just as the encode will, at a choice of key boost, spacing and colour; what each costs.

`plan` chooses; `encoder` carries it out. What is measured here is what the decoder shows.
"""

import math

import numpy as np

from tinct.bitstream.hevc import HevcSettings, stack_chroma
from tinct.bitstream.manifest import COLOUR, IDR_SECONDS, LUMA
from tinct.bitstream.qp import key_qp, other_qp
from tinct.config import EncodeConfig
from tinct.decoder.restorer import Restorer
from tinct.encoder.cost import FILE_OVERHEAD_BITS, FLAT_ERROR, PACKET_OVERHEAD_BITS, Cost, judge_by
from tinct.encoder.keyframes import Group, groups
from tinct.encoder.plan import Choice
from tinct.encoder.samples import Samples
from tinct.frames import Frame
from tinct.motion.shots import Seen, look
from tinct.networks.interface import Colouriser
from tinct.psnr import plane_errors


class Rehearsal:
    """All-intra samples in layout `chroma`. Luma that was coded once at a QP is kept."""

    def __init__(
        self, samples: Samples, config: EncodeConfig, qp: int, colouriser: Colouriser
    ) -> None:
        self._samples, self._info, self._config, self._qp, self._colouriser = (
            samples,
            samples.info,
            config,
            qp,
            colouriser,
        )
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
                    luma_db[original.pts in colour].append(
                        -10 * math.log10(max(errors[-1][0], FLAT_ERROR))
                    )
            if luma_db[True] and luma_db[False]:
                spreads_db.append(float(np.mean(luma_db[True]) - np.mean(luma_db[False])))
        entered = self._info.frame_count or len(bits)
        frames_per_idr = min(entered, IDR_SECONDS * float(self._info.mean_rate))
        y, cb, cr = np.mean(errors, axis=0)
        overhead = FILE_OVERHEAD_BITS / entered + float(np.mean(idr_bits)) / frames_per_idr
        return Cost(
            float(np.mean(bits)) + overhead,
            (float(y), float(cb), float(cr)),
            float(np.mean(spreads_db or [0.0])),
        )

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
        stacked = self._samples.code(
            [(stack_chroma(f.cb, f.cr),) for f in keys], settings, grey=True
        )
        colour = {key.pts: coded for key, coded in zip(keys, stacked, strict=True)}
        originals = {f.pts: f for group in cut for f in group.frames}
        open_keys = {group.frames[0].pts for group in cut if not group.closed}
        shown: list[Frame] = []
        qps = [(0, key_qp(self._qp, choice.boost), other_qp(self._qp, choice.boost))]
        with Restorer(
            self._info,
            "chroma",
            colouriser=self._colouriser,
            open_keys=open_keys,
            qps=qps,
            judge=judge_by(originals),
        ) as restorer:
            for pts in originals:
                if pts in key_times:
                    shown += restorer.push(COLOUR, pts, colour[pts][1])
                shown += restorer.push(LUMA, pts, (luma[pts][1],))
            shown += restorer.flush()
        done = [(originals[frame.pts], frame, luma[frame.pts][0]) for frame in shown]
        return done, {pts: bits + PACKET_OVERHEAD_BITS for pts, (bits, _) in colour.items()}

    def _coded(
        self, stretch: int, frames: list[Frame], qp: int
    ) -> dict[int, tuple[float, np.ndarray]]:
        missing = [f for f in frames if (stretch, qp, f.pts) not in self._luma]
        if missing:
            coded = self._samples.code(
                [(f.y,) for f in missing], self._settings("intra", qp), grey=True
            )
            self._luma.update(
                ((stretch, qp, f.pts), (bits, planes[0]))
                for f, (bits, planes) in zip(missing, coded, strict=True)
            )
        return {f.pts: self._luma[stretch, qp, f.pts] for f in frames}

    def _settings(self, structure: str, qp: int) -> HevcSettings:
        return HevcSettings(
            structure,
            self._info,
            qp=qp,
            preset=self._config.x265_preset,
            tune=self._config.x265_tune,
        )
