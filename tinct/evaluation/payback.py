"""The length of video from which on a network of its own pays beside another codec of the lab.

At equal quality the network saves bits each second, once its own bits are paid. The other codec's
rate at the quality of the network's file is read from its curve, the logarithm of rate linear in
quality between two points. The length is the network's bits over the bits saved a second; it holds
for a longer video on which the network does as well without growing, which nobody measured.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tinct.evaluation.points import RDPoint

# "never": nothing is saved. "outside": the other codec was not measured at this quality.
Payback = float | Literal["never", "outside"]


def find_payback_seconds(point: RDPoint, rival: Sequence[RDPoint], metric: str) -> Payback:
    """Return from how many seconds on a file with its network is smaller than the rival's.

    Quality is the mean over all frames of the file.
    """
    rate_kbps = find_rate_kbps(rival, metric, quality=point.means[metric])
    if rate_kbps is None:
        return "outside"
    saved_kbps = rate_kbps - point.rate_kbps("paper")
    network_kbit = point.parts.get("update", 0) * 8 / 1000
    return network_kbit / saved_kbps if saved_kbps > 0 else "never"


def find_rate_kbps(points: Sequence[RDPoint], metric: str, *, quality: float) -> float | None:
    """Return a codec's rate, all bits, at a quality; None outside of its points."""
    curve = sorted((point.means[metric], point.rate_kbps()) for point in points)
    if not curve or not curve[0][0] <= quality <= curve[-1][0]:
        return None
    qualities, rates = zip(*curve, strict=True)
    return math.exp(float(np.interp(quality, qualities, np.log(rates))))
