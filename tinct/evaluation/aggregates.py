"""Numbers of a whole clip that are no mean over its frames: pooled PSNRs, worst frame, worst block.

One function and one row of AGGREGATES each, made from the series of metrics that `metrics` has.
`points` keeps them beside the means.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tinct.errors import CodecError
from tinct.evaluation.metrics import METRICS, Metric
from tinct.psnr import PERFECT_DB, PLANE_WEIGHTS

# Suffix of a PSNR's name: from the squared error over all frames, not the mean of the frames' dB.
POOLED = "_pooled"
PLANES = ("psnr_y", "psnr_u", "psnr_v")
WORST_FRAME = "worst_frame"
WORST_BLOCK_MEDIAN, WORST_BLOCK_MAX = "worst_block_median", "worst_block_max"


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A row of AGGREGATES: its title, the metrics whose series it takes, and its function.

    The function takes the defined values of each series. Unit and direction are those of `Metric`.
    `by_frame` is the metric that shows the frames behind the number.
    """

    title: str
    unit: str
    better: int
    series: tuple[str, ...]
    by_frame: str
    reduce: Callable[..., float]


def pool_psnr(decibels: Iterable[float]) -> float:
    """Return the PSNR of the mean squared error of frames with these PSNRs, in dB."""
    squared = np.mean([10 ** (-db / 10) for db in decibels])
    return float(min(-10 * np.log10(squared), PERFECT_DB))


def pool_planes(*planes: Iterable[float]) -> float:
    """Return (6 Y + U + V) / 8 of the planes' pooled PSNRs, in dB."""
    return weigh_planes(map(pool_psnr, planes))


def weigh_planes(decibels: Iterable[float]) -> float:
    """Return (6 Y + U + V) / 8 of the planes' PSNR."""
    return float(np.dot(PLANE_WEIGHTS, list(decibels)))


def find_worst_frame(decibels: list[float]) -> float:
    """Return how far the PSNR of the worst frame lies below that of the median frame, in dB."""
    return float(np.median(decibels) - min(decibels))


def _pooled(metric: str, *series: str, reduce: Callable[..., float] = pool_psnr) -> Aggregate:
    row = METRICS[metric]
    return Aggregate(
        title=f"{row.title}, pooled error",
        unit=row.unit,
        better=row.better,
        series=series or (metric,),
        by_frame=metric,
        reduce=reduce,
    )


def _worst_block(title: str, reduce: Callable[..., float]) -> Aggregate:
    row = METRICS["worst_block"]
    return Aggregate(
        title=f"{row.title}, {title} of frames",
        unit=row.unit,
        better=row.better,
        series=("worst_block",),
        by_frame="worst_block",
        reduce=reduce,
    )


AGGREGATES: dict[str, Aggregate] = {
    "psnr_yuv611" + POOLED: _pooled("psnr_yuv611", *PLANES, reduce=pool_planes),
    **{name + POOLED: _pooled(name) for name in (*PLANES, "psnr_rgb")},
    WORST_FRAME: Aggregate(
        title="worst frame, PSNR Y below the median's",
        unit="dB",
        better=0,  # it compares frames of one file: at another QP it need not be smaller
        series=("psnr_y",),
        by_frame="psnr_y",
        reduce=find_worst_frame,
    ),
    WORST_BLOCK_MEDIAN: _worst_block("median", np.median),
    WORST_BLOCK_MAX: _worst_block("maximum", max),
}


def average_series(series: dict[str, list[float | None]]) -> dict[str, float]:
    """Return the mean of each metric over the frames where it is defined, and the aggregates."""
    defined = {
        name: [value for value in values if value is not None] for name, values in series.items()
    }
    defined = {name: values for name, values in defined.items() if values}
    found = {name: float(np.mean(values)) for name, values in defined.items()}
    for name, row in AGGREGATES.items():
        if all(source in defined for source in row.series):
            found[name] = float(row.reduce(*(defined[source] for source in row.series)))
    return found


def get_direction(metric: str) -> int:
    """Return +1 where more of a metric is better, -1 where less is, 0 where it is no quality.

    Raise CodecError for a name that is neither a metric nor an aggregate.
    """
    return _find_row(metric).better


def get_title(metric: str) -> str:
    """Return a metric's or an aggregate's name for readers."""
    return _find_row(metric).title


def get_unit(metric: str) -> str:
    """Return a metric's or an aggregate's unit."""
    return _find_row(metric).unit


def get_series(metric: str) -> str:
    """Return the metric that shows a metric or an aggregate frame by frame."""
    return AGGREGATES[metric].by_frame if metric in AGGREGATES else metric


def _find_row(metric: str) -> Metric | Aggregate:
    row = METRICS.get(metric) or AGGREGATES.get(metric)
    if row is None:
        names = ", ".join([*METRICS, *AGGREGATES])
        raise CodecError(f"expected a metric of {names}; found {metric}")
    return row
