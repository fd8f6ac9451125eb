"""The results folder that tests of the lab read, its points by codec, and points made by hand."""

from pathlib import Path
from typing import Any

from tinct.evaluation import RDPoint, Setup, start

TINCT = "tinct:intra,colour=track,group=6,colouriser=none"
X265 = "x265:intra"
QPS = [27, 32, 37]
FRAMES = 12


def write_results(clip: Path, folder: Path) -> None:
    """Measure the first frames of a clip through Tinct and the anchor, at every QP."""
    setup = Setup(clips=[str(clip)], codecs=[TINCT, X265], qps=QPS, frames=FRAMES)
    start(setup, folder)


def make_point(**changes: Any) -> RDPoint:
    """Return a point of one second, 25 frames, with some of its fields changed."""
    given: dict[str, Any] = {
        "clip": "a",
        "codec": X265,
        "qp": 32,
        "width": 64,
        "height": 48,
        "frames": 25,
        "seconds": 1.0,
        "size_bytes": 1200,
        "means": {},
    }
    return RDPoint(**{**given, **changes})


def split_by_codec(points: list[RDPoint]) -> tuple[list[RDPoint], list[RDPoint]]:
    """Return the points of Tinct and those of the anchor."""
    tinct, x265 = (
        [point for point in points if point.codec.startswith(name)] for name in ("tinct", "x265")
    )
    return tinct, x265
