"""The numbers of a report: BD-rates of every codec against its anchor, and how they were measured.

`report` puts them into the page, `markdown` into tables.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from tinct.evaluation.aggregates import (
    AGGREGATES,
    get_direction,
    get_series,
    get_title,
    get_unit,
)
from tinct.evaluation.metrics import METRICS
from tinct.evaluation.points import Accounting, RDPoint, bd_quality, bd_rate
from tinct.evaluation.results import Outcome

Row = dict[str, Any]  # the deltas of two codecs on one clip, by kind
DeltaTable = dict[str, dict[str, dict[str, Row]]]  # by metric, codec and clip
PARTS = ("luma", "video", "colour", "update", "container")  # of a file, as stacked from below


def compare_codecs(outcome: Outcome) -> DeltaTable:
    """Return the deltas of every codec against its anchor, on every metric of quality and clip."""
    metrics = [name for name in [*METRICS, *AGGREGATES] if get_direction(name)]
    anchors = {codec: outcome.anchor_of(codec) for codec in outcome.codecs}
    tests = [codec for codec, anchor in anchors.items() if codec != anchor]
    table: DeltaTable = {}
    for metric in metrics:
        for codec in tests:
            rows = compare_on_clips(outcome, anchors[codec], codec, metric=metric)
            table.setdefault(metric, {})[codec] = rows
    return table


def compare_on_clips(outcome: Outcome, anchor: str, test: str, *, metric: str) -> dict[str, Row]:
    """Return the deltas of two codecs on one metric, by clip; without clips that lack points."""
    rows = {
        clip: compare_points(outcome.of(clip, anchor), outcome.of(clip, test), metric)
        for clip in outcome.clips
    }
    return {clip: row for clip, row in rows.items() if row is not None}


def compare_points(anchor: Sequence[RDPoint], test: Sequence[RDPoint], metric: str) -> Row | None:
    """Return the deltas of two codecs on one clip; None for fewer than two points on a side.

    `rate` is the BD-rate on all bits, with its `overlap`, `cubic` the same by another method,
    `quality` the BD-quality. `paper` leaves the update's bits out, and is there where a file has an
    update. `inner` and `paper_inner` leave the key frames out of the quality, and are there where
    key frames are known; they are None where every frame is a key frame.
    """
    if not _has_curves(anchor, test, metric):
        return None
    rate = bd_rate(anchor, test, metric)
    row: Row = {
        "rate": rate.value,
        "overlap": rate.overlap,
        "cubic": bd_rate(anchor, test, metric, method="cubic").value,
        "quality": bd_quality(anchor, test, metric).value,
    }
    has_update = any("update" in point.parts for point in test)
    if has_update:
        row["paper"] = bd_rate(anchor, test, metric, accounting="paper").value
    keys = {number for point in test for number in point.keys}
    if keys:
        is_defined = _has_curves(anchor, test, metric, without=keys)

        def compare_inner(accounting: Accounting) -> float | None:
            if not is_defined:
                return None
            return bd_rate(anchor, test, metric, accounting=accounting, keys=False).value

        row["inner"] = compare_inner("all bits")
        if has_update:
            row["paper_inner"] = compare_inner("paper")
    return row


def _has_curves(
    anchor: Sequence[RDPoint],
    test: Sequence[RDPoint],
    metric: str,
    *,
    without: Collection[int] = (),
) -> bool:
    """Return whether both sides know the metric at two points, the frames `without` left out."""
    known = [
        sum(point.value(metric, without=without) is not None for point in points)
        for points in (anchor, test)
    ]
    return min(known) >= 2


def list_metrics(points: Iterable[RDPoint]) -> dict[str, Row]:
    """Return the metrics that some point has, aggregates last, with title, unit and direction.

    `series` names the metric whose values by frame stand for it.
    """
    known = {name for point in points for name in point.means}
    return {
        name: {
            "title": get_title(name),
            "unit": get_unit(name),
            "better": get_direction(name),
            "series": get_series(name),
        }
        for name in [*METRICS, *AGGREGATES]
        if name in known
    }


def list_notes(outcome: Outcome) -> list[str]:
    """Return what a reader of the numbers has to know: what is missing, refused or left out."""
    skipped = [f"{codec} is skipped: {reason}" for codec, reason in outcome.skipped.items()]
    refused = [f"Refused: {failure}" for failure in outcome.failures]
    external = {
        f"{p.codec}: {p.note}; its rates lack the container's bytes"
        for p in outcome.points
        if p.note
    }
    return [*skipped, *refused, *outcome.notes, *sorted(external)]


def describe_setup(outcome: Outcome) -> dict[str, Any]:
    """Return when, where and with which versions the points were measured."""
    measured = [point for point in outcome.points if point.versions]

    def join_values(name: str) -> str:
        return ", ".join(sorted({str(v) for point in measured if (v := getattr(point, name))}))

    versions: dict[str, set[str]] = {}
    for point in measured:
        for package, number in point.versions.items():
            versions.setdefault(package, set()).add(number)
    return {
        "date": join_values("date"),
        "machine": join_values("machine"),
        "jobs": join_values("jobs"),
        "qps": outcome.setup.qps,
        "frames": outcome.setup.frames or "all",
        "versions": {name: " and ".join(sorted(found)) for name, found in versions.items()},
    }
