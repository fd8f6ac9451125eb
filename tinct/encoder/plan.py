"""How a video will be coded: what `decide` finds and the encoder carries out."""

from dataclasses import dataclass, field

from tinct.bitstream.hevc import Packet
from tinct.bitstream.manifest import Layout
from tinct.encoder.cost import Cost
from tinct.encoder.keyframes import Spacing

_Coded = list[tuple[str, list[Packet]]]  # packets by track


@dataclass(frozen=True)
class Plan:
    """How the video will be coded. `colour_qp` and `spacing` are of the colour track.

    `track`, `plain` (HEVC of the same structure) and `random_access` are what was measured on the samples; None where
    it was not. `slope` is D per bit a frame. `colour_bits` is the colour track's share of `track`.
    """

    layout: Layout
    qp: int
    colour_qp: int = 0
    spacing: Spacing = field(default_factory=lambda: Spacing("auto"))
    slope: float = 0.0
    colour_bits: float = 0.0
    colouriser: str = "none"
    network: str = "fast"
    key_boost: int = 0
    track: Cost | None = None
    plain: Cost | None = None
    random_access: Cost | None = None

    @property
    def pays(self) -> bool:
        """Whether the colour track beats plain HEVC on the samples."""
        assert self.track is not None
        assert self.plain is not None
        return self.cost(self.track) < self.cost(self.plain)

    def cost(self, of: Cost) -> float:
        """D + slope * R."""
        assert self.plain is not None
        return of.distortion(self.plain) + self.slope * of.bits


@dataclass(frozen=True)
class Choice:
    """What can be chosen where a network restores: QP steps that key frames are finer, where they stand, QP of their colour."""

    boost: int
    spacing: Spacing
    colour_qp: int
