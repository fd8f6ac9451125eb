"""What generator and discriminator minimise: the paper's mixed loss, and those of its baselines.

`Objective` states what all share; each class below is one method of Table 7 after its own paper.
`losses` has the terms, `recipes` their weights, `gan` the training. Luma is [N, 1, H, W], pictures
are [N, 3, H, W], both in [-1, 1].
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinct.adapt import losses
from tinct.adapt.recipes import Recipe
from tinct.adapt.vgg19 import Vgg19
from tinct.networks.gan_config import GanConfig
from tinct.networks.trainable.baselines import PatchDiscriminator, ResNet, UNet
from tinct.networks.trainable.gan import Discriminator, Generator

L1_WEIGHT = 100.0  # pix2pix
FEATURE_WEIGHT = 10.0  # pix2pixHD
CYCLE_WEIGHT, IDENTITY_WEIGHT = 10.0, 5.0  # CycleGAN; identity is half of cycle
POOL_SIZE = 50  # earlier pictures that CycleGAN's discriminators are shown again
# Standard deviation of convolutions' weights before training, in the papers of all baselines.
INITIAL_DEVIATION = 0.02

Terms = dict[str, tuple[float, Tensor]]  # weight and value of each term of a loss


class Objective(nn.Module):
    """A generator, one or more discriminators, and the loss of each; `gan.Training` trains it."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        # Checkpoints hold both networks under these names.
        self.maker, self.judge = generator, discriminator

    @property
    def generator(self) -> nn.Module:
        return self.maker

    @property
    def discriminator(self) -> nn.Module:
        return self.judge

    def generator_parameters(self) -> Iterator[nn.Parameter]:
        return self.generator.parameters()

    def discriminator_parameters(self) -> Iterator[nn.Parameter]:
        return self.discriminator.parameters()

    def colourise(self, luma: Tensor) -> Tensor:
        """Return R'G'B' of luma."""
        return self.generator(luma)

    def generator_terms(self, luma: Tensor, target: Tensor, *, gan: bool) -> tuple[Tensor, Terms]:
        """Return the generator's picture, and the weight and value of each term of its loss.

        Without `gan` the terms that need the discriminator are left out, where others remain.
        """
        raise NotImplementedError

    def discriminator_terms(
        self, luma: Tensor, target: Tensor, output: Tensor
    ) -> dict[str, Tensor]:
        """Return each term of the discriminator's loss on the generator's picture `output`."""
        raise NotImplementedError


class Mixed(Objective):
    """Equation 10: 1 * L_GAN + 100 * L_MSE + 1000 * L_content + 100 * L_colour.

    `to_rgb` [3, 4] converts a generator's Y'CbCr; `content` is VGG-19, only with its loss.
    """

    def __init__(
        self, config: GanConfig, recipe: Recipe, *, to_rgb: Tensor, content: Vgg19 | None
    ) -> None:
        assert (content is not None) == (recipe.content > 0)
        super().__init__(
            Generator(config, norm=recipe.norm),
            Discriminator(config.channels, conditional=recipe.conditional),
        )
        self._recipe = recipe
        self._is_rgb = config.output == "rgb"
        self.register_buffer("to_rgb", to_rgb.float(), persistent=False)
        self._content = (content,)  # a tuple keeps its 80 MB out of the module's state

    def colourise(self, luma: Tensor) -> Tensor:
        output = super().colourise(luma)
        if self._is_rgb:
            return output
        matrix = self.get_buffer("to_rgb")
        return torch.einsum("oc,nchw->nohw", matrix[:, :3], output) + matrix[:, 3].view(1, 3, 1, 1)

    def generator_terms(self, luma: Tensor, target: Tensor, *, gan: bool) -> tuple[Tensor, Terms]:
        recipe, output = self._recipe, self.colourise(luma).float()
        output_01, target_01 = (output + 1) / 2, (target + 1) / 2
        terms: Terms = {}
        if recipe.gan > 0 and gan:
            self.discriminator.requires_grad_(False)
            terms["gan"] = (recipe.gan, losses.gan_loss(self.discriminator(output, luma)))
            self.discriminator.requires_grad_(True)
        if recipe.mse > 0:
            terms["mse"] = (recipe.mse, losses.mse_loss(output, target))
        if (vgg := self._content[0]) is not None:
            content = losses.content_loss(vgg(output_01), vgg(target_01))
            terms["content"] = (recipe.content, content)
        if recipe.colour > 0:
            terms["colour"] = (recipe.colour, losses.colour_loss(output_01, target_01))
        return output, terms

    def discriminator_terms(
        self, luma: Tensor, target: Tensor, output: Tensor
    ) -> dict[str, Tensor]:
        if self._recipe.gan == 0:
            return {}
        real, fake = self.discriminator(target, luma), self.discriminator(output, luma)
        return {"discriminator": losses.discriminator_loss(real, fake)}


