"""The command of training: `train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from tinct.cli.bars import count_phase, show_phases
from tinct.cli.options import Debug, Quiet, read_choice, take_choice
from tinct.cli.say import explain_missing, say
from tinct.config import TaskName

if TYPE_CHECKING:
    from tinct.training.compact import Point

TASK_NAMES = get_args(TaskName)
Data = Annotated[
    str,
    typer.Option(metavar="FOLDER", help="Videos to learn from, of 160 pixels a side or more each."),
]
Task = Annotated[
    str,
    take_choice(
        "--task",
        TASK_NAMES,
        "To restore frames that were sent, in a first or a second pass; to make those between that "
        "were not; to restore what a base codec coded with its colour, from two finer frames "
        "around (near-...) or four (pyramid-...), or as in-band, HEVC's from four neighbours.",
    ),
]
First = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Weights of a first pass, on whose frames second and between learn; no other task "
        "takes them.",
    ),
]
Stretches = Annotated[
    int,
    typer.Option(
        min=1,
        help="Stretches of each video to make samples of, 10 or more: every 10th is held out.",
    ),
]


def train(
    data: Data,
    out: Annotated[
        str,
        typer.Option(
            help="The weights to write, *.safetensors; a run that was interrupted goes on."
        ),
    ],
    task: Task = "first",
    first: First = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of 16 crops, 1 or more.")] = 30_000,
    width: Annotated[int, typer.Option(min=1, help="Channels of the network, 1 or more.")] = 32,
    depth: Annotated[int, typer.Option(min=1, help="3x3 convolutions in it, 1 or more.")] = 3,
    stretches: Stretches = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice, 0 or more.")] = 0,
    cache: Annotated[
        str | None, typer.Option(help="Where samples are kept, beside the weights unless given.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the colouriser `compact` on a folder of videos.

    It needs PyTorch (pip install 'tinct[networks]'). Only files that lie in the folder itself
    count; one that is too small or does not decode is left out and named. A call that was
    interrupted goes on where it was, if repeated. There is no limit of time: --steps ends it.
    """
    with explain_missing("networks", "training"):
        from tinct.networks.compact_config import CompactConfig
        from tinct.training import compact as loop
        from tinct.training.stretches import TASKS
    name = cast("TaskName", read_choice("--task", task, TASK_NAMES))
    recipe = loop.Recipe(
        config=CompactConfig(width, depth, TASKS[name].kind),
        steps=steps,
        seed=seed,
    )
    with show_phases(quiet) as show:
        made = loop.train(
            Path(data),
            Path(out),
            recipe,
            task=name,
            first=Path(first) if first else None,
            stretches=stretches,
            cache=Path(cache) if cache else None,
            prepared=count_phase(show, "samples", "stretches"),
            progress=None if quiet else say_point,
        )
    for clip, reason in made.failed.items():
        say(f"{clip} is left out: {reason}")


def say_point(point: "Point") -> None:
    say(
        f"step {point.step}, {point.seconds:.0f} s: loss {point.loss:.3f}, "
        f"held-out Y {point.psnr_y_db:.3f} dB, {point.before_db:.3f} before"
    )
