"""`compact` trained on one video: crops of what the decoder mixes, and a change of low rank learnt on them, as `update.bin`.

`encoder` gathers while it codes and keeps the update where the file gets better by it; `colouriser.lowrank` applies it.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tinct.adapt.bits import allocate
from tinct.adapt.budget import Budget, Step
from tinct.adapt.checkpoint import on_one_thread
from tinct.errors import CodecError
from tinct.frames import Frame
from tinct.limits import MAX_RANK
from tinct.motion.references import References
from tinct.networks.compact import Network
from tinct.networks.compact_config import CELL
from tinct.networks.compact_update import layers, update_shapes, updated
from tinct.networks.trainable.compact import Batch, Compact, cells, plane_errors
from tinct.networks.weights import encode_weights
from tinct.psnr import PLANE_WEIGHTS

SIDE, MIN_SIDE = 128, 32  # luma samples of a crop; of a picture, whose rim is not judged
CROPS_PER_FRAME = 4
MAX_FRAMES = 192  # with crops that are kept; beyond it every second is dropped
BATCH = 8
LEARNING_RATE = 3e-3
WARM_UP_STEPS = 20
FLOOR = 0.2  # squared error, in 8-bit levels, below which less is worth little
WEIGHED_CROPS = 96
WATCHED_STEPS = 50  # from one look at the weighed crops to the next
RANK_BYTES = 650  # that one rank takes, about
UPDATE_SHARE = 0.035  # of a file, that an update may take
MAX_WORSE = 10**0.005  # that rounding may make squared error: 0.05 dB
AUTO_STEPS_PER_FRAME, MAX_AUTO_STEPS = (
    4,
    2000,
)  # of a budget "auto": in steps, so that the same video gives the same file
Crop = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # luma and chroma of the sources and the original, conditions


def rank_for(size_bytes: int, shape: tuple[int, int]) -> int:
    """The rank of an update that a file of this size can bear; 0 where none would pay, or pictures are too small to learn from."""
    if min(shape) < MIN_SIDE:
        return 0
    bearable = int(size_bytes * UPDATE_SHARE / RANK_BYTES)
    return min(1 << (bearable.bit_length() - 1), MAX_RANK) if bearable else 0


def budget_of(adapt: str, frames: int, crops: int) -> Budget:
    """What --adapt says; an epoch is `crops` in batches."""
    if adapt == "auto":
        return Budget(steps=min(AUTO_STEPS_PER_FRAME * frames, MAX_AUTO_STEPS))
    return Budget.parse(adapt, max(1, crops // BATCH))


class Crops:
    """Places in frames as the last pass sees them, beside the original, spread over the video.

    `see` is called by whichever thread restores a frame, `take` in order of time when it is finished. What is kept lies in one
    place, filled again and again, so that a longer video takes no more memory.
    """

    def __init__(self) -> None:
        self._seen: dict[int, Crop] = {}  # CROPS_PER_FRAME of them, one behind the other
        self._kept: Crop | None = (
            None  # of MAX_FRAMES + 1 frames, the first `_frames` of which count
        )
        self._frames, self._every, self._count = 0, 1, 0

    def see(self, original: Frame, frame: References) -> None:
        random = np.random.default_rng(original.pts)  # of nothing that depends on the threads
        high, wide = (side // CELL * CELL for side in original.y.shape)
        luma = np.concatenate((frame.luma, original.y[None]))
        chroma = np.concatenate((frame.chroma, np.stack((original.cb, original.cr))[None]))
        lumas, chromas = [], []
        for _ in range(CROPS_PER_FRAME):
            row, column = (
                int(random.integers(0, (side - min(SIDE, side)) // CELL + 1)) * CELL
                for side in (high, wide)
            )
            end_row, end_column = min(row + SIDE, high), min(column + SIDE, wide)
            lumas.append(luma[:, row:end_row, column:end_column])
            chromas.append(chroma[:, :, row // 2 : end_row // 2, column // 2 : end_column // 2])
        self._seen[original.pts] = (
            np.stack(lumas),
            np.stack(chromas),
            np.stack([frame.conditions] * CROPS_PER_FRAME),
        )

    def take(self, pts: int) -> None:
        crops = self._seen.pop(pts, None)
        if crops is None:  # a key frame
            return
        if self._count % self._every == 0:
            self._keep(crops)
        self._count += 1

    def _keep(self, crops: Crop) -> None:
        if self._kept is None:
            luma, chroma, conditions = (
                np.empty((MAX_FRAMES + 1, *part.shape), part.dtype) for part in crops
            )
            self._kept = luma, chroma, conditions
        for kept, part in zip(self._kept, crops, strict=True):
            kept[self._frames] = part
        self._frames += 1
        if self._frames > MAX_FRAMES:
            for to, source in enumerate(range(0, self._frames, 2)):
                for kept in self._kept:
                    kept[to] = kept[source]
            self._frames, self._every = to + 1, 2 * self._every

    def all(self) -> list[Crop]:
        if self._kept is None:
            return []
        luma, chroma, conditions = (
            part[: self._frames].reshape(-1, *part.shape[2:]) for part in self._kept
        )
        return list(zip(luma, chroma, conditions, strict=True))


@dataclass(frozen=True)
class Tuned:
    """An update, and the network as a decoder will have it."""

    rank: int
    data: bytes
    network: Network


class _Change(nn.Module):
    """A kernel and what is added to it."""

    def __init__(self, kernel: Tensor, rank: int, random: torch.Generator) -> None:
        super().__init__()
        inputs = kernel[0].numel()
        self.left = nn.Parameter(torch.zeros(rank, len(kernel)))
        self.right = nn.Parameter(torch.randn(rank, inputs, generator=random) / math.sqrt(inputs))

    def forward(self, kernel: Tensor) -> Tensor:
        return kernel + (self.left.T @ self.right).view(kernel.shape)


class _Shift(nn.Module):
    """What is added to a bias."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(count))

    def forward(self, bias: Tensor) -> Tensor:
        return bias + self.shift


