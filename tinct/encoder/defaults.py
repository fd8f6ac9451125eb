"""What usually pays on real videos: what a blind encode chooses, and where a search begins.

Prices are multiples of the error that the QP gives, so that they hold for any video: weights of
errors say what a squared error of Y, Cb and Cr counts, 1 for those of the base codec together.
"""

from dataclasses import replace
from typing import Literal

from tinct.encoder.keyframes import Spacing
from tinct.encoder.sending import SEND_ALL, Sending
from tinct.psnr import PLANE_WEIGHTS

BOOST = 8  # QP steps that key frames are finer, where a network restores luma from them
COLOUR_OFFSET = -12  # of the colour's QP from HEVC's chroma QP
SEND_PRICE = 6.0  # error, summed over frames, that one more sent frame must save
KEY_PRICE = 32.0  # the same of one more key frame
SEND_BOUND = 3.0  # of one interpolated frame, where what is shown is looked at later
BLIND_BOUND = 1.5  # the same where it is not
BLIND_BLOCK_BOUND = 60.0  # of the worst block of luma of such a frame
# Squared errors of Cb and Cr together that a block of colour may have before its frame becomes a
# key frame: levels that anybody sees, and times those that plain HEVC has on average.
BLOCK_ERROR, BLOCK_TIMES = 100.0, 12.0
BLIND_LOOSENESS = 10.0  # of that bound, where nothing tells what it costs
MOST_SAMPLES = 320 * 180  # of luma in the copies on which that is judged

Weights = tuple[float, float, float]


def make_spacing(
    group: int | Literal["auto"], weights: Weights, *, price: float = 1.0, end_keys: bool = True
) -> Spacing:
    """Return key frames `group` frames apart, or by content at `price` times the usual price."""
    return Spacing(
        group=group, slope=KEY_PRICE * price, key_bits=1.0, weights=weights, end_keys=end_keys
    )


def bound_blocks(spacing: Spacing, looseness: float) -> Spacing:
    """Return a spacing by content with the bound on blocks of colour, `looseness` times the usual.

    Key frames at a fixed distance stay where they are.
    """
    if spacing.group != "auto":
        return spacing
    plain = sum(PLANE_WEIGHTS[1] / weight for weight in spacing.weights[1:])
    bound = looseness * (BLOCK_ERROR + BLOCK_TIMES * plain)
    return replace(spacing, block_bound=bound)


def make_sending(
    interpolate: int | Literal["auto", "off"],
    weights: Weights,
    *,
    price: float = 1.0,
    qp: int | None = None,
) -> Sending:
    """Return how frames to send are chosen: those that interpolation would spoil.

    By content that is at `price` times the usual price. Where nothing was measured, `qp` tells the
    error that weights are scaled to.
    """
    if interpolate == "off":
        return SEND_ALL
    step = interpolate if isinstance(interpolate, int) else None
    sending = Sending(step=step, price=SEND_PRICE * price, weights=weights, bound=SEND_BOUND)
    if qp is None:
        return sending
    return replace(sending, bound=BLIND_BOUND, block_bound=BLIND_BLOCK_BOUND, qp=qp)
