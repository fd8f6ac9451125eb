"""What a user may ask of an encode: the options, the presets, and which combinations contradict each other."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Literal, get_args

from tinct.bitstream.qp import MAX_QP
from tinct.errors import CodecError
from tinct.limits import MAX_GROUP
from tinct.networks.gan_config import (
    MAX_CHANNELS,
    MIN_CHANNELS,
    GanConfig,
    GeneratorKind,
    Output,
    Residual,
)

Structure = Literal["intra", "low-delay", "random-access"]
Colour = Literal["auto", "track", "in-band"]
KeyForm = Literal["chroma", "full"]
ColouriserName = Literal["auto", "none", "compact", "gan"]
NetworkName = Literal["fast", "best"]
Search = Literal["fast", "thorough"]
RecipeName = Literal["paper", "cpu"]
Device = Literal["auto", "cpu", "cuda"]
LOSSES = ("gan", "mse", "content", "colour")
PAPER_OPTIONS = (
    "attention",
    "residual",
    "generates",
    "conditional",
    "losses",
    "vgg19",
)  # of its own generator alone
GAN_OPTIONS = (*PAPER_OPTIONS, "channels", "generator", "recipe", "device", "checkpoint")
AUTO_ADAPT = "600"
X265_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip
X265_TUNES = ("psnr", "ssim", "grain", "fastdecode", "none")


@dataclass(frozen=True)
class EncodeConfig:
    """Options of one encode; None means "the structure's own default" (see `resolved`).

    `qp` is nominal quality, as HEVC's. One of `crf` (in-band only, handed to x265) and `bitrate_kbps` (of all video
    tracks) may replace it. `group` is the distance of key frames in frames. `key_boost` S codes key frames S steps
    finer than the others. `adapt` is the budget of training a network on the video, in seconds, or as "2000steps" or "50epochs".
    The last block is of the colouriser `gan`: its network (see GanConfig; `attention` as "3+4" or "none"), and its training;
    `vgg19` names a file of weights; `conditional` shows the discriminator the luma beside the colours, which Equation 5 does not;
    `generates` is the generator's output, None for the recipe's own.
    """

    structure: Structure = "intra"
    colour: Colour | None = None
    key_form: KeyForm = "chroma"
    group: int | Literal["auto"] = "auto"
    key_boost: int | Literal["auto"] = "auto"
    colouriser: ColouriserName = "auto"
    network: NetworkName = "fast"
    search: Search = "fast"
    adapt: str = "auto"
    qp: int = 32
    crf: float | None = None
    bitrate_kbps: float | None = None
    x265_preset: str = "medium"
    x265_tune: str = "psnr"
    compatible: bool = False

    channels: int = 64
    generator: GeneratorKind = "multiresunet"
    attention: str = "3+4"
    residual: Residual = "global"
    generates: Output | None = None
    conditional: bool = False
    recipe: RecipeName = "paper"
    losses: str | None = None
    vgg19: str | None = None
    device: Device = "auto"
    checkpoint: str | None = None


PRESETS: dict[str, dict[str, object]] = {
    "default": {},
    "paper": {
        "structure": "intra",
        "colour": "track",
        "key_form": "full",
        "group": 6,
        "key_boost": 0,
        "colouriser": "gan",
    },
}


def preset(name: str, **options: object) -> EncodeConfig:
    """The configuration of a named preset, with any option replaced by the caller's own."""
    if name not in PRESETS:
        raise CodecError(f"expected a preset of {', '.join(PRESETS)}; found {name!r}")
    return EncodeConfig(**{**PRESETS[name], **options})  # type: ignore[arg-type]


