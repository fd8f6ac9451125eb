"""The numbers of a report: BD-rates of every codec against its anchor, and how they were measured.

`report` puts them into the page, `markdown` into tables.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tinct.evaluation.aggregates import (
    AGGREGATES,
    get_direction,
    get_series,
    get_title,
    get_unit,
)
from tinct.evaluation.anchors import choose_anchor, format_set, has_curve
from tinct.evaluation.bd import Delta
from tinct.evaluation.metrics import METRICS
from tinct.evaluation.points import Accounting, RDPoint, bd_quality, bd_rate
from tinct.evaluation.results import Outcome

Row = dict[str, Any]  # the deltas of two codecs on one clip, by kind
DeltaTable = dict[str, dict[str, dict[str, Row]]]  # by metric, codec and clip
MAIN_METRIC = "psnr_yuv611"
PARTS = ("luma", "video", "colour", "update", "container")  # of a file, as stacked from below


@dataclass(frozen=True)
class BestTable:
    """Deltas of every other codec against the strongest of a set of anchors.

    The strongest is chosen on each clip and metric; `anchor` in a row is its name. `notes` name the
    anchors that could not be compared with the first of the set, on MAIN_METRIC.
    """

    title: str
    deltas: DeltaTable
    notes: list[str]


@dataclass(frozen=True)
class Tables:
    """The deltas of a report: against each codec's own anchor, and against the best of sets."""

    own: DeltaTable
    best: list[BestTable]


def find_counterparts(outcome: Outcome) -> dict[str, str]:
    """Return what each codec is compared with: its anchor, and anchors with the first of them.

    So an anchor of another structure, such as x265 in random access, has figures too. The first
    anchor is not in it.
    """
    anchors = {codec: outcome.anchor_of(codec) for codec in outcome.codecs}
    first = next(iter(anchors.values()), None)
    found = {c: anchor if anchor != c else first for c, anchor in anchors.items() if c != first}
    return {codec: other for codec, other in found.items() if other is not None}


def compare_codecs(outcome: Outcome) -> DeltaTable:
    """Return the deltas of every codec by `find_counterparts`, on every metric and clip."""
    counterparts = find_counterparts(outcome)
    return {
        metric: {
            codec: compare_on_clips(outcome, other, codec, metric=metric)
            for codec, other in counterparts.items()
        }
        for metric in _list_qualities()
        if counterparts
    }


def compare_structures(outcome: Outcome) -> list[BestTable]:
    """Return the deltas of all codecs against the first anchor, where structures differ."""
    anchors = [outcome.anchor_of(codec) for codec in outcome.codecs]
    return [compare_with_best(outcome, anchors[:1])] if len(set(anchors)) > 1 else []


def compare_with_best(outcome: Outcome, members: Sequence[str]) -> BestTable:
    """Return the deltas of every other codec against the strongest of the codecs `members`."""
    tests = [codec for codec in outcome.codecs if codec not in members]
    deltas = {
        metric: _compare_tests(outcome, members, tests, metric=metric)
        for metric in _list_qualities()
        if tests
    }
    return BestTable(format_set(members), deltas, _note_passed_over(outcome, members))


def _note_passed_over(outcome: Outcome, members: Sequence[str]) -> list[str]:
    notes = []
    for clip in outcome.clips:
        choice = choose_anchor(outcome, members, clip=clip, metric=MAIN_METRIC)
        if choice is None:
            continue
        for name, delta in choice.passed_over.items():
            reason = delta.why or f"{delta.common_db:.1f} dB in common"
            notes.append(f"{name} on {clip} is passed over: {reason} with {choice.first}")
    return notes


def _compare_tests(
    outcome: Outcome, members: Sequence[str], tests: Sequence[str], *, metric: str
) -> dict[str, dict[str, Row]]:
    """Return the rows of codecs against the strongest of a set on one metric, by codec and clip."""
    rows: dict[str, dict[str, Row]] = {codec: {} for codec in tests}
    for clip in outcome.clips:
        choice = choose_anchor(outcome, members, clip=clip, metric=metric)
        if choice is None:
            continue
        anchor = outcome.of(clip, choice.anchor)
        for codec in tests:
            row = compare_points(anchor, outcome.of(clip, codec), metric)
            if row is not None:
                rows[codec][clip] = row | {"anchor": choice.anchor}
    return rows


def _list_qualities() -> list[str]:
    """Return the metrics and aggregates of which there is a Bjøntegaard delta."""
    return [name for name in [*METRICS, *AGGREGATES] if get_direction(name)]


def compare_on_clips(outcome: Outcome, anchor: str, test: str, *, metric: str) -> dict[str, Row]:
    """Return the deltas of two codecs on one metric, by clip; without clips that lack points."""
    rows = {
        clip: compare_points(outcome.of(clip, anchor), outcome.of(clip, test), metric)
        for clip in outcome.clips
    }
    return {clip: row for clip, row in rows.items() if row is not None}


def compare_points(anchor: Sequence[RDPoint], test: Sequence[RDPoint], metric: str) -> Row | None:
    """Return the deltas of two codecs on one clip; None for fewer than two points on a side.

    `rate` is the BD-rate on all bits, with its `overlap` and, of a PSNR, `common_db`; `cubic` is
    the same by another method, `quality` the BD-quality. `paper` leaves the update's bits out, and
    is there where a file has an update. `inner` and `paper_inner` leave the key frames out of the
    quality, and are there where key frames are known; they are None where every frame is a key
    frame. `narrow` are the kinds that no mean takes, since the curves share too little quality.
    """
    if not (has_curve(anchor, metric) and has_curve(test, metric)):
        return None
    rate = bd_rate(anchor, test, metric)
    deltas = {
        "rate": rate,
        "cubic": bd_rate(anchor, test, metric, method="cubic"),
        # on the quality that both have in common, its mean is held to the same width
        "quality": replace(bd_quality(anchor, test, metric), common_db=rate.common_db),
        **_compare_accountings(anchor, test, metric),
    }
    row: Row = {kind: delta.value for kind, delta in deltas.items()}
    narrow = [kind for kind, d in deltas.items() if d.value is not None and not d.counts]
    return row | {"overlap": rate.overlap, "common_db": rate.common_db, "narrow": narrow}


def _compare_accountings(
    anchor: Sequence[RDPoint], test: Sequence[RDPoint], metric: str
) -> dict[str, Delta]:
    """Return the BD-rates without the update, without key frames, and without both."""
    found = {}
    has_update = any("update" in point.parts for point in test)
    if has_update:
        found["paper"] = bd_rate(anchor, test, metric, accounting="paper")
    if keys := {number for point in test for number in point.keys}:
        has_inner = all(has_curve(points, metric, without=keys) for points in (anchor, test))

        def compare_inner(accounting: Accounting) -> Delta:
            if not has_inner:
                return Delta(None, 0.0, "every frame is a key frame")
            return bd_rate(anchor, test, metric, accounting=accounting, keys=False)

        found["inner"] = compare_inner("all bits")
        if has_update:
            found["paper_inner"] = compare_inner("paper")
    return found


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
