"""The number of bits of each tensor of an update: its cost in the file against the error it causes.

`networks.weights` quantises and codes the tensors; `rounding` then learns their integers again.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tinct.networks.weights import QuantisedTensor, quantise

# Share of the squared error: a tensor that does no harm alone may do some beside others.
MIN_HARM = 1e-4
BIT_PRICES = np.geomspace(1e-12, 1e-7, 21)  # squared error of pictures in [-1, 1], per bit


@dataclass(frozen=True)
class Allocation:
    """Tensors as they are sent; `ratio` is squared error with them over that with exact tensors."""

    tensors: dict[str, QuantisedTensor]
    ratio: float

    def dequantise(self, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the tensors that a decoder has, in the shapes of `like`."""
        return {name: tensor.dequantise(like[name].shape) for name, tensor in self.tensors.items()}


@dataclass(frozen=True)
class _Option:
    """One way to send a tensor: its squared error, and an estimate of its size."""

    tensor: QuantisedTensor
    error: float
    size_bits: float


def allocate(
    tensors: Mapping[str, np.ndarray],
    bits: Callable[[np.ndarray], range],
    error: Callable[[Mapping[str, np.ndarray]], float],
    *,
    error_per_bit: float,
    most_ratio: float,
) -> Allocation:
    """Choose the number of bits of each tensor at the least cost, of those that `bits` allows.

    `error` returns the squared error of the pictures that given weights make. The cost is that
    error as a ratio to the exact one, plus `error_per_bit` for each bit. Allocations whose ratio
    exceeds `most_ratio` are refused, except the finest. Candidates come from a model (the harm of
    a tensor is proportional to its squared error); each is then measured.
    """
    options = {
        name: [_quantise_option(tensor, b) for b in bits(tensor)]
        for name, tensor in tensors.items()
    }
    exact = error(tensors)
    harm = {}
    for name, tensor in tensors.items():
        coarsest = options[name][0]
        if len(options[name]) == 1:  # there is no choice
            harm[name] = 0.0
            continue
        worse = error({**tensors, name: coarsest.tensor.dequantise(tensor.shape)}) - exact
        harm[name] = max(worse, MIN_HARM * exact) / max(coarsest.error, 1e-30)
    best, best_cost = Allocation({}, 1.0), math.inf
    for chosen in _choose_by_price(options, harm):
        found = Allocation({name: option.tensor for name, option in chosen.items()}, 1.0)
        found = Allocation(found.tensors, error(found.dequantise(tensors)) / exact)
        cost = found.ratio + error_per_bit * sum(option.size_bits for option in chosen.values())
        if not best.tensors or (cost < best_cost and found.ratio <= most_ratio):
            best, best_cost = found, cost
    return best


def _choose_by_price(
    options: dict[str, list[_Option]], harm: dict[str, float]
) -> Iterator[dict[str, _Option]]:
    """Yield the cheapest option of each tensor at each bit price, finest first, no set twice."""
    found = set()
    for price in BIT_PRICES:
        chosen = {}
        for name, ways in options.items():
            costs = [harm[name] * way.error + price * way.size_bits for way in ways]
            chosen[name] = ways[int(np.argmin(costs))]
        allocation = tuple(option.tensor.bits for option in chosen.values())
        if allocation not in found:
            found.add(allocation)
            yield chosen


def _quantise_option(tensor: np.ndarray, bits: int) -> _Option:
    """Quantise `tensor`; its size is the entropy of its integers, plus one byte for each step."""
    quantised = quantise(tensor, bits)
    error = float(((quantised.dequantise(tensor.shape) - tensor).astype(np.float64) ** 2).sum())
    counts = np.unique(quantised.integers, return_counts=True)[1]
    entropy = -float((counts * np.log2(counts / counts.sum())).sum())
    return _Option(quantised, error, entropy + 8 * len(quantised.steps))