def resolved(config: EncodeConfig) -> EncodeConfig:
    """The configuration with its defaults filled in, after every contradiction has been refused.

    Raises CodecError on a value out of range or a combination that the format does not have.
    """
    _check_values(config)
    intra = config.structure == "intra"
    colour = config.colour or ("auto" if intra else "in-band")
    if colour == "auto" and config.key_form == "full":
        colour = "track"
    if colour == "auto" and config.crf is not None:
        colour = "in-band"
    if colour == "auto" and config.colouriser == "gan":
        colour = "track"
    filled = dataclasses.replace(config, colour=colour)
    _check_combination(filled)
    if config.colouriser == "gan":
        return dataclasses.replace(
            filled, key_boost=0, adapt=AUTO_ADAPT if config.adapt == "auto" else config.adapt
        )
    if (
        intra
        and colour != "in-band"
        and config.key_form == "chroma"
        and config.colouriser != "none"
    ):
        return filled
    if restores_in_band(filled):
        return dataclasses.replace(filled, key_boost=0)
    boost = (
        0 if config.key_boost == "auto" else config.key_boost
    )  # only a network can use finer key frames' luma
    return dataclasses.replace(filled, key_boost=boost, colouriser="none")


def restores_in_band(config: EncodeConfig) -> bool:
    """Whether a network is tried on pictures coded with their colour: there is one, of the size of `best`, where HEVC predicts."""
    wanted = config.network == "best" and config.colouriser in ("auto", "compact")
    return config.colour == "in-band" and config.structure != "intra" and wanted


def gan_config(config: EncodeConfig) -> GanConfig:
    """The generator that the options name; the recipe `cpu` gives Y'CbCr, where only colour has to be learnt from nothing."""
    levels = (
        ()
        if config.attention == "none"
        else tuple(sorted({int(level) for level in config.attention.split("+")}))
    )
    usual: Output = (
        "ycbcr" if config.recipe == "cpu" and config.generator == "multiresunet" else "rgb"
    )
    return GanConfig(
        config.channels, config.generator, levels, config.residual, config.generates or usual
    )


def default_losses(recipe: str) -> tuple[str, ...]:
    """Terms of Equation 10 that a recipe uses unless they are named.

    On a CPU VGG-19 takes most of a step, and the colour loss asks for pictures that are 4.8 % too bright.
    """
    return ("gan", "mse") if recipe == "cpu" else LOSSES


def named_losses(losses: str | None, content_loss: str | None, recipe: str) -> str | None:
    """`EncodeConfig.losses` of --losses and --content-loss, which puts one of them in or takes it out."""
    if content_loss not in (None, "vgg19", "none"):
        raise CodecError(f"--content-loss: expected vgg19 or none, found {content_loss}")
    if content_loss is None:
        return losses
    terms = [
        term
        for term in (losses.split("+") if losses else default_losses(recipe))
        if term != "content"
    ]
    return "+".join(terms if content_loss == "none" else [*terms, "content"])


def _check_values(config: EncodeConfig) -> None:
    one_of = {
        "structure": (config.structure, get_args(Structure)),
        "colour": (config.colour, (None, *get_args(Colour))),
        "key-form": (config.key_form, get_args(KeyForm)),
        "colouriser": (config.colouriser, get_args(ColouriserName)),
        "network": (config.network, get_args(NetworkName)),
        "search": (config.search, get_args(Search)),
        "x265-preset": (config.x265_preset, X265_PRESETS),
        "x265-tune": (config.x265_tune, X265_TUNES),
        "generator": (config.generator, get_args(GeneratorKind)),
        "residual": (config.residual, get_args(Residual)),
        "generates": (config.generates, (None, *get_args(Output))),
        "recipe": (config.recipe, get_args(RecipeName)),
        "device": (config.device, get_args(Device)),
    }
    for option, (value, allowed) in one_of.items():
        if value not in allowed:
            raise CodecError(
                f"--{option}: expected one of {', '.join(str(a) for a in allowed if a)}; found {value}"
            )
    ranges = {
        "qp": (config.qp, 0, MAX_QP),
        "crf": (config.crf, 0, MAX_QP),
        "bitrate": (config.bitrate_kbps, 1, 1_000_000),
        "group": (config.group, 1, MAX_GROUP),
        "key-boost": (config.key_boost, 0, 40),
        "channels": (config.channels, MIN_CHANNELS, MAX_CHANNELS),
    }
    for option, (number, low, high) in ranges.items():
        if isinstance(number, str) and number != "auto":
            raise CodecError(f"--{option}: expected auto or {low} to {high}; found {number}")
        if isinstance(number, int | float) and not low <= number <= high:
            raise CodecError(f"--{option}: expected {low} to {high}; found {number:g}")
    if config.losses is not None and set(config.losses.split("+")) - set(LOSSES):
        raise CodecError(
            f"--losses: expected some of {'+'.join(LOSSES)}; found {config.losses or 'none'}"
        )
    if config.attention != "none" and set(config.attention.split("+")) - set("1234"):
        raise CodecError(
            f"--attention: expected levels such as 3+4, or none; found {config.attention}"
        )
    if not re.fullmatch(r"auto|off|[1-9][0-9]{0,7}(steps|epochs)?", config.adapt):
        raise CodecError(
            f"--adapt: expected off, auto, seconds, such as 300, or 2000steps or 50epochs; found {config.adapt}"
        )


