"""The lab: codecs compared on real files, all bits counted. Needs `pip install 'tinct[lab]'`.

points = tinct.evaluation.sweep(["talk.mp4"], ["x265:intra", "tinct:intra"], [27, 32, 37, 42])
tinct.evaluation.bd_rate(points[:4], points[4:], metric="psnr_yuv611")

Names are loaded when they are first used: the printed figures of the paper need no extra.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinct.evaluation.bd import Delta as Delta
    from tinct.evaluation.points import RDPoint as RDPoint
    from tinct.evaluation.points import bd_quality as bd_quality
    from tinct.evaluation.points import bd_rate as bd_rate
    from tinct.evaluation.results import Failure as Failure
    from tinct.evaluation.results import Outcome as Outcome
    from tinct.evaluation.results import Setup as Setup
    from tinct.evaluation.results import load as load
    from tinct.evaluation.sweeps import resume as resume
    from tinct.evaluation.sweeps import start as start
    from tinct.evaluation.sweeps import sweep as sweep

# The public names: the module where each is.
_PUBLIC = {
    "Delta": "bd",
    "Failure": "results",
    "Outcome": "results",
    "RDPoint": "points",
    "Setup": "results",
    "bd_quality": "points",
    "bd_rate": "points",
    "load": "results",
    "resume": "sweeps",
    "start": "sweeps",
    "sweep": "sweeps",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tinct.evaluation' has no attribute {name!r}")
    return getattr(import_module(f"tinct.evaluation.{_PUBLIC[name]}"), name)
