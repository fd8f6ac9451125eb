"""The configuration of a generator: the paper's, or one of those that it compares with.

`gan_graph` and `trainable.gan` build the paper's, `trainable.baselines` the others.
"""

from dataclasses import dataclass
from typing import Literal

GeneratorKind = Literal["multiresunet", "pix2pix", "pix2pix-attention", "pix2pixhd", "cyclegan"]
Output = Literal["rgb", "ycbcr"]
Residual = Literal["global", "original"]

MIN_CHANNELS = 6  # a MultiResBlock gives a sixth of its channels to its first convolution
MAX_CHANNELS = 128
LEVELS = 4  # of the paper's generator, each half the size of the one before


@dataclass(frozen=True)
class GanConfig:
    """All that it takes to build a generator, and nothing of how it is trained.

    `channels` is the paper's C. `attention` names the levels that have self-attention, 1 (full
    size) to 4. `residual` is `global` for the paper's global long residual connections (GLRC), and
    `original` for the skips of MultiResUNet (Table 3). `output` is R'G'B', as in the paper, or
    Y'CbCr, whose Y' is the decoded luma plus a correction. The last three apply to `multiresunet`
    alone.
    """

    channels: int = 64
    kind: GeneratorKind = "multiresunet"
    attention: tuple[int, ...] = (3, 4)
    residual: Residual = "global"
    output: Output = "rgb"

    def __post_init__(self) -> None:
        assert MIN_CHANNELS <= self.channels <= MAX_CHANNELS
        assert set(self.attention) <= set(range(1, LEVELS + 1))

    @property
    def is_paper(self) -> bool:
        """Whether this is the paper's own generator."""
        return self.kind == "multiresunet"

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level of the paper's generator, from full size down (Table 1)."""
        return self.channels, self.channels, 2 * self.channels, 2 * self.channels
