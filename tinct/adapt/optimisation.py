"""The parts that every training's step shares: learning rate, gradient step, averaged weights.

`gan`, `compact_update`, `rounding` and `tinct.training` own the loops around them.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tinct.adapt.processes import average_gradients
from tinct.errors import CodecError


def cosine_decay(done: float, total: float = 1.0) -> float:
    """Return the factor of the learning rate at `done` of `total`: 1 to 0 along half a cosine."""
    return 0.5 + 0.5 * math.cos(math.pi * done / total)


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def check_loss(loss: Tensor, step: int, *, advice: str, term: str = "") -> float:
    """Return `loss` as a number. Raises CodecError if it is not finite, before any weight moves."""
    found = float(loss.detach())
    if not math.isfinite(found):
        place = f"in its term {term} at step {step}" if term else f"at step {step}"
        raise CodecError(f"expected a finite loss in training, found {found} {place}; {advice}")
    return found


def descend(
    loss: Tensor,
    optimiser: Optimizer,
    parameters: Iterable[nn.Parameter] = (),
    *,
    max_gradient_norm: float | None = None,
) -> None:
    """Take one gradient step.

    Gradients of `parameters` are averaged over all processes, then clipped to a total norm of
    `max_gradient_norm`.
    """
    shared = list(parameters)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(shared)
    if max_gradient_norm is not None:
        torch.nn.utils.clip_grad_norm_(shared, max_gradient_norm)
    optimiser.step()


@torch.no_grad()
def average_weights(
    mean: Mapping[str, Tensor], network: nn.Module, decay: float, *, step: int
) -> None:
    """Move the running mean of the weights towards those of `network`, in place.

    Its decay rises to `decay` over the first steps, which are soon forgotten. Integer tensors are
    copied.
    """
    keep = min(decay, (1 + step) / (10 + step))
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            mean[name].lerp_(value, 1 - keep)
        else:
            mean[name].copy_(value)
