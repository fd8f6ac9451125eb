"""The paper's networks: the generator (an optimised MultiResUNet with self-attention) and its discriminator.

Figures 1 to 4, Equations 3 and 4 and Table 1 of Pan, Yuan, Lei, Kwong, "Video Compression Coding via Colorization: a GAN-based
approach", 2019. Names are those of the figures: M, A, P, D and C with the level's number, 1 at full size. Pictures are
[N, channels, H, W] in [-1, 1].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 4  # each half the size of the one before
MULTIPLE = 1 << (LEVELS - 1)  # sides are padded to this


@dataclass(frozen=True)
class GanConfig:
    """`channels` is the paper's C. `attention` names the levels that attend to themselves, 1 to 4.

    `long_residual` is the paper's GLRC; without it the skips are those of MultiResUNet ("original RC", Table 3).
    `conditional` shows the discriminator the luma beside the colours, which Equation 5 does not.
    """

    channels: int = 64
    attention: tuple[int, ...] = (3, 4)
    long_residual: bool = True
    conditional: bool = False

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of M, A and P at each level (Table 1)."""
        c = self.channels
        return c, c, 2 * c, 2 * c

    def __post_init__(self) -> None:
        assert self.channels >= 6, "a MultiResBlock gives a sixth of its channels to its first convolution"
        assert set(self.attention) <= set(range(1, LEVELS + 1))


class ConvNorm(nn.Sequential):
    """A convolution that keeps the size, and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class MultiResBlock(nn.Module):
    """Three 3x3 convolutions in a chain, their outputs side by side, added to a 1x1 convolution of the input (Figure 3)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second = outputs // 6, outputs // 3
        self.conv1 = ConvNorm(inputs, first, 3)
        self.conv2 = ConvNorm(first, second, 3)
        self.conv3 = ConvNorm(second, outputs - first - second, 3)
        self.shortcut = ConvNorm(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = functional.relu(self.conv1(x))
        b = functional.relu(self.conv2(a))
        c = functional.relu(self.conv3(b))
        return functional.relu(torch.cat([a, b, c], dim=1) + self.shortcut(x))


class ResidualBlock(nn.Module):
    """R1 of Equation 3: a 3x3 convolution and a 1x1 convolution, added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv3 = ConvNorm(channels, channels, 3)
        self.conv1 = ConvNorm(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv3(x) + self.conv1(x))


class ResidualConnection(nn.Module):
    """P: four residual blocks on the way from encoder to decoder, and the input added at their end (GLRC; Figure 4, Equation 3)."""

    def __init__(self, channels: int, *, long_residual: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(4)))
        self.long_residual = long_residual

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x) + x if self.long_residual else self.blocks(x)


class SelfAttention(nn.Module):
    """A: every position sees all others (Equation 4). `weight` is lambda, 0 at first, so that training starts without it.

    Keys and values are pooled 2x2, as in SAGAN. f and g are widened with zeros to the width of h, which changes no product:
    PyTorch's attention keeps its memory linear in the picture only where all three are equally wide.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // 8, 1)
        self.f = nn.Conv2d(channels, narrow, 1, bias=False)
        self.g = nn.Conv2d(channels, narrow, 1, bias=False)
        self.h = nn.Conv2d(channels, channels, 1, bias=False)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.max_pool2d(x, 2, ceil_mode=True)
        query, key, value = (_positions(part) for part in (self.f(x), self.g(pooled), self.h(pooled)))
        wider = (0, value.shape[-1] - query.shape[-1])
        query, key = functional.pad(query, wider), functional.pad(key, wider)
        seen = functional.scaled_dot_product_attention(query, key, value, scale=1.0)  # [N, 1, H*W, C]
        return x + self.weight * seen.squeeze(1).transpose(1, 2).reshape(x.shape)


class Generator(nn.Module):
    """G: decoded luma [N, 1, H, W] to R'G'B' [N, 3, H, W], both in [-1, 1]; any size, padded by replication and cropped.

    Down and up again through four levels, the widths of Table 1; after each D a MultiResBlock brings it back to its level's width.
    """

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.config = config
        w1, w2, w3, w4 = widths = config.widths
        self.M = nn.ModuleList(MultiResBlock(i, o) for i, o in zip((1, w1, w2, w3), widths, strict=True))
        self.A = nn.ModuleList(
            SelfAttention(w) if level in config.attention else nn.Identity() for level, w in enumerate(widths, start=1)
        )
        self.P = nn.ModuleList(ResidualConnection(w, long_residual=config.long_residual) for w in widths)
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in ((w4, w3), (w3, w2), (w2, w1)))
        self.D = nn.ModuleList(MultiResBlock(2 * w, w) for w in (w4, w3, w2, w1))
        self.to_rgb = nn.Conv2d(w1, 3, 1)

    def forward(self, luma: Tensor) -> Tensor:
        height, width = luma.shape[-2:]
        x = functional.pad(luma, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        attended = []
        for level in range(LEVELS):
            x = self.A[level](self.M[level](x if level == 0 else functional.max_pool2d(x, 2)))
            attended.append(x)
        for step, level in enumerate(reversed(range(LEVELS))):
            x = x if step == 0 else self.up[step - 1](x)
            x = self.D[step](torch.cat([x, self.P[level](attended[level])], dim=1))
        return torch.tanh(self.to_rgb(x))[..., :height, :width]


class Discriminator(nn.Module):
    """D of Figure 2, C1 to C5: R'G'B' [N, 3, H, W] to logits [N, 1, H/8, W/8] that say how real each patch looks.

    4x4 convolutions, the first three with stride 2, batch norm in C2 to C4 and LeakyReLU 0.2, as in pix2pix. The last two are
    padded by one more row and column at the end, so that they keep the size as Table 1 has it.
    """

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        c = config.channels
        self.conditional = config.conditional
        self.C = nn.ModuleList(
            (
                _patch_conv(4 if config.conditional else 3, c, stride=2, norm=False),
                _patch_conv(c, c, stride=2),
                _patch_conv(c, c, stride=2),
                _patch_conv(c, c, stride=1),
                nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(c, 1, 4)),
            )
        )

    def forward(self, rgb: Tensor, luma: Tensor) -> Tensor:
        x = torch.cat([rgb, luma], dim=1) if self.conditional else rgb
        for layer in self.C:
            x = layer(x)
        return x


def _patch_conv(inputs: int, outputs: int, *, stride: int, norm: bool = True) -> nn.Sequential:
    padding = (1, 1, 1, 1) if stride == 2 else (1, 2, 1, 2)
    conv = nn.Conv2d(inputs, outputs, 4, stride=stride, bias=not norm)
    return nn.Sequential(nn.ZeroPad2d(padding), conv, nn.BatchNorm2d(outputs) if norm else nn.Identity(), nn.LeakyReLU(0.2))


def _positions(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, 1, H*W, C]: one head, a row a position."""
    return x.flatten(2).transpose(1, 2).unsqueeze(1)


def fold(generator: Generator) -> Generator:
    """A copy for decoding, every batch norm folded into the convolution before it: the same pictures, fewer numbers to send."""
    folded = Generator(generator.config)
    folded.load_state_dict(generator.state_dict())
    folded.eval()
    for module in list(folded.modules()):
        if isinstance(module, ConvNorm):
            conv, norm = module[0], module[1]
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            module[0], module[1] = nn.utils.fusion.fuse_conv_bn_eval(conv, norm), nn.Identity()
    return folded
