"""The paper's generator as a file carries it: its graph, run by OpenVINO on the processor, so that decoding needs no PyTorch.

`gan` is the same network for training, with the same names; a test holds both together.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinct.networks.gan_config import LEVELS, GanConfig
from tinct.networks.runtime import const, conv, load_openvino, whole

if TYPE_CHECKING:
    import openvino


MULTIPLE = 1 << (
    LEVELS - 1
)  # sides are padded to this, and to twice this at least: batch norm needs more than one value
RESIDUAL_BLOCKS = 4  # from encoder to decoder, on each level
MAX_SCORES = 1 << 23  # of self-attention at a time, 32 MB
REPAIR = 0.25  # of luma's range: luma needs small changes only, chroma all of its own
Weights = Mapping[str, np.ndarray]


def widths(config: GanConfig) -> tuple[int, ...]:
    """Channels of each level, from full size down (Table 1)."""
    return config.channels, config.channels, 2 * config.channels, 2 * config.channels


def generator_shapes(config: GanConfig) -> dict[str, tuple[int, ...]]:
    """Of every tensor that is sent, batch norm folded, in the order of the bytes (see `gan.fold`)."""
    w = widths(config)
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, inputs: int, outputs: int, kernel: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (
            (outputs, inputs, kernel, kernel),
            (outputs,),
        )

    def block(name: str, inputs: int, outputs: int) -> None:
        first, second = outputs // 6, outputs // 3
        convolution(f"{name}.conv1.0", inputs, first, 3)
        convolution(f"{name}.conv2.0", first, second, 3)
        convolution(f"{name}.conv3.0", second, outputs - first - second, 3)
        convolution(f"{name}.shortcut.0", inputs, outputs, 1)

    for level in range(LEVELS):
        block(f"M.{level}", 1 if level == 0 else w[level - 1], w[level])
    for level in range(LEVELS):
        if level + 1 in config.attention:
            narrow = max(w[level] // 8, 1)
            shapes[f"A.{level}.weight"] = (1,)
            for part, outputs in (("f", narrow), ("g", narrow), ("h", w[level])):
                shapes[f"A.{level}.{part}.weight"] = (outputs, w[level], 1, 1)
    for level in range(LEVELS):
        for number in range(RESIDUAL_BLOCKS):
            convolution(f"P.{level}.blocks.{number}.conv3.0", w[level], w[level], 3)
    for step, level in enumerate(range(LEVELS - 1, 0, -1)):
        shapes[f"up.{step}.weight"], shapes[f"up.{step}.bias"] = (
            (w[level], w[level - 1], 2, 2),
            (w[level - 1],),
        )
    for step, level in enumerate(reversed(range(LEVELS))):
        block(f"D.{step}", 2 * w[level], w[level])
    convolution("to_picture", w[0], 3, 1)
    return shapes


def build(
    config: GanConfig, weights: Weights, size: tuple[int, int], bit_depth: int
) -> "openvino.Model":
    """The graph for pictures of `size` (height, width).

    In: luma [1, 1, H, W] as integers of `bit_depth`. Out: the picture [1, 3, H, W] in [-1, 1], as `gan.Generator` has it.
    """
    ov = load_openvino()
    op = ov.opset13
    height, width = size
    given = op.parameter(
        [1, 1, height, width], ov.Type.u8 if bit_depth == 8 else ov.Type.u16, "luma"
    )
    luma = op.subtract(
        op.multiply(op.convert(given, "f32"), const(2 / ((1 << bit_depth) - 1))), const(1)
    )
    down, right = (max(-side % MULTIPLE, 2 * MULTIPLE - side) for side in size)
    x = op.pad(luma, whole(0, 0, 0, 0), whole(0, 0, down, right), "edge")
    attended = []
    for level in range(LEVELS):
        x = _multires(x if level == 0 else _halved(x), weights, f"M.{level}")
        x = _attention(x, weights, f"A.{level}") if level + 1 in config.attention else x
        attended.append(x)
    for step, level in enumerate(reversed(range(LEVELS))):
        if step:
            up = op.convolution_backprop_data(x, const(weights[f"up.{step - 1}.weight"]), [2, 2])
            x = op.add(up, const(weights[f"up.{step - 1}.bias"][None, :, None, None]))
        passed = _residual(
            attended[level], weights, f"P.{level}", long_residual=config.residual == "global"
        )
        x = _multires(op.concat([x, passed], 1), weights, f"D.{step}")
    x = _conv(x, weights, "to_picture")
    x = op.slice(x, whole(0, 0), whole(height, width), whole(1, 1), whole(2, 3))
    if config.output == "rgb":
        picture = op.tanh(x)
    else:
        repair, colour = op.variadic_split(x, op.constant(1), whole(1, 2)).outputs()
        picture = op.concat([op.add(luma, op.multiply(repair, const(REPAIR))), colour], 1)
    return ov.Model([picture], [given], "multiresunet")


def _conv(x: Any, weights: Weights, name: str) -> Any:
    return conv(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _multires(x: Any, weights: Weights, name: str) -> Any:
    op = load_openvino().opset13
    chain = [x]
    for number in (1, 2, 3):
        chain.append(op.relu(_conv(chain[-1], weights, f"{name}.conv{number}.0")))
    return op.relu(op.add(op.concat(chain[1:], 1), _conv(x, weights, f"{name}.shortcut.0")))


def _residual(x: Any, weights: Weights, name: str, *, long_residual: bool) -> Any:
    op = load_openvino().opset13
    made = x
    for number in range(RESIDUAL_BLOCKS):
        made = op.relu(_conv(made, weights, f"{name}.blocks.{number}.conv3.0"))
    return op.add(made, x) if long_residual else made


def _attention(x: Any, weights: Weights, name: str) -> Any:
    """Every position sees all others, of which keys and values are pooled (Equation 4)."""
    op = load_openvino().opset13
    kernels = [weights[f"{name}.{part}.weight"] for part in "fgh"]
    wider = (
        kernels[2].shape[0] - kernels[0].shape[0]
    )  # with zeros, which change no product: one width for all three
    kernels[:2] = [np.pad(kernel, ((0, wider), (0, 0), (0, 0), (0, 0))) for kernel in kernels[:2]]
    f, g, h = (conv(x, kernel) for kernel in kernels)
    query, key, value = (_positions(part) for part in (f, _halved(g), _halved(h)))
    seen = _seen(query, key, value)
    shape = [1, kernels[2].shape[0], *x.shape[2:]]
    back = op.reshape(op.transpose(seen, whole(0, 1, 3, 2)), whole(*shape), False)
    return op.add(x, op.multiply(back, const(weights[f"{name}.weight"])))


def _seen(query: Any, key: Any, value: Any) -> Any:
    """softmax(query key^T) value, for a part of the positions at a time: for all together its memory would grow by their square."""
    ov = load_openvino()
    op = ov.opset13
    count, width = query.shape[2], query.shape[3]
    part = min(count, max(1, MAX_SCORES // key.shape[2]))
    if part == count:
        return op.scaled_dot_product_attention(query, key, value, scale=const(1.0))
    query = op.pad(query, whole(0, 0, 0, 0), whole(0, 0, -count % part, 0), "constant")
    some = op.parameter([1, 1, part, width], ov.Type.f32)
    keys, values = (op.parameter(list(tensor.shape), ov.Type.f32) for tensor in (key, value))
    found = op.scaled_dot_product_attention(some, keys, values, scale=const(1.0))
    turns = op.tensor_iterator()
    turns.set_body(ov.Model([found], [some, keys, values], "attention"))
    turns.set_sliced_input(some, query.output(0), 0, part, part, -1, 2)
    turns.set_invariant_input(keys, key.output(0))
    turns.set_invariant_input(values, value.output(0))
    seen = turns.get_concatenated_slices(found.output(0), 0, part, part, -1, 2)
    return op.slice(seen, whole(0), whole(count), whole(1), whole(2))


def _halved(x: Any) -> Any:
    return (
        load_openvino()
        .opset13.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "ceil")
        .output(0)
    )


def _positions(x: Any) -> Any:
    """[1, C, H, W] to [1, 1, H * W, C]: one head, a row a position."""
    op = load_openvino().opset13
    channels = x.shape[1]
    return op.transpose(op.reshape(x, whole(1, 1, channels, -1), False), whole(0, 1, 3, 2))
