"""Training the paper's GAN on the key frames of one video: the samples, the loop, its budget and its checkpoints.

Section 4.1 and Equation 10 of the paper. Every random number of a step comes from the seed, the step and the process alone, so that
a run that was killed goes on from its checkpoint to the same weights, bit for bit, on one machine.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from tinct.adapt.budget import Budget, Step
from tinct.adapt.checkpoint import leads, load_checkpoint, save_checkpoint, share, share_gradients
from tinct.adapt.losses import mse_loss
from tinct.adapt.objectives import Recipe, objective_of
from tinct.adapt.vgg19 import Vgg19
from tinct.errors import CodecError
from tinct.interrupt import held_back
from tinct.networks.gan_config import GanConfig
from tinct.networks.trainable.baselines import new_generator
from tinct.networks.trainable.gan import Generator, fold, padded

CHECKPOINT_SECONDS = 60.0
AFTER_NAN = "what a checkpoint holds from before is kept; try --recipe cpu, or other --losses"
HELD_OUT_STEPS = 50  # from one look at the held-out crop to the next
LEAST_SIDE = 64  # of a crop in training: the smallest that all discriminators see


@dataclass(frozen=True)
class Samples:
    """Pictures to learn from: decoded `luma` [N, 1, H, W] of 0 to `peak`, and the original R'G'B' [N, 3, H, W], 8 bit.

    `held_luma` [1, 1, h, w] and `held_rgb` are a crop of a frame that is not among them. `to_rgb` [3, 4] is the video's
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


