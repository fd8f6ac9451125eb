"""Training the paper's GAN on the key frames of one video: samples, steps and checkpoints.

Section 4.1 and Equation 10 of the paper. `objectives` has the losses; `gan_update` gathers the
samples and codes the result. Every random number of a step follows from the seed, the step and the
process alone: a run that was killed continues from its checkpoint to the same weights, bit for bit,
on one machine.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tinct.adapt.budget import Budget, Step
from tinct.adapt.checkpoint import load_checkpoint, save_checkpoint
from tinct.adapt.losses import mse_loss
from tinct.adapt.objectives import build_objective
from tinct.adapt.optimisation import (
    average_weights,
    check_loss,
    cosine_decay,
    descend,
    set_learning_rate,
)
from tinct.adapt.processes import average, get_rank_and_count, is_leader
from tinct.adapt.recipes import Recipe
from tinct.adapt.vgg19 import Vgg19
from tinct.errors import CodecError
from tinct.interrupt import defer_interrupts
from tinct.networks.gan_config import GanConfig
from tinct.networks.trainable.baselines import make_generator
from tinct.networks.trainable.gan import Generator, fold, pad_to_multiple

CHECKPOINT_SECONDS = 60.0
ADVICE = "what a checkpoint holds from before is kept; try --recipe cpu, or other --losses"
HELD_OUT_STEPS = 50  # between two measurements of the held-out crop
MIN_SIDE = 64  # of a crop in training: the smallest that all discriminators take


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Pictures to learn from: decoded luma, and the original R'G'B'.

    `luma` [N, 1, H, W] is in 0 to `peak`, `rgb` [N, 3, H, W] has 8 bits. `held_luma` [1, 1, h, w]
    and `held_rgb` are a crop of a frame that is not among them. `to_rgb` [3, 4] is the video's
    `colour.unit_matrix`.
    """

    luma: Tensor
    rgb: Tensor
    held_luma: Tensor
    held_rgb: Tensor
    to_rgb: Tensor
    peak: int = 255

    def __post_init__(self) -> None:
        assert self.luma.shape[1] == 1
        assert self.rgb.shape == (len(self.luma), 3, *self.luma.shape[2:])
        assert self.rgb.dtype == torch.uint8


def scale_luma(luma: Tensor, peak: int) -> Tensor:
    """Map samples of 0 to `peak` to [-1, 1], the generator's input."""
    return luma.float() * (2 / peak) - 1


def scale_rgb(rgb: Tensor) -> Tensor:
    """Map 8-bit R'G'B' to [-1, 1], the generator's target."""
    return rgb.float() / 127.5 - 1


