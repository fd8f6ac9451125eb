"""Weights learnt once more with their rounding in view: with the same bits they come nearer to the exact network's pictures."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tinct.networks.weights import FINEST_STEP_LOG2, STEPS_PER_OCTAVE, Quantised, quantise

LEARNING_RATE = 3e-4


class _Rounded(nn.Module):
    """A tensor on the steps and within the bits of how it will be sent; gradients pass as if it were exact."""

    def __init__(self, sent: Quantised) -> None:
        super().__init__()
        step = 2.0 ** (sent.steps / STEPS_PER_OCTAVE + FINEST_STEP_LOG2)
        self.register_buffer("step", torch.from_numpy(step.astype(np.float32))[:, None])
        self.limit = (1 << (sent.bits - 1)) - 1

    def integers(self, tensor: Tensor) -> Tensor:
        step = self.get_buffer("step")
        return (tensor.reshape(len(step), -1) / step).clamp(-self.limit, self.limit)

    def forward(self, tensor: Tensor) -> Tensor:
        exact = self.integers(tensor)
        rounded = exact + (exact.round() - exact).detach()
        return (rounded * self.get_buffer("step")).reshape(tensor.shape)


def relearn(
    network: nn.Module,
    sent: Mapping[str, Quantised],
    inputs: Callable[[int], Tensor],
    *,
    steps: int,
) -> dict[str, Quantised]:
    """The tensors of `network` as `sent`, with other integers, by which it comes nearer to what it makes of `inputs` now.

    `inputs` gives some for the number of each training step. The steps and bits of `sent` stay; tensors of one dimension are
    learnt and rounded afterwards. `network` itself is left as it is.
    """
    learner = copy.deepcopy(network)
    parts: dict[str, tuple[Any, str]] = {
        name: (learner.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2])
        for name in sent
    }
    rounded = {
        name: _Rounded(tensor) for name, tensor in sent.items() if getattr(*parts[name]).ndim > 1
    }
    for name, rounding in rounded.items():
        parametrize.register_parametrization(
            *parts[name], rounding.to(next(network.parameters()).device)
        )
    optimiser = torch.optim.Adam(learner.parameters(), lr=LEARNING_RATE)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        given = inputs(step)
        with torch.no_grad():
            wanted = network(given)
        loss = (learner(given) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = {}
    for name, tensor in sent.items():
        module, part = parts[name]
        if name in rounded:
            exact = module.parametrizations[part].original.detach()
            found[name] = Quantised(
                rounded[name].integers(exact).round().cpu().numpy().astype(np.int32),
                tensor.steps,
                tensor.bits,
            )
        else:
            found[name] = quantise(getattr(module, part).detach().cpu().numpy(), tensor.bits)
    return found
