"""Who plays against whom in a training, and what each wants: the paper's generator and discriminator, and their mixed loss.

An objective is a module of all that learns. `maker` is what is sent in the end; `terms` is what the makers minimise, `judge_terms`
what the judges do. Luma is [N, 1, H, W], pictures [N, 3, H, W], both in [-1, 1].
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinct.adapt import losses
from tinct.adapt.vgg19 import Vgg19
from tinct.config import LOSSES
from tinct.networks.gan_config import GanConfig
from tinct.networks.trainable.baselines import PatchDiscriminator, ResNet, UNet
from tinct.networks.trainable.gan import Discriminator, Generator


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
CPU = Recipe(
    learning_rate=3e-3, crop=512, decay=True, averaging=0.99, keeps_best=True, judge_every=4
)
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

    def terms(
        self, luma: Tensor, target: Tensor, *, judged: bool
    ) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        """The makers' picture, and (weight, value) of each term of their loss, the judges' opinion only where `judged`."""
        raise NotImplementedError

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        """Each term of the judges' loss on a picture that was made."""
        raise NotImplementedError


class Mixed(Objective):
    """Equation 10: G against D, with MSE, VGG-19 content and colour losses. `to_rgb` [3, 4] is for output in Y'CbCr."""

    def __init__(
        self, config: GanConfig, recipe: Recipe, to_rgb: Tensor, content: Vgg19 | None
    ) -> None:
        assert (content is not None) == (recipe.content > 0)
        super().__init__(
            Generator(config, norm=recipe.norm),
            Discriminator(config.channels, conditional=recipe.conditional),
        )
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

    def terms(
        self, luma: Tensor, target: Tensor, *, judged: bool
    ) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
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
            terms["content"] = (
                recipe.content,
                losses.content_loss(vgg(from_zero), vgg(target_from_zero)),
            )
        if recipe.colour > 0:
            terms["colour"] = (recipe.colour, losses.colour_loss(from_zero, target_from_zero))
        return output, terms

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        if self._recipe.gan == 0:
            return {}
        return {
            "discriminator": losses.discriminator_loss(
                self.judge(target, luma), self.judge(output, luma)
            )
        }


L1_WEIGHT = 100.0  # pix2pix
FEATURES_WEIGHT = 10.0  # pix2pixHD
CYCLE_WEIGHT, IDENTITY_WEIGHT = 10.0, 5.0  # CycleGAN; identity is half of cycle
POOL = 50  # pictures made earlier that CycleGAN's discriminators are shown again
FIRST_SPREAD = (
    0.02  # standard deviation of convolutions' weights before training, in all their papers
)


def objective_of(
    config: GanConfig, recipe: Recipe, to_rgb: Tensor, content: Vgg19 | None
) -> Objective:
    """What trains a generator of any kind."""
    if config.kind == "multiresunet":
        return Mixed(config, recipe, to_rgb, content)
    rivals: dict[str, type[Pix2Pix | Pix2PixHd | CycleGan]] = {
        "pix2pixhd": Pix2PixHd,
        "cyclegan": CycleGan,
    }
    found = rivals.get(config.kind, Pix2Pix)(config)
    for module in found.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, FIRST_SPREAD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return found


