"""Which bits each tensor of an update gets: what it costs to send against what its rounding does to pictures."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tinct.networks.weights import Quantised, quantise

LEAST_HARM = 1e-4  # of squared error: what is harmless alone need not be so beside others
PRICES = np.geomspace(1e-12, 1e-7, 21)  # of a bit, in squared error of pictures in [-1, 1]


@dataclass(frozen=True)
class Allocation:
    """Tensors as they will be sent, and the ratio of squared error with them to that with exact ones."""

    tensors: dict[str, Quantised]
    ratio: float

    def values(self, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What a decoder has of them."""
        return {name: tensor.values(like[name].shape) for name, tensor in self.tensors.items()}


@dataclass(frozen=True)
class _Option:
    """One way to send a tensor: its squared error and the bits that it takes, about."""

    tensor: Quantised
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
    """The cheapest of what `bits` allows for each tensor, by the squared `error` of pictures that some weights make.

    `error_per_bit` is by how much, as a part of it, squared error has to fall for one bit; it never grows by more than the factor
    `most_ratio`, unless the finest of all does that. A tensor's harm is taken as its squared error times what that did to pictures
    at its fewest bits; the allocations at each price are then measured.
    """
    options = {name: [_option(tensor, b) for b in bits(tensor)] for name, tensor in tensors.items()}
    exact = error(tensors)
    harm = {}
    for name, tensor in tensors.items():
        coarsest = options[name][0]
        if len(options[name]) == 1:  # nothing to choose
            harm[name] = 0.0
            continue
        worse = error({**tensors, name: coarsest.tensor.values(tensor.shape)}) - exact
        harm[name] = max(worse, LEAST_HARM * exact) / max(coarsest.error, 1e-30)
    best, best_cost = Allocation({}, 1.0), math.inf
    for chosen in _by_price(options, harm):
        found = Allocation({name: option.tensor for name, option in chosen.items()}, 1.0)
        found = Allocation(found.tensors, error(found.values(tensors)) / exact)
        cost = found.ratio + error_per_bit * sum(option.size_bits for option in chosen.values())
        if not best.tensors or (cost < best_cost and found.ratio <= most_ratio):
            best, best_cost = found, cost
    return best


def _by_price(
    options: dict[str, list[_Option]], harm: dict[str, float]
) -> Iterator[dict[str, _Option]]:
    """For each price of a bit the cheapest way to send each tensor; the finest first."""
    seen = set()
    for price in PRICES:
        chosen = {}
        for name, some in options.items():
            costs = [harm[name] * option.error + price * option.size_bits for option in some]
            chosen[name] = some[int(np.argmin(costs))]
        allocation = tuple(option.tensor.bits for option in chosen.values())
        if allocation not in seen:
            seen.add(allocation)
            yield chosen


def _option(tensor: np.ndarray, bits: int) -> _Option:
    quantised = quantise(tensor, bits)
    error = float(((quantised.values(tensor.shape) - tensor).astype(np.float64) ** 2).sum())
    counts = np.unique(quantised.integers, return_counts=True)[1]
    entropy = -float((counts * np.log2(counts / counts.sum())).sum())
    return _Option(quantised, error, entropy + 8 * len(quantised.steps))
