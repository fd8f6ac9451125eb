"""The options of the commands, as Typer reads them, and the configuration that they name."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from tinct.errors import CodecError

if TYPE_CHECKING:
    from tinct.config import EncodeConfig
    from tinct.workers import Engine


Source = Annotated[
    str, typer.Argument(metavar="INPUT", help="Any video, or - for YUV4MPEG2 on stdin.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar and no report.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.")
]  # `main` looks for it
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Preset = Annotated[str, typer.Option(help="default, or paper: the 2019 paper's layout.")]
Structure = Annotated[
    str | None, typer.Option(help="How HEVC predicts: intra (default), low-delay, random-access.")
]
Qp = Annotated[
    int | None, typer.Option(help="Quality, about that of HEVC at this QP, 0 to 51; default 32.")
]
Crf = Annotated[float | None, typer.Option(help="x265's own quality control, in-band only.")]
Bitrate = Annotated[float | None, typer.Option(help="kbit/s of all video tracks, instead of --qp.")]
Colour = Annotated[
    str | None, typer.Option(help="Where colour goes: auto, track (of its own), in-band.")
]
KeyForm = Annotated[
    str | None, typer.Option(help="chroma: key frames' colour alone; full: whole 4:2:0 key frames.")
]
Group = Annotated[
    str | None, typer.Option(help="Frames from key frame to key frame: auto or a number.")
]
KeyBoost = Annotated[
    str | None, typer.Option(help="QP steps that key frames are finer: auto or a number.")
]
Colouriser = Annotated[
    str | None,
    typer.Option(help="What finishes frames: auto, compact (a network), gan (the paper's), none."),
]
Network = Annotated[
    str | None,
    typer.Option(help="The network of compact: fast (default) or best; in-band best alone."),
]
Search = Annotated[
    str | None, typer.Option(help="How many choices are weighed: fast (default) or thorough.")
]
Adapt = Annotated[
    str | None,
    typer.Option(help="Training on the video: off, auto (default), seconds, 2000steps, 50epochs."),
]
Compatible = Annotated[
    bool | None, typer.Option("--compatible", help="Luma as 4:2:0 that hardware plays.")
]
X265Preset = Annotated[str | None, typer.Option(help="x265's preset; default medium.")]
X265Tune = Annotated[
    str | None, typer.Option(help="x265's tune; default psnr, which all our figures use.")
]
GAN = "The paper's network"  # heading of its options in the help
Channels = Annotated[
    int | None, typer.Option(help="The paper's C; default 64.", rich_help_panel=GAN)
]
Generator = Annotated[
    str | None,
    typer.Option(
        help="multiresunet (default), or what the paper compares it with.", rich_help_panel=GAN
    ),
]
Attention = Annotated[
    str | None,
    typer.Option(
        help="Levels that attend to themselves: 3+4 (default), none.", rich_help_panel=GAN
    ),
]
Residual = Annotated[
    str | None, typer.Option(help="Skips: global (default) or original.", rich_help_panel=GAN)
]
Generates = Annotated[
    str | None,
    typer.Option(help="rgb (the paper's) or ycbcr (of recipe cpu).", rich_help_panel=GAN),
]
Conditional = Annotated[
    bool | None,
    typer.Option("--conditional", help="The discriminator sees the luma too.", rich_help_panel=GAN),
]
RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", help="Training as in the paper, or cpu: fast.", rich_help_panel=GAN),
]
Losses = Annotated[
    str | None, typer.Option(help="Terms of the loss: gan+mse+content+colour.", rich_help_panel=GAN)
]
ContentLoss = Annotated[
    str | None, typer.Option(help="vgg19, or none: without that term.", rich_help_panel=GAN)
]
Vgg19 = Annotated[
    str | None,
    typer.Option(help="torchvision's file of VGG-19, else it is fetched.", rich_help_panel=GAN),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda.", rich_help_panel=GAN)]
Checkpoint = Annotated[
    str | None,
    typer.Option(help="A file from which a killed training goes on.", rich_help_panel=GAN),
]


def _auto_or_number(option: str, text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise CodecError(f"--{option}: expected auto or a whole number, found {text}") from error


def _config(preset: str, **given: object) -> "EncodeConfig":
    """The configuration that encode's options name; those not given are None."""
    from tinct import config

    if sum(given[name] is not None for name in ("qp", "crf", "bitrate_kbps")) > 1:
        raise CodecError("contradictory options: --qp, --crf and --bitrate exclude each other")
    for option in ("group", "key_boost"):
        given[option] = _auto_or_number(option.replace("_", "-"), cast("str | None", given[option]))
    return config.preset(
        preset, **{name: value for name, value in given.items() if value is not None}
    )


def _engine(name: str) -> "Engine":
    if name not in ("local", "ray"):
        raise CodecError(f"--engine: expected one of local, ray; found {name}")
    return cast("Engine", name)
