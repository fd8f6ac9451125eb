"""The paper's experiments repeated: what its tables need is measured, beside what they print.

Files are encoded, decoded and measured by `sweeps` like any others. Quality is that of the frames
between key frames, which the network makes, and of the whole file. Rate is given without the
network's bits, as the paper counts, and with all bits. `experiments` has the codecs, `published`
the paper's own numbers, `paper_tables` writes them side by side.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tinct.errors import CodecError
from tinct.evaluation.codecs import FAMILIES, has_training, make_paths_absolute, parse_codec
from tinct.evaluation.experiments import HEVC, PROPOSED, Experiment, Variants, list_variants
from tinct.evaluation.figure5 import check_length, draw_figure
from tinct.evaluation.paper_rows import describe_row, make_deltas, make_rows
from tinct.evaluation.paper_tables import format_tables
from tinct.evaluation.results import FRAMES, Outcome, Setup, load
from tinct.evaluation.sweeps import locate_files, resume, start
from tinct.frames import Progress
from tinct.workers import Engine


def reproduce(
    tables: Sequence[str],
    clips: Sequence[str],
    qps: Sequence[int],
    *,
    experiment: Experiment,
    out: Path,
    frames: int | None = FRAMES,
    square: bool = False,
    engine: Engine = "local",
    progress: Progress | None = None,
) -> Outcome:
    """Measure what the tables need, each codec once, and write OUT/TABLE.json and OUT/TABLE.md.

    `square` cuts the clips to the square in their middle. A run that was interrupted goes on in its
    folder, a training from its checkpoint. Raise CodecError for the folder of other tables, and
    before any work for what cannot be measured.
    """
    variants = {table: _locate(list_variants(table, experiment)) for table in tables}
    codecs = list(
        dict.fromkeys(
            codec
            for table in variants.values()
            for by_seed in table.values()
            for codec in by_seed.values()
        )
    )
    _check_trainings(codecs)
    if "figure5" in tables:
        check_length(clips, frames)
    setup = Setup(clips=list(clips), codecs=codecs, qps=list(qps), frames=frames, square=square)
    outcome = _measure(setup, out, engine=engine, progress=progress)
    for table, by_name in variants.items():
        rows = make_rows(table, by_name, outcome)
        text = json.dumps([describe_row(row) for row in rows], indent=1)
        (out / f"{table}.json").write_text(text + "\n")
        text = format_tables(table, rows, make_deltas(by_name, outcome))
        if table == "figure5":
            shown = {name: next(iter(by_name[name].values())) for name in (HEVC, PROPOSED)}
            text = draw_figure(outcome, out, shown) + "\n" + text
        (out / f"{table}.md").write_text(text, encoding="utf-8")
    return outcome


def _locate(variants: Variants) -> Variants:
    """Return the variants with absolute paths in their codecs, as a results folder has them."""
    return {
        name: {seed: make_paths_absolute(codec) for seed, codec in by_seed.items()}
        for name, by_seed in variants.items()
    }


def _check_trainings(codecs: Sequence[str]) -> None:
    """Raise CodecError, before hours of work, for a training that cannot begin."""
    from tinct.adapt.gan_update import prepare_training

    for codec in map(parse_codec, codecs):
        family = FAMILIES[codec.family]
        if has_training(codec):
            assert family.parse_config is not None
            prepare_training(family.parse_config(codec), family.most_weights)


def _measure(setup: Setup, out: Path, *, engine: Engine, progress: Progress | None) -> Outcome:
    if not out.is_dir() or not any(out.iterdir()):
        return start(setup, out, engine=engine, progress=progress)
    if load(out).setup != locate_files(setup):
        raise CodecError(
            f"expected the folder of these very tables in {out}, found another's; "
            "name a new one with --out"
        )
    return resume(out, engine=engine, progress=progress)
