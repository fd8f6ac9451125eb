"""All that it takes to build one of the paper's generators."""

from dataclasses import dataclass
from typing import Literal

GeneratorKind = Literal["multiresunet", "pix2pix", "pix2pix-attention", "pix2pixhd", "cyclegan"]
Output = Literal["rgb", "ycbcr"]
Residual = Literal["global", "original"]
MIN_CHANNELS, MAX_CHANNELS = (
    6,
    128,
)  # a MultiResBlock gives a sixth of its channels to its first convolution
LEVELS = 4  # of the paper's generator, each half the size of the one before


@dataclass(frozen=True)
class GanConfig:
    """All that it takes to build a generator, and nothing of how it is trained.

    `channels` is the paper's C. `attention` names the levels that attend to themselves, 1 (full size) to 4. `residual` is
    `global` with the paper's GLRC; `original` has the skips of MultiResUNet (Table 3). `output` is R'G'B', as in the paper, or
    Y'CbCr, where Y' is the decoded luma and what the network adds to it. The last three are of `multiresunet` alone.
    """

    channels: int = 64
    kind: GeneratorKind = "multiresunet"
    attention: tuple[int, ...] = (3, 4)
    residual: Residual = "global"
    output: Output = "rgb"

    def __post_init__(self) -> None:
        assert MIN_CHANNELS <= self.channels <= MAX_CHANNELS
        assert set(self.attention) <= set(range(1, LEVELS + 1))