class Pix2Pix(Objective):
    """Conditional GAN and 100 times L1, with self-attention in the generator or without."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__(UNet(config), PatchDiscriminator(4, config.channels))

    def terms(
        self, luma: Tensor, target: Tensor, *, judged: bool
    ) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        output = self.picture(luma)
        terms = {"l1": (L1_WEIGHT, functional.l1_loss(output, target))}
        if judged:
            logits, _ = self.judge(torch.cat([output, luma], dim=1))
            terms["gan"] = (1.0, losses.gan_loss(logits))
        return output, terms

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        (real, _), (fake, _) = (
            self.judge(torch.cat([picture, luma], dim=1)) for picture in (target, output)
        )
        return {"discriminator": losses.discriminator_loss(real, fake)}


class Pix2PixHd(Objective):
    """Least-squares GAN at two scales, conditional, and 10 times the difference of the discriminators' features."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__(
            ResNet(config), nn.ModuleList(PatchDiscriminator(4, config.channels) for _ in range(2))
        )

    def terms(
        self, luma: Tensor, target: Tensor, *, judged: bool
    ) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        output = self.picture(luma)
        fakes, reals = self._seen(output, luma), self._seen(target, luma)
        gan = torch.stack([losses.least_squares(logits, 1.0) for logits, _ in fakes]).sum()
        pairs = [
            (f, r)
            for (_, fake), (_, real) in zip(fakes, reals, strict=True)
            for f, r in zip(fake, real, strict=True)
        ]
        features = torch.stack([functional.l1_loss(f, r.detach()) for f, r in pairs]).sum()
        return output, {"gan": (1.0, gan), "features": (FEATURES_WEIGHT, features)}

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        scales = zip(self._seen(target, luma), self._seen(output, luma), strict=True)
        return {
            "discriminator": torch.stack(
                [losses.least_squares_judge(real, fake) for (real, _), (fake, _) in scales]
            ).sum()
        }

    def _seen(self, picture: Tensor, luma: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """What each discriminator says: of the picture, and of it at half the size."""
        both = torch.cat([picture, luma], dim=1)
        return [
            judge(both if scale == 0 else functional.avg_pool2d(both, 2))
            for scale, judge in enumerate(self.judge.children())
        ]


class CycleGan(Objective):
    """Luma to colour and colour to luma, each judged, there and back again; which luma goes with which colour is not used.

    The discriminators are shown pictures made earlier every other time, as Zhu et al. do; each process of torchrun has pools of its
    own, of which a checkpoint holds the first one's.
    """

    def __init__(self, config: GanConfig) -> None:
        super().__init__(
            ResNet(config),
            nn.ModuleList(PatchDiscriminator(inputs, config.channels) for inputs in (3, 1)),
        )
        self.back = ResNet(config, outputs=1)
        self._pools: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._made = 0

    def makers(self) -> Iterator[nn.Parameter]:
        return chain(self.maker.parameters(), self.back.parameters())

    def terms(
        self, luma: Tensor, target: Tensor, *, judged: bool
    ) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        coloured, greyed = self.maker(luma), self.back(target)
        gan = losses.least_squares(self._logits(0, coloured), 1.0) + losses.least_squares(
            self._logits(1, greyed), 1.0
        )
        cycle = functional.l1_loss(self.back(coloured), luma) + functional.l1_loss(
            self.maker(greyed), target
        )
        same = functional.l1_loss(self.maker(target), target) + functional.l1_loss(
            self.back(luma), luma
        )
        return coloured, {
            "gan": (1.0, gan),
            "cycle": (CYCLE_WEIGHT, cycle),
            "identity": (IDENTITY_WEIGHT, same),
        }

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            greyed = self.back(target).to(target.dtype)
        self._made += 1
        shown, shown_grey = (
            self._pooled(number, picture) for number, picture in enumerate((output, greyed))
        )
        colour = losses.least_squares_judge(self._logits(0, target), self._logits(0, shown))
        grey = losses.least_squares_judge(self._logits(1, luma), self._logits(1, shown_grey))
        return {"discriminator": colour, "discriminator of luma": grey}

    def get_extra_state(self) -> dict[str, Any]:
        return {"pools": self._pools, "made": self._made}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._pools, self._made = state["pools"], state["made"]

    def _pooled(self, number: int, picture: Tensor) -> Tensor:
        """This picture, or one of a pool, which it then replaces; what is drawn depends on how many were made alone."""
        pool = self._pools[number]
        if len(pool) < POOL:
            pool.append(picture)
            return picture
        drawn = torch.Generator().manual_seed(2 * self._made + number)
        if float(torch.rand(1, generator=drawn)) < 0.5:
            return picture
        place = int(torch.randint(POOL, (1,), generator=drawn))
        earlier, pool[place] = pool[place], picture
        return earlier

    def _logits(self, number: int, picture: Tensor) -> Tensor:
        logits: Tensor = list(self.judge.children())[number](picture)[0]
        return logits
