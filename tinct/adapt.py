"""Training the paper's GAN on the key frames of one video: the samples, the loop, its budget and its checkpoints.

Section 4.1 and Equation 10 of the paper. Every random number of a step comes from the seed, the step and the process alone, so that
a run that was killed goes on from its checkpoint to the same weights, bit for bit, on one machine.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from tinct import losses
from tinct.checkpoint import load_checkpoint, save_checkpoint, share_gradients
from tinct.colouriser.gan import Discriminator, GanConfig, Generator
from tinct.errors import CodecError

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Samples:
    """Pictures to learn from, 8 bit: decoded `luma` [N, 1, H, W] and the original `rgb` [N, 3, H, W]."""

    luma: Tensor
    rgb: Tensor

    def __post_init__(self) -> None:
        assert self.luma.dtype == self.rgb.dtype == torch.uint8
        assert self.luma.shape[1] == 1
        assert self.rgb.shape == (len(self.luma), 3, *self.luma.shape[2:])


@dataclass(frozen=True)
class Recipe:
    """The constants of a training; the defaults are the paper's, and where it is silent the plainest.

    `loss_weights` are those of Equation 10, 0 for a term that is left out. `decay` lets the rate fall to 0 along a cosine.
    `averaging` is the decay of the mean of the weights that is kept instead of the last ones. `discriminator_every` is the
    number of steps from one with the discriminator to the next.
    """

    learning_rate: float = 2e-4
    beta1: float = 0.5
    crop: int = 256
    gan: float = losses.WEIGHTS["gan"]
    mse: float = losses.WEIGHTS["mse"]
    content: float = losses.WEIGHTS["content"]
    colour: float = losses.WEIGHTS["colour"]
    decay: bool = False
    averaging: float = 0.0
    discriminator_every: int = 1
    seed: int = 0


PAPER = Recipe()


@dataclass(frozen=True)
class Budget:
    """How long to train: whichever of `steps` and `seconds` is given."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        assert (self.steps is None) != (self.seconds is None)

    def spent(self, steps: int, seconds: float) -> float:
        """0 to 1."""
        part = steps / self.steps if self.steps is not None else seconds / (self.seconds or 1.0)
        return min(part, 1.0)


@dataclass(frozen=True)
class Step:
    """What is said of a step: the part of the budget that is spent, and each term of the loss before its weight."""

    number: int
    spent: float
    terms: dict[str, float]


