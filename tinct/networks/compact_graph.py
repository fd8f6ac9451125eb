"""The graph of a `compact` network, for OpenVINO.

`runtime` compiles and runs it; `trainable.compact` is the same network in PyTorch.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinct.networks.compact_config import CELL, CONDITIONS, CORRECTION_SCALE, CompactConfig
from tinct.networks.runtime import (
    convolve,
    convolve_cells,
    load_openvino,
    make_floats,
    make_integers,
)

if TYPE_CHECKING:
    import openvino


def build_compact_graph(
    config: CompactConfig,
    weights: Mapping[str, np.ndarray],
    *,
    size: tuple[int, int],
    bit_depth: int,
) -> "openvino.Model":
    """Return the graph for pictures of `size` (height, width), both multiples of CELL.

    Inputs: luma [1, S, H, W] and chroma [1, 2 S', H / 2, W / 2], integers of `bit_depth`, and
    conditions [1, 4]. Outputs: luma [1, 1, H, W] and chroma [1, 2, H / 2, W / 2], integers of the
    same type. Channels of chroma are Cb and Cr of each source in turn.
    """
    ov = load_openvino()
    op = ov.opset13
    height, width = size
    kind, peak = (ov.Type.u8, 255.0) if bit_depth == 8 else (ov.Type.u16, 1023.0)
    luma = op.parameter([1, config.luma_sources, height, width], kind, "luma")
    chroma = op.parameter([1, 2 * config.chroma_sources, height // 2, width // 2], kind, "chroma")
    conditions = op.parameter([1, CONDITIONS], ov.Type.f32, "conditions")

    luma_kernel, chroma_kernel, bias = _convert_first_layer(config, weights)
    told = op.matmul(conditions, make_floats(weights["when.weight"]), False, True)
    entered = op.add(
        convolve_cells(luma, luma_kernel / peak), convolve_cells(chroma, chroma_kernel / peak, bias)
    )
    x = op.relu(op.add(entered, op.unsqueeze(told, make_integers([2, 3]))))
    for number in range(config.depth):
        kernel = _add_identity(weights[f"body.{number}.weight"])
        x = op.relu(convolve(x, kernel, weights[f"body.{number}.bias"]))

    # One layer for each output: splitting the channels, which lie innermost, takes longer.
    ends = np.cumsum(config.output_split)[:-1]
    kernels, biases = (np.split(weights[f"leave.{part}"], ends) for part in ("weight", "bias"))
    scales = (1.0, CORRECTION_SCALE * peak, 1.0, CORRECTION_SCALE * peak)
    luma_shares, luma_correction, chroma_shares, chroma_correction = (
        convolve(x, kernel * scale, bias * scale)
        for kernel, bias, scale in zip(kernels, biases, scales, strict=True)
    )
    luma_shares = op.softmax(op.depth_to_space(luma_shares, "depth_first", 2), 1)
    luma_correction = op.depth_to_space(luma_correction, "depth_first", CELL)
    chroma_correction = op.interpolate(
        chroma_correction, make_floats([2.0, 2.0]), "nearest", "scales", axes=make_integers([2, 3])
    )
    finished_luma = _mix(luma, luma_shares, luma_correction, peak=peak)
    finished_chroma = _mix(chroma, op.softmax(chroma_shares, 1), chroma_correction, peak=peak)
    return ov.Model([finished_luma, finished_chroma], [luma, chroma, conditions], "compact")


def _convert_first_layer(
    config: CompactConfig, weights: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first layer as convolutions of plain planes in [0, 1].

    They are kernels [width, S, 4, 4] for luma and [width, 2 S', 2, 2] for chroma, and a bias
    [width]. Training feeds the layer the frame's own luma - 0.5, 8 * (other luma - own luma) and
    4 * (mean chroma - 0.5).
    """
    luma_weights, chroma_weights = np.split(
        weights["enter.weight"][:, :, 0, 0].astype(np.float64), [CELL**2 * config.luma_sources], 1
    )
    scales = np.array([1.0] + [8.0] * (config.luma_sources - 1))
    luma = luma_weights.reshape(config.width, -1, CELL, CELL) * scales[:, None, None]
    bias = weights["enter.bias"] - 0.5 * (luma[:, 0].sum((1, 2)) + 4 * chroma_weights.sum(1))
    luma[:, 0] -= luma[:, 1:].sum(1)
    # each of a cell's 2 x 2 samples has the whole weight: their sum is 4 times the mean
    chroma = np.broadcast_to(chroma_weights[:, :, None, None], (*chroma_weights.shape, 2, 2))
    return luma, chroma, bias


def _add_identity(kernel: np.ndarray) -> np.ndarray:
    """Return the kernel of x + convolution(x), for a kernel [C, C, k, k]."""
    middle, channels = kernel.shape[-1] // 2, np.arange(len(kernel))
    both = kernel.copy()
    both[channels, channels, middle, middle] += 1
    return both


def _mix(planes: Any, shares: Any, correction: Any, *, peak: float) -> Any:
    """Return the sources mixed by their shares, plus a correction, rounded to the planes' type.

    `planes` is [1, S D, H, W] for S sources of D planes, `shares` [1, S, H / 2, W / 2],
    `correction` [1, D, H, W]. Sources are added one by one: OpenVINO makes one pass over the
    picture of that, and several of a sum over all shares at full size.
    """
    op = load_openvino().opset13
    depth, height, width = list(correction.shape)[1:]
    count = list(shares.shape)[1]
    pairs = make_integers([1, -1, height // 2, 2, width])  # two rows, which have the same shares
    # gathered, not interpolated: OpenVINO would reorder the memory of the shares twice for that
    columns = make_integers([column // 2 for column in range(width)])
    wide = op.gather(shares, columns, op.constant(3))
    row_shares = op.reshape(wide, make_integers([1, count, height // 2, 1, width]), False)
    total = op.reshape(correction, pairs, False)
    sources = (
        op.split(part, op.constant(1), count).outputs()
        for part in (op.reshape(planes, pairs, False), row_shares)
    )
    for source, share in zip(*sources, strict=True):
        total = op.add(total, op.multiply(op.convert(source, "f32"), share))
    rounded = op.clamp(op.round(total, "half_to_even"), 0.0, peak)
    shape = make_integers([1, depth, height, width])
    return op.reshape(op.convert(rounded, planes.get_element_type()), shape, False)
