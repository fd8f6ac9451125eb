"""The paper's experiments repeated: the codecs that each of its tables compares, and our numbers.

Files are encoded, decoded and measured by `sweeps` like any others. Quality is that of the frames
between key frames, which the network makes. Rate is given without the network's bits, as the paper
counts, and with all bits. `published` has the paper's own numbers.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tinct.errors import CodecError
from tinct.evaluation.codecs import (
    has_training,
    make_paths_absolute,
    parse_codec,
    parse_config,
)
from tinct.evaluation.points import RDPoint, bd_rate
from tinct.evaluation.published import find_printed
from tinct.evaluation.results import FRAMES, Outcome, Setup, load
from tinct.evaluation.sweeps import locate_files, resume, start
from tinct.frames import Progress
from tinct.presets import preset
from tinct.text import escape_controls
from tinct.workers import Engine

# The tables, and the QPs that each is printed for.
TABLES = {
    "table2": (27, 32, 37, 42),
    "table3": (37,),
    "table4": (37,),
    "table6": (37,),
    "table7": (27,),
}
HEVC, NONE = "HEVC 4:2:0", "none"
PROPOSED = "proposed"
METRICS = {"psnr_rgb": 2, "psnr_y": 2, "psnr_yuv611": 2, "ssim_y": 4}  # and their digits
ANCHOR = "x265:intra"
HEADS = (
    *("clip", "QP", "variant", "paper: PSNR", "SSIM", "kbit/s"),
    *("ours: RGB", "Y", "(6Y+U+V)/8", "SSIM", "kbit/s, no model", "all bits"),
)


@dataclass(frozen=True)
class Experiment:
    """What is trained: the paper's C, the recipe, and the budget, as `--adapt` takes it.

    `vgg19` is the file of VGG-19's weights where they are not to be fetched.
    """

    channels: int = 64
    recipe: str = "paper"
    budget: str = "auto"
    content_loss: str | None = None
    vgg19: str | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One clip, QP and variant: what the paper prints, and what was measured here.

    The paper does not say of which planes its PSNR is. `ours` are means over the frames between key
    frames; rates are in kbit/s.
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


def list_codecs(table: str, experiment: Experiment) -> dict[str, str]:
    """Return the lab's codec for each variant of a table, by the name that the paper gives it.

    HEVC and `none` stand before them. Raise CodecError for a table that is not known.
    """
    options = (
        f"preset=paper,channels={experiment.channels},recipe={experiment.recipe},"
        f"adapt={experiment.budget}"
    )
    config = preset("paper", recipe=experiment.recipe, content_loss=experiment.content_loss)

    def variant(extra: str = "", losses: Sequence[str] = config.loss_terms) -> str:
        weights = f",vgg19={experiment.vgg19}" if experiment.vgg19 and "content" in losses else ""
        return f"tinct:intra,{options},losses={'+'.join(losses)}{weights}{extra}"

    def rival(generator: str) -> str:
        return f"tinct:intra,{options},generator={generator}"

    g1 = ("gan", "mse")
    with_content = {
        "G3 G1+1000content": variant("", (*g1, "content")),
        "G4 all": variant("", (*g1, "colour", "content")),
    }
    tables = {
        "table2": {PROPOSED: variant()},
        "table3": {"original RC": variant(",residual=original"), "proposed RC": variant()},
        "table4": {"without SA": variant(",attention=none"), "with SA": variant()},
        "table6": {
            "G1 gan+100mse": variant("", g1),
            "G2 G1+100color": variant("", (*g1, "colour")),
            **(with_content if experiment.content_loss != "none" else {}),
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
    return {HEVC: ANCHOR, NONE: "tinct:intra,preset=paper,colouriser=none", **tables[table]}


def choose_qps(tables: Sequence[str]) -> list[int]:
    """Return the QPs of the paper. Raise CodecError for tables of different QPs."""
    qps = {table: TABLES.get(table, ()) for table in tables}
    if len(set(qps.values())) > 1:
        found = ", ".join(f"{table} ({' '.join(map(str, own))})" for table, own in qps.items())
        raise CodecError(
            f"expected tables of the same QPs, found {found}; "
            "do them one after the other, or name --qp"
        )
    return list(qps[tables[0]])


def reproduce(
    tables: Sequence[str],
    clips: Sequence[str],
    qps: Sequence[int],
    *,
    experiment: Experiment,
    out: Path,
    frames: int | None = FRAMES,
    engine: Engine = "local",
    progress: Progress | None = None,
) -> Outcome:
    """Measure what the tables need, each codec once, and write OUT/TABLE.json and OUT/TABLE.md.

    A run that was interrupted goes on in its folder. Raise CodecError for the folder of other
    tables, and before any work for what cannot be measured.
    """
    variants = {
        table: {
            name: make_paths_absolute(codec)
            for name, codec in list_codecs(table, experiment).items()
        }
        for table in tables
    }
    codecs = list(dict.fromkeys(codec for table in variants.values() for codec in table.values()))
    _check_trainings(codecs)
    setup = Setup(clips=list(clips), codecs=codecs, qps=list(qps), frames=frames)
    outcome = _measure(setup, out, engine=engine, progress=progress)
    for table, by_name in variants.items():
        rows = _make_rows(table, by_name, outcome)
        text = json.dumps([asdict(row) for row in rows], indent=1)
        (out / f"{table}.json").write_text(text + "\n")
        (out / f"{table}.md").write_text(format_table(rows, outcome, by_name), encoding="utf-8")
    return outcome


def _check_trainings(codecs: Sequence[str]) -> None:
    """Raise CodecError, before hours of work, for a training that cannot begin."""
    from tinct.adapt.gan_update import prepare_training

    for codec in map(parse_codec, codecs):
        if has_training(codec):
            prepare_training(parse_config(codec))


def _measure(setup: Setup, out: Path, *, engine: Engine, progress: Progress | None) -> Outcome:
    if not out.is_dir() or not any(out.iterdir()):
        return start(setup, out, engine=engine, progress=progress)
    if load(out).setup != locate_files(setup):
        raise CodecError(
            f"expected the folder of these very tables in {out}, found another's; "
            "name a new one with --out"
        )
    return resume(out, engine=engine, progress=progress)


def _make_rows(table: str, codecs: dict[str, str], outcome: Outcome) -> list[Row]:
    """Return a row for each point of a table, by clip, QP and variant."""
    names = {codec: name for name, codec in codecs.items()}
    rows = [
        _make_row(table, point, names[point.codec], outcome=outcome)
        for point in outcome.points
        if point.codec in names
    ]
    order = list(codecs)
    return sorted(rows, key=lambda row: (row.clip, row.qp, order.index(row.variant)))


def _make_row(table: str, point: RDPoint, variant: str, *, outcome: Outcome) -> Row:
    printed = find_printed(table, point.clip, qp=point.qp, variant=variant)
    # HEVC has no key frames of its own: those of all codecs are left out of every one.
    beside = [p for p in outcome.points if (p.clip, p.qp) == (point.clip, point.qp)]
    keys = {key for other in beside for key in other.keys}
    values = {name: point.value(name, without=keys) for name in METRICS}
    return Row(
        clip=point.clip,
        qp=point.qp,
        variant=variant,
        printed_psnr_db=printed.psnr_db,
        printed_ssim=printed.ssim,
        printed_kbps=printed.kbps,
        ours={name: value for name, value in values.items() if value is not None},
        paper_kbps=point.rate_kbps("paper"),
        all_bits_kbps=point.rate_kbps("all bits"),
    )


def format_table(rows: Sequence[Row], outcome: Outcome, codecs: dict[str, str]) -> str:
    """Return a table as Markdown, with BD-rates against HEVC where there are several QPs."""
    lines = [f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}"]
    for row in rows:
        printed = ((row.printed_psnr_db, 3), (row.printed_ssim, 3), (row.printed_kbps, 1))
        ours = [(row.ours.get(name), digits) for name, digits in METRICS.items()]
        rates = ((row.paper_kbps, 1), (row.all_bits_kbps, 1))
        numbers = [_format_number(*pair) for pair in (*printed, *ours, *rates)]
        lines.append(f"| {' | '.join([row.clip, str(row.qp), row.variant, *numbers])} |")
    lines += ["", *_format_deltas(outcome, codecs)]
    return "\n".join(map(escape_controls, lines)) + "\n"


def _format_deltas(outcome: Outcome, codecs: dict[str, str]) -> list[str]:
    """Return BD-rates on R'G'B' of the frames between key frames, in both accountings."""
    found = []
    for clip in outcome.clips:
        anchor = outcome.of(clip, ANCHOR)
        for variant, codec in codecs.items():
            points = outcome.of(clip, codec)
            if variant != HEVC and min(len(points), len(anchor)) >= 2:
                paper, all_bits = (
                    bd_rate(anchor, points, "psnr_rgb", accounting=accounting, keys=False).text()
                    for accounting in ("paper", "all bits")
                )
                found.append(
                    f"- {clip}, {variant}: BD-rate {paper} without the network's bits, "
                    f"{all_bits} with all"
                )
    return found


def _format_number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
