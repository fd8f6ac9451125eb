"""The network of `compact` as a graph that OpenVINO runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinct.networks.compact_config import CELL, CONDITIONS, FINER, CompactConfig
from tinct.networks.runtime import const, conv, load_openvino, patches, whole

if TYPE_CHECKING:
    import openvino


def build(
    config: CompactConfig, weights: Mapping[str, np.ndarray], size: tuple[int, int], bit_depth: int
) -> "openvino.Model":
    """The graph for pictures of `size` (height, width), both multiples of CELL.

    In: luma [1, S, H, W] and chroma [1, 2 S', H / 2, W / 2] as integers of `bit_depth`, conditions [1, 4].
    Out: luma [1, 1, H, W] and chroma [1, 2, H / 2, W / 2], integers of the same kind.
    """
    ov = load_openvino()
    op = ov.opset13
    height, width = size
    kind, peak = (ov.Type.u8, 255.0) if bit_depth == 8 else (ov.Type.u16, 1023.0)
    luma = op.parameter([1, config.luma_sources, height, width], kind, "luma")
    chroma = op.parameter([1, 2 * config.chroma_sources, height // 2, width // 2], kind, "chroma")
    conditions = op.parameter([1, CONDITIONS], ov.Type.f32, "conditions")

    luma_kernel, chroma_kernel, bias = _entry(config, weights)
    when = op.unsqueeze(
        op.matmul(conditions, const(weights["when.weight"]), False, True), whole(2, 3)
    )
    x = op.relu(
        op.add(
            op.add(patches(luma, luma_kernel / peak), patches(chroma, chroma_kernel / peak, bias)),
            when,
        )
    )
    for number in range(config.depth):
        x = op.relu(
            conv(x, _residual(weights[f"body.{number}.weight"]), weights[f"body.{number}.bias"])
        )
    # a layer for each output: to split channels that lie innermost takes longer than the layer
    ends = np.cumsum(config.split)[:-1]
    kernels, biases = (np.split(weights[f"leave.{part}"], ends) for part in ("weight", "bias"))
    scales = (1.0, FINER * peak, 1.0, FINER * peak)
    masks, more, colour_masks, colour_more = (
        conv(x, k * s, b * s) for k, b, s in zip(kernels, biases, scales, strict=True)
    )

    shares = op.softmax(op.depth_to_space(masks, "depth_first", 2), 1)
    colour_more = op.interpolate(
        colour_more, const([2.0, 2.0]), "nearest", "scales", axes=whole(2, 3)
    )
    mixed = _mixed(luma, shares, op.depth_to_space(more, "depth_first", CELL), peak)
    coloured = _mixed(chroma, op.softmax(colour_masks, 1), colour_more, peak)
    return ov.Model([mixed, coloured], [luma, chroma, conditions], "compact")


def _entry(
    config: CompactConfig, weights: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first layer on planes of 0 to 1 as they are: kernels [width, S, 4, 4] and [width, 2 S', 2, 2], and its bias.

    It was trained on the frame's own luma less 0.5, 8 times what the others differ from that, and 4 times mean chroma less 0.5.
    """
    of_luma, of_chroma = np.split(
        weights["enter.weight"][:, :, 0, 0].astype(np.float64), [CELL**2 * config.luma_sources], 1
    )
    scales = np.array([1.0] + [8.0] * (config.luma_sources - 1))
    luma = of_luma.reshape(config.width, -1, CELL, CELL) * scales[:, None, None]
    bias = weights["enter.bias"] - 0.5 * (luma[:, 0].sum((1, 2)) + 4 * of_chroma.sum(1))
    luma[:, 0] -= luma[:, 1:].sum(1)
    chroma = np.broadcast_to(
        of_chroma[:, :, None, None], (*of_chroma.shape, 2, 2)
    )  # 4 times the mean of 4
    return luma, chroma, bias


def _residual(kernel: np.ndarray) -> np.ndarray:
    """A convolution that what it sees is added to, as one that does both."""
    middle, channels = kernel.shape[-1] // 2, np.arange(len(kernel))
    both = kernel.copy()
    both[channels, channels, middle, middle] += 1
    return both


def _mixed(planes: Any, shares: Any, correction: Any, peak: float) -> Any:
    """Sources in `planes` [1, S D, H, W] by `shares` [1, S, H / 2, W / 2], and a `correction` [1, D, H, W]: integers of their kind.

    Source by source: OpenVINO makes one pass over the picture of that, and several with all shares at full size of a sum.
    """
    op = load_openvino().opset13
    depth, height, width = list(correction.shape)[1:]
    count = list(shares.shape)[1]
    pairs = whole(1, -1, height // 2, 2, width)  # of rows, which have the same shares
    wide = op.interpolate(shares, const([2.0]), "nearest", "scales", axes=whole(3))
    of_rows = op.reshape(wide, whole(1, count, height // 2, 1, width), False)
    total = op.reshape(correction, pairs, False)
    sources = (
        op.split(part, op.constant(1), count).outputs()
        for part in (op.reshape(planes, pairs, False), of_rows)
    )
    for source, share in zip(*sources, strict=True):
        total = op.add(total, op.multiply(op.convert(source, "f32"), share))
    rounded = op.clamp(op.round(total, "half_to_even"), 0.0, peak)
    return op.reshape(
        op.convert(rounded, planes.get_element_type()), whole(1, depth, height, width), False
    )
