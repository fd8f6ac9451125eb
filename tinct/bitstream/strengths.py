"""Strengths of the post-filter, and their text in a manifest.

`decoder.postfilter` filters with them, `encoder.strengths` finds them.
"""

import re
import string
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise

UNIT = 8  # a strength of 1
LEAST, MOST = -32, 31
MAX_SHARE = 2 * UNIT  # of the network
_DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_CHANGE = re.compile("([0-9]{1,10})([A-Za-z0-9_-]{4})")


@dataclass(frozen=True)
class Strengths:
    """How strongly a plane is filtered, in units of 1 / UNIT, LEAST to MOST.

    `network` is the share of what the network changes, 0 to MAX_SHARE. The others weigh what three
    smoothing filters change: one that keeps edges, one along rows, one along columns; below 0 they
    sharpen.
    """

    network: int = UNIT
    edges: int = 0
    rows: int = 0
    columns: int = 0

    @property
    def smoothing(self) -> tuple[int, int, int]:
        return self.edges, self.rows, self.columns


NEUTRAL = Strengths()
Changes = Sequence[tuple[int, Strengths]]  # strengths from each place on, ascending


def pack_strengths(changes: Changes) -> str:
    """Return the text of changes: each place, and a digit for each of its strengths."""
    return ",".join(
        str(place) + "".join(_DIGITS[value - LEAST] for value in astuple(strengths))
        for place, strengths in changes
    )


def unpack_strengths(text: str) -> tuple[tuple[int, Strengths], ...]:
    """Return the changes of a text. Raise ValueError where it is none."""
    changes = []
    for part in text.split(",") if text else ():
        match = _CHANGE.fullmatch(part)
        if match is None:
            raise ValueError(part)
        values = [_DIGITS.index(digit) + LEAST for digit in match[2]]
        changes.append((int(match[1]), Strengths(*values)))
    shares = (strengths.network for _, strengths in changes)
    if not all(0 <= share <= MAX_SHARE for share in shares):
        raise ValueError("a share of the network")
    if not all(before[0] < after[0] for before, after in pairwise(changes)):
        raise ValueError("places that do not ascend")
    return tuple(changes)
