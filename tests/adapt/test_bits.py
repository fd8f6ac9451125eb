"""The choice of bits for each tensor of an update, on an error that is computed by hand."""

from collections.abc import Mapping

import numpy as np
import pytest

from tinct.adapt.bits import Allocation, allocate

TENSORS = {
    name: np.random.default_rng(number).normal(0, 1, (4, 50)).astype(np.float32)
    for number, name in enumerate(("important", "idle"))
}


def error(weights: Mapping[str, np.ndarray]) -> float:
    """Return 0.001 and what a change of the tensor `important` adds to it."""
    change = weights["important"] - TENSORS["important"]
    return 1e-3 + 1e-6 * float((change.astype(np.float64) ** 2).sum())


def choose(error_per_bit: float, most_ratio: float = 10.0) -> Allocation:
    return allocate(
        TENSORS, lambda _: range(3, 9), error, error_per_bit=error_per_bit, most_ratio=most_ratio
    )


def test_bits_go_where_they_reduce_the_error() -> None:
    found = choose(1e-6)
    assert found.tensors["important"].bits > found.tensors["idle"].bits
    assert found.ratio == pytest.approx(error(found.dequantise(TENSORS)) / 1e-3)


def test_dearer_bits_are_fewer() -> None:
    cheap, dear = choose(1e-9), choose(1e-3)
    assert dear.tensors["important"].bits < cheap.tensors["important"].bits
    assert dear.ratio > cheap.ratio


def test_an_error_above_the_limit_is_refused_whatever_it_saves() -> None:
    free = choose(1e-3)
    limit = 1 + (free.ratio - 1) / 10
    limited = choose(1e-3, limit)
    assert limited.ratio <= limit
    assert limited.tensors["important"].bits > free.tensors["important"].bits
