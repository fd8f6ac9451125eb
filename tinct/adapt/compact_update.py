"""An update of `compact` for one video: a low-rank change learnt on crops, coded as `update.bin`.

`crops` gathers what it learns from; `networks.compact_update` decodes an update and applies it. The
encoder keeps it only where the file gets better by it.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tinct.adapt.bits import BIT_PRICES, allocate
from tinct.adapt.budget import Budget, Limit, Step
from tinct.adapt.compact_loss import DECIBELS, log_error, make_batch
from tinct.adapt.crops import Crop
from tinct.adapt.optimisation import check_loss, cosine_decay, descend, set_learning_rate
from tinct.adapt.processes import use_one_thread
from tinct.limits import MAX_RANK
from tinct.networks.compact import Network
from tinct.networks.compact_config import CompactConfig
from tinct.networks.compact_update import apply_update, list_layers, list_update_shapes
from tinct.networks.trainable.compact import Batch, Compact, plane_errors
from tinct.networks.weights import encode_weights

MIN_SIDE = 32  # luma samples of a picture that can be learnt from: the rim of a crop has no loss
BATCH = 8
LEARNING_RATE = 3e-3
WARM_UP_STEPS = 20
FLOOR = 0.2  # squared error, in 8-bit levels; see `log_error`
ADVICE = "encode with --adapt off"  # after a loss that is not finite
WATCHED_CROPS = 96
WATCHED_STEPS = 50  # between two measurements of the watched crops
RANK_BYTES = 650  # in the file, about, for each rank of an update
UPDATE_SHARE = 0.035  # of a file that an update may take
MAX_WORSE = 10**0.005  # growth of squared error by quantisation: 0.05 dB
BITS = range(4, 9)  # that a tensor of an update may have
# A budget "auto" counts steps, so that the same video always gives the same file.
AUTO_STEPS_PER_FRAME, MAX_AUTO_STEPS = 4, 2000


@dataclass(frozen=True)
class CompactUpdate:
    """A coded update, and the network as a decoder has it."""

    rank: int
    data: bytes
    network: Network


def choose_rank(size_bytes: int, shape: tuple[int, int]) -> int:
    """Return the rank of the update of a file of `size_bytes`, a power of two up to MAX_RANK.

    0 where an update would take too much of the file, or the pictures are too small to learn from.
    """
    if min(shape) < MIN_SIDE:
        return 0
    affordable = int(size_bytes * UPDATE_SHARE / RANK_BYTES)
    return min(1 << (affordable.bit_length() - 1), MAX_RANK) if affordable else 0


def parse_budget(adapt: str, frames: int, crops: int) -> Budget:
    """Parse --adapt for a video of `frames` frames; an epoch is one pass over `crops` crops."""
    if adapt == "auto":
        return Budget(steps=min(AUTO_STEPS_PER_FRAME * frames, MAX_AUTO_STEPS))
    return Budget.parse(adapt, max(1, crops // BATCH))


@use_one_thread()
def train_update(
    network: Network,
    crops: list[Crop],
    peak: int,
    *,
    rank: int,
    budget: Budget,
    error_per_bit: float,
    progress: Callable[[Step], None] | None = None,
) -> CompactUpdate:
    """Learn an update of the last pass of `network` on crops of samples in 0 to `peak`.

    `error_per_bit` as in `bits.allocate`. Raises CodecError if the loss is not finite.
    """
    config, weights = network.passes[-1]
    watched = [make_batch(batch, peak) for batch in _spread_batches(crops)]
    model = _load_model(config, weights)
    parameters = _attach_update(model, rank)
    began = time.monotonic()
    _mean_error(model, watched)
    seconds = (time.monotonic() - began) * (1 + len(parameters) + len(BIT_PRICES))
    training, searching = budget.split(seconds)
    _learn(
        model,
        parameters,
        lambda random: make_batch(
            [crops[i] for i in random.integers(len(crops), size=BATCH)], peak
        ),
        budget=training,
        watched=watched,
        progress=progress,
    )
    learnt = {name: tensor.detach().numpy() for name, tensor in parameters.items()}
    assert {name: value.shape for name, value in learnt.items()} == list_update_shapes(config, rank)

    def error(update: Mapping[str, np.ndarray]) -> float:
        _, tensors = apply_update(network, update).passes[-1]
        return _mean_error(_load_model(config, tensors), watched)

    found = allocate(
        learnt,
        lambda _: BITS,
        error,
        error_per_bit=error_per_bit,
        most_ratio=MAX_WORSE,
        limit=Limit(searching),
    )
    return CompactUpdate(
        rank, encode_weights(found.tensors), apply_update(network, found.dequantise(learnt))
    )


def _learn(
    model: Compact,
    update: Mapping[str, nn.Parameter],
    draw_batch: Callable[[np.random.Generator], Batch],
    *,
    budget: Budget,
    watched: list[Batch],
    progress: Callable[[Step], None] | None,
) -> None:
    """Train the tensors of `update`, which is attached to `model`, until the budget is spent."""
    optimiser = torch.optim.Adam(update.values(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    random = np.random.default_rng(0)
    steps, seconds = 0, 0.0
    while (spent := budget.spent(steps, seconds)) < 1:
        began = time.monotonic()
        warm_up = min(1, (steps + 1) / WARM_UP_STEPS)
        set_learning_rate(optimiser, LEARNING_RATE * warm_up * cosine_decay(spent))
        loss = _error_db(model, draw_batch(random)).mean()
        error_db = check_loss(loss, steps, advice=ADVICE)
        descend(loss, optimiser)
        steps, seconds = steps + 1, seconds + time.monotonic() - began
        if progress is not None:
            is_watched = steps % WATCHED_STEPS == 0
            watched_db = 10 * math.log10(4 / _mean_error(model, watched)) if is_watched else None
            progress(Step(steps, spent, {"error_db": error_db}, watched_db=watched_db))


def _error_db(model: Compact, batch: Batch) -> Tensor:
    """Return the error of each crop in dB, weighted 6:1:1 over the planes: [B]."""
    return DECIBELS * log_error(plane_errors(model, batch), FLOOR)


@torch.no_grad()
def _mean_error(model: Compact, batches: list[Batch]) -> float:
    """Return the geometric mean of the crops' squared errors, for samples in [-1, 1]."""
    found = torch.cat([_error_db(model, batch) for batch in batches]).mean()
    return float(10 ** (float(found) / 10) / 127.5**2)


