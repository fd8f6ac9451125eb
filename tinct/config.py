"""What a user may ask of an encode: every option, declared once.

The check of values, the signatures of the commands, their help, the lab's list of options and the
table in `docs/guide.md` all follow from the declarations in `EncodeConfig`. Which options
contradict each other is decided by `encoder.refusals`.
"""

import re
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from tinct.bitstream.qp import MAX_QP
from tinct.declaration import declared_options, describe_options, option
from tinct.errors import OptionError
from tinct.limits import MAX_GROUP
from tinct.moments import parse_seconds
from tinct.networks.gan_config import (
    MAX_CHANNELS,
    MIN_CHANNELS,
    GanConfig,
    GeneratorKind,
    Output,
    Residual,
)

Structure = Literal["auto", "intra", "low-delay", "random-access"]
Colour = Literal["auto", "track", "in-band"]
KeyForm = Literal["chroma", "full"]
ColouriserName = Literal["auto", "none", "compact", "gan"]
NetworkName = Literal["fast", "best"]
# What a training is for.
TaskName = Literal[
    "first",
    "second",
    "between",
    "in-band",
    "near-av1",
    "pyramid-av1",
    "near-hevc",
    "pyramid-hevc",
    "near-avc",
    "pyramid-avc",
]
Search = Literal["fast", "thorough", "off"]
RecipeName = Literal["paper", "cpu"]
ContentLoss = Literal["vgg19", "none"]
Device = Literal["auto", "cpu", "cuda"]
AutoNumber = int | Literal["auto"]
Base = Literal["auto", "hevc", "avc", "av1", "hm"]
Interpolate = int | Literal["auto", "off"]
Hints = Literal["auto", "on", "off"]
Deinterlace = Literal["auto", "off"]

MAX_SEED = 9999
LOSSES = ("gan", "mse", "content", "colour")
X265_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
    *("slow", "slower", "veryslow", "placebo"),
)
# The rows of the base codecs say the same: reading them here would double the start of `--help`.
SVT_AV1_PRESETS = tuple(map(str, range(11)))
BASE_PRESETS = (*X265_PRESETS, *SVT_AV1_PRESETS)
X265_TUNES = ("psnr", "ssim", "grain", "fastdecode", "none")

# Panels: the headings under which help and guide show the options.
EVERYDAY = "Everyday"
RATE = "Rate and quality"
COLOUR = "Colour"
NETWORK = "Network"
PAPER = "The paper's network"
PANELS = (EVERYDAY, RATE, COLOUR, NETWORK, PAPER)


def _are_loss_terms(text: str) -> bool:
    return not set(text.split("+")) - set(LOSSES)


def _are_levels(text: str) -> bool:
    return text == "none" or not set(text.split("+")) - set("1234")


def _is_budget(text: str) -> bool:
    is_count = re.fullmatch(r"auto|off|[1-9][0-9]{0,7}(steps|epochs)?", text) is not None
    return is_count or 0 < (parse_seconds(text) or 0) < 1e8


