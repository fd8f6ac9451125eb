"""`compact` as a PyTorch module, and the errors that it is trained on.

`networks.compact` runs the same network without PyTorch. Planes come unshuffled: a position stands
for 4 x 4 luma samples and 2 x 2 of each chroma plane, which are its channels.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinct.networks.compact_config import CONDITIONS, CORRECTION_SCALE, SHARES, CompactConfig

RIM = 2  # positions at the border of a crop that are not judged: beyond them the picture is missing

# Luma [B, S + 1, 16, h, w] and chroma [B, S' + 1, 2, 4, h, w] in [0, 1], the original as the last
# source; conditions [B, 4].
Batch = tuple[Tensor, Tensor, Tensor]


class Compact(nn.Module):
    """References to finished planes: every sample is a mix of its sources, plus a correction.

    luma [B, S, 16, h, w] ──► differences ─┐                       ┌─► luma shares, 2 x 2 a position
    chroma [B, S', 2, 4, h, w] ─► means ───┼─► 1x1 ─► 3x3 … 3x3 ─► 1x1 ─► luma correction
    conditions [B, 4] ─────────────────────┘                       ├─► chroma shares, 1 a position
                                                                   └─► chroma correction
    """

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Conv2d(config.inputs, width, 1)
        self.when = nn.Linear(CONDITIONS, width, bias=False)
        self.body = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) for _ in range(config.depth)
        )
        self.leave = nn.Conv2d(width, config.outputs, 1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, luma: Tensor, chroma: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return luma [B, 16, h, w] and chroma [B, 2, 4, h, w], about in [0, 1] as the sources."""
        batch, sources, _, h, w = luma.shape
        own = luma[:, :1]
        differences = torch.cat((own - 0.5, 8 * (luma[:, 1:] - own)), 1).flatten(1, 2)
        means = 4 * (chroma.mean(3) - 0.5).flatten(1, 2)
        told = self.when(conditions)[:, :, None, None]
        x = functional.relu(self.enter(torch.cat((differences, means), 1)) + told)
        for layer in self.body:
            x = functional.relu(x + layer(x))
        luma_shares, luma_correction, chroma_shares, chroma_correction = self.leave(x).split(
            self.config.output_split, 1
        )
        # [B, S, rows, 1, columns, 1, h, w] over [B, S, rows, 2, columns, 2, h, w]
        luma_shares = luma_shares.reshape(batch, sources, 2, 1, 2, 1, h, w).softmax(1)
        parts = luma.reshape(batch, sources, 2, 2, 2, 2, h, w)
        mixed_luma = (parts * luma_shares).sum(1).reshape(batch, 16, h, w)
        mixed_chroma = (chroma * chroma_shares.softmax(1)[:, :, None, None]).sum(1)
        return (
            mixed_luma + CORRECTION_SCALE * luma_correction,
            mixed_chroma + CORRECTION_SCALE * chroma_correction[:, :, None],
        )


assert SHARES == 4, "the reshape in `forward` has 2 x 2 shares a position"


def plane_errors(network: nn.Module, batch: Batch) -> Tensor:
    """Return the mean squared error of Y, Cb and Cr of each crop, [B, 3], without the rim.

    It is in squared 8-bit levels.
    """
    luma, chroma, conditions = batch
    y, colour = network(luma[:, :-1], chroma[:, :-1], conditions)
    luma_error = mean_squared_error(y, luma[:, -1], (1, 2, 3))
    colour_errors = mean_squared_error(colour, chroma[:, -1], (2, 3, 4))
    return torch.cat((luma_error[:, None], colour_errors), 1)


def mean_squared_error(a: Tensor, b: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the mean over `axes` of the squared difference, without the rim.

    Samples are in [0, 1], the error in squared 8-bit levels.
    """
    inner = slice(RIM, -RIM)
    return (a[..., inner, inner] - b[..., inner, inner]).square().mean(axes) * 255**2


def unshuffle(planes: Tensor, side: int) -> Tensor:
    """[..., H, W] -> [..., side * side, H / side, W / side]."""
    *lead, height, width = planes.shape
    flat = functional.pixel_unshuffle(planes.reshape(-1, 1, height, width), side)
    return flat.reshape(*lead, side * side, height // side, width // side)


def load_compact(config: CompactConfig, weights: Mapping[str, np.ndarray]) -> Compact:
    """Return the module of a configuration with these weights, such as `read_weights` returns."""
    network = Compact(config)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return network
