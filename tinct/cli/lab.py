"""The commands of the lab: `evaluate`, `report`, `reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinct.cli.bars import count_phase, show_phases
from tinct.cli.options import (
    Debug,
    EngineName,
    Overwrite,
    Quiet,
    read_choice,
    read_config,
    read_engine,
    take_choice,
    take_options,
)
from tinct.cli.say import DAMAGED, explain_missing, put, say
from tinct.errors import CodecError

if TYPE_CHECKING:
    from tinct.evaluation.published import PrintedMean, PrintedSequence
    from tinct.evaluation.results import Outcome

Anchors = Annotated[
    list[str] | None,
    typer.Option(
        "--anchor",
        help="Codecs: others are compared with the strongest of them on each clip and metric.",
    ),
]
METRIC_SETS = ("all", "psnr")
Metrics = Annotated[
    str | None,
    take_choice(
        "--metrics",
        METRIC_SETS,
        "What is measured; PSNR alone takes a tenth of the time. Default all.",
    ),
]
What = Annotated[
    list[str],
    typer.Argument(
        metavar="WHAT...",
        help="published (the printed numbers), or of table2, 3, 4, 6, 7, figure5, "
        "and channels: from which length of a video on C = 8, 16, 32 pay.",
    ),
]
Square = Annotated[
    bool,
    typer.Option("--square", help="Cut clips to their middle square, as the paper's table7."),
]
HEADLINES = ("psnr_yuv611", "psnr_yuv611_pooled")
DOUBT = "   does not hold"  # what is printed does not follow from the printed points


def evaluate(
    clips: Annotated[
        list[str] | None, typer.Argument(metavar="CLIP...", help="Videos to measure on.")
    ] = None,
    codec: Annotated[
        list[str] | None,
        typer.Option(help="family[:structure][,option=value]..., such as x265:intra."),
    ] = None,
    qp: Annotated[list[int] | None, typer.Option(help="Default 27 32 37 42.")] = None,
    out: Annotated[str | None, typer.Option(help="The new folder for results.")] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with a results folder; its finished points are kept.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="The first frames of each clip, 0 for all. Default 96.")
    ] = None,
    points: Annotated[
        list[str] | None, typer.Option(help="JSON of points measured elsewhere, of the same clips.")
    ] = None,
    anchor: Anchors = None,
    metrics: Metrics = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="Points at a time; times are comparable only at 1. Default 1."),
    ] = None,
    engine: EngineName = "local",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare codecs on clips. --codec, --anchor, --qp and --points take several values."""
    with explain_missing("lab", "the lab"):
        from tinct.evaluation import results, sweeps
    given = (clips, codec, qp, points, anchor, metrics)
    asked = any(given) or frames is not None or out is not None
    _check_sweep(is_new=bool(clips and codec and out), is_resumed=resume is not None, asked=asked)
    workers = read_engine(engine)
    measured = read_choice("--metrics", metrics or "all", METRIC_SETS)
    with show_phases(quiet) as show:
        progress = count_phase(show, "measuring", "points")
        if resume is not None:
            outcome = sweeps.resume(Path(resume), jobs=jobs, engine=workers, progress=progress)
        else:
            assert out is not None
            setup = results.Setup(
                clips=clips or [],
                codecs=codec or [],
                qps=qp or list(sweeps.QPS),
                frames=results.FRAMES if frames is None else frames or None,
                external=points or [],
                jobs=1 if jobs is None else jobs,
                anchors=split_sets(anchor),
                metrics=measured,
            )
            outcome = sweeps.start(setup, Path(out), engine=workers, progress=progress)
    say_outcome(outcome, resume or str(out), f"--resume {resume or out}")
    if not quiet:
        put(rate_lines(outcome))
    if outcome.failures:
        raise typer.Exit(DAMAGED)


def _check_sweep(*, is_new: bool, is_resumed: bool, asked: bool) -> None:
    """Refuse a sweep that is neither new nor resumed, or both."""
    if is_resumed and asked:
        raise CodecError(
            "contradictory options: --resume goes on with what its folder asks for; "
            "give --jobs and --engine only"
        )
    if not is_resumed and not is_new:
        raise CodecError(
            "expected clips, --codec and --out, or --resume FOLDER; "
            "such as: evaluate a.mp4 --codec tinct x265 --out r"
        )