class Training:
    """A generator and its discriminator in training, with optimisers and the best weights so far.

    `content` is VGG-19 where the recipe has a content loss. On a GPU it computes in bfloat16,
    compiled. Under torchrun each process takes its own crop in a step, and gradients are averaged.
    """

    def __init__(
        self,
        samples: Samples,
        config: GanConfig,
        recipe: Recipe,
        *,
        content: Vgg19 | None = None,
        device: str = "cpu",
    ) -> None:
        self._samples, self._config, self._recipe = samples, config, recipe
        self._fingerprint = _hash_training(samples, config, recipe)
        is_cuda = device == "cuda"
        self._device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if is_cuda else "cpu")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.objective = build_objective(
                config,
                recipe,
                to_rgb=samples.to_rgb,
                content=content and content.to(self._device),
            )
        # PyTorch's types lack `memory_format`.
        self.objective.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        terms = self.objective.generator_terms
        self._generator_terms = torch.compile(terms) if is_cuda else terms
        betas = (recipe.beta1, 0.999)
        self._optimiser = torch.optim.Adam(
            self.objective.generator_parameters(), lr=recipe.learning_rate, betas=betas
        )
        self._discriminator_optimiser = torch.optim.Adam(
            self.objective.discriminator_parameters(), lr=recipe.judge_rate, betas=betas
        )
        self._mean = _copy(self.objective.generator.state_dict())
        self._best, self._best_db = self._mean, -math.inf
        self.steps, self.seconds = 0, 0.0

    def run(
        self,
        budget: Budget,
        *,
        checkpoint: Path | None = None,
        progress: Callable[[Step], None] | None = None,
    ) -> nn.Module:
        """Train until the budget is spent, from `checkpoint` on where that exists; then `export`.

        Ctrl-C takes effect between two steps, after the checkpoint has been saved. Raises
        CodecError for a checkpoint of another training and for a loss that is not finite; the
        checkpoint then stays as it was.
        """
        if checkpoint is not None and checkpoint.exists():
            self._load(checkpoint)
        try:
            self._run(budget, checkpoint, progress)
        except KeyboardInterrupt:
            if checkpoint is not None:
                self.save(checkpoint)
            raise
        if checkpoint is not None:
            self.save(checkpoint)
        return self.export()

    def _run(
        self, budget: Budget, checkpoint: Path | None, progress: Callable[[Step], None] | None
    ) -> None:
        saved, terms = self.seconds, dict[str, float]()
        while (spent := budget.spent(self.steps, self.seconds)) < 1:
            with defer_interrupts():
                began = time.monotonic()
                terms |= self.take_step(spent)  # terms that a step lacks are reported again
                self.steps += 1
                self.seconds += self._average_number(time.monotonic() - began)
                is_watched = self.steps == 1 or self.steps % HELD_OUT_STEPS == 0
                watched_db = self._watch() if is_watched else None
            if progress is not None and is_leader():
                progress(Step(self.steps, spent, dict(terms), watched_db=watched_db))
            if checkpoint is not None and self.seconds - saved > CHECKPOINT_SECONDS:
                self.save(checkpoint)
                saved = self.seconds

    def take_step(self, spent: float) -> dict[str, float]:
        """Train generator and discriminator on one crop, and return each term of their losses.

        `spent` is the share of the budget that is spent. Raises CodecError for a loss that is not
        finite.
        """
        recipe, objective = self._recipe, self.objective
        decay = cosine_decay(spent) if recipe.decay else 1.0
        set_learning_rate(self._optimiser, recipe.learning_rate * decay)
        objective.train()
        luma, target = self._draw_crop()
        has_gan = recipe.has_gan_step(self.steps)
        with self._autocast(), self._seed_dropout():
            output, terms = self._generator_terms(luma, target, gan=has_gan)
        found = self._check_terms({name: value for name, (_, value) in terms.items()})
        zero = torch.zeros((), device=self._device)
        loss = sum((weight * value for weight, value in terms.values()), zero)
        descend(loss, self._optimiser, objective.generator_parameters())
        if has_gan:
            with self._autocast():
                against = objective.discriminator_terms(luma, target, output.detach().float())
            if against:
                found |= self._check_terms(against)
                loss = sum(against.values(), zero)
                parameters = objective.discriminator_parameters()
                descend(loss, self._discriminator_optimiser, parameters)
        statistics = (value for value in objective.buffers() if value.is_floating_point())
        average(statistics)  # of batch norm
        average_weights(self._mean, objective.generator, recipe.averaging, step=self.steps)
        return found

    def export(self) -> nn.Module:
        """Return the generator as a decoder has it: its best weights, batch norm folded."""
        self._check_weights()
        is_best = self._recipe.keeps_best and self._best_db > self._average_number(
            self.measure_held_out_db()
        )
        weights = _copy(self._best if is_best else self._candidate_weights())
        generator = make_generator(self._config, norm=self._recipe.norm)
        generator.load_state_dict({name: value.cpu() for name, value in weights.items()})
        return fold(generator) if isinstance(generator, Generator) else generator.eval()

    @torch.no_grad()
    def measure_held_out_db(self) -> float:
        """Return the R'G'B' PSNR in dB of the held-out crop, with the weights to keep now."""
        generator = self.objective.generator
        last = _copy(generator.state_dict())
        generator.load_state_dict(self._candidate_weights())
        self.objective.eval()
        output = self.objective.colourise(self._to_input(self._samples.held_luma)).clamp(-1, 1)
        generator.load_state_dict(last)
        error = mse_loss(output.float(), self._to_target(self._samples.held_rgb))
        return 10 * math.log10(4 / max(float(error), 1e-9))

    def _watch(self) -> float:
        """Measure the held-out crop; remember the weights where it is the best so far."""
        found = self.measure_held_out_db()
        if self._recipe.keeps_best and (mean := self._average_number(found)) > self._best_db:
            self._best, self._best_db = _copy(self._candidate_weights()), mean
        return found

    def _candidate_weights(self) -> dict[str, Tensor]:
        """Return the weights that would be kept now: the running mean, or the last ones."""
        return self._mean if self._recipe.averaging else self.objective.generator.state_dict()

    def _average_number(self, value: float) -> float:
        """Return the mean over all processes, so that all decide alike."""
        mean = torch.tensor(value, dtype=torch.float64, device=self._device)
        average([mean])
        return float(mean)

    def save(self, path: Path) -> None:
        """Save all that the next step depends on; of several processes the first one writes.

        Raises CodecError where weights are not finite.
        """
        self._check_weights()
        if not is_leader():
            return
        state = {
            "steps": self.steps,
            "seconds": self.seconds,
            "mean": self._mean,
            "all": self.objective.state_dict(),
            "best": self._best,
            "best_db": self._best_db,
            "optimiser": self._optimiser.state_dict(),
            "opponent": self._discriminator_optimiser.state_dict(),
            "asked_for": hash_options(self._config, self._recipe),
        }
        save_checkpoint(path, self._fingerprint, state)

    def _load(self, path: Path) -> None:
        state = load_checkpoint(path, self._fingerprint, self._device)
        self.objective.load_state_dict(state["all"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._discriminator_optimiser.load_state_dict(state["opponent"])
        self._mean, self.steps, self.seconds = state["mean"], state["steps"], state["seconds"]
        self._best, self._best_db = state["best"], state["best_db"]

    def _check_weights(self) -> None:
        """Raise CodecError where a weight is not finite; only the next loss would show it."""
        state = self.objective.state_dict().values()
        tensors = (v for v in state if isinstance(v, Tensor) and v.is_floating_point())
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
            raise CodecError(
                "expected finite weights in training, "
                f"found others after step {self.steps}; {ADVICE}"
            )

    def _check_terms(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """Return the terms as numbers. Raises CodecError where one is not finite."""
        return {
            name: check_loss(term, self.steps, advice=ADVICE, term=name)
            for name, term in terms.items()
        }

    def _autocast(self) -> torch.autocast:
        is_cuda = self._device.type == "cuda"
        return torch.autocast(self._device.type, torch.bfloat16, enabled=is_cuda)

    @contextmanager
    def _seed_dropout(self) -> Iterator[None]:
        """Derive what networks draw themselves, for dropout, from the seed and the step too."""
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(self._step_seed)
            yield

    @property
    def _step_seed(self) -> int:
        rank, _ = get_rank_and_count()
        return hash((self._recipe.seed, self.steps, rank)) % (1 << 63)

    def _draw_crop(self) -> tuple[Tensor, Tensor]:
        """Return luma and colours of a random square of a random sample, in [-1, 1]."""
        random = torch.Generator().manual_seed(self._step_seed)

        def draw_below(count: int) -> int:
            return int(torch.randint(count, (1,), generator=random))

        luma, rgb = self._samples.luma, self._samples.rgb
        count, _, height, width = luma.shape
        number = draw_below(count)
        high, wide = min(self._recipe.crop, height), min(self._recipe.crop, width)
        top, left = draw_below(height - high + 1), draw_below(width - wide + 1)
        window = (
            slice(number, number + 1),
            slice(None),
            slice(top, top + high),
            slice(left, left + wide),
        )
        return (
            pad_to_multiple(self._to_input(luma[window]), 1, MIN_SIDE),
            pad_to_multiple(self._to_target(rgb[window]), 1, MIN_SIDE),
        )

    def _to_input(self, luma: Tensor) -> Tensor:
        return self._to_device(scale_luma(luma, self._samples.peak))

    def _to_target(self, rgb: Tensor) -> Tensor:
        return self._to_device(scale_rgb(rgb))

    def _to_device(self, pictures: Tensor) -> Tensor:
        return pictures.contiguous(memory_format=torch.channels_last).to(self._device)


def _copy(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in weights.items()}


def hash_options(config: GanConfig, recipe: Recipe) -> str:
    """Return the hash of the options that a checkpoint belongs to; samples have no part in it."""
    _, processes = get_rank_and_count()
    options: dict[str, Any] = {**asdict(config), **asdict(recipe), "processes": processes}
    return hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()


def _hash_training(samples: Samples, config: GanConfig, recipe: Recipe) -> str:
    """Return the hash of all that decides what the weights become."""
    digest = hashlib.sha256(f"{hash_options(config, recipe)}{samples.peak}".encode())
    for pictures in (
        samples.luma,
        samples.rgb,
        samples.held_luma,
        samples.held_rgb,
        samples.to_rgb,
    ):
        digest.update(pictures.numpy().tobytes())
    return digest.hexdigest()
