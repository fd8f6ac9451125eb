"""The options of the commands: those of `EncodeConfig` as Typer reads them, and those that several
commands share. `config` declares what an encode may be asked for."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from tinct.config import EVERYDAY, OPTIONS, PANELS, EncodeConfig
from tinct.declaration import Option
from tinct.errors import CodecError
from tinct.moments import read_seconds
from tinct.presets import PRESETS, preset
from tinct.text import suggest

if TYPE_CHECKING:
    from tinct.workers import Engine

Source = Annotated[
    str, typer.Argument(metavar="INPUT", help="Any video, or - for YUV4MPEG2 on stdin.")
]
Output = Annotated[
    str,
    typer.Argument(
        metavar="OUTPUT",
        help="*.mp4, *.mov, *.webm, *.mkv (lossless), *.y4m, a folder of PNGs, or - for y4m.",
    ),
]
# What the commands have beside the configuration's options, with its help.
SHARED = {
    "preset": "A set of options; paper: the 2019 paper's system, all-intra, whole key frames, "
    "groups of 6, a network trained on the video",
    "out": "The folder for outputs whose names are left out; without it they lie beside their "
    "sources",
    "format": "The container where the name is left out; .mp4 and .webm take plain video alone, "
    "without a network",
    "overwrite": "Replace an existing output",
    "quiet": "No progress bar and no report",
    "debug": "Show the traceback of an error",
}


FORMATS = ("mkv", "mp4", "webm")
# Values and default in the guide's table, of those that are no flags.
SHARED_VALUES = {
    "preset": (", ".join(PRESETS), "default"),
    "out": ("FOLDER", ""),
    "format": (", ".join(FORMATS), "mkv"),
}


def _shared(name: str, *short: str, **settings: Any) -> Any:
    flags, text = (*short, f"--{name}"), f"{SHARED[name]}."
    return typer.Option(*flags, help=text, rich_help_panel=EVERYDAY, **settings)


def take_choice(flag: str, values: Sequence[str], help: str, **settings: Any) -> Any:
    """Return an option that is one of `values`, which `read_choice` checks."""
    return typer.Option(
        flag,
        metavar=f"[{'|'.join(values)}]",
        help=help,
        autocompletion=lambda: list(values),
        **settings,
    )


Preset = Annotated[
    str,
    _shared("preset", metavar=f"[{'|'.join(PRESETS)}]", autocompletion=lambda: list(PRESETS)),
]
Out = Annotated[str | None, _shared("out", "-o", metavar="FOLDER")]
Format = Annotated[
    str, _shared("format", metavar=f"[{'|'.join(FORMATS)}]", autocompletion=lambda: list(FORMATS))
]
Overwrite = Annotated[bool, _shared("overwrite", "-y")]
Quiet = Annotated[bool, _shared("quiet", "-q")]
Debug = Annotated[bool, _shared("debug")]  # `main` looks for it
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ENGINES = ("local", "ray")
EngineName = Annotated[
    str,
    take_choice(
        "--engine",
        ENGINES,
        "Where to run: this machine, or a Ray cluster whose nodes see the same folders.",
    ),
]
MOVIE = "Movies"  # the panel of what becomes of pictures in .mp4, .mov, .webm and .mkv
Codec = Annotated[
    str | None,
    take_choice(
        "--codec",
        ("h264", "hevc", "av1", "vp9", "ffv1"),
        "The codec of a movie: h264 (.mp4, .mov, .mkv), hevc (.mp4, .mov, .mkv), av1 (.mp4, "
        ".webm, .mkv), vp9 (.webm, .mp4, .mkv), ffv1 (.mkv, lossless). "
        "[default: h264; vp9 in .webm, ffv1 in .mkv]",
        rich_help_panel=MOVIE,
    ),
]
Crf = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        help="Quality of a movie: lower is better and larger, to 51, of av1 and vp9 to 63. "
        "[default: h264 16, hevc 18, av1 20, vp9 23]",
        rich_help_panel=MOVIE,
    ),
]
Command = TypeVar("Command", bound=Callable[..., None])
EXCLUSIVE = ("qp", "crf", "bitrate_kbps")  # at most one of them may be given
WITHOUT = "-"  # in the guide's table: no value


def typer_option(name: str) -> Any:
    """Return the annotation of the command-line option for the field `name` of `EncodeConfig`.

    Every value arrives as text, or None where the option was not given: `read_config` parses it.
    """
    declared = OPTIONS[name]
    kind = bool | None if declared.is_flag else str | None
    shown = typer.Option(
        f"--{declared.flag}",
        metavar=None if declared.is_flag else declared.metavar,
        help=help_text(declared, name),
        rich_help_panel=declared.panel,
        autocompletion=(lambda: list(declared.choices)) if declared.choices else None,
    )
    return Annotated[kind, shown]


def help_text(declared: Option, name: str) -> str:
    """Return the help of an option with its default."""
    usual = default_text(declared, name)
    return f"{declared.help} [default: {usual}]" if usual else f"{declared.help}."


def default_text(declared: Option, name: str) -> str:
    """Return the default as help shows it; nothing for a flag."""
    default = getattr(EncodeConfig(), name)
    return declared.usual if default is None or declared.is_flag else f"{default}"


def take_options(names: Sequence[str]) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the options `names` of `EncodeConfig`.

    The command takes them as `**options`, by the names of the fields.
    """

    def extend(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        options = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=typer_option(name),
            )
            for name in names
        ]
        positional = [p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
        keywords = [p for p in own if p.kind is p.KEYWORD_ONLY]
        parameters = [*positional, *options, *keywords]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
        return command

    return extend


def options_of(*panels: str) -> list[str]:
    """Return the names of the options of some panels, panel after panel."""
    return [name for panel in panels for name, o in OPTIONS.items() if o.panel == panel]


def read_config(name: str, given: dict[str, Any]) -> EncodeConfig:
    """Return the configuration of the preset `name` with the options that were given, as text.

    Raise CodecError for values out of range, and where more than one quality is asked for.
    """
    typed = {option: value for option, value in given.items() if value is not None}
    if sum(option in typed for option in EXCLUSIVE) > 1:
        raise CodecError("contradictory options: --qp, --crf and --bitrate exclude each other")
    values = {
        option: OPTIONS[option].parse(value) if isinstance(value, str) else value
        for option, value in typed.items()
    }
    return preset(name, **values)


def option_table() -> str:
    """Return the options of `tinct encode` as the Markdown tables of `docs/guide.md`."""
    rows: dict[str, list[tuple[str, str, str, str]]] = {panel: [] for panel in PANELS}
    for name, text in SHARED.items():
        values, default = SHARED_VALUES.get(name, (WITHOUT, ""))
        rows[EVERYDAY].append((name, values, default, text))
    for name, declared in OPTIONS.items():
        values = WITHOUT if declared.is_flag else declared.metavar.strip("[]").replace("|", ", ")
        cells = (declared.flag, values, default_text(declared, name), declared.help)
        rows[declared.panel].append(cells)
    lines = []
    for panel, options in rows.items():
        lines += [f"### {panel}", "", "| option | values | default | |", "|---|---|---|---|"]
        lines += [f"| `--{flag}` | {' | '.join(cells)} |" for flag, *cells in options]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def read_engine(name: str) -> "Engine":
    """Return the engine of that name. Raise CodecError where there is none."""
    return cast("Engine", read_choice("--engine", name, ENGINES))


def read_choice(flag: str, value: str, values: Sequence[str]) -> str:
    """Return `value`. Raise CodecError where it is none of the option's values."""
    if value not in values:
        raise CodecError(
            f"{flag}: expected one of {', '.join(values)}; found {value}{suggest(value, values)}"
        )
    return value


def read_time(flag: str, text: str | None) -> float | None:
    """Return the seconds that an option was given. Raise CodecError for what is no time."""
    return None if text is None else read_seconds(text, flag)
