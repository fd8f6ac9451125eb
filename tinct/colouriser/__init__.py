"""The seat of the networks: a colouriser takes what the decoder has of one group and returns its finished frames.

`none`, propagation alone, is the bar that every network must beat.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tinct.planes import Planes
from tinct.propagate import KeyView, LumaView


@dataclass(frozen=True)
class Prior:
    """One group before any network: the decoded `luma` of its frames, their propagated `chroma` as (cb, cr), and the `keys`.

    The first frame is a key frame, its chroma decoded. `keys` are the group's key frame and, where the group is
    closed, the next one.
    """

    luma: tuple[LumaView, ...]
    chroma: tuple[Planes, ...]
    keys: tuple[KeyView, ...]


Colouriser = Callable[[Prior], list[Planes]]  # to (y, cb, cr) of each frame of the group


def none(prior: Prior) -> list[Planes]:
    """Propagation alone: decoded luma, propagated chroma."""
    return [(luma.y, *chroma) for luma, chroma in zip(prior.luma, prior.chroma, strict=True)]


COLOURISERS: dict[str, Colouriser] = {"none": none}