class Training:
    """A generator and what it plays against, in training. `content` is VGG-19 where the recipe's content loss is on.

    On a GPU in bfloat16 and compiled; torchrun's processes share each step.
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
        self._fingerprint = _fingerprint(samples, config, recipe)
        self._device = torch.device(
            f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if device == "cuda" else "cpu"
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self._objective = objective_of(
                config, recipe, samples.to_rgb, content and content.to(self._device)
            )
        self._objective.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's types lack it
        self._terms = (
            torch.compile(self._objective.terms) if device == "cuda" else self._objective.terms
        )
        betas = (recipe.beta1, 0.999)
        self._optimiser = torch.optim.Adam(
            self._objective.makers(), lr=recipe.learning_rate, betas=betas
        )
        self._opponent = torch.optim.Adam(
            self._objective.judges(), lr=recipe.judge_rate, betas=betas
        )
        self._mean = {
            name: value.clone() for name, value in self._objective.maker.state_dict().items()
        }
        self._best, self._best_db = self._mean, -math.inf
        self.steps, self.seconds = 0, 0.0

    def run(
        self,
        budget: Budget,
        *,
        checkpoint: Path | None = None,
        progress: Callable[[Step], None] | None = None,
    ) -> nn.Module:
        """Train until the budget is spent, on from `checkpoint` where that exists; `result`.

        Ctrl-C is heard between two steps, when the checkpoint has been saved. Raises CodecError for a checkpoint of another
        training and for a loss that is no longer a number; what the checkpoint held before stays.
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
        return self.result()

    def _run(
        self, budget: Budget, checkpoint: Path | None, progress: Callable[[Step], None] | None
    ) -> None:
        saved, terms = self.seconds, dict[str, float]()
        while (spent := budget.spent(self.steps, self.seconds)) < 1:
            with held_back():
                began = time.monotonic()
                terms |= self._step(spent)  # those that are not of every step stay in sight
                self.steps += 1
                self.seconds += self._agreed(time.monotonic() - began)
                watched_db = (
                    self._watch() if self.steps == 1 or self.steps % HELD_OUT_STEPS == 0 else None
                )
            if progress is not None and leads():
                progress(Step(self.steps, spent, dict(terms), watched_db))
            if checkpoint is not None and self.seconds - saved > CHECKPOINT_SECONDS:
                self.save(checkpoint)
                saved = self.seconds

    def result(self) -> nn.Module:
        """The generator as a decoder would have it, folded."""
        self._check_weights()
        best = self._recipe.keeps_best and self._best_db > self._agreed(self.held_out_db())
        kept = {
            name: value.clone() for name, value in (self._best if best else self._kept()).items()
        }
        found = new_generator(self._config, norm=self._recipe.norm)
        found.load_state_dict({name: value.cpu() for name, value in kept.items()})
        return fold(found) if isinstance(found, Generator) else found.eval()

    @torch.no_grad()
    def held_out_db(self) -> float:
        """R'G'B' PSNR of the held-out crop, of the weights that would be kept now."""
        maker = self._objective.maker
        last = {name: value.clone() for name, value in maker.state_dict().items()}
        maker.load_state_dict(self._kept())
        self._objective.eval()
        made = self._objective.picture(self._input(self._samples.held_luma)).clamp(-1, 1)
        maker.load_state_dict(last)
        error = mse_loss(made.float(), self._target(self._samples.held_rgb))
        return 10 * math.log10(4 / max(float(error), 1e-9))

    def _watch(self) -> float:
        """Look at the held-out frame, and keep the weights with which it was best."""
        found = self.held_out_db()
        if self._recipe.keeps_best and (agreed := self._agreed(found)) > self._best_db:
            self._best, self._best_db = (
                {name: value.clone() for name, value in self._kept().items()},
                agreed,
            )
        return found

    def _agreed(self, value: float) -> float:
        """The mean of all processes', so that they decide alike."""
        both = torch.tensor(value, dtype=torch.float64, device=self._device)
        share([both])
        return float(both)

    def _kept(self) -> dict[str, Tensor]:
        return self._mean if self._recipe.averaging else self._objective.maker.state_dict()

    def _check_weights(self) -> None:
        """A step can move weights out of all numbers, which only the next one's loss would show."""
        held = (
            self._objective.state_dict().values()
        )  # of CycleGAN also what its pools have in store
        weights = (
            value for value in held if isinstance(value, Tensor) and value.is_floating_point()
        )
        if not all(bool(torch.isfinite(value).all()) for value in weights):
            raise CodecError(
                f"expected finite weights in training, found others after step {self.steps}; {AFTER_NAN}"
            )

    def save(self, path: Path) -> None:
        """All that the next step depends on; the file is whole or not there. Of several processes one writes."""
        self._check_weights()
        if not leads():
            return
        state = {
            "steps": self.steps, "seconds": self.seconds, "mean": self._mean, "all": self._objective.state_dict(),
            "best": self._best, "best_db": self._best_db,
            "optimiser": self._optimiser.state_dict(), "opponent": self._opponent.state_dict(),
            "asked_for": asked_for(self._config, self._recipe),
        }  # fmt: skip
        save_checkpoint(path, self._fingerprint, state)

    def _load(self, path: Path) -> None:
        state = load_checkpoint(path, self._fingerprint, self._device)
        self._objective.load_state_dict(state["all"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._opponent.load_state_dict(state["opponent"])
        self._mean, self.steps, self.seconds = state["mean"], state["steps"], state["seconds"]
        self._best, self._best_db = state["best"], state["best_db"]

    def _step(self, spent: float) -> dict[str, float]:
        recipe = self._recipe
        for group in self._optimiser.param_groups:
            group["lr"] = recipe.learning_rate * (
                0.5 + 0.5 * math.cos(math.pi * spent) if recipe.decay else 1.0
            )
        self._objective.train()
        luma, target = self._crop()
        judged = recipe.judged_at(self.steps)
        with self._mixed(), self._drawn():
            output, terms = self._terms(luma, target, judged=judged)
        found = self._finite({name: value for name, (_, value) in terms.items()})
        total = sum(
            (weight * value for weight, value in terms.values()),
            torch.zeros((), device=self._device),
        )
        _descend(total, self._optimiser, self._objective.makers())
        with self._mixed():
            against = (
                self._objective.judge_terms(luma, target, output.detach().float()) if judged else {}
            )
        if against:
            found |= self._finite(against)
            _descend(
                sum(against.values(), torch.zeros((), device=self._device)),
                self._opponent,
                self._objective.judges(),
            )
        share(
            statistics for statistics in self._objective.buffers() if statistics.is_floating_point()
        )  # of batch norm
        self._average()
        return found

    def _mixed(self) -> torch.autocast:
        return torch.autocast(
            self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"
        )

    @contextmanager
    def _drawn(self) -> Iterator[None]:
        """What networks draw themselves, for dropout, comes from the seed and the step too."""
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(self._seed_of_step())
            yield

    def _seed_of_step(self) -> int:
        rank = distributed.get_rank() if distributed.is_initialized() else 0
        return hash((self._recipe.seed, self.steps, rank)) % (1 << 63)

    def _finite(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """The terms as numbers, before they have moved any weight."""
        found = {name: float(term.detach()) for name, term in terms.items()}
        for name, value in found.items():
            if not math.isfinite(value):
                raise CodecError(
                    f"expected a finite loss in training, found {value} in its term {name} at step {self.steps}; {AFTER_NAN}"
                )
        return found

    def _crop(self) -> tuple[Tensor, Tensor]:
        """Luma and colour of a random square of a random sample, in [-1, 1]."""
        random = torch.Generator().manual_seed(self._seed_of_step())

        def below(count: int) -> int:
            return int(torch.randint(count, (1,), generator=random))

        luma = self._samples.luma
        count, _, height, width = luma.shape
        number = below(count)
        high, wide = min(self._recipe.crop, height), min(self._recipe.crop, width)
        top, left = below(height - high + 1), below(width - wide + 1)
        window = (
            slice(number, number + 1),
            slice(None),
            slice(top, top + high),
            slice(left, left + wide),
        )
        return padded(self._input(luma[window]), 1, LEAST_SIDE), padded(
            self._target(self._samples.rgb[window]), 1, LEAST_SIDE
        )

    def _input(self, luma: Tensor) -> Tensor:
        return self._placed(luma.float() * (2 / self._samples.peak) - 1)

    def _target(self, rgb: Tensor) -> Tensor:
        return self._placed(rgb.float() / 127.5 - 1)

    def _placed(self, pictures: Tensor) -> Tensor:
        return pictures.contiguous(memory_format=torch.channels_last).to(self._device)

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(
            self._recipe.averaging, (1 + self.steps) / (10 + self.steps)
        )  # the first steps are soon forgotten
        for name, value in self._objective.maker.state_dict().items():
            if value.is_floating_point():
                self._mean[name].lerp_(value, 1 - keep)
            else:
                self._mean[name].copy_(value)


def _descend(
    loss: Tensor, optimiser: torch.optim.Optimizer, parameters: Iterable[nn.Parameter]
) -> None:
    """A step down the gradient; its mean over all processes where there are several (torchrun)."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    share_gradients(parameters)
    optimiser.step()


def asked_for(config: GanConfig, recipe: Recipe) -> str:
    """What a checkpoint says of the options that it belongs to: known before there are samples."""
    processes = distributed.get_world_size() if distributed.is_initialized() else 1
    options: dict[str, Any] = {**asdict(config), **asdict(recipe), "processes": processes}
    return hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()


def _fingerprint(samples: Samples, config: GanConfig, recipe: Recipe) -> str:
    """Of everything that decides what the weights become."""
    digest = hashlib.sha256(f"{asked_for(config, recipe)}{samples.peak}".encode())
    for pictures in (
        samples.luma,
        samples.rgb,
        samples.held_luma,
        samples.held_rgb,
        samples.to_rgb,
    ):
        digest.update(pictures.numpy().tobytes())
    return digest.hexdigest()
