"""What one way of coding costs: bits and errors, on samples or on the whole video."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.strengths import NEUTRAL, Strengths
from tinct.decoder.postfilter import Judge
from tinct.encoder.samples import Samples
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.psnr import PLANE_WEIGHTS, squared_error

# All-intra frames are independent: every fourth of a stretch is coded, apart from key frames.
INTRA_STEP = 4
# Of the logarithm of the error, for as much of that of bits, where pictures are predicted: akiyo
# has 1.2 and carphone 1.3, AV1 from QP 27 to 37.
BITS_WORTH = 1.2
FLAT_ERROR = 0.05  # squared 8-bit levels, 61 dB; less is worth no bit
FILE_OVERHEAD_BITS = 8 * 700  # a second track and an attachment in Matroska
PACKET_OVERHEAD_BITS = 8 * 12  # one more packet in Matroska


@dataclass(frozen=True)
class Cost:
    """What one way of coding costs.

    `bits` is bits a frame, `error` the mean squared error of Y, Cb and Cr in 8-bit levels.
    `spread_db` is mean PSNR-Y of key frames less that of the others, `block_error` the mean over
    frames of that of Cb and Cr together in a frame's worst block; both are 0 where nobody asked.
    """

    bits: float
    error: tuple[float, float, float]
    spread_db: float = 0.0
    block_error: float = 0.0

    def distortion(self, plain: "Cost") -> float:
        """Return D: 6:1:1 over the planes, each error relative to `plain` at the same QP."""
        planes = zip(PLANE_WEIGHTS, self.error, plain.error, strict=True)
        return sum(w * max(e, FLAT_ERROR) / max(p, FLAT_ERROR) for w, e, p in planes)

    def log_distortion(self, plain: "Cost") -> float:
        """Return the same as a logarithm, plane by plane, as PSNR counts it."""
        planes = zip(PLANE_WEIGHTS, self.error, plain.error, strict=True)
        return sum(w * math.log(max(e, FLAT_ERROR) / max(p, FLAT_ERROR)) for w, e, p in planes)


def exchange_rate(here: Cost, near: Cost) -> float:
    """Return by how much the logarithm of bits falls where that of the error rises by one.

    `here` and `near` are two points of one rate-distortion curve.
    """
    worse = near.log_distortion(here)
    return max(math.log(here.bits / near.bits) / worse, 0.0) if worse else 0.0


def judge_by(originals: Mapping[int, Frame]) -> Judge:
    """Return a judge that compares with `originals`, by time.

    It takes the network's planes, or where these are further off those without it.
    """

    def judge(
        times: Sequence[int],
        restored: Sequence[Planes],
        prior: Sequence[Planes],
        *,
        current: Sequence[Strengths],
    ) -> list[Strengths]:
        error = {}
        for name, group in (("restored", restored), ("prior", prior)):
            error[name] = np.zeros(3)
            for pts, planes in zip(times, group, strict=True):
                frame = originals[pts]
                pairs = zip((frame.y, frame.cb, frame.cr), planes, strict=True)
                error[name] += [squared_error(a, b, frame.info.bit_depth) for a, b in pairs]
        is_better_plain = error["prior"] < error["restored"]
        return [replace(NEUTRAL, network=0) if better else NEUTRAL for better in is_better_plain]

    return judge


def plain_cost(samples: Samples, settings: BaseSettings) -> Cost:
    """Return what plain 4:2:0 HEVC costs on the samples."""
    bits: list[float] = []
    errors: list[tuple[float, float, float]] = []
    for stretch in samples.stretches:
        frames = stretch[:: frame_step(settings.structure)]
        pictures: list[Planes] = [(frame.y, frame.cb, frame.cr) for frame in frames]
        coded = spread_intra_bits(samples.code(pictures, settings, grey=False), settings)
        for frame, (picture_bits, planes) in zip(frames, coded, strict=True):
            bits.append(picture_bits)
            errors.append(picture_errors(frame, planes))
    y, cb, cr = np.mean(errors, axis=0)
    return Cost(float(np.mean(bits)), (float(y), float(cb), float(cr)))


def spread_intra_bits(
    coded: list[tuple[float, Planes]], settings: BaseSettings
) -> list[tuple[float, Planes]]:
    """Return the pictures with the first one's bits spread as in a long video.

    There few pictures are intra; without this a short stretch would look too expensive.
    """
    if settings.structure == "intra" or len(coded) < 2:
        return coded
    entry = settings.entry_frames
    usual = float(np.mean([bits for bits, _ in coded[1:]]))
    intra_share = len(coded) / min(settings.info.frame_count or entry, entry)
    first, planes = coded[0]
    return [(usual + max(0.0, first - usual) * intra_share, planes), *coded[1:]]


def picture_errors(frame: Frame, planes: Planes) -> tuple[float, float, float]:
    """Return mean squared errors of Y, Cb and Cr in 8-bit levels; `planes` may be padded."""
    y, cb, cr = planes
    return (squared_error(frame.y, y, frame.info.bit_depth), *chroma_errors(frame, (cb, cr)))


def chroma_errors(frame: Frame, chroma: Planes) -> tuple[float, float]:
    """Return mean squared errors of Cb and Cr in 8-bit levels."""
    cb, cr = (
        squared_error(a, b, frame.info.bit_depth)
        for a, b in zip((frame.cb, frame.cr), chroma, strict=True)
    )
    return cb, cr


def frame_step(structure: str) -> int:
    """Return the distance of the frames of a stretch that are coded."""
    return INTRA_STEP if structure == "intra" else 1
