"""The paper's networks in PyTorch: the generator, a MultiResUNet with self-attention, and its
discriminator.

They are Figures 1 to 4, Equations 3 and 4 and Table 1 of Pan, Yuan, Lei, Kwong, "Video Compression
Coding via Colorization: a GAN-based approach", 2019. Names are those of the figures: M, A, P, D and
C with the level's number, 1 at full size. Pictures are [N, channels, H, W] in [-1, 1]. `gan_graph`
runs the generator without PyTorch; `adapt.gan` trains it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinct.networks.gan_config import LEVELS, GanConfig
from tinct.networks.gan_graph import MULTIPLE, REPAIR, RESIDUAL_BLOCKS


class ConvNorm(nn.Sequential):
    """A convolution that keeps the size, then batch norm; without `norm` a bias takes its place."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, norm: bool) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not norm)
        super().__init__(conv, nn.BatchNorm2d(outputs) if norm else nn.Identity())


class MultiResBlock(nn.Module):
    """Three chained 3x3 convolutions, their outputs concatenated, plus a 1x1 shortcut (Figure 3).

    [N, inputs, H, W] -> [N, outputs, H, W].
    """

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
    """R1 of Equation 3: the sum of a 3x3 and a 1x1 convolution, which keeps the shape.

    Without `norm` both are one 3x3 convolution.
    """

    def __init__(self, channels: int, *, norm: bool = True) -> None:
        super().__init__()
        self.conv3 = ConvNorm(channels, channels, 3, norm=norm)
        self.conv1 = ConvNorm(channels, channels, 1, norm=norm) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        both = self.conv3(x) if self.conv1 is None else self.conv3(x) + self.conv1(x)
        return functional.relu(both)


class ResidualConnection(nn.Module):
    """P: four residual blocks between encoder and decoder (Figure 4, Equation 3).

    With `long_residual` their input is added at their end: the paper's GLRC.
    """

    def __init__(self, channels: int, *, long_residual: bool, norm: bool = True) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(ResidualBlock(channels, norm=norm) for _ in range(RESIDUAL_BLOCKS))
        )
        self.long_residual = long_residual

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x) + x if self.long_residual else self.blocks(x)


