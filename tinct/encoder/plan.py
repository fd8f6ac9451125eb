"""How a video will be coded: what `decide` finds and the encoder carries out."""

import math
from dataclasses import dataclass, field

from tinct.bitstream.layouts import LAYOUTS, LayoutRow
from tinct.bitstream.pictures import Packet
from tinct.bitstream.schema import Layout
from tinct.encoder.cost import Cost
from tinct.encoder.keyframes import Spacing
from tinct.encoder.sending import SEND_ALL, Sending

TrackPackets = list[tuple[str, list[Packet]]]  # packets of some tracks, by the tracks' names


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the video will be coded.

    `colour_qp` and `spacing` belong to the colour track, `sending` says which frames between its
    key frames are sent, `hints` whether luma has coarse colour; the places of key frames and the
    frames that are sent are chosen on small copies of at most `most_samples` of luma. `network` is
    the name of one that ships. `track`, `plain` (HEVC of the same structure) and `random_access`
    are costs measured on the samples, None where they were not. `slope` is distortion D per bit a
    frame; `colour_bits` are the bits of `track` that the colour track takes.
    """

    layout: Layout
    qp: int
    colour_qp: int = 0
    spacing: Spacing = field(default_factory=lambda: Spacing(group="auto"))
    sending: Sending = SEND_ALL
    hints: bool = False
    most_samples: float = math.inf
    slope: float = 0.0
    colour_bits: float = 0.0
    colouriser: str = "none"
    network: str | None = None
    key_boost: int = 0
    track: Cost | None = None
    plain: Cost | None = None
    random_access: Cost | None = None

    @property
    def row(self) -> LayoutRow:
        return LAYOUTS[self.layout]

    @property
    def has_shipped_network(self) -> bool:
        return self.network is not None

    @property
    def pays(self) -> bool:
        """Return whether the colour track beats plain HEVC on the samples."""
        assert self.track is not None
        assert self.plain is not None
        return self.cost(self.track) < self.cost(self.plain)

    def cost(self, of: Cost) -> float:
        """Return D + slope * R, with D relative to plain HEVC and R in bits a frame."""
        assert self.plain is not None
        return of.distortion(self.plain) + self.slope * of.bits


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is searched where a network restores.

    `qp` is the nominal QP of luma, `boost` by how many steps key frames are finer, `spacing` how
    far apart they stand, `colour_qp` the QP of their colour; `sending` says which frames between
    them are sent, `hints` whether with coarse colour.
    """

    qp: int
    boost: int
    spacing: Spacing
    colour_qp: int
    sending: Sending = SEND_ALL
    hints: bool = False