class Pix2Pix(Objective):
    """Isola et al., 2017: conditional GAN plus 100 * L1. SAGAN's attention is in the generator."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__(UNet(config), PatchDiscriminator(4, config.channels))

    def generator_terms(self, luma: Tensor, target: Tensor, *, gan: bool) -> tuple[Tensor, Terms]:
        output = self.colourise(luma)
        terms: Terms = {"l1": (L1_WEIGHT, functional.l1_loss(output, target))}
        if gan:
            terms["gan"] = (1.0, losses.gan_loss(self._discriminate(output, luma)))
        return output, terms

    def discriminator_terms(
        self, luma: Tensor, target: Tensor, output: Tensor
    ) -> dict[str, Tensor]:
        real, fake = self._discriminate(target, luma), self._discriminate(output, luma)
        return {"discriminator": losses.discriminator_loss(real, fake)}

    def _discriminate(self, picture: Tensor, luma: Tensor) -> Tensor:
        logits, _ = self.discriminator(torch.cat([picture, luma], dim=1))
        return logits


class Pix2PixHd(Objective):
    """Wang et al., 2018: conditional least-squares GAN at 2 scales, plus 10 * feature matching."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__(
            ResNet(config), nn.ModuleList(PatchDiscriminator(4, config.channels) for _ in range(2))
        )

    def generator_terms(self, luma: Tensor, target: Tensor, *, gan: bool) -> tuple[Tensor, Terms]:
        output = self.colourise(luma)
        fake, real = self._discriminate(output, luma), self._discriminate(target, luma)
        fooled = [losses.least_squares_loss(logits, 1.0) for logits, _ in fake]
        matched = [
            functional.l1_loss(fake_layer, real_layer.detach())
            for (_, fake_layers), (_, real_layers) in zip(fake, real, strict=True)
            for fake_layer, real_layer in zip(fake_layers, real_layers, strict=True)
        ]
        return output, {
            "gan": (1.0, torch.stack(fooled).sum()),
            "features": (FEATURE_WEIGHT, torch.stack(matched).sum()),
        }

    def discriminator_terms(
        self, luma: Tensor, target: Tensor, output: Tensor
    ) -> dict[str, Tensor]:
        real, fake = self._discriminate(target, luma), self._discriminate(output, luma)
        scales = [
            losses.least_squares_discriminator_loss(real_logits, fake_logits)
            for (real_logits, _), (fake_logits, _) in zip(real, fake, strict=True)
        ]
        return {"discriminator": torch.stack(scales).sum()}

    def _discriminate(self, picture: Tensor, luma: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Return logits and layers' features, of the picture and of it at half its size."""
        both = torch.cat([picture, luma], dim=1)
        return [
            discriminator(both if scale == 0 else functional.avg_pool2d(both, 2))
            for scale, discriminator in enumerate(self.discriminator.children())
        ]


class CycleGan(Objective):
    """Zhu et al., 2017: luma to colour and colour to luma, each with a discriminator.

    Which luma belongs to which colours is not used. As in that paper, the discriminators are shown
    earlier pictures every other time. Each process has its own pools of them; a checkpoint holds
    those of the first.
    """

    def __init__(self, config: GanConfig) -> None:
        super().__init__(
            ResNet(config),
            nn.ModuleList(PatchDiscriminator(inputs, config.channels) for inputs in (3, 1)),
        )
        self.back = ResNet(config, outputs=1)
        self._pools: tuple[list[Tensor], list[Tensor]] = ([], [])  # of colour and of luma
        self._made = 0

    def generator_parameters(self) -> Iterator[nn.Parameter]:
        return chain(self.generator.parameters(), self.back.parameters())

    def generator_terms(self, luma: Tensor, target: Tensor, *, gan: bool) -> tuple[Tensor, Terms]:
        colour, grey = self.generator(luma), self.back(target)
        fooled = losses.least_squares_loss(self._discriminate(0, colour), 1.0)
        fooled_grey = losses.least_squares_loss(self._discriminate(1, grey), 1.0)
        cycle = functional.l1_loss(self.back(colour), luma)
        cycle_grey = functional.l1_loss(self.generator(grey), target)
        identity = functional.l1_loss(self.generator(target), target)
        identity_grey = functional.l1_loss(self.back(luma), luma)
        return colour, {
            "gan": (1.0, fooled + fooled_grey),
            "cycle": (CYCLE_WEIGHT, cycle + cycle_grey),
            "identity": (IDENTITY_WEIGHT, identity + identity_grey),
        }

    def discriminator_terms(
        self, luma: Tensor, target: Tensor, output: Tensor
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            grey = self.back(target).to(target.dtype)
        self._made += 1
        output, grey = self._draw(0, output), self._draw(1, grey)
        real, fake = self._discriminate(0, target), self._discriminate(0, output)
        real_grey, fake_grey = self._discriminate(1, luma), self._discriminate(1, grey)
        return {
            "discriminator": losses.least_squares_discriminator_loss(real, fake),
            "discriminator of luma": losses.least_squares_discriminator_loss(real_grey, fake_grey),
        }

    def get_extra_state(self) -> dict[str, Any]:
        return {"pools": self._pools, "made": self._made}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._pools, self._made = state["pools"], state["made"]

    def _draw(self, number: int, picture: Tensor) -> Tensor:
        """Return `picture`, or one of a pool, which it then replaces there.

        Draws depend on the number of pictures made so far alone.
        """
        pool = self._pools[number]
        if len(pool) < POOL_SIZE:
            pool.append(picture)
            return picture
        random = torch.Generator().manual_seed(2 * self._made + number)
        if float(torch.rand(1, generator=random)) < 0.5:
            return picture
        place = int(torch.randint(POOL_SIZE, (1,), generator=random))
        earlier, pool[place] = pool[place], picture
        return earlier

    def _discriminate(self, number: int, picture: Tensor) -> Tensor:
        """Return the logits of the discriminator of colour (0) or of luma (1)."""
        logits, _ = list(self.discriminator.children())[number](picture)
        return logits


BASELINES: dict[str, type[Pix2Pix | Pix2PixHd | CycleGan]] = {
    "pix2pix": Pix2Pix,
    "pix2pix-attention": Pix2Pix,
    "pix2pixhd": Pix2PixHd,
    "cyclegan": CycleGan,
}


def build_objective(
    config: GanConfig, recipe: Recipe, *, to_rgb: Tensor, content: Vgg19 | None
) -> Objective:
    """Return new networks of the kind that `config` names, and their losses."""
    if config.kind not in BASELINES:
        return Mixed(config, recipe, to_rgb=to_rgb, content=content)
    objective = BASELINES[config.kind](config)
    for module in objective.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, INITIAL_DEVIATION)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return objective
