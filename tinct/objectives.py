"""Who plays against whom in a training, and what each wants: the paper's generator and discriminator, and their mixed loss.

An objective is a module of all that learns. `maker` is what is sent in the end; `terms` is what the makers minimise, `judge_terms`
what the judges do. Luma is [N, 1, H, W], pictures [N, 3, H, W], both in [-1, 1].
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from tinct import losses
from tinct.colouriser.gan import Discriminator, Generator
from tinct.config import LOSSES, GanConfig


@dataclass(frozen=True)
class Recipe:
    """The constants of a training; the defaults are the paper's, and where it is silent the plainest.

    `gan` to `colour` are the weights of Equation 10, 0 for a term that is left out. `norm` is batch norm in the generator;
    `conditional` shows the discriminator the luma beside the colours; `judge_rate` is its learning rate, `judge_every` the number
    of steps from one with it to the next. `decay` lets the generator's rate fall to 0 along a cosine. `averaging` is the decay of
    the mean of the weights that is kept instead of the last ones. `keeps_best` takes the weights with which the held-out frame was
    best, since a long training learns the key frames by heart.
    """

    learning_rate: float = 2e-4
    judge_rate: float = 2e-4
    beta1: float = 0.5
    crop: int = 256
    gan: float = losses.WEIGHTS["gan"]
    mse: float = losses.WEIGHTS["mse"]
    content: float = losses.WEIGHTS["content"]
    colour: float = losses.WEIGHTS["colour"]
    norm: bool = True
    conditional: bool = False
    decay: bool = False
    averaging: float = 0.0
    keeps_best: bool = False
    judge_every: int = 1
    seed: int = 0

    def judged_at(self, step: int) -> bool:
        """Whether the discriminator is asked at a step: always where there is no other term."""
        return step % self.judge_every == 0 or not (self.mse or self.content or self.colour)

    def with_only(self, terms: set[str]) -> "Recipe":
        """The same, the terms of the loss that are not named left out."""
        left_out: dict[str, Any] = {term: 0.0 for term in LOSSES if term not in terms}
        return replace(self, **left_out)


PAPER = Recipe()
CPU = Recipe(learning_rate=3e-3, crop=512, decay=True, averaging=0.99, keeps_best=True, judge_every=4)
RECIPES = {"paper": PAPER, "cpu": CPU}


class Objective(nn.Module):
    """One generator, one judge or several of its pictures, and what each of both sides minimises; `adapt` trains it."""

    def __init__(self, maker: nn.Module, judge: nn.Module) -> None:
        super().__init__()
        self.maker, self.judge = maker, judge

    def makers(self) -> Iterator[nn.Parameter]:
        return self.maker.parameters()

    def judges(self) -> Iterator[nn.Parameter]:
        return self.judge.parameters()

    def picture(self, luma: Tensor) -> Tensor:
        """R'G'B' of luma."""
        made: Tensor = self.maker(luma)
        return made

    def terms(self, luma: Tensor, target: Tensor, *, judged: bool) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        """The makers' picture, and (weight, value) of each term of their loss, the judges' opinion only where `judged`."""
        raise NotImplementedError

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        """Each term of the judges' loss on a picture that was made."""
        raise NotImplementedError


class Mixed(Objective):
    """Equation 10: G against D, with MSE, VGG-19 content and colour losses. `to_rgb` [3, 4] is for output in Y'CbCr."""

    def __init__(self, config: GanConfig, recipe: Recipe, to_rgb: Tensor, content: losses.Vgg19 | None) -> None:
        assert (content is not None) == (recipe.content > 0)
        super().__init__(Generator(config, norm=recipe.norm), Discriminator(config.channels, conditional=recipe.conditional))
        self._recipe = recipe
        self._in_rgb = config.output == "rgb"
        self.register_buffer("to_rgb", to_rgb.float(), persistent=False)
        self._content = (content,)  # in a tuple, so that its 80 MB are no part of what learns

    def picture(self, luma: Tensor) -> Tensor:
        made = super().picture(luma)
        if self._in_rgb:
            return made
        matrix = self.get_buffer("to_rgb")
        return torch.einsum("oc,nchw->nohw", matrix[:, :3], made) + matrix[:, 3].view(1, 3, 1, 1)

    def terms(self, luma: Tensor, target: Tensor, *, judged: bool) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        recipe, output = self._recipe, self.picture(luma).float()
        from_zero, target_from_zero = (output + 1) / 2, (target + 1) / 2
        terms = {}
        if recipe.gan > 0 and judged:
            self.judge.requires_grad_(False)
            terms["gan"] = (recipe.gan, losses.gan_loss(self.judge(output, luma)))
            self.judge.requires_grad_(True)
        if recipe.mse > 0:
            terms["mse"] = (recipe.mse, losses.mse_loss(output, target))
        if (vgg := self._content[0]) is not None:
            terms["content"] = (recipe.content, losses.content_loss(vgg(from_zero), vgg(target_from_zero)))
        if recipe.colour > 0:
            terms["colour"] = (recipe.colour, losses.colour_loss(from_zero, target_from_zero))
        return output, terms

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        if self._recipe.gan == 0:
            return {}
        return {"discriminator": losses.discriminator_loss(self.judge(target, luma), self.judge(output, luma))}
