"""The paper's experiments done again: the codecs that each of its tables compares, and the table with our numbers beside its own.

Files are coded, decoded and measured by `bench` like any others. Quality is that of the frames between key frames, which is what
the network makes; rate is given without the network's bits, as the paper counts, and with every byte of the file.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tinct.config import default_losses, named_losses
from tinct.errors import CodecError
from tinct.evaluation.codecs import at_home, config_of, parse, trains
from tinct.evaluation.points import RDPoint, bd_rate
from tinct.evaluation.published import printed
from tinct.evaluation.sweeps import Outcome, Setup, in_full, load, resume, start
from tinct.frames import Progress
from tinct.workers import Engine

TABLES = {
    "table2": (27, 32, 37, 42),
    "table3": (37,),
    "table4": (37,),
    "table6": (37,),
    "table7": (27,),
}  # and their QPs
HEVC, NONE = "HEVC 4:2:0", "none"
METRICS = ("psnr_rgb", "psnr_y", "psnr_yuv611", "ssim_y")
PROPOSED = "proposed"


@dataclass(frozen=True)
class Experiment:
    """What is trained: the paper's C, recipe, budget (as --adapt), --content-loss; VGG-19's file if it is not fetched."""

    channels: int = 64
    recipe: str = "paper"
    budget: str = "auto"
    content_loss: str | None = None
    vgg19: str | None = None


@dataclass(frozen=True)
class Row:
    """One clip, QP and variant: what the paper prints (PSNR of which it does not say the planes), and what was measured here.

    `ours` are means over the frames between key frames; rates are in kbit/s.
    """

    clip: str
    qp: int
    variant: str
    printed_psnr_db: float | None
    printed_ssim: float | None
    printed_kbps: float | None
    ours: dict[str, float]
    paper_kbps: float
    all_bits_kbps: float


def codecs_of(table: str, experiment: Experiment) -> dict[str, str]:
    """The lab's codec for each variant of a table, by the name that the paper's numbers have; HEVC and `none` beside them."""
    options = f"preset=paper,channels={experiment.channels},recipe={experiment.recipe},adapt={experiment.budget}"
    named = named_losses(None, experiment.content_loss, experiment.recipe)
    usual = tuple(named.split("+")) if named is not None else default_losses(experiment.recipe)

    def variant(extra: str = "", losses: Sequence[str] = usual) -> str:
        weights = f",vgg19={experiment.vgg19}" if experiment.vgg19 and "content" in losses else ""
        return f"tinct:intra,{options},losses={'+'.join(losses)}{weights}{extra}"

    def rival(kind: str) -> str:
        """With losses of its own."""
        return f"tinct:intra,{options},generator={kind}"

    g1 = ("gan", "mse")
    tables = {
        "table2": {PROPOSED: variant()},
        "table3": {"original RC": variant(",residual=original"), "proposed RC": variant()},
        "table4": {"without SA": variant(",attention=none"), "with SA": variant()},
        "table6": {
            "G1 gan+100mse": variant("", g1),
            "G2 G1+100color": variant("", (*g1, "colour")),
            **(
                {
                    "G3 G1+1000content": variant("", (*g1, "content")),
                    "G4 all": variant("", (*g1, "colour", "content")),
                }
                if experiment.content_loss != "none"
                else {}
            ),
        },
        "table7": {
            "pix2pix": rival("pix2pix"),
            "pix2pix+attention": rival("pix2pix-attention"),
            "pix2pixhd": rival("pix2pixhd"),
            "cyclegan": rival("cyclegan"),
            PROPOSED: variant(),
        },
    }
    if table not in tables:
        raise CodecError(f"expected to reproduce: published, {', '.join(TABLES)}; found {table}")
    return {HEVC: "x265:intra", NONE: "tinct:intra,preset=paper,colouriser=none", **tables[table]}


def usual_qps(tables: Sequence[str]) -> list[int]:
    """Those of the paper. Raises CodecError for tables that have not the same."""
    found = {TABLES.get(table, ()) for table in tables}
    if len(found) > 1:
        text = ", ".join(
            f"{table} ({' '.join(map(str, TABLES.get(table, ())))})" for table in tables
        )
        raise CodecError(
            f"expected tables of the same QPs, found {text}; do them one after the other, or name --qp"
        )
    return list(found.pop())


def _check(codecs: Sequence[str]) -> None:
    """Refuse before hours of work what no training can begin with."""
    from tinct.adapt.gan_update import prepare

    for codec in codecs:
        if trains(parse(codec)):
            prepare(config_of(parse(codec)))


def reproduce(
    tables: Sequence[str],
    clips: Sequence[str],
    qps: Sequence[int],
    experiment: Experiment,
    out: Path,
    *,
    frames: int | None = 96,
    engine: Engine = "local",
    progress: Progress | None = None,
) -> Outcome:
    """Measure what the tables need, what several need once, and write OUT/TABLE.json and OUT/TABLE.md of each.

    A run that was interrupted goes on in its folder. Raises CodecError for other tables' folder, and before any work for what
    cannot be measured.
    """
    variants = {
        table: {name: at_home(codec) for name, codec in codecs_of(table, experiment).items()}
        for table in tables
    }
    every = dict.fromkeys(codec for codecs in variants.values() for codec in codecs.values())
    _check(list(every))
    found = _measured(Setup(list(clips), list(every), list(qps), frames), out, engine, progress)
    for table, codecs in variants.items():
        names = {codec: name for name, codec in codecs.items()}
        rows = [
            _row(table, point, names[point.codec], found)
            for point in found.points
            if point.codec in names
        ]
        rows.sort(key=lambda row: (row.clip, row.qp, list(codecs).index(row.variant)))
        (out / f"{table}.json").write_text(
            json.dumps([asdict(row) for row in rows], indent=1) + "\n"
        )
        (out / f"{table}.md").write_text(to_markdown(rows, found, codecs))
    return found


def to_markdown(rows: Sequence[Row], outcome: Outcome, codecs: dict[str, str]) -> str:
    """The rows of a table with these codecs, and BD-rates against HEVC where there are several QPs."""
    lines = [
        "| clip | QP | variant | paper: PSNR | SSIM | kbit/s | ours: RGB | Y | (6Y+U+V)/8 | SSIM | kbit/s, no model | all bits |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        theirs = [
            _text(row.printed_psnr_db, 3),
            _text(row.printed_ssim, 3),
            _text(row.printed_kbps, 1),
        ]
        ours = [_text(row.ours.get(name), 4 if name.startswith("ssim") else 2) for name in METRICS]
        rates = [_text(row.paper_kbps, 1), _text(row.all_bits_kbps, 1)]
        lines.append(
            "| " + " | ".join([row.clip, str(row.qp), row.variant, *theirs, *ours, *rates]) + " |"
        )
    lines += ["", *_deltas(outcome, codecs)]
    return "\n".join(lines) + "\n"


def _deltas(outcome: Outcome, codecs: dict[str, str]) -> list[str]:
    """BD-rate on R'G'B' of the frames between key frames, by both accountings."""
    found = []
    for clip in outcome.clips:
        anchor = outcome.of(clip, "x265:intra")
        for variant, codec in codecs.items():
            points = outcome.of(clip, codec)
            if variant != HEVC and min(len(points), len(anchor)) >= 2:
                without, whole = (
                    bd_rate(anchor, points, "psnr_rgb", accounting=accounting, keys=False).text()
                    for accounting in ("paper", "all bits")
                )
                found.append(
                    f"- {clip}, {variant}: BD-rate {without} without the network's bits, {whole} with all"
                )
    return found


def _measured(
    setup: Setup, out: Path, engine: Engine, progress: Callable[[int, int], None] | None
) -> Outcome:
    if not out.is_dir() or not any(out.iterdir()):
        return start(setup, out, engine=engine, progress=progress)
    if load(out).setup != in_full(setup):
        raise CodecError(
            f"expected the folder of these very tables in {out}, found another's; name a new one with --out"
        )
    return resume(out, engine=engine, progress=progress)


def _row(table: str, point: RDPoint, variant: str, outcome: Outcome) -> Row:
    psnr, similarity, kbps = printed(
        table, point.clip, point.qp, HEVC if variant == HEVC else variant
    )
    # HEVC has no key frames of its own
    keys = {
        key
        for other in outcome.points
        if (other.clip, other.qp) == (point.clip, point.qp)
        for key in other.keys
    }
    ours = {
        name: value for name in METRICS if (value := point.value(name, without=keys)) is not None
    }
    return Row(
        point.clip,
        point.qp,
        variant,
        psnr,
        similarity,
        kbps,
        ours,
        point.rate_kbps("paper"),
        point.rate_kbps("all bits"),
    )


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
