"""The paper's networks: the generator (an optimised MultiResUNet with self-attention) and its discriminator.

Figures 1 to 4, Equations 3 and 4 and Table 1 of Pan, Yuan, Lei, Kwong, "Video Compression Coding via Colorization: a GAN-based
approach", 2019. Names are those of the figures: M, A, P, D and C with the level's number, 1 at full size. Pictures are
[N, channels, H, W] in [-1, 1].
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinct.networks.gan_config import LEVELS, GanConfig
from tinct.networks.gan_graph import MULTIPLE, REPAIR, RESIDUAL_BLOCKS, widths


class ConvNorm(nn.Sequential):
    """A convolution that keeps the size, and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, norm: bool) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not norm)
        super().__init__(conv, nn.BatchNorm2d(outputs) if norm else nn.Identity())


class MultiResBlock(nn.Module):
    """Three 3x3 convolutions in a chain, their outputs side by side, added to a 1x1 convolution of the input (Figure 3)."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool = True) -> None:
        super().__init__()
        first, second = outputs // 6, outputs // 3
        self.conv1 = ConvNorm(inputs, first, 3, norm=norm)
        self.conv2 = ConvNorm(first, second, 3, norm=norm)
        self.conv3 = ConvNorm(second, outputs - first - second, 3, norm=norm)
        self.shortcut = ConvNorm(inputs, outputs, 1, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        a = functional.relu(self.conv1(x))
        b = functional.relu(self.conv2(a))
        c = functional.relu(self.conv3(b))
        return functional.relu(torch.cat([a, b, c], dim=1) + self.shortcut(x))


class ResidualBlock(nn.Module):
    """R1 of Equation 3: a 3x3 convolution and a 1x1 convolution, added; without batch norm that is one 3x3 convolution."""

    def __init__(self, channels: int, *, norm: bool = True) -> None:
        super().__init__()
        self.conv3 = ConvNorm(channels, channels, 3, norm=norm)
        self.conv1 = ConvNorm(channels, channels, 1, norm=norm) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(
            self.conv3(x) if self.conv1 is None else self.conv3(x) + self.conv1(x)
        )


class ResidualConnection(nn.Module):
    """P: four residual blocks on the way from encoder to decoder, and the input added at their end (GLRC; Figure 4, Equation 3)."""

    def __init__(self, channels: int, *, long_residual: bool, norm: bool = True) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(ResidualBlock(channels, norm=norm) for _ in range(RESIDUAL_BLOCKS))
        )
        self.long_residual = long_residual

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x) + x if self.long_residual else self.blocks(x)


class SelfAttention(nn.Module):
    """A: every position sees all others (Equation 4). `weight` is lambda, 0 at first, so that training starts without it.

    Keys and values are pooled 2x2 by their maximum, as in SAGAN. f and g are widened with zeros to the width of h, which changes
    no product: PyTorch's attention keeps its memory linear in the picture only where all three are equally wide.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // 8, 1)
        self.f = nn.Conv2d(channels, narrow, 1, bias=False)
        self.g = nn.Conv2d(channels, narrow, 1, bias=False)
        self.h = nn.Conv2d(channels, channels, 1, bias=False)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        fewer = (functional.max_pool2d(part, 2, ceil_mode=True) for part in (self.g(x), self.h(x)))
        query, key, value = (_positions(part) for part in (self.f(x), *fewer))
        wider = (0, value.shape[-1] - query.shape[-1])
        query, key = functional.pad(query, wider), functional.pad(key, wider)
        seen = functional.scaled_dot_product_attention(
            query, key, value, scale=1.0
        )  # [N, 1, H*W, C]
        return x + self.weight * seen.squeeze(1).transpose(1, 2).reshape(x.shape)