def _check_combination(config: EncodeConfig) -> None:
    defaults = EncodeConfig()
    of_gan, of_paper = (
        [
            "losses/content-loss" if name == "losses" else name
            for name in names
            if getattr(config, name) != getattr(defaults, name)
        ]
        for names in (GAN_OPTIONS, PAPER_OPTIONS)
    )
    contradictions = [
        (
            config.colouriser != "gan" and bool(of_gan),
            f"--{'/'.join(of_gan)} needs --colouriser gan, or --preset paper",
        ),
        (
            config.generator != "multiresunet" and bool(of_paper),
            f"--{'/'.join(of_paper)} needs --generator multiresunet",
        ),
        (
            config.crf is not None and config.bitrate_kbps is not None,
            "--crf and --bitrate exclude each other",
        ),
        (
            config.crf is not None and config.colour != "in-band",
            "--crf needs --colour in-band; use --qp or --bitrate",
        ),
        (
            config.key_form == "full" and config.structure != "intra",
            "--key-form full needs --structure intra",
        ),
        (
            config.key_form == "full" and config.colour == "in-band",
            "--key-form full needs --colour track",
        ),
        (
            config.key_form == "full" and config.group == "auto",
            "--key-form full needs a fixed --group, such as 6",
        ),
        (
            config.key_form == "full" and config.group == 1,
            "--key-form full needs --group 2 or more",
        ),
        (
            config.colour == "in-band" and config.group != "auto",
            "--group needs --colour track; in-band has no groups",
        ),
        (
            config.colour == "in-band" and config.compatible,
            "--compatible needs --colour track; in-band already is 4:2:0",
        ),
        (
            config.key_boost not in ("auto", 0) and config.structure != "intra",
            "--key-boost needs --structure intra",
        ),
        (
            config.key_boost not in ("auto", 0) and config.colour == "in-band",
            "--key-boost needs --colour track",
        ),
        (
            config.colouriser == "compact" and config.key_form == "full",
            "--colouriser compact needs --key-form chroma",
        ),
        (
            config.colouriser == "compact"
            and config.structure != "intra"
            and config.colour != "in-band",
            "--colouriser compact needs --structure intra, or in-band colour and --network best",
        ),
        (
            config.colouriser == "compact"
            and config.structure == "intra"
            and config.colour == "in-band",
            "--colouriser compact needs --colour track where --structure is intra",
        ),
        (
            config.colouriser == "compact"
            and config.structure != "intra"
            and config.network == "fast",
            "--colouriser compact with in-band colour needs --network best",
        ),
        (
            config.colouriser == "gan" and config.structure != "intra",
            "--colouriser gan needs --structure intra",
        ),
        (
            config.colouriser == "gan" and config.colour == "in-band",
            "--colouriser gan needs --colour track",
        ),
        (
            config.colouriser == "gan" and config.key_boost not in ("auto", 0),
            "--colouriser gan needs --key-boost 0",
        ),
        (
            config.colouriser == "gan" and config.adapt == "off",
            "--colouriser gan needs --adapt: it is trained on the video",
        ),
        (
            config.adapt not in ("auto", "off") and config.colouriser == "none",
            "--adapt needs a network: --colouriser compact or gan",
        ),
        (
            config.adapt not in ("auto", "off") and config.structure != "intra",
            "--adapt needs --structure intra",
        ),
        (
            config.adapt not in ("auto", "off") and config.colour == "in-band",
            "--adapt needs --colour track",
        ),
    ]
    for wrong, message in contradictions:
        if wrong:
            raise CodecError(f"contradictory options: {message}")