class SelfAttention(nn.Module):
    """A: every position sees all others (Equation 4), [N, C, H, W] -> [N, C, H, W].

    `weight` is lambda; it is 0 at first, so that training starts without attention. Keys and values
    are max-pooled 2x2, as in SAGAN. f and g are padded with zeros to the width of h, which changes
    no product: the memory of PyTorch's attention is linear in the picture only where all three have
    one width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // 8, 1)
        self.f = nn.Conv2d(channels, narrow, 1, bias=False)
        self.g = nn.Conv2d(channels, narrow, 1, bias=False)
        self.h = nn.Conv2d(channels, channels, 1, bias=False)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = (functional.max_pool2d(part, 2, ceil_mode=True) for part in (self.g(x), self.h(x)))
        query, key, value = (_flatten_positions(part) for part in (self.f(x), *pooled))
        missing = (0, value.shape[-1] - query.shape[-1])
        query, key = functional.pad(query, missing), functional.pad(key, missing)
        # [N, 1, H * W, C]
        seen = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.weight * seen.squeeze(1).transpose(1, 2).reshape(x.shape)


class Generator(nn.Module):
    """G: decoded luma [N, 1, H, W] to a picture [N, 3, H, W], both in [-1, 1] (Figure 1).

    Pictures of any size are padded by replication, and cropped at the end. Four levels lead down
    and up again, with the widths of Table 1: M, A and P on the way down, D on the way up, a
    MultiResBlock of the level's width. The picture is R'G'B' through tanh, or Y'CbCr, whose Y' is
    the luma plus a correction. `norm` is off in what is sent, see `fold`.
    """

    def __init__(self, config: GanConfig, *, norm: bool = True) -> None:
        super().__init__()
        self.config, self.norm = config, norm
        widths = config.widths
        w1, w2, w3, w4 = widths
        self.M = nn.ModuleList(
            MultiResBlock(i, o, norm=norm) for i, o in ((1, w1), (w1, w2), (w2, w3), (w3, w4))
        )
        self.A = nn.ModuleList(
            SelfAttention(w) if level in config.attention else nn.Identity()
            for level, w in enumerate(widths, start=1)
        )
        self.P = nn.ModuleList(
            ResidualConnection(w, long_residual=config.residual == "global", norm=norm)
            for w in widths
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
        x = pad_to_multiple(luma, MULTIPLE, 2 * MULTIPLE)
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
    """D (Figure 2, C1 to C5): R'G'B' [N, 3, H, W] in [-1, 1] to logits [N, 1, H / 8, W / 8].

    A logit says how real a patch looks. The layers are 4x4 convolutions, the first three with
    stride 2, with batch norm in C2 to C4 and LeakyReLU 0.2, as in pix2pix. The last two are padded
    by one more row and column at the end and so keep the size, as Table 1 has it. A `conditional`
    one sees the luma beside the colours, which Equation 5 does not.
    """

    def __init__(self, channels: int, *, conditional: bool = False) -> None:
        super().__init__()
        c = channels
        self.conditional = conditional
        self.C = nn.ModuleList(
            (
                _make_patch_layer(4 if conditional else 3, c, stride=2, norm=False),
                _make_patch_layer(c, c, stride=2),
                _make_patch_layer(c, c, stride=2),
                _make_patch_layer(c, c, stride=1),
                nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(c, 1, 4)),
            )
        )

    def forward(self, rgb: Tensor, luma: Tensor) -> Tensor:
        x = torch.cat([rgb, luma], dim=1) if self.conditional else rgb
        for layer in self.C:
            x = layer(x)
        return x


def pad_to_multiple(picture: Tensor, multiple: int, least: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples, and `least` or longer."""
    down, right = (max(-side % multiple, least - side) for side in picture.shape[-2:])
    return functional.pad(picture, (0, right, 0, down), mode="replicate")


def _make_patch_layer(
    inputs: int, outputs: int, *, stride: int, norm: bool = True
) -> nn.Sequential:
    padding = (1, 1, 1, 1) if stride == 2 else (1, 2, 1, 2)
    conv = nn.Conv2d(inputs, outputs, 4, stride=stride, bias=not norm)
    return nn.Sequential(
        nn.ZeroPad2d(padding),
        conv,
        nn.BatchNorm2d(outputs) if norm else nn.Identity(),
        nn.LeakyReLU(0.2),
    )


def _flatten_positions(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, 1, H * W, C]: one head, a row a position."""
    return x.flatten(2).transpose(1, 2).unsqueeze(1)


@torch.no_grad()
def fold(generator: Generator) -> Generator:
    """Return a copy for decoding, without batch norm: the same pictures from fewer numbers.

    Every batch norm is folded into the convolution before it, and the two parallel convolutions of
    a ResidualBlock become one.
    """
    whole = Generator(generator.config, norm=generator.norm)
    whole.load_state_dict(generator.state_dict())
    whole.eval()
    if not generator.norm:
        return whole
    for module in whole.modules():
        if isinstance(module, ConvNorm):
            conv, norm = module
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            module[0], module[1] = nn.utils.fusion.fuse_conv_bn_eval(conv, norm), nn.Identity()
    for module in whole.modules():
        if isinstance(module, ResidualBlock):
            assert module.conv1 is not None
            both, one = module.conv3[0], module.conv1[0]
            assert isinstance(both, nn.Conv2d)
            assert isinstance(one, nn.Conv2d)
            both.weight += functional.pad(one.weight, (1, 1, 1, 1))
            both.bias += one.bias  # type: ignore[operator]  # fused ones have a bias
            module.conv1 = None
    folded = Generator(generator.config, norm=False)
    folded.load_state_dict(whole.state_dict())
    return folded.eval()
