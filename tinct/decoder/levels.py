"""Levels: how coarse each picture of an in-band track is beside those around it.

Encoders give the pictures from which others are predicted more bits. A network restores a picture
from finer ones, see `motion.references`.
"""

from tinct.bitstream.codecs import BaseCodec
from tinct.motion.references import find_pyramid_level

TOP, REFERENCE, LEAF = range(3)  # levels where packets tell them


class Levels:
    """Takes the packets of a track of `base` in their order, and gives the levels of its pictures.

    A picture that is later than all before it in the stream is of level 0. Of the others, those
    that may be predicted from are of level 1 and the rest of level 2. Where packets do not tell,
    pictures form a regular pyramid from the entry point on.
    """

    def __init__(self, base: BaseCodec) -> None:
        self._is_reference = base.is_reference
        self._told: dict[int, int] = {}  # levels of pictures to come, by time
        self._newest_pts = -1
        self._entries: set[int] = set()  # times of entry points that have not come yet
        self._place = 0  # of the next picture, after its entry point

    def note(self, data: bytes, pts: int, *, is_entry: bool) -> None:
        """Take a packet, before its picture."""
        if self._is_reference is None:
            if is_entry:
                self._entries.add(pts)
        elif is_entry or pts > self._newest_pts:
            self._told[pts] = TOP
        else:
            self._told[pts] = REFERENCE if self._is_reference(data) else LEAF
        self._newest_pts = max(self._newest_pts, pts)

    def take(self, pts: int) -> int:
        """Return the level of the next picture in order of time."""
        if self._is_reference is not None:
            level = self._told.pop(pts, TOP)
            self._told = {later: told for later, told in self._told.items() if later > pts}
            return level
        if pts in self._entries:
            self._entries.remove(pts)
            self._place = 0
        level = find_pyramid_level(self._place)
        self._place += 1
        return level