class Training:
    """A generator and its discriminator in training. `content` is VGG-19 where the recipe's content loss is on."""

    def __init__(self, samples: Samples, config: GanConfig, recipe: Recipe, *, content: losses.Vgg19 | None = None) -> None:
        assert (content is not None) == (recipe.content > 0)
        self._samples, self._recipe, self._content = samples, recipe, content
        self._fingerprint = _fingerprint(samples, config, recipe)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self._generator, self._discriminator = Generator(config), Discriminator(config)
        for network in (self._generator, self._discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's own types
        adam = {"lr": recipe.learning_rate, "betas": (recipe.beta1, 0.999)}
        self._optimiser = torch.optim.Adam(self._generator.parameters(), **adam)  # type: ignore[arg-type]
        self._opponent = torch.optim.Adam(self._discriminator.parameters(), **adam)  # type: ignore[arg-type]
        self._mean = {name: value.clone() for name, value in self._generator.state_dict().items()}
        self.steps, self.seconds = 0, 0.0

    def run(self, budget: Budget, *, checkpoint: Path | None = None, progress: Callable[[Step], None] | None = None) -> Generator:
        """Train until the budget is spent, on from `checkpoint` where that exists; the generator of averaged weights.

        Raises CodecError for a checkpoint of another training and for a loss that is no longer a number; what the checkpoint
        held before stays.
        """
        if checkpoint is not None and checkpoint.exists():
            self._load(checkpoint)
        saved = self.seconds
        while (spent := budget.spent(self.steps, self.seconds)) < 1:
            began = time.monotonic()
            terms = self._step(spent)
            self.steps += 1
            self.seconds += time.monotonic() - began
            if progress is not None:
                progress(Step(self.steps, spent, terms))
            if checkpoint is not None and self.seconds - saved > CHECKPOINT_SECONDS:
                self.save(checkpoint)
                saved = self.seconds
        if checkpoint is not None:
            self.save(checkpoint)
        return self.result()

    def result(self) -> Generator:
        """The generator as a decoder would have it, in eval mode."""
        found = Generator(self._generator.config)
        found.load_state_dict(self._mean if self._recipe.averaging else self._generator.state_dict())
        return found.eval()

    def save(self, path: Path) -> None:
        """All that the next step depends on; the file is whole or not there."""
        state = {
            "steps": self.steps, "seconds": self.seconds, "mean": self._mean,
            "generator": self._generator.state_dict(), "discriminator": self._discriminator.state_dict(),
            "optimiser": self._optimiser.state_dict(), "opponent": self._opponent.state_dict(),
        }  # fmt: skip
        save_checkpoint(path, self._fingerprint, state)

    def _load(self, path: Path) -> None:
        state = load_checkpoint(path, self._fingerprint)
        self._generator.load_state_dict(state["generator"])
        self._discriminator.load_state_dict(state["discriminator"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._opponent.load_state_dict(state["opponent"])
        self._mean, self.steps, self.seconds = state["mean"], state["steps"], state["seconds"]

    def _step(self, spent: float) -> dict[str, float]:
        recipe = self._recipe
        for group in self._optimiser.param_groups:
            group["lr"] = recipe.learning_rate * (0.5 + 0.5 * math.cos(math.pi * spent) if recipe.decay else 1.0)
        self._generator.train()
        luma, target = self._crop()
        output = self._generator(luma)
        against = recipe.gan > 0 and self.steps % recipe.discriminator_every == 0
        terms = self._terms(output, target, luma, against=against)
        found = self._finite(terms)
        total = sum((getattr(recipe, name) * term for name, term in terms.items()), torch.zeros(()))
        _descend(total, self._optimiser, self._generator.parameters())
        if against:
            real, fake = self._discriminator(target, luma), self._discriminator(output.detach(), luma)
            loss = losses.discriminator_loss(real, fake)
            found |= self._finite({"discriminator": loss})
            _descend(loss, self._opponent, self._discriminator.parameters())
        self._average()
        return found

    def _finite(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """The terms as numbers, before they have moved any weight."""
        found = {name: float(term.detach()) for name, term in terms.items()}
        for name, value in found.items():
            if not math.isfinite(value):
                raise CodecError(
                    f"expected a finite loss in training, found {value} in its term {name} at step {self.steps}; "
                    "the checkpoint before is kept: lower the learning rate"
                )
        return found

    def _terms(self, output: Tensor, target: Tensor, luma: Tensor, *, against: bool) -> dict[str, Tensor]:
        """The terms of Equation 10 that are on, before their weights."""
        recipe = self._recipe
        from_zero, target_from_zero = (output + 1) / 2, (target + 1) / 2
        terms = {}
        if against:
            self._discriminator.requires_grad_(False)
            terms["gan"] = losses.gan_loss(self._discriminator(output, luma))
            self._discriminator.requires_grad_(True)
        if recipe.mse > 0:
            terms["mse"] = losses.mse_loss(output, target)
        if self._content is not None:
            terms["content"] = losses.content_loss(self._content(from_zero), self._content(target_from_zero))
        if recipe.colour > 0:
            terms["colour"] = losses.colour_loss(from_zero, target_from_zero)
        return terms

    def _crop(self) -> tuple[Tensor, Tensor]:
        """Luma and colour of a random square of a random sample, perhaps mirrored, in [-1, 1]."""
        rank = distributed.get_rank() if distributed.is_initialized() else 0
        random = torch.Generator().manual_seed(hash((self._recipe.seed, self.steps, rank)) % (1 << 63))

        def below(count: int) -> int:
            return int(torch.randint(count, (1,), generator=random))

        luma = self._samples.luma
        count, _, height, width = luma.shape
        number = below(count)
        high, wide = min(self._recipe.crop, height), min(self._recipe.crop, width)
        top, left = below(height - high + 1), below(width - wide + 1)
        window = (slice(number, number + 1), slice(None), slice(top, top + high), slice(left, left + wide))
        mirrored = below(2) == 1
        both = (luma[window], self._samples.rgb[window])
        found = [(picture.flip(-1) if mirrored else picture).float() / 127.5 - 1 for picture in both]
        return found[0].contiguous(memory_format=torch.channels_last), found[1].contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self._recipe.averaging, (1 + self.steps) / (10 + self.steps))  # the first steps are soon forgotten
        for name, value in self._generator.state_dict().items():
            if value.is_floating_point():
                self._mean[name].lerp_(value, 1 - keep)
            else:
                self._mean[name].copy_(value)


def _descend(loss: Tensor, optimiser: torch.optim.Optimizer, parameters: Iterable[nn.Parameter]) -> None:
    """A step down the gradient; its mean over all processes where there are several (torchrun)."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    share_gradients(parameters)
    optimiser.step()


def _fingerprint(samples: Samples, config: GanConfig, recipe: Recipe) -> str:
    """Of everything that decides what the weights become."""
    digest = hashlib.sha256()
    options: dict[str, Any] = {**asdict(config), **asdict(recipe)}
    digest.update(repr(sorted(options.items())).encode())
    for pictures in (samples.luma, samples.rgb):
        digest.update(pictures.numpy().tobytes())
    return digest.hexdigest()
