"""The number of bits of each tensor of an update: its cost in the file against the error it causes.

`networks.weights` quantises and codes the tensors; `rounding` then learns their integers again.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tinct.adapt.budget import Limit
from tinct.networks.weights import QuantisedTensor, quantise
from tinct.phases import tell

SEARCHING = "searching bits"  # the phase

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
    limit: Limit | None = None,
) -> Allocation:
    """Choose the number of bits of each tensor, as `BitSearch` does; None is no limit."""
    search = BitSearch(tensors, bits, error, limit=limit or Limit())
    return search.choose(error_per_bit=error_per_bit, most_ratio=most_ratio)


class BitSearch:
    """Chooses the number of bits of each tensor at the least cost, of those that `bits` allows.

    `error` returns the squared error of the pictures that given weights make. Candidates come from
    a model (the harm of a tensor is proportional to its squared error), made once; each is then
    measured. Where `limit` is short, tensors that were not measured do as much harm as the others.
    """

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray],
        bits: Callable[[np.ndarray], range],
        error: Callable[[Mapping[str, np.ndarray]], float],
        *,
        limit: Limit,
    ) -> None:
        self._tensors, self._error, self._limit = tensors, error, limit
        self._options = {
            name: [_quantise_option(tensor, b) for b in bits(tensor)]
            for name, tensor in tensors.items()
        }
        open_names = [name for name, ways in self._options.items() if len(ways) > 1]
        self._total = 1 + len(open_names) + len(BIT_PRICES)
        self._exact = self._measure(tensors)
        self._harm = self._measure_harm(open_names)

    def choose(self, *, error_per_bit: float, most_ratio: float) -> Allocation:
        """Return the allocation of the least cost.

        The cost is the error as a ratio to the exact one, plus `error_per_bit` for each bit.
        Allocations whose ratio exceeds `most_ratio` are refused, except the finest.
        """
        best, best_cost = Allocation({}, 1.0), math.inf
        for chosen in _choose_by_price(self._options, self._harm):
            if best.tensors and not self._limit.allows():
                break
            found = Allocation({name: option.tensor for name, option in chosen.items()}, 1.0)
            ratio = self._measure(found.dequantise(self._tensors)) / self._exact
            found = Allocation(found.tensors, ratio)
            cost = found.ratio + error_per_bit * sum(option.size_bits for option in chosen.values())
            if not best.tensors or (cost < best_cost and found.ratio <= most_ratio):
                best, best_cost = found, cost
        return best

    def _measure(self, tensors: Mapping[str, np.ndarray]) -> float:
        found = self._error(tensors)
        self._limit.count += 1
        tell(SEARCHING, min(self._limit.count, self._total), self._total)
        return found

    def _measure_harm(self, names: list[str]) -> dict[str, float]:
        """Return the harm of each tensor's squared error; 0 where there is no choice."""
        harm = dict.fromkeys(self._options, 0.0)
        least = MIN_HARM * self._exact
        measured: list[float] = []
        for name in names:
            coarsest = self._options[name][0]
            if self._limit.allows(1 + len(BIT_PRICES)):
                coarse = coarsest.tensor.dequantise(self._tensors[name].shape)
                worse = self._measure({**self._tensors, name: coarse}) - self._exact
                harm[name] = max(worse, least) / max(coarsest.error, 1e-30)
                measured.append(harm[name])
            else:
                usual = float(np.median(measured)) if measured else 0.0
                harm[name] = usual or least / max(coarsest.error, 1e-30)
        return harm


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
