"""Learnt rounding: with the same bits, the pictures come nearer to those of the exact network.

`bits` chooses the number of bits before; `networks.weights` quantises and codes.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tinct.adapt.budget import Limit
from tinct.adapt.optimisation import cosine_decay, descend, set_learning_rate
from tinct.networks.weights import FINEST_STEP_LOG2, STEPS_PER_OCTAVE, QuantisedTensor, quantise
from tinct.phases import tell

LEARNING_RATE = 3e-4


def learn_rounding(
    network: nn.Module,
    sent: Mapping[str, QuantisedTensor],
    inputs: Callable[[int], Tensor],
    *,
    steps: int,
    limit: Limit | None = None,
) -> dict[str, QuantisedTensor]:
    """Return the tensors of `sent` with integers that reproduce the outputs of `network` better.

    `inputs` returns what the network is given in a training step, by its number. Quantisation steps
    and bits stay those of `sent`; tensors of one dimension are learnt without rounding and
    quantised afterwards. `network` is not changed. It ends early where `limit` has no
    time left.
    """
    learner = copy.deepcopy(network)
    parts = {name: _find_part(learner, name) for name in sent}
    rounded = {
        name: _Rounding(tensor) for name, tensor in sent.items() if getattr(*parts[name]).ndim > 1
    }
    device = next(network.parameters()).device
    for name, rounding in rounded.items():
        parametrize.register_parametrization(*parts[name], rounding.to(device))
    optimiser = torch.optim.Adam(learner.parameters(), lr=LEARNING_RATE)
    for step in range(steps):
        if limit is not None and limit.is_late:
            break
        tell("learning rounding", step, steps)
        set_learning_rate(optimiser, LEARNING_RATE * cosine_decay(step, steps))
        given = inputs(step)
        with torch.no_grad():
            target = network(given)
        descend((learner(given) - target).square().mean(), optimiser)
    found = {}
    for name, tensor in sent.items():
        module, part = parts[name]
        if name in rounded:
            exact = module.parametrizations[part].original.detach()
            integers = rounded[name].integers(exact).round().cpu().numpy().astype(np.int32)
            found[name] = QuantisedTensor(integers, tensor.steps, tensor.bits)
        else:
            found[name] = quantise(getattr(module, part).detach().cpu().numpy(), tensor.bits)
    return found


def _find_part(network: nn.Module, name: str) -> tuple[Any, str]:
    """Return the module that holds a tensor of the state dict, and the tensor's name in it."""
    module, _, part = name.rpartition(".")
    return network.get_submodule(module), part


class _Rounding(nn.Module):
    """Rounds a tensor to its quantisation steps and bits; gradients pass straight through."""

    def __init__(self, sent: QuantisedTensor) -> None:
        super().__init__()
        step = 2.0 ** (sent.steps / STEPS_PER_OCTAVE + FINEST_STEP_LOG2)
        self.register_buffer("step", torch.from_numpy(step.astype(np.float32))[:, None])
        self.limit = (1 << (sent.bits - 1)) - 1

    def integers(self, tensor: Tensor) -> Tensor:
        """Return the tensor in steps, [channels, values], clamped to its bits but not rounded."""
        step = self.get_buffer("step")
        return (tensor.reshape(len(step), -1) / step).clamp(-self.limit, self.limit)

    def forward(self, tensor: Tensor) -> Tensor:
        exact = self.integers(tensor)
        rounded = exact + (exact.round() - exact).detach()
        return (rounded * self.get_buffer("step")).reshape(tensor.shape)
