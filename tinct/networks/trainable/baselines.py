"""The generators that the paper's Table 7 compares with, for the lab: pix2pix, with attention or not, pix2pixHD, CycleGAN;
and `new_generator`, which makes one of any kind for training.

Each after its own paper (Isola et al. 2017, Zhang et al. 2019, Wang et al. 2018, Zhu et al. 2017), its first width `channels`.
Norms are of the single picture: with batch 1, which all of them train with, batch norm is that too. Luma [N, 1, H, W] to R'G'B'
[N, 3, H, W], both in [-1, 1]; any size, padded by replication and cropped.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinct.networks.gan_config import GanConfig
from tinct.networks.trainable.gan import Generator, SelfAttention, padded

UNET_WIDTHS = (1, 2, 4, 8, 8, 8, 8, 8)  # times `channels`, at 1/2 to 1/256 of the size
DROPPED_FROM = 5  # the levels from which half the features are dropped on the way up while it learns, pix2pix's only noise
ATTENDED = (
    2  # the U-Net's level, from 0, that attends to itself: 1/8 of the size, 32x32 of a 256x256 crop
)


class UNet(nn.Module):
    """pix2pix's U-Net of eight levels; `attention` puts SAGAN's after the third."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels * times for times in UNET_WIDTHS]
        last = len(widths) - 1
        self.down = nn.ModuleList(
            _down(i, o, norm=0 < level < last)
            for level, (i, o) in enumerate(zip([1, *widths], widths, strict=False))
        )
        self.attention = (
            SelfAttention(widths[ATTENDED]) if config.kind == "pix2pix-attention" else nn.Identity()
        )
        ups = [
            (widths[level] * (1 if level == last else 2), widths[level - 1] if level else 3)
            for level in range(last + 1)
        ]
        self.up = nn.ModuleList(
            _up(i, o, norm=level > 0, drop=level >= DROPPED_FROM)
            for level, (i, o) in enumerate(ups)
        )

    def forward(self, luma: Tensor) -> Tensor:
        x = padded(luma, 1 << len(UNET_WIDTHS), 1 << len(UNET_WIDTHS))
        passed = []
        for level, down in enumerate(self.down):
            x = down(x)
            x = self.attention(x) if level == ATTENDED else x
            passed.append(x)
        for level in reversed(range(len(self.up))):
            x = x if level == len(self.up) - 1 else torch.cat([x, passed[level]], dim=1)
            x = self.up[level](functional.relu(x))
        return _cropped(torch.tanh(x), luma)


class ResNet(nn.Module):
    """Down, nine residual blocks, up again: CycleGAN's with two halvings, pix2pixHD's global generator with four.

    CycleGAN's takes three channels, so that it can be asked to leave a coloured picture as it is; luma is given it threefold.
    """

    def __init__(self, config: GanConfig, outputs: int = 3) -> None:
        super().__init__()
        self.config = config
        halvings = 4 if config.kind == "pix2pixhd" else 2
        self._inputs, self._multiple = (1 if config.kind == "pix2pixhd" else 3), 1 << halvings
        c = config.channels
        layers: list[nn.Module] = [*_wide(self._inputs, c), nn.InstanceNorm2d(c), nn.ReLU()]
        for _ in range(halvings):
            layers += [
                nn.Conv2d(c, 2 * c, 3, stride=2, padding=1),
                nn.InstanceNorm2d(2 * c),
                nn.ReLU(),
            ]
            c *= 2
        layers += [_Block(c) for _ in range(9)]
        for _ in range(halvings):
            layers += [
                nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1), nn.InstanceNorm2d(c // 2), nn.ReLU(),
            ]  # fmt: skip
            c //= 2
        self.layers = nn.Sequential(*layers, *_wide(c, outputs), nn.Tanh())

    def forward(self, picture: Tensor) -> Tensor:
        x = padded(picture.expand(-1, self._inputs, -1, -1), self._multiple, 2 * self._multiple)
        return _cropped(self.layers(x), picture)


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        one = (nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels))
        two = (nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels))
        self.layers = nn.Sequential(*one, nn.ReLU(), *two)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class PatchDiscriminator(nn.Module):
    """pix2pix's, which sees 70x70 pixels: to logits of patches, and the features of each layer, which pix2pixHD compares."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        widths = [channels * times for times in (1, 2, 4, 8)]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(i, o, 4, stride=2 if level < 3 else 1, padding=1),
                nn.InstanceNorm2d(o) if level else nn.Identity(),
                nn.LeakyReLU(0.2),
            )
            for level, (i, o) in enumerate(zip([inputs, *widths], widths, strict=False))
        )
        self.last = nn.Conv2d(widths[-1], 1, 4, padding=1)

    def forward(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for layer in self.layers:
            picture = layer(picture)
            features.append(picture)
        return self.last(picture), features


def new_generator(config: GanConfig, *, norm: bool) -> nn.Module:
    """A generator of any kind before training; the paper's with `norm` off as it is sent (see `fold`)."""
    if config.kind == "multiresunet":
        return Generator(config, norm=norm)
    return UNet(config) if config.kind in ("pix2pix", "pix2pix-attention") else ResNet(config)


def rival_shapes(config: GanConfig) -> dict[str, tuple[int, ...]]:
    """Of every tensor that is sent, in the order of the bytes, without one of them being made."""
    with torch.device("meta"):
        return {
            name: tuple(tensor.shape)
            for name, tensor in new_generator(config, norm=False).state_dict().items()
        }


def rival_of(
    config: GanConfig, weights: Mapping[str, np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """A generator of given weights: luma [H, W] to R'G'B' [3, H, W], both float32 in [-1, 1]."""
    generator = new_generator(config, norm=False)
    generator.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    generator.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's own types

    @torch.inference_mode()
    def run(luma: np.ndarray) -> np.ndarray:
        return generator(
            torch.from_numpy(luma)[None, None].contiguous(memory_format=torch.channels_last)
        )[0].numpy()

    return run


def _down(inputs: int, outputs: int, *, norm: bool) -> nn.Sequential:
    """LeakyReLU before all but the first convolution, which is what has one input channel."""
    before = nn.LeakyReLU(0.2) if inputs > 1 else nn.Identity()
    return nn.Sequential(
        before,
        nn.Conv2d(inputs, outputs, 4, stride=2, padding=1),
        nn.InstanceNorm2d(outputs) if norm else nn.Identity(),
    )


def _up(inputs: int, outputs: int, *, norm: bool, drop: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1),
        nn.InstanceNorm2d(outputs) if norm else nn.Identity(),
        nn.Dropout(0.5) if drop else nn.Identity(),
    )


def _wide(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.ReflectionPad2d(3), nn.Conv2d(inputs, outputs, 7)


def _cropped(picture: Tensor, like: Tensor) -> Tensor:
    return picture[..., : like.shape[-2], : like.shape[-1]]
