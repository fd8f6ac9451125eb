"""An update of `compact` for one video: a change of low rank of each convolution of the last pass, and of its biases.

A kernel [n, ...] becomes itself plus left.T @ right, for `left` [rank, n] and `right` [rank, ...].
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinct.networks.compact import Network
from tinct.networks.compact_config import CompactConfig
from tinct.networks.weights import decode_weights


def layers(config: CompactConfig) -> list[str]:
    """Convolutions that an update changes."""
    return sorted(name.removesuffix(".bias") for name in config.shapes if name.endswith(".bias"))


def update_shapes(config: CompactConfig, rank: int) -> dict[str, tuple[int, ...]]:
    """Of every tensor of an update, in the order of the names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers(config):
        outputs, *inputs = config.shapes[f"{layer}.weight"]
        shapes |= {
            f"{layer}.bias": (outputs,),
            f"{layer}.left": (rank, outputs),
            f"{layer}.right": (rank, int(np.prod(inputs))),
        }
    return shapes


def updated(network: Network, update: Mapping[str, np.ndarray]) -> Network:
    """The network with an update's tensors in its last pass."""
    *passes, (config, weights) = network.passes
    changed = dict(weights)
    for layer in layers(config):
        kernel = weights[f"{layer}.weight"]
        changed[f"{layer}.weight"] = kernel + (
            update[f"{layer}.left"].T @ update[f"{layer}.right"]
        ).reshape(kernel.shape)
        changed[f"{layer}.bias"] = weights[f"{layer}.bias"] + update[f"{layer}.bias"]
    return replace(network, passes=(*passes, (config, changed)))


def decoded(network: Network, data: bytes, rank: int) -> Network:
    """The network with the update of `update.bin`. Raises CodecError where those are not the bytes of one."""
    return updated(network, decode_weights(data, update_shapes(network.passes[-1][0], rank)))