@on_one_thread()
def tune(
    network: Network,
    crops: list[Crop],
    peak: int,
    *,
    rank: int,
    budget: Budget,
    error_per_bit: float,
    progress: Callable[[Step], None] | None = None,
) -> Tuned:
    """Learn on `crops` of 0 to `peak`; `error_per_bit` as `allocate` has it. Raises CodecError for a loss that is no number."""
    config, weights = network.passes[-1]
    watched = [_batch(some, peak) for some in _spread(crops)]
    model = Compact(config)
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    learnt = _learn(model, crops, peak, rank, budget, watched, progress)
    assert {name: value.shape for name, value in learnt.items()} == update_shapes(config, rank)

    def error(update: Mapping[str, np.ndarray]) -> float:
        tensors = updated(network, update).passes[-1][1]
        model = Compact(config)
        model.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
        return _mean_error(model, watched)

    found = allocate(
        learnt, lambda _: range(4, 9), error, error_per_bit=error_per_bit, most_ratio=MAX_WORSE
    )
    return Tuned(rank, encode_weights(found.tensors), updated(network, found.values(learnt)))


def _changeable(model: Compact, rank: int) -> dict[str, nn.Parameter]:
    """Make `model` one that changes by an update alone, and that update's tensors, which begin with no change."""
    random = torch.Generator().manual_seed(0)
    update: dict[str, nn.Parameter] = {}
    model.requires_grad_(False)
    for name in layers(model.config):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        change, shift = _Change(layer.weight, rank, random), _Shift(len(layer.weight))
        parametrize.register_parametrization(layer, "weight", change)
        parametrize.register_parametrization(layer, "bias", shift)
        update |= {
            f"{name}.bias": shift.shift,
            f"{name}.left": change.left,
            f"{name}.right": change.right,
        }
    return update


def _learn(
    model: Compact,
    crops: list[Crop],
    peak: int,
    rank: int,
    budget: Budget,
    watched: list[Batch],
    progress: Callable[[Step], None] | None,
) -> dict[str, np.ndarray]:
    """Train an update of `model`."""
    update = _changeable(model, rank)
    optimiser = torch.optim.Adam(update.values(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    random = np.random.default_rng(0)
    steps, seconds = 0, 0.0
    while (spent := budget.spent(steps, seconds)) < 1:
        began = time.monotonic()
        for group in optimiser.param_groups:
            group["lr"] = (
                LEARNING_RATE
                * min(1, (steps + 1) / WARM_UP_STEPS)
                * (0.5 + 0.5 * math.cos(math.pi * spent))
            )
        loss = _log_error(
            plane_errors(
                model, _batch([crops[i] for i in random.integers(len(crops), size=BATCH)], peak)
            )
        ).mean()
        found = float(loss.detach())
        if not math.isfinite(found):
            raise CodecError(
                f"expected a finite loss in training, found {found} at step {steps}; encode with --adapt off"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        steps, seconds = steps + 1, seconds + time.monotonic() - began
        if progress is not None:
            watched_db = (
                10 * math.log10(4 / _mean_error(model, watched))
                if steps % WATCHED_STEPS == 0
                else None
            )
            progress(Step(steps, spent, {"error_db": found}, watched_db))
    return {name: tensor.detach().numpy() for name, tensor in update.items()}


def _log_error(errors: Tensor) -> Tensor:
    """Of each crop, 6:1:1 over the planes, in dB."""
    return 10 / math.log(10) * ((errors + FLOOR).log() * errors.new_tensor(PLANE_WEIGHTS)).sum(1)


@torch.no_grad()
def _mean_error(model: Compact, batches: list[Batch]) -> float:
    """The geometric mean of squared errors, of pictures in [-1, 1]."""
    found = torch.cat([_log_error(plane_errors(model, batch)) for batch in batches]).mean()
    return float(10 ** (float(found) / 10) / 127.5**2)


def _spread(crops: list[Crop]) -> list[list[Crop]]:
    chosen = np.linspace(0, len(crops) - 1, min(WEIGHED_CROPS, len(crops))).round().astype(int)
    return [
        [crops[i] for i in chosen[first : first + BATCH]] for first in range(0, len(chosen), BATCH)
    ]


def _batch(crops: list[Crop], peak: int) -> Batch:
    luma, chroma, conditions = (np.stack(part) for part in zip(*crops, strict=True))
    planes = (torch.from_numpy(part.astype(np.float32) / peak) for part in (luma, chroma))
    luma_cells, chroma_cells = (
        cells(part, side) for part, side in zip(planes, (CELL, CELL // 2), strict=True)
    )
    return luma_cells, chroma_cells, torch.from_numpy(conditions)
