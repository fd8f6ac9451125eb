"""How a generator of any kind is trained: the paper's, or one of its Table 7 with its own losses (pix2pix, pix2pixHD, CycleGAN).

Weights are those of their papers. Luma is [N, 1, H, W], pictures [N, 3, H, W], both in [-1, 1].
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinct import losses
from tinct.colouriser.rivals import PatchDiscriminator, ResNet, UNet
from tinct.config import GanConfig
from tinct.objectives import Mixed, Objective, Recipe

L1_WEIGHT = 100.0  # pix2pix
FEATURES_WEIGHT = 10.0  # pix2pixHD
CYCLE_WEIGHT, IDENTITY_WEIGHT = 10.0, 5.0  # CycleGAN; identity is half of cycle
POOL = 50  # pictures made earlier that CycleGAN's discriminators are shown again
FIRST_SPREAD = 0.02  # standard deviation of convolutions' weights before training, in all their papers


def objective_of(config: GanConfig, recipe: Recipe, to_rgb: Tensor, content: losses.Vgg19 | None) -> Objective:
    """What trains a generator of any kind."""
    if config.kind == "multiresunet":
        return Mixed(config, recipe, to_rgb, content)
    rivals: dict[str, type[Pix2Pix | Pix2PixHd | CycleGan]] = {"pix2pixhd": Pix2PixHd, "cyclegan": CycleGan}
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

    def terms(self, luma: Tensor, target: Tensor, *, judged: bool) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        output = self.picture(luma)
        terms = {"l1": (L1_WEIGHT, functional.l1_loss(output, target))}
        if judged:
            logits, _ = self.judge(torch.cat([output, luma], dim=1))
            terms["gan"] = (1.0, losses.gan_loss(logits))
        return output, terms

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        (real, _), (fake, _) = (self.judge(torch.cat([picture, luma], dim=1)) for picture in (target, output))
        return {"discriminator": losses.discriminator_loss(real, fake)}


class Pix2PixHd(Objective):
    """Least-squares GAN at two scales, conditional, and 10 times the difference of the discriminators' features."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__(ResNet(config), nn.ModuleList(PatchDiscriminator(4, config.channels) for _ in range(2)))

    def terms(self, luma: Tensor, target: Tensor, *, judged: bool) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        output = self.picture(luma)
        fakes, reals = self._seen(output, luma), self._seen(target, luma)
        gan = torch.stack([losses.least_squares(logits, 1.0) for logits, _ in fakes]).sum()
        pairs = [(f, r) for (_, fake), (_, real) in zip(fakes, reals, strict=True) for f, r in zip(fake, real, strict=True)]
        features = torch.stack([functional.l1_loss(f, r.detach()) for f, r in pairs]).sum()
        return output, {"gan": (1.0, gan), "features": (FEATURES_WEIGHT, features)}

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        scales = zip(self._seen(target, luma), self._seen(output, luma), strict=True)
        return {"discriminator": torch.stack([losses.least_squares_judge(real, fake) for (real, _), (fake, _) in scales]).sum()}

    def _seen(self, picture: Tensor, luma: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """What each discriminator says: of the picture, and of it at half the size."""
        both = torch.cat([picture, luma], dim=1)
        return [judge(both if scale == 0 else functional.avg_pool2d(both, 2)) for scale, judge in enumerate(self.judge.children())]


class CycleGan(Objective):
    """Luma to colour and colour to luma, each judged, there and back again; which luma goes with which colour is not used.

    The discriminators are shown pictures made earlier every other time, as Zhu et al. do; each process of torchrun has pools of its
    own, of which a checkpoint holds the first one's.
    """

    def __init__(self, config: GanConfig) -> None:
        super().__init__(ResNet(config), nn.ModuleList(PatchDiscriminator(inputs, config.channels) for inputs in (3, 1)))
        self.back = ResNet(config, outputs=1)
        self._pools: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._made = 0

    def makers(self) -> Iterator[nn.Parameter]:
        return chain(self.maker.parameters(), self.back.parameters())

    def terms(self, luma: Tensor, target: Tensor, *, judged: bool) -> tuple[Tensor, dict[str, tuple[float, Tensor]]]:
        coloured, greyed = self.maker(luma), self.back(target)
        gan = losses.least_squares(self._logits(0, coloured), 1.0) + losses.least_squares(self._logits(1, greyed), 1.0)
        cycle = functional.l1_loss(self.back(coloured), luma) + functional.l1_loss(self.maker(greyed), target)
        same = functional.l1_loss(self.maker(target), target) + functional.l1_loss(self.back(luma), luma)
        return coloured, {"gan": (1.0, gan), "cycle": (CYCLE_WEIGHT, cycle), "identity": (IDENTITY_WEIGHT, same)}

    def judge_terms(self, luma: Tensor, target: Tensor, output: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            greyed = self.back(target).to(target.dtype)
        self._made += 1
        shown, shown_grey = (self._pooled(number, picture) for number, picture in enumerate((output, greyed)))
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