def report(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A folder that `evaluate` wrote, or a video."),
    ],
    anchor: Anchors = None,
    source: Annotated[
        str | None, typer.Option(help="Of a video: its source, to measure each frame against.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Of a video: the page to write; default its name.html.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write an HTML page that works from disk, on a folder of results or on one video.

    Of a folder: report.html and report.md in it. --anchor takes several values, and may come again
    for another set; without it the sets are those of `evaluate`. Of a video: where its bits go, its
    frames, and their quality.
    """
    is_folder = Path(path).is_dir()
    given = {"--anchor": anchor} if not is_folder else {"--source": source, "--out": out}
    for option in (name for name, value in given.items() if value is not None):
        kinds = ("a video", "a folder of results") if is_folder else ("a folder", "a video")
        raise CodecError(f"{option} is for {kinds[0]}, found {kinds[1]} at {path}; leave it out")
    if not is_folder:
        report_file(path, source, out=out, overwrite=overwrite, quiet=quiet)
        return
    with explain_missing("lab", "the lab"):
        from tinct.evaluation.report import write_report
    for written in write_report(Path(path), split_sets(anchor)):
        put([str(written)])


def report_file(
    path: str, source: str | None, *, out: str | None, overwrite: bool, quiet: bool
) -> None:
    """Write the page of one video; exit with code 3 where it is damaged."""
    from tinct.filepage.api import write_page

    if not Path(path).exists():
        raise CodecError(
            f"expected a folder of results or a video, found nothing at {path}; check the name"
        )
    page = out or str(Path(path).with_suffix(".html"))
    with show_phases(quiet) as show:
        progress = count_phase(show, "measuring")
        damage = write_page(path, page, source=source, overwrite=overwrite, progress=progress)
    put([page])
    if damage:
        say(f"{path} is damaged: {damage}")
        raise typer.Exit(DAMAGED)


def split_sets(values: list[str] | None) -> list[list[str]]:
    """Return the codecs of each `--anchor`, which `app.repeat_options` joined."""
    return [value.splitlines() for value in values or []]


@take_options(("channels", "recipe", "content_loss", "vgg19", "seed"))
def reproduce(
    what: What,
    *,
    clips: Annotated[list[str] | None, typer.Option(help="Videos to train and measure on.")] = None,
    qp: Annotated[list[int] | None, typer.Option(help="Default the table's own.")] = None,
    budget: Annotated[str, typer.Option(help="Of each training, as encode's --adapt.")] = "auto",
    frames: Annotated[int, typer.Option(help="The first frames of each clip, 0 for all.")] = 96,
    seeds: Annotated[
        int, typer.Option(help="Trainings of each variant, with seeds from --seed on.")
    ] = 1,
    square: Square = False,
    out: Annotated[
        str | None,
        typer.Option(help="The folder for results; a run that was interrupted goes on in it."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    **options: Any,
) -> None:
    """Do the paper's experiments again; `published` recomputes its figures from its points."""
    if what == ["published"]:
        from tinct.evaluation import published

        put(published_lines(published.read_sequences(), published.read_means()))
        return
    with explain_missing("lab", "the lab"):
        from tinct.evaluation import experiments
        from tinct.evaluation import reproduce as lab
    if not clips or out is None:
        raise CodecError(
            "expected --clips and --out; such as: "
            "reproduce table2 --clips a.mp4 --channels 16 --recipe cpu --out r"
        )
    config = read_config("paper", options)
    experiment = experiments.Experiment(
        channels=config.channels,
        recipe=config.recipe,
        budget=budget,
        content_loss=config.content_loss,
        vgg19=config.vgg19,
        seed=config.seed,
        seeds=seeds,
    )
    with show_phases(quiet) as show:
        outcome = lab.reproduce(
            what,
            clips,
            qp or experiments.choose_qps(what),
            experiment=experiment,
            out=Path(out),
            frames=frames or None,
            square=square,
            progress=count_phase(show, "measuring", "points"),
        )
    say_outcome(outcome, out, "the same call")
    for table in what:
        put((Path(out) / f"{table}.md").read_text().splitlines())
    if outcome.failures:
        raise typer.Exit(DAMAGED)


def say_outcome(outcome: "Outcome", folder: str, again: str) -> None:
    """Print what a reader of the numbers has to know first."""
    for codec, reason in outcome.skipped.items():
        say(f"{codec} is skipped: {reason}")
    for line in outcome.notes:
        say(line)
    if outcome.failures:
        say(
            f"{len(outcome.failures)} points are refused, {len(outcome.points)} are in {folder}; "
            f"{again} tries again"
        )


def rate_lines(outcome: "Outcome") -> list[str]:
    """Return the BD-rates of each codec on each clip, against its anchor and the best of sets."""
    from tinct.evaluation.anchors import choose_anchor, format_set

    lines = []
    for codec in outcome.codecs:
        anchor = outcome.anchor_of(codec)
        if codec != anchor:
            for clip in outcome.clips:
                lines += rate_line(outcome, codec, clip, anchors=[anchor, anchor])
    if not lines:
        return ["no BD-rate: it takes two codecs with points at two QPs each, on one clip"]
    head = (
        "BD-rate on (6Y+U+V)/8 PSNR, percent of the anchor's file size at equal quality: "
        "mean of the frames' dB, then pooled error"
    )
    lines = [head, *lines]
    for members in outcome.setup.anchors:
        lines.append(f"against {format_set(members)}:")
        for codec in outcome.codecs:
            for clip in outcome.clips if codec not in members else []:
                found = [choose_anchor(outcome, members, clip=clip, metric=m) for m in HEADLINES]
                names = [choice.anchor if choice is not None else codec for choice in found]
                lines += rate_line(outcome, codec, clip, anchors=names)
    return lines


def rate_line(outcome: "Outcome", codec: str, clip: str, *, anchors: list[str]) -> list[str]:
    """Return the line of a codec on a clip, each of HEADLINES against its anchor, where it is."""
    from tinct.evaluation.anchors import has_curve
    from tinct.evaluation.points import bd_rate

    ours = outcome.of(clip, codec)
    texts = []
    for metric, anchor in zip(HEADLINES, anchors, strict=True):
        theirs = outcome.of(clip, anchor)
        if has_curve(ours, metric) and has_curve(theirs, metric):
            texts.append(bd_rate(theirs, ours, metric).text())
    if not texts:
        return []
    wide = [max(map(len, names)) for names in (outcome.codecs, outcome.clips)]
    cells = "  ".join(f"{text:<31}" for text in texts)
    against = ", ".join(dict.fromkeys(anchors))
    return [f"  {codec:<{wide[0]}}  {clip:<{wide[1]}}  {cells}  against {against}"]


def published_lines(sequences: "list[PrintedSequence]", means: "list[PrintedMean]") -> list[str]:
    """Return Table 2 as printed and as computed again, and the averages of Tables 3 and 4."""
    lines = [
        f"{'':<18}{'BD-rate, percent':^32}{'BD-PSNR, dB':^22}{'from saved bits'}",
        f"{'Table 2':<18}{'printed':>9}{'computed':>11}{'overlap':>9}   "
        f"{'printed':>9}{'computed':>10}   {'alone':>12}",
        *map(_sequence_line, sequences),
        _mean_line(sequences),
    ]
    for mean in means:
        doubt = "" if mean.holds else DOUBT
        lines.append(
            f"Table {mean.table}, {mean.variant}: average printed {mean.printed_db:.3f} dB, "
            f"of its {mean.rows} rows {mean.recomputed_db:.3f} dB{doubt}"
        )
    return lines


def _sequence_line(row: "PrintedSequence") -> str:
    rate, psnr = _number(row.rate.value, 2), _number(row.psnr.value, 3)
    saved = _number(row.saved_bits.value, 2)
    doubt = "" if row.rate_holds and row.psnr_holds else DOUBT
    bd_rate = f"{row.printed_rate_percent:>9.2f}{rate:>11}{row.rate.overlap:>9.0%}"
    bd_psnr = f"{row.printed_psnr_db:>9.3f}{psnr:>10}"
    return f"{row.name:<18}{bd_rate}   {bd_psnr}   {saved:>12}{doubt}"


def _mean_line(rows: "list[PrintedSequence]") -> str:
    computed = [row.rate.value for row in rows if row.rate.value is not None]
    alone = [row.saved_bits.value for row in rows if row.saved_bits.value is not None]
    printed = sum(row.printed_rate_percent for row in rows) / len(rows)
    return (
        f"{'mean':<18}{printed:>9.2f}{sum(computed) / len(computed):>11.2f}"
        f"   of {len(computed)} defined{'':>21}{sum(alone) / len(alone):>12.2f}"
    )


def _number(value: float | None, digits: int) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
