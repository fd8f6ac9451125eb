"""Rows of the paper's tables: each file measured, beside what the paper prints of it.

`reproduce` measures the files, `paper_tables` writes the rows as Markdown.
"""

from dataclasses import asdict, dataclass, field

from tinct.evaluation.bd import Method
from tinct.evaluation.experiments import (
    ANCHOR,
    COMPACT,
    COMPACT_CODEC,
    HEVC,
    NONE,
    PLAIN,
    PROPOSED,
    Variants,
)
from tinct.evaluation.payback import Payback, find_payback_seconds
from tinct.evaluation.points import Accounting, RDPoint, bd_quality, bd_rate
from tinct.evaluation.published import (
    Printed,
    PrintedDeltas,
    find_printed,
    find_printed_deltas,
)
from tinct.evaluation.results import Outcome

METRICS = ("psnr_rgb", "psnr_y", "psnr_yuv611", "ssim_y")
PAID_IN = ("psnr_rgb", "psnr_yuv611")  # metrics in which quality is equal where a network pays
PAID_BESIDE = {NONE: PLAIN[NONE], COMPACT: COMPACT_CODEC}
ACCOUNTINGS: tuple[Accounting, ...] = ("paper", "all bits")
CUBIC_POINTS = 4  # from as many on a Bjøntegaard delta is the paper's: cubic, as VCEG-M33


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file, or one training: what the paper prints of clip, QP and variant, and what is here.

    The paper does not say of which planes its PSNR is. `ours` are means over the frames between key
    frames, `whole` over all; rates are in kbit/s. `deltas` are those of Equation 11, against HEVC
    at the same QP: percent of its rate, and differences of `ours` and `whole`. `seed` is None where
    nothing was trained. `payback` has the seconds from which on a network pays, by "variant
    metric".
    """

    clip: str
    qp: int
    variant: str
    seed: int | None
    printed: Printed
    printed_deltas: PrintedDeltas
    ours: dict[str, float]
    whole: dict[str, float]
    paper_kbps: float
    all_bits_kbps: float
    network_bytes: int
    deltas: dict[str, float]
    payback: dict[str, Payback] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bjontegaard:
    """A variant's Bjøntegaard deltas on a clip against HEVC, R'G'B' between key frames.

    `percent` is BD-rate, `decibels` BD-PSNR, both by accounting, without those that are undefined.
    `common_db` is the interval of PSNR that both curves share.
    """

    clip: str
    variant: str
    seed: int | None
    printed: PrintedDeltas
    percent: dict[Accounting, float]
    decibels: dict[Accounting, float]
    common_db: float


def make_rows(table: str, variants: Variants, outcome: Outcome) -> list[Row]:
    """Return a row for each point of a table, by clip, QP, variant and seed."""
    named = {
        codec: (name, seed) for name, by_seed in variants.items() for seed, codec in by_seed.items()
    }
    rows = [
        _make_row(table, point, *named[point.codec], outcome=outcome)
        for point in outcome.points
        if point.codec in named
    ]
    order = list(variants)
    return sorted(rows, key=lambda row: (row.clip, row.qp, order.index(row.variant), row.seed or 0))


def _make_row(
    table: str, point: RDPoint, variant: str, seed: int | None, *, outcome: Outcome
) -> Row:
    # HEVC has no key frames of its own: those of all codecs are left out of every one.
    beside = [p for p in outcome.points if (p.clip, p.qp) == (point.clip, point.qp)]
    keys = {key for other in beside for key in other.keys}
    ours = {name: point.value(name, without=keys) for name in METRICS}
    anchors = [p for p in beside if p.codec == ANCHOR and variant != HEVC]
    deltas = _compare(anchors[0], point, keys=keys) if anchors else {}
    printed_in = "table2" if table == "figure5" else table  # the figure's own are of one frame
    is_proposed = printed_in == "table2" and variant == PROPOSED
    return Row(
        clip=point.clip,
        qp=point.qp,
        variant=variant,
        seed=seed,
        printed=find_printed(printed_in, point.clip, qp=point.qp, variant=variant),
        printed_deltas=find_printed_deltas(point.clip, point.qp)
        if is_proposed
        else PrintedDeltas(),
        ours={name: value for name, value in ours.items() if value is not None},
        whole={name: point.means[name] for name in METRICS if name in point.means},
        paper_kbps=point.rate_kbps("paper"),
        all_bits_kbps=point.rate_kbps("all bits"),
        network_bytes=point.parts.get("update", 0),
        deltas=deltas,
        payback=_find_paybacks(point, outcome) if table == "channels" and seed is not None else {},
    )


def describe_row(row: Row) -> dict[str, object]:
    """Return a row as it stands in TABLE.json, the printed numbers by their names."""
    printed = {f"printed_{name}": value for name, value in row.printed._asdict().items()}
    deltas = row.printed_deltas._asdict()
    printed |= {f"printed_delta_{name}": deltas[name] for name in ("rate_percent", "psnr_db")}
    own = {name: value for name, value in asdict(row).items() if not name.startswith("printed")}
    return {**own, **printed}


def _compare(anchor: RDPoint, point: RDPoint, *, keys: set[int]) -> dict[str, float]:
    """Return the deltas of Equation 11 of a point against HEVC's, those of rate in percent."""
    found = {
        f"{accounting} %": 100 * (point.rate_kbps(accounting) / anchor.rate_kbps() - 1)
        for accounting in ACCOUNTINGS
    }
    for name in METRICS:
        for label, without in ((name, keys), (f"whole {name}", set[int]())):
            ours, theirs = (p.value(name, without=without) for p in (point, anchor))
            if ours is not None and theirs is not None:
                found[label] = ours - theirs
    return found


def _find_paybacks(point: RDPoint, outcome: Outcome) -> dict[str, Payback]:
    """Return from how many seconds on the network pays, by "variant metric"."""
    return {
        f"{name} {metric}": find_payback_seconds(point, outcome.of(point.clip, codec), metric)
        for name, codec in PAID_BESIDE.items()
        for metric in PAID_IN
    }


def make_deltas(variants: Variants, outcome: Outcome) -> list[Bjontegaard]:
    """Return the Bjøntegaard deltas of each variant, seed and clip with points at two QPs."""
    return [
        _make_delta(variant, seed, outcome.of(clip, ANCHOR), points=outcome.of(clip, codec))
        for clip in outcome.clips
        for variant, by_seed in variants.items()
        for seed, codec in by_seed.items()
        if variant != HEVC and min(len(outcome.of(clip, codec)), len(outcome.of(clip, ANCHOR))) >= 2
    ]


def _make_delta(
    variant: str, seed: int | None, anchor: list[RDPoint], *, points: list[RDPoint]
) -> Bjontegaard:
    method: Method = "cubic" if min(len(anchor), len(points)) >= CUBIC_POINTS else "pchip"
    rates, qualities = (
        {
            accounting: function(
                anchor, points, "psnr_rgb", method=method, accounting=accounting, keys=False
            )
            for accounting in ACCOUNTINGS
        }
        for function in (bd_rate, bd_quality)
    )
    clip = points[0].clip
    printed = find_printed_deltas(clip, points[0].qp) if variant == PROPOSED else PrintedDeltas()
    return Bjontegaard(
        clip=clip,
        variant=variant,
        seed=seed,
        printed=printed,
        percent={name: d.value for name, d in rates.items() if d.value is not None},
        decibels={name: d.value for name, d in qualities.items() if d.value is not None},
        common_db=rates["all bits"].common_db or 0.0,
    )
