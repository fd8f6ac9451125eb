"""An update of `compact` for one video: small changes of the last pass, applied and decoded.

Each convolution's kernel [n, ...] becomes kernel + left.T @ right, with `left` [rank, n] and
`right` [rank, ...] flattened to two axes; to its bias [n] the update's is added.
`adapt.compact_update` trains updates.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinct.networks.compact import Network
from tinct.networks.compact_config import CompactConfig
from tinct.networks.weights import decode_weights


def list_layers(config: CompactConfig) -> list[str]:
    """Return the names of the convolutions that an update changes, sorted."""
    return sorted(name.removesuffix(".bias") for name in config.shapes if name.endswith(".bias"))


def list_update_shapes(config: CompactConfig, rank: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of an update, in the order of the names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in list_layers(config):
        outputs, *inputs = config.shapes[f"{layer}.weight"]
        shapes[f"{layer}.bias"] = (outputs,)
        shapes[f"{layer}.left"] = (rank, outputs)
        shapes[f"{layer}.right"] = (rank, int(np.prod(inputs)))
    return shapes


def apply_update(network: Network, update: Mapping[str, np.ndarray]) -> Network:
    """Return the network with an update's tensors added to its last pass."""
    *passes, (config, weights) = network.passes
    changed = dict(weights)
    for layer in list_layers(config):
        kernel = weights[f"{layer}.weight"]
        change = update[f"{layer}.left"].T @ update[f"{layer}.right"]
        changed[f"{layer}.weight"] = kernel + change.reshape(kernel.shape)
        changed[f"{layer}.bias"] = weights[f"{layer}.bias"] + update[f"{layer}.bias"]
    return replace(network, passes=(*passes, (config, changed)))


def decode_update(network: Network, data: bytes, rank: int) -> Network:
    """Return the network with the update of an `update.bin` applied.

    Raise CodecError where the bytes are not those of an update of this network and rank.
    """
    config, _ = network.passes[-1]
    return apply_update(network, decode_weights(data, list_update_shapes(config, rank)))
