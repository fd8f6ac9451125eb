"""The generators that the paper's Table 7 compares with, in PyTorch, for the lab.

They are pix2pix (Isola et al. 2017), with SAGAN's attention (Zhang et al. 2019) or without,
pix2pixHD (Wang et al. 2018) and CycleGAN (Zhu et al. 2017), each with `channels` as its first
width. They take luma [N, 1, H, W] to R'G'B' [N, 3, H, W], both in [-1, 1]; pictures of any size are
padded by replication, and cropped at the end. Instance norm stands for batch norm: with batch 1,
which all of them train with, both are the same. `trainable.gan` has the paper's own generator.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinct.networks.gan_config import GanConfig
from tinct.networks.trainable.gan import Generator, SelfAttention, pad_to_multiple

UNET_WIDTHS = (1, 2, 4, 8, 8, 8, 8, 8)  # times `channels`, at 1/2 to 1/256 of the size
# From this level on half of the features are dropped on the way up in training, pix2pix's only
# noise.
DROPOUT_LEVEL = 5
ATTENTION_LEVEL = 2  # of the U-Net, from 0: 1/8 of the size, 32x32 of a 256x256 crop
RESIDUAL_BLOCKS = 9  # of a ResNet


class UNet(nn.Module):
    """pix2pix's U-Net of eight levels; `pix2pix-attention` has self-attention after the third."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels * times for times in UNET_WIDTHS]
        last = len(widths) - 1
        self.down = nn.ModuleList(
            _make_down_layer(inputs, outputs, norm=0 < level < last)
            for level, (inputs, outputs) in enumerate(pairwise([1, *widths]))
        )
        has_attention = config.kind == "pix2pix-attention"
        self.attention = SelfAttention(widths[ATTENTION_LEVEL]) if has_attention else nn.Identity()
        self.up = nn.ModuleList()
        for level, width in enumerate(widths):
            inputs = width if level == last else 2 * width  # the way down is concatenated
            outputs = widths[level - 1] if level else 3
            self.up.append(
                _make_up_layer(inputs, outputs, norm=level > 0, drop=level >= DROPOUT_LEVEL)
            )

    def forward(self, luma: Tensor) -> Tensor:
        side = 1 << len(UNET_WIDTHS)
        x = pad_to_multiple(luma, side, side)
        passed = []
        for level, down in enumerate(self.down):
            x = down(x)
            x = self.attention(x) if level == ATTENTION_LEVEL else x
            passed.append(x)
        for level in reversed(range(len(self.up))):
            x = x if level == len(self.up) - 1 else torch.cat([x, passed[level]], dim=1)
            x = self.up[level](functional.relu(x))
        return _crop_like(torch.tanh(x), luma)


class ResNet(nn.Module):
    """Halvings, nine residual blocks, doublings: pix2pixHD's global generator with 4, CycleGAN's 2.

    CycleGAN's takes three channels, since its identity loss gives it coloured pictures; luma is
    repeated threefold. `outputs` are the channels of the picture that is made.
    """

    def __init__(self, config: GanConfig, outputs: int = 3) -> None:
        super().__init__()
        self.config = config
        halvings = 4 if config.kind == "pix2pixhd" else 2
        self._inputs = 1 if config.kind == "pix2pixhd" else 3
        self._multiple = 1 << halvings
        c = config.channels
        layers: list[nn.Module] = [
            *_make_wide_layers(self._inputs, c),
            nn.InstanceNorm2d(c),
            nn.ReLU(),
        ]
        for _ in range(halvings):
            layers += [
                nn.Conv2d(c, 2 * c, 3, stride=2, padding=1),
                nn.InstanceNorm2d(2 * c),
                nn.ReLU(),
            ]
            c *= 2
        layers += [_ResNetBlock(c) for _ in range(RESIDUAL_BLOCKS)]
        for _ in range(halvings):
            layers += [
                nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1),
                nn.InstanceNorm2d(c // 2),
                nn.ReLU(),
            ]
            c //= 2
        self.layers = nn.Sequential(*layers, *_make_wide_layers(c, outputs), nn.Tanh())

    def forward(self, picture: Tensor) -> Tensor:
        inputs = picture.expand(-1, self._inputs, -1, -1)
        x = pad_to_multiple(inputs, self._multiple, 2 * self._multiple)
        return _crop_like(self.layers(x), picture)


class _ResNetBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                nn.ReflectionPad2d(1),
                nn.Conv2d(channels, channels, 3),
                nn.InstanceNorm2d(channels),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class PatchDiscriminator(nn.Module):
    """pix2pix's discriminator, whose logits each see 70x70 pixels.

    It returns the logits [N, 1, h, w] and the features of each layer, which pix2pixHD compares.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        widths = [channels * times for times in (1, 2, 4, 8)]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, stride=2 if level < 3 else 1, padding=1),
                nn.InstanceNorm2d(after) if level else nn.Identity(),
                nn.LeakyReLU(0.2),
            )
            for level, (before, after) in enumerate(pairwise([inputs, *widths]))
        )
        self.last = nn.Conv2d(widths[-1], 1, 4, padding=1)

    def forward(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for layer in self.layers:
            picture = layer(picture)
            features.append(picture)
        return self.last(picture), features


def make_generator(config: GanConfig, *, norm: bool) -> nn.Module:
    """Return an untrained generator of any kind; `norm` is off for the paper's as it is sent."""
    if config.is_paper:
        return Generator(config, norm=norm)
    return UNet(config) if config.kind in ("pix2pix", "pix2pix-attention") else ResNet(config)


def list_baseline_shapes(config: GanConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that is sent, in the order of the bytes; none is made."""
    with torch.device("meta"):
        state = make_generator(config, norm=False).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def load_baseline(
    config: GanConfig, weights: Mapping[str, np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a generator with these weights.

    It takes luma [H, W] to R'G'B' [3, H, W], both float32 in [-1, 1].
    """
    generator = make_generator(config, norm=False)
    generator.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    # the overload of `to` is missing in PyTorch's own types
    generator.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def run(luma: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(luma)[None, None].contiguous(memory_format=torch.channels_last)
        return generator(given)[0].numpy()

    return run


def _make_down_layer(inputs: int, outputs: int, *, norm: bool) -> nn.Sequential:
    """Halve the size. LeakyReLU stands before all but the first layer, the one of one channel."""
    before = nn.LeakyReLU(0.2) if inputs > 1 else nn.Identity()
    return nn.Sequential(
        before,
        nn.Conv2d(inputs, outputs, 4, stride=2, padding=1),
        nn.InstanceNorm2d(outputs) if norm else nn.Identity(),
    )


def _make_up_layer(inputs: int, outputs: int, *, norm: bool, drop: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1),
        nn.InstanceNorm2d(outputs) if norm else nn.Identity(),
        nn.Dropout(0.5) if drop else nn.Identity(),
    )


def _make_wide_layers(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.ReflectionPad2d(3), nn.Conv2d(inputs, outputs, 7)


def _crop_like(picture: Tensor, like: Tensor) -> Tensor:
    return picture[..., : like.shape[-2], : like.shape[-1]]
