"""The strongest of several anchors, on each clip and metric: what a test has to beat.

A set of anchors is one encoder with several settings, such as chroma offsets or frames left out;
`results` keeps the sets of a sweep, `summary` compares codecs with the strongest of each.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tinct.errors import CodecError
from tinct.evaluation.bd import Delta
from tinct.evaluation.points import RDPoint, bd_rate
from tinct.evaluation.results import Outcome


@dataclass(frozen=True)
class Choice:
    """The strongest anchor of a set on one clip and metric.

    It has the lowest BD-rate over `first`, the first of the set with a curve. `passed_over` are the
    deltas over it, by codec, of those that share too little quality with it to be compared.
    """

    anchor: str
    first: str
    passed_over: dict[str, Delta]


def choose_anchor(
    outcome: Outcome, members: Sequence[str], *, clip: str, metric: str
) -> Choice | None:
    """Return the strongest of the codecs `members`; None where none has a curve on this clip."""
    curves = {name: outcome.of(clip, name) for name in members}
    curves = {name: points for name, points in curves.items() if has_curve(points, metric)}
    if not curves:
        return None
    first, *others = curves
    deltas = {name: bd_rate(curves[first], curves[name], metric) for name in others}
    gains = {name: delta.value for name, delta in deltas.items() if delta.counts}
    found = {first: 0.0} | {name: value for name, value in gains.items() if value is not None}
    return Choice(
        anchor=min(found, key=lambda name: found[name]),
        first=first,
        passed_over={name: delta for name, delta in deltas.items() if name not in found},
    )


def has_curve(points: Sequence[RDPoint], metric: str, *, without: Collection[int] = ()) -> bool:
    """Return whether two points or more have the metric, the frames `without` left out."""
    return sum(point.value(metric, without=without) is not None for point in points) >= 2


def check_anchors(anchors: Sequence[Sequence[str]], codecs: Sequence[str]) -> None:
    """Raise CodecError for sets of anchors that are not among the codecs."""
    for members in anchors:
        for name in members:
            if name not in codecs:
                raise CodecError(
                    f"--anchor: expected codecs that are measured ({' '.join(codecs)}), "
                    f"found {name}"
                )
        if repeated := {name for name in members if list(members).count(name) > 1}:
            found = f"{', '.join(sorted(repeated))} more than once"
            raise CodecError(f"--anchor: expected every codec once in a set, found {found}")


def format_set(members: Sequence[str]) -> str:
    """Return a set of anchors for readers."""
    return members[0] if len(members) == 1 else f"the best of {', '.join(members)}"
