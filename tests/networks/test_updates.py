"""An update of `compact`: what it adds to the last pass, in golden numbers, and its bytes."""

import numpy as np
import pytest

from tinct.errors import CodecError
from tinct.motion.references import References
from tinct.networks.compact import Network, Runner, load_network
from tinct.networks.compact_config import CompactConfig
from tinct.networks.compact_update import (
    apply_update,
    decode_update,
    list_layers,
    list_update_shapes,
)
from tinct.networks.weights import encode_weights, quantise

CONFIG = CompactConfig(width=2, depth=1)


def zero_network() -> Network:
    """A network of two passes, all zeros: shares are equal and corrections 0."""
    zeros = {name: np.zeros(shape, np.float32) for name, shape in CONFIG.shapes.items()}
    return Network(name="test", identity="0" * 16, passes=((CONFIG, zeros), (CONFIG, zeros)))


def zero_update(rank: int = 1) -> dict[str, np.ndarray]:
    shapes = list_update_shapes(CONFIG, rank)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def flat_references(luma: int, chroma: int) -> References:
    return References(
        luma=np.full((5, 8, 8), luma, np.uint8),
        chroma=np.full((4, 2, 4, 4), chroma, np.uint8),
        distances=(1, 1),
        qps=(32, 32),
    )


def test_shapes_are_those_of_left_right_and_bias() -> None:
    """`enter` sees 16 samples of each of 5 luma sources, and the mean Cb and Cr of each of 4."""
    assert list(list_update_shapes(CONFIG, 3).items()) == [
        ("body.0.bias", (2,)),
        ("body.0.left", (3, 2)),
        ("body.0.right", (3, 18)),
        ("enter.bias", (2,)),
        ("enter.left", (3, 2)),
        ("enter.right", (3, 88)),
        ("leave.bias", (42,)),
        ("leave.left", (3, 42)),
        ("leave.right", (3, 2)),
    ]


@pytest.mark.parametrize("layer", list_layers(CONFIG))
def test_the_bias_of_an_update_is_added(layer: str) -> None:
    """Weights start from 1, so that a bias that replaces is told from one that is added."""
    network = zero_network()
    network.passes[-1][1][f"{layer}.bias"] += 1
    update = zero_update()
    update[f"{layer}.bias"] = np.linspace(0.25, 0.5, len(update[f"{layer}.bias"]), dtype=np.float32)
    changed = apply_update(network, update).passes[-1][1]
    assert np.array_equal(changed[f"{layer}.bias"], 1 + update[f"{layer}.bias"])
    others = [other for other in list_layers(CONFIG) if other != layer]
    assert not any(changed[f"{other}.bias"].any() for other in others)


def test_the_bias_of_an_update_shows_in_the_picture() -> None:
    """Corrections of 0.4 and -0.2, times 0.1 and the peak, 255: 10.2 and -5.1 levels."""
    update = zero_update()
    shares, correction = 4 * CONFIG.luma_sources, 16
    update["leave.bias"][shares : shares + correction] = 0.4
    update["leave.bias"][-2:] = -0.2
    for changes, expected in ((zero_update(), (100, 60, 60)), (update, (110, 55, 55))):
        config, weights = apply_update(zero_network(), changes).passes[-1]
        planes = Runner(config, weights, size=(8, 8), bit_depth=8)(flat_references(100, 60))
        assert [set(np.unique(plane)) for plane in planes] == [{level} for level in expected]


def test_the_product_of_left_and_right_is_added_to_the_kernel() -> None:
    network = zero_network()
    network.passes[-1][1]["body.0.weight"] += 1
    update = zero_update(rank=2)
    update["body.0.left"][:] = [[1, 2], [0, 1]]
    update["body.0.right"][:] = [[0.5] * 18, [0.25] * 9 + [0] * 9]
    kernel = apply_update(network, update).passes[-1][1]["body.0.weight"]
    # [outputs, inputs, 3, 3]: 1 * 0.5, then 2 * 0.5 + 1 * 0.25 for the first input alone
    assert kernel[:, :, 0, 0].tolist() == [[1.5, 1.5], [2.25, 2.0]]
    assert (kernel == kernel[:, :, :1, :1]).all()


def test_an_update_leaves_the_first_pass_and_the_shipped_network_alone() -> None:
    network, before = load_network("best"), load_network("best").passes[-1][1]["leave.bias"].copy()
    config = network.passes[-1][0]
    update = {n: np.ones(s, np.float32) for n, s in list_update_shapes(config, 1).items()}
    changed = apply_update(network, update)
    assert changed.passes[0] is network.passes[0]
    assert (changed.name, changed.identity) == (network.name, network.identity)
    assert np.array_equal(network.passes[-1][1]["leave.bias"], before)


def test_the_bytes_of_an_update_are_decoded_and_applied() -> None:
    random = np.random.default_rng(0)
    update = {
        name: quantise(random.normal(0, 0.1, shape), 6)
        for name, shape in list_update_shapes(CONFIG, 2).items()
    }
    found = decode_update(zero_network(), encode_weights(update), 2).passes[-1][1]
    bias = update["leave.bias"].dequantise((42,))
    assert bias.any()
    assert np.array_equal(found["leave.bias"], bias)
    left = update["body.0.left"].dequantise((2, 2))
    right = update["body.0.right"].dequantise((2, 18))
    assert np.array_equal(found["body.0.weight"], (left.T @ right).reshape(2, 2, 3, 3))
    with pytest.raises(CodecError, match="get the file again"):
        decode_update(zero_network(), encode_weights(update), 3)
