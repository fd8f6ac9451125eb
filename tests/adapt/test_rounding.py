"""Learnt rounding: the same bits give pictures nearer to those of the exact network."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from tinct.adapt.rounding import learn_rounding
from tinct.networks.weights import encode_weights, quantise


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(12, 3, 1),
        )


def pictures(step: int) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(step).normal(0, 1, (1, 1, 24, 24)).astype(np.float32)
    )


def error(exact: nn.Module, sent: dict[str, np.ndarray]) -> float:
    rounded = network()
    rounded.load_state_dict({name: torch.from_numpy(value) for name, value in sent.items()})
    inputs = [pictures(step) for step in range(1000, 1020)]
    with torch.no_grad():
        errors = [(rounded(given) - exact(given)).square().mean() for given in inputs]
    return float(np.mean(errors))


@pytest.mark.slow
def test_three_bits_learnt_come_nearer_than_three_bits_rounded() -> None:
    exact = network()
    tensors = {name: tensor.numpy().copy() for name, tensor in exact.state_dict().items()}
    rounded = {
        name: quantise(tensor, 3 if tensor.ndim > 1 else 8) for name, tensor in tensors.items()
    }
    learnt = learn_rounding(exact, rounded, pictures, steps=300)
    before, after = (
        error(exact, {name: q.dequantise(tensors[name].shape) for name, q in some.items()})
        for some in (rounded, learnt)
    )
    assert after < 0.6 * before
    assert len(encode_weights(learnt)) == pytest.approx(len(encode_weights(rounded)), rel=0.05)
    for name, sent in learnt.items():
        assert sent.bits == rounded[name].bits
        assert np.abs(sent.integers).max() < 1 << (sent.bits - 1)
        assert tensors[name].ndim == 1 or np.array_equal(sent.steps, rounded[name].steps)
        assert np.array_equal(exact.state_dict()[name].numpy(), tensors[name]), (
            "the network itself is left as it is"
        )
