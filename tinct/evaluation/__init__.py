"""The lab: codecs compared on real files, all bits counted. Needs `pip install 'tinct[lab]'`.

points = tinct.evaluation.sweep(["talk.mp4"], ["x265:intra", "tinct:intra"], [27, 32, 37, 42])
tinct.evaluation.bd_rate(points[:4], points[4:], metric="psnr_yuv611")
"""

from tinct.evaluation.bd import Delta
from tinct.evaluation.points import RDPoint, bd_quality, bd_rate
from tinct.evaluation.results import Failure, Outcome, Setup, load
from tinct.evaluation.sweeps import resume, start, sweep

__all__ = [
    "Delta",
    "Failure",
    "Outcome",
    "RDPoint",
    "Setup",
    "bd_quality",
    "bd_rate",
    "load",
    "resume",
    "start",
    "sweep",
]