def _spread_batches(crops: list[Crop]) -> list[list[Crop]]:
    """Choose WATCHED_CROPS at even distances, and group them by BATCH."""
    count = min(WATCHED_CROPS, len(crops))
    chosen = np.linspace(0, len(crops) - 1, count).round().astype(int)
    groups = [chosen[first : first + BATCH] for first in range(0, count, BATCH)]
    return [[crops[i] for i in group] for group in groups]


def _load_model(config: CompactConfig, weights: Mapping[str, np.ndarray]) -> Compact:
    model = Compact(config)
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    return model


def _attach_update(model: Compact, rank: int) -> dict[str, nn.Parameter]:
    """Freeze `model` but for an update, attached to its layers; return the update's tensors.

    The update starts as no change.
    """
    random = torch.Generator().manual_seed(0)
    update: dict[str, nn.Parameter] = {}
    model.requires_grad_(False)
    for name in list_layers(model.config):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        kernel, bias = _KernelChange(layer.weight, rank, random), _BiasChange(len(layer.weight))
        parametrize.register_parametrization(layer, "weight", kernel)
        parametrize.register_parametrization(layer, "bias", bias)
        update |= {
            f"{name}.bias": bias.shift,
            f"{name}.left": kernel.left,
            f"{name}.right": kernel.right,
        }
    return update


class _KernelChange(nn.Module):
    """The low-rank change of a kernel [n, ...]: left.T @ right is added."""

    def __init__(self, kernel: Tensor, rank: int, random: torch.Generator) -> None:
        super().__init__()
        inputs = kernel[0].numel()
        self.left = nn.Parameter(torch.zeros(rank, len(kernel)))
        self.right = nn.Parameter(torch.randn(rank, inputs, generator=random) / math.sqrt(inputs))

    def forward(self, kernel: Tensor) -> Tensor:
        return kernel + (self.left.T @ self.right).view(kernel.shape)


class _BiasChange(nn.Module):
    """The change of a bias: `shift` is added."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(count))

    def forward(self, bias: Tensor) -> Tensor:
        return bias + self.shift
