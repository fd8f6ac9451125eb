"""The layouts of a Tinct file: the tracks of each, and what the tracks hold.

`manifest` specifies them.
"""

from dataclasses import dataclass

from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.bitstream.schema import Layout


@dataclass(frozen=True, kw_only=True)
class LayoutRow:
    """One layout: its name in the manifest, and its video tracks in the order of the file.

    With `whole_keys` the colour track holds whole key frames, and the luma track only the other
    frames. Without it the luma track holds every frame.
    """

    name: Layout
    tracks: tuple[str, ...]
    whole_keys: bool = False

    @property
    def has_colour_track(self) -> bool:
        return COLOUR in self.tracks

    def is_grey(self, track: str, *, has_hints: bool = False) -> bool | None:
        """Return whether pictures of a track are 4:0:0; None where 4:2:0 is allowed as well."""
        if track == COLOUR:
            return not self.whole_keys
        return None if self.has_colour_track and not has_hints else False


CHROMA = LayoutRow(name="chroma", tracks=(LUMA, COLOUR))
FULL = LayoutRow(name="full", tracks=(LUMA, COLOUR), whole_keys=True)
IN_BAND = LayoutRow(name="in-band", tracks=(LUMA,))
LAYOUTS: dict[str, LayoutRow] = {row.name: row for row in (CHROMA, FULL, IN_BAND)}