def _file_option(help: str, panel: str, **declaration: Any) -> Any:
    more = {"accepts": bool, "values": "a file", "shown": "FILE"}
    return option(None, help, panel, **more, **declaration)


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """Options of one encode, all given by keyword. None stands for what other options ask for.

    `qp` is nominal quality, about that of HEVC at this QP; one of `crf` and `bitrate_kbps` may
    replace it. The options of the last panel belong to the colouriser `gan`: they say which
    generator it trains on the video, and how. Raise OptionError for a value that is out of range;
    combinations that make no sense are refused by `encode`.
    """

    structure: Structure = option(
        "auto",
        "How the base codec predicts pictures; auto: random-access, or intra, where each frame "
        "that is sent stands alone, with an option that needs it",
        choices=get_args(Structure),
        panel=EVERYDAY,
    )
    qp: int | None = option(
        None,
        "Quality, about that of HEVC at this QP; lower is better",
        kind=int,
        high=MAX_QP,
        usual="27; 32 all-intra",
        panel=RATE,
    )
    crf: float | None = option(
        None,
        "The base codec's own quality control, instead of --qp, to 51 or av1's 70; in-band "
        "colour only",
        kind=float,
        high=70,
        panel=RATE,
    )
    bitrate_kbps: float | None = option(
        None,
        "kbit/s of all video tracks together, instead of --qp",
        kind=float,
        low=1,
        high=1_000_000,
        panel=RATE,
        flag="bitrate",
    )
    base: Base = option(
        "auto",
        "The codec of the pictures: HEVC by x265, H.264 by x264 for old devices or a quick "
        "all-intra encode, AV1 by SVT-AV1 with in-band colour, HEVC by HM, a program of yours, "
        "see --encoder; auto: av1, or hevc all-intra and with an option that needs it",
        choices=get_args(Base),
        panel=EVERYDAY,
    )
    encoder: str | None = _file_option(
        "The program that codes the pictures, with --base hm: HM's TAppEncoder", EVERYDAY
    )
    encoder_config: str | None = _file_option(
        "The program's configuration, such as encoder_intra_main.cfg, for --structure", EVERYDAY
    )
    base_preset: str | None = option(
        None,
        "Speed against size: the base codec's own preset, a name for hevc and avc, a number for "
        "av1",
        choices=BASE_PRESETS,
        panel=RATE,
        usual="6 of av1; medium of the others",
    )
    x265_preset: str | None = option(
        None,
        "x265's preset: --base hevc with --base-preset",
        choices=X265_PRESETS,
        usual="medium",
        panel=RATE,
    )
    x265_tune: str | None = option(
        None,
        "x265's tune, with --base hevc; every figure of the lab uses psnr",
        choices=X265_TUNES,
        usual="psnr",
        panel=RATE,
    )
    colour: Colour | None = option(
        None,
        "Where colour goes: a track of its own, in the pictures (in-band), "
        "or what pays on samples of this video",
        choices=get_args(Colour),
        usual="auto; in-band unless all-intra",
        panel=COLOUR,
    )
    group: AutoNumber = option(
        "auto",
        "Frames from key frame to key frame; a scene cut always starts a group",
        choices=("auto",),
        kind=int,
        low=1,
        high=MAX_GROUP,
        panel=COLOUR,
    )
    key_form: KeyForm | None = option(
        None,
        "What the colour track holds: key frames' colour alone, or whole 4:2:0 key frames "
        "(full needs a fixed --group)",
        choices=get_args(KeyForm),
        usual="chroma",
        panel=COLOUR,
    )
    key_boost: AutoNumber = option(
        "auto",
        "QP steps that key frames are finer than the others",
        choices=("auto",),
        kind=int,
        high=40,
        panel=COLOUR,
    )
    interpolate: Interpolate = option(
        "auto",
        "Which frames between key frames are not sent, but made by the decoder from those around "
        "them: what pays on this video, none, or all but every n-th; all-intra only",
        choices=("auto", "off"),
        kind=int,
        low=2,
        high=MAX_GROUP,
        panel=COLOUR,
    )
    hints: Hints = option(
        "auto",
        "A coarse hint of colour in every frame that is sent, for colour that cannot be carried "
        "there: where it pays, always or never. Other players then show colour",
        choices=get_args(Hints),
        panel=COLOUR,
    )
    deinterlace: Deinterlace = option(
        "auto",
        "Interlaced video becomes progressive, a frame of each picture (bwdif), or is refused",
        choices=get_args(Deinterlace),
        panel=EVERYDAY,
    )
    compatible: bool = option(
        False, "Code luma as 4:2:0, for hardware decoders that refuse grey pictures", panel=COLOUR
    )
    colouriser: ColouriserName = option(
        "auto",
        "What finishes the frames between key frames: a network that ships (compact), "
        "the paper's network (gan), propagation alone (none), or what pays",
        choices=get_args(ColouriserName),
        panel=NETWORK,
    )
    network: NetworkName = option(
        "fast",
        "The network of compact: one pass over each frame, or a second, larger one on top; "
        "in-band a small or a large one, of AV1 and HEVC",
        choices=get_args(NetworkName),
        panel=NETWORK,
    )
    search: Search = option(
        "fast",
        "How many choices of key boost, key frames, colour and sent frames are weighed; off: none, "
        "and what was coded is not looked at, for pipes and slow machines",
        choices=get_args(Search),
        panel=NETWORK,
    )
    adapt: str | None = option(
        None,
        "Training on the video, which takes minutes: compact learns a small change of its weights, "
        "kept where it pays (auto: where PyTorch is installed); gan learns a network of its own "
        "(auto: 600 s)",
        accepts=_is_budget,
        values="off, auto, a time, such as 300 or 00:05:00, or 2000steps or 50epochs",
        shown="[off|auto|TIME|2000steps|50epochs]",
        usual="off; 600 s with gan",
        panel=NETWORK,
    )
    recipe: RecipeName = option(
        "paper",
        "The paper's constants, or what learns most on two cores in minutes",
        choices=get_args(RecipeName),
        panel=PAPER,
    )
    channels: int = option(
        64,
        "Channels of the first level, the paper's C",
        kind=int,
        low=MIN_CHANNELS,
        high=MAX_CHANNELS,
        panel=PAPER,
    )
    generator: GeneratorKind = option(
        "multiresunet",
        "The paper's generator, or one of those that it compares with",
        choices=get_args(GeneratorKind),
        panel=PAPER,
    )
    attention: str = option(
        "3+4",
        "Levels with self-attention",
        accepts=_are_levels,
        values="levels such as 3+4, or none",
        shown="[3+4|none]",
        panel=PAPER,
    )
    residual: Residual = option(
        "global",
        "Skip connections: the paper's long residual ones, or MultiResUNet's original ones",
        choices=get_args(Residual),
        panel=PAPER,
    )
    generates: Output | None = option(
        None,
        "What the generator's picture is",
        choices=get_args(Output),
        usual="rgb; ycbcr with --recipe cpu",
        panel=PAPER,
    )
    conditional: bool = option(
        False,
        "Show the discriminator the luma beside the colours, which Equation 5 does not",
        panel=PAPER,
    )
    losses: str | None = option(
        None,
        "Terms of the paper's mixed loss (Equation 10)",
        accepts=_are_loss_terms,
        values=f"some of {'+'.join(LOSSES)}",
        shown=f"[{'+'.join(LOSSES)}]",
        usual="all; gan+mse with --recipe cpu",
        panel=PAPER,
    )
    content_loss: ContentLoss | None = option(
        None,
        "Put the content loss (Equation 7) in, or take it out",
        choices=get_args(ContentLoss),
        usual="as --losses says",
        panel=PAPER,
    )
    vgg19: str | None = _file_option(
        "Torchvision's file of VGG-19 weights, for the content loss",
        usual="fetched",
        panel=PAPER,
    )
    seed: int = option(
        0,
        "Of the training's random choices: first weights, crops, dropout",
        kind=int,
        high=MAX_SEED,
        panel=PAPER,
    )
    device: Device = option("auto", "Where to train", choices=get_args(Device), panel=PAPER)
    checkpoint: str | None = _file_option(
        "A file from which a training that was killed goes on", PAPER
    )

    def __post_init__(self) -> None:
        for name, declared in OPTIONS.items():
            value = getattr(self, name)
            is_default = value is None and DEFAULTS[name] is None
            if not is_default and not declared.allows(value):
                found = f"{value:g}" if isinstance(value, float) else f"{value}"
                raise OptionError(name, declared.expected, found)

    @property
    def is_intra(self) -> bool:
        """Whether each frame that is sent stands alone; in a resolved configuration it is known."""
        return self.structure == "intra"

    @property
    def is_in_band(self) -> bool:
        """Whether colour stays in the pictures; in a resolved configuration it is known."""
        return self.colour == "in-band"

    @property
    def is_blind(self) -> bool:
        """Whether choices are fixed, and nothing that was coded is looked at."""
        return self.search == "off"

    @property
    def has_whole_keys(self) -> bool:
        """Whether the colour track holds whole key frames (layout `full`)."""
        return self.key_form == "full"

    @property
    def loss_terms(self) -> tuple[str, ...]:
        """The terms of Equation 10 that training uses, in the order of `losses`.

        On a CPU VGG-19 takes most of a step, and the colour loss asks for pictures that are 4.8 %
        too bright: the recipe `cpu` leaves both out unless they are named.
        """
        usual = ("gan", "mse") if self.recipe == "cpu" else LOSSES
        terms = tuple(self.losses.split("+")) if self.losses else usual
        if self.content_loss is None:
            return terms
        without = tuple(term for term in terms if term != "content")
        return without if self.content_loss == "none" else (*without, "content")

    def generator_config(self) -> GanConfig:
        """Return the generator that the options name.

        The recipe `cpu` makes it give Y'CbCr, where only colour has to be learnt from nothing.
        """
        levels = set() if self.attention == "none" else set(map(int, self.attention.split("+")))
        is_fast = self.recipe == "cpu" and self.generator == "multiresunet"
        return GanConfig(
            channels=self.channels,
            kind=self.generator,
            attention=tuple(sorted(levels)),
            residual=self.residual,
            output=self.generates or ("ycbcr" if is_fast else "rgb"),
        )


EncodeConfig.__doc__ = describe_options(EncodeConfig, PANELS)
OPTIONS = declared_options(EncodeConfig)
DEFAULTS: dict[str, Any] = {part.name: part.default for part in fields(EncodeConfig)}