class Generator(nn.Module):
    """G: decoded luma [N, 1, H, W] to a picture [N, 3, H, W], both in [-1, 1]; any size, padded by replication and cropped.

    Down and up again through four levels, the widths of Table 1; after each D a MultiResBlock brings it back to its level's width.
    The picture is R'G'B' through tanh, or Y'CbCr, Y' being the luma and what is added to it. `norm` is off in what is sent:
    see `fold`.
    """

    def __init__(self, config: GanConfig, *, norm: bool = True) -> None:
        super().__init__()
        self.config, self.norm = config, norm
        w1, w2, w3, w4 = widths(config)
        self.M = nn.ModuleList(
            MultiResBlock(i, o, norm=norm) for i, o in ((1, w1), (w1, w2), (w2, w3), (w3, w4))
        )
        self.A = nn.ModuleList(
            SelfAttention(w) if level in config.attention else nn.Identity()
            for level, w in enumerate(widths(config), start=1)
        )
        self.P = nn.ModuleList(
            ResidualConnection(w, long_residual=config.residual == "global", norm=norm)
            for w in widths(config)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in ((w4, w3), (w3, w2), (w2, w1))
        )
        self.D = nn.ModuleList(MultiResBlock(2 * w, w, norm=norm) for w in (w4, w3, w2, w1))
        self.to_picture = nn.Conv2d(w1, 3, 1)
        if config.output == "ycbcr":  # training starts from the grey picture
            self.to_picture.weight.data *= 0.01
            self.to_picture.bias.data *= 0  # type: ignore[union-attr]  # it has one

    def forward(self, luma: Tensor) -> Tensor:
        x = padded(luma, MULTIPLE, 2 * MULTIPLE)
        attended = []
        for level in range(LEVELS):
            x = self.A[level](self.M[level](x if level == 0 else functional.max_pool2d(x, 2)))
            attended.append(x)
        for step, level in enumerate(reversed(range(LEVELS))):
            x = x if step == 0 else self.up[step - 1](x)
            x = self.D[step](torch.cat([x, self.P[level](attended[level])], dim=1))
        x = self.to_picture(x)[..., : luma.shape[-2], : luma.shape[-1]]
        if self.config.output == "rgb":
            return torch.tanh(x)
        return torch.cat([luma + REPAIR * x[:, :1], x[:, 1:]], dim=1)


class Discriminator(nn.Module):
    """D of Figure 2, C1 to C5: R'G'B' [N, 3, H, W] to logits [N, 1, H/8, W/8] that say how real each patch looks.

    4x4 convolutions, the first three with stride 2, batch norm in C2 to C4 and LeakyReLU 0.2, as in pix2pix. The last two are
    padded by one more row and column at the end, so that they keep the size as Table 1 has it. A `conditional` one sees the luma
    beside the colours, which Equation 5 does not.
    """

    def __init__(self, channels: int, *, conditional: bool = False) -> None:
        super().__init__()
        c = channels
        self.conditional = conditional
        self.C = nn.ModuleList(
            (
                _patch_conv(4 if conditional else 3, c, stride=2, norm=False),
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


def padded(picture: Tensor, multiple: int, least: int) -> Tensor:
    """A picture whose last row and column are repeated until both sides are multiples, and not shorter than `least`."""
    down, right = (max(-side % multiple, least - side) for side in picture.shape[-2:])
    return functional.pad(picture, (0, right, 0, down), mode="replicate")


def _patch_conv(inputs: int, outputs: int, *, stride: int, norm: bool = True) -> nn.Sequential:
    padding = (1, 1, 1, 1) if stride == 2 else (1, 2, 1, 2)
    conv = nn.Conv2d(inputs, outputs, 4, stride=stride, bias=not norm)
    return nn.Sequential(
        nn.ZeroPad2d(padding),
        conv,
        nn.BatchNorm2d(outputs) if norm else nn.Identity(),
        nn.LeakyReLU(0.2),
    )


def _positions(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, 1, H*W, C]: one head, a row a position."""
    return x.flatten(2).transpose(1, 2).unsqueeze(1)


@torch.no_grad()
def fold(generator: Generator) -> Generator:
    """A copy for decoding: every batch norm goes into the convolution before it, and two parallel convolutions become one.

    The same pictures, fewer numbers to send, and fewer to multiply.
    """
    whole = Generator(generator.config, norm=generator.norm)
    whole.load_state_dict(generator.state_dict())
    whole.eval()
    if not generator.norm:
        return whole
    for module in whole.modules():
        if isinstance(module, ConvNorm):
            module[0], module[1] = (
                nn.utils.fusion.fuse_conv_bn_eval(_conv(module), _norm(module)),
                nn.Identity(),
            )
    for module in whole.modules():
        if isinstance(module, ResidualBlock):
            assert module.conv1 is not None
            both, one = _conv(module.conv3), _conv(module.conv1)
            both.weight += functional.pad(one.weight, (1, 1, 1, 1))
            both.bias += one.bias  # type: ignore[operator]  # fused ones have a bias
            module.conv1 = None
    folded = Generator(generator.config, norm=False)
    folded.load_state_dict(whole.state_dict())
    return folded.eval()


def _conv(pair: ConvNorm) -> nn.Conv2d:
    assert isinstance(pair[0], nn.Conv2d)
    return pair[0]


def _norm(pair: ConvNorm) -> nn.BatchNorm2d:
    assert isinstance(pair[1], nn.BatchNorm2d)
    return pair[1]
