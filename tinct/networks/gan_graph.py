"""The graph of the paper's generator as a file carries it, for OpenVINO.

`runtime` compiles and runs it; `trainable.gan` is the same network in PyTorch, with the same names
of tensors.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinct.networks.gan_config import LEVELS, GanConfig
from tinct.networks.runtime import (
    add_bias,
    convolve,
    load_openvino,
    make_floats,
    make_integers,
)

if TYPE_CHECKING:
    import openvino


# Sides are padded to a multiple of this, and to twice this at least: batch norm needs more than one
# value.
MULTIPLE = 1 << (LEVELS - 1)
RESIDUAL_BLOCKS = 4  # between encoder and decoder, on each level
MAX_SCORES = 1 << 23  # scores of self-attention that are held at a time, 32 MB
REPAIR = 0.25  # scale of the correction of luma, which is small; chroma is made from nothing
Weights = Mapping[str, np.ndarray]


def list_paper_shapes(config: GanConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that is sent, in the order of the bytes.

    Batch norm is folded into the convolutions (see `trainable.gan.fold`).
    """
    widths = config.widths
    shapes: dict[str, tuple[int, ...]] = {}

    def add_convolution(name: str, inputs: int, outputs: int, *, kernel: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        shapes[f"{name}.bias"] = (outputs,)

    def add_block(name: str, inputs: int, outputs: int) -> None:
        first, second = outputs // 6, outputs // 3
        add_convolution(f"{name}.conv1.0", inputs, first, kernel=3)
        add_convolution(f"{name}.conv2.0", first, second, kernel=3)
        add_convolution(f"{name}.conv3.0", second, outputs - first - second, kernel=3)
        add_convolution(f"{name}.shortcut.0", inputs, outputs, kernel=1)

    for level in range(LEVELS):
        add_block(f"M.{level}", 1 if level == 0 else widths[level - 1], widths[level])
    for level in range(LEVELS):
        if level + 1 in config.attention:
            width = widths[level]
            narrow = max(width // 8, 1)
            shapes[f"A.{level}.weight"] = (1,)
            for part, outputs in (("f", narrow), ("g", narrow), ("h", width)):
                shapes[f"A.{level}.{part}.weight"] = (outputs, width, 1, 1)
    for level, width in enumerate(widths):
        for number in range(RESIDUAL_BLOCKS):
            add_convolution(f"P.{level}.blocks.{number}.conv3.0", width, width, kernel=3)
    for step, level in enumerate(range(LEVELS - 1, 0, -1)):
        shapes[f"up.{step}.weight"] = (widths[level], widths[level - 1], 2, 2)
        shapes[f"up.{step}.bias"] = (widths[level - 1],)
    for step, level in enumerate(reversed(range(LEVELS))):
        add_block(f"D.{step}", 2 * widths[level], widths[level])
    add_convolution("to_picture", widths[0], 3, kernel=1)
    return shapes


def build_gan_graph(
    config: GanConfig, weights: Weights, *, size: tuple[int, int], bit_depth: int
) -> "openvino.Model":
    """Return the graph for pictures of `size` (height, width).

    Input: luma [1, 1, H, W], integers of `bit_depth`. Output: the picture [1, 3, H, W], in [-1, 1],
    as `trainable.gan.Generator` makes it.
    """
    ov = load_openvino()
    op = ov.opset13
    height, width = size
    kind = ov.Type.u8 if bit_depth == 8 else ov.Type.u16
    decoded = op.parameter([1, 1, height, width], kind, "luma")
    scale = make_floats(2 / ((1 << bit_depth) - 1))
    luma = op.subtract(op.multiply(op.convert(decoded, "f32"), scale), make_floats(1))
    down, right = (max(-side % MULTIPLE, 2 * MULTIPLE - side) for side in size)
    x = op.pad(luma, make_integers([0, 0, 0, 0]), make_integers([0, 0, down, right]), "edge")
    attended = []
    for level in range(LEVELS):
        x = _multires_block(x if level == 0 else _halve(x), weights, f"M.{level}")
        x = _attend(x, weights, f"A.{level}") if level + 1 in config.attention else x
        attended.append(x)
    is_long = config.residual == "global"
    for step, level in enumerate(reversed(range(LEVELS))):
        if step:
            kernel = make_floats(weights[f"up.{step - 1}.weight"])
            x = op.convolution_backprop_data(x, kernel, [2, 2])
            x = add_bias(x, weights[f"up.{step - 1}.bias"])
        passed = _connect_residually(attended[level], weights, f"P.{level}", is_long=is_long)
        x = _multires_block(op.concat([x, passed], 1), weights, f"D.{step}")
    x = _convolve_by_name(x, weights, "to_picture")
    ends = make_integers([height, width])
    x = op.slice(x, make_integers([0, 0]), ends, make_integers([1, 1]), make_integers([2, 3]))
    if config.output == "rgb":
        picture = op.tanh(x)
    else:
        repair, colour = op.variadic_split(x, op.constant(1), make_integers([1, 2])).outputs()
        repaired = op.add(luma, op.multiply(repair, make_floats(REPAIR)))
        picture = op.concat([repaired, colour], 1)
    return ov.Model([picture], [decoded], "multiresunet")


def _convolve_by_name(x: Any, weights: Weights, name: str) -> Any:
    return convolve(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _multires_block(x: Any, weights: Weights, name: str) -> Any:
    """Build `trainable.gan.MultiResBlock` (Figure 3)."""
    op = load_openvino().opset13
    chain = [x]
    for number in (1, 2, 3):
        chain.append(op.relu(_convolve_by_name(chain[-1], weights, f"{name}.conv{number}.0")))
    shortcut = _convolve_by_name(x, weights, f"{name}.shortcut.0")
    return op.relu(op.add(op.concat(chain[1:], 1), shortcut))


def _connect_residually(x: Any, weights: Weights, name: str, *, is_long: bool) -> Any:
    """Build `trainable.gan.ResidualConnection` (Figure 4, Equation 3)."""
    op = load_openvino().opset13
    made = x
    for number in range(RESIDUAL_BLOCKS):
        made = op.relu(_convolve_by_name(made, weights, f"{name}.blocks.{number}.conv3.0"))
    return op.add(made, x) if is_long else made


def _attend(x: Any, weights: Weights, name: str) -> Any:
    """Build `trainable.gan.SelfAttention`: every position sees all others, pooled (Equation 4)."""
    op = load_openvino().opset13
    f_kernel, g_kernel, h_kernel = (weights[f"{name}.{part}.weight"] for part in "fgh")
    # zeros change no product, and give all three one width
    missing = ((0, h_kernel.shape[0] - f_kernel.shape[0]), (0, 0), (0, 0), (0, 0))
    f = convolve(x, np.pad(f_kernel, missing))
    g = convolve(x, np.pad(g_kernel, missing))
    h = convolve(x, h_kernel)
    query, key, value = (_flatten_positions(part) for part in (f, _halve(g), _halve(h)))
    seen = _attend_in_parts(query, key, value)
    shape = make_integers([1, h_kernel.shape[0], *x.shape[2:]])
    picture = op.reshape(op.transpose(seen, make_integers([0, 1, 3, 2])), shape, False)
    return op.add(x, op.multiply(picture, make_floats(weights[f"{name}.weight"])))


def _attend_in_parts(query: Any, key: Any, value: Any) -> Any:
    """Build softmax(query key^T) value, all [1, 1, positions, C].

    It is computed for a part of the positions at a time, since the memory of all of them together
    grows with the square of their number.
    """
    ov = load_openvino()
    op = ov.opset13
    count, width = query.shape[2], query.shape[3]
    part = min(count, max(1, MAX_SCORES // key.shape[2]))
    if part == count:
        return op.scaled_dot_product_attention(query, key, value, scale=make_floats(1.0))
    begin, end = make_integers([0, 0, 0, 0]), make_integers([0, 0, -count % part, 0])
    query = op.pad(query, begin, end, "constant")
    some = op.parameter([1, 1, part, width], ov.Type.f32)
    keys, values = (op.parameter(list(tensor.shape), ov.Type.f32) for tensor in (key, value))
    found = op.scaled_dot_product_attention(some, keys, values, scale=make_floats(1.0))
    turns = op.tensor_iterator()
    turns.set_body(ov.Model([found], [some, keys, values], "attention"))
    turns.set_sliced_input(some, query.output(0), 0, part, part, -1, 2)
    turns.set_invariant_input(keys, key.output(0))
    turns.set_invariant_input(values, value.output(0))
    seen = turns.get_concatenated_slices(found.output(0), 0, part, part, -1, 2)
    return op.slice(
        seen, make_integers([0]), make_integers([count]), make_integers([1]), make_integers([2])
    )


def _halve(x: Any) -> Any:
    """Take the maximum of each 2 x 2 cell, odd sides rounded up."""
    op = load_openvino().opset13
    return op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "ceil").output(0)


def _flatten_positions(x: Any) -> Any:
    """[1, C, H, W] -> [1, 1, H * W, C]: one head, a row a position."""
    op = load_openvino().opset13
    flat = op.reshape(x, make_integers([1, 1, x.shape[1], -1]), False)
    return op.transpose(flat, make_integers([0, 1, 3, 2]))
