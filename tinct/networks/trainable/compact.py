"""`compact` as a PyTorch module, and its errors, for training; `colouriser.compact` runs the same graph without it.

All planes are unshuffled: a position stands for 4 x 4 luma samples, or 2 x 2 of each chroma plane, whose values are channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from tinct.networks.compact_config import CONDITIONS, FINER, MASKS, CompactConfig

RIM = 2  # positions at the border of a crop that are not judged: around them lies no picture
Batch = tuple[
    Tensor, Tensor, Tensor
]  # luma and chroma of the sources and the original, as cells of 0 to 1; conditions


class Compact(nn.Module):
    """References to finished planes: every sample is a mix of its sources, plus a small correction.

    luma [B, S, 16, h, w] ──► differences ─┐                       ┌─► shares of each source, 2 x 2 a position ─► mix ─► + ─► luma
    chroma [B, S', 2, 4, h, w] ─► means ───┼─► 1x1 ─► 3x3 … 3x3 ─► 1x1 ─► corrections ──────────────────────────────────┘
    conditions [B, 4] ─────────────────────┘                       └─► the same for chroma, 1 a position
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
        """Luma [B, 16, h, w] and chroma [B, 2, 4, h, w], in the sources' units (0 to 1)."""
        batch, sources, _, h, w = luma.shape
        own = luma[:, :1]
        seen = torch.cat((own - 0.5, 8 * (luma[:, 1:] - own)), 1).flatten(1, 2)
        means = 4 * (chroma.mean(3) - 0.5).flatten(1, 2)
        x = self.enter(torch.cat((seen, means), 1)) + self.when(conditions)[:, :, None, None]
        x = F.relu(x)
        for layer in self.body:
            x = F.relu(x + layer(x))
        found = self.leave(x)
        masks, luma_more, chroma_masks, chroma_more = found.split(self.config.split, 1)
        # [B, S, rows, 1, columns, 1, h, w] over [B, S, rows, 2, columns, 2, h, w]
        shares = masks.reshape(batch, sources, 2, 1, 2, 1, h, w).softmax(1)
        mixed = (
            (luma.reshape(batch, sources, 2, 2, 2, 2, h, w) * shares)
            .sum(1)
            .reshape(batch, 16, h, w)
        )
        chroma_shares = chroma_masks.softmax(1)[:, :, None, None]
        coloured = (chroma * chroma_shares).sum(1)
        return mixed + FINER * luma_more, coloured + FINER * chroma_more[:, :, None]


assert MASKS == 4, "the reshape in `forward` has 2 x 2 shares a position"


def plane_errors(network: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of Y, U and V of each crop [B, 3], in 8-bit levels, the rim left out; the original is the last source."""
    luma, chroma, conditions = batch
    y, colour = network(luma[:, :-1], chroma[:, :-1], conditions)
    return torch.cat(
        (squared(y, luma[:, -1], (1, 2, 3))[:, None], squared(colour, chroma[:, -1], (2, 3, 4))), 1
    )


def squared(a: Tensor, b: Tensor, over: tuple[int, ...]) -> Tensor:
    """Mean squared difference over some axes, in 8-bit levels, the rim left out."""
    inner = slice(RIM, -RIM)
    return (a[..., inner, inner] - b[..., inner, inner]).square().mean(over) * 255**2


def cells(planes: Tensor, side: int) -> Tensor:
    """[..., H, W] -> [..., side * side, H / side, W / side]."""
    *lead, height, width = planes.shape
    return F.pixel_unshuffle(planes.reshape(-1, 1, height, width), side).reshape(
        *lead, side * side, height // side, width // side
    )
