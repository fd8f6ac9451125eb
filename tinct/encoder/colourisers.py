"""The colourisers on the encoder's side: one row each, with the rules on options that it owns.

`decoder.colourisers` has the other half of each row, by the same name. To add a colouriser, add a
row to both, and a part to `adaptation`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tinct.config import DEFAULTS, OPTIONS, PAPER, EncodeConfig
from tinct.encoder.adaptation import BlindPart, CompactPart, GanPart, InBandPart, Part
from tinct.encoder.kinds import changed_options
from tinct.encoder.plan import Plan
from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.networks.compact_config import IN_BAND_NETWORKS

if TYPE_CHECKING:
    from tinct.adapt.gan_update import TrainingSetup

PIPE = "-"  # a source that can be read only once
AUTO_BUDGET = "600"  # seconds that `gan` trains unless told otherwise
OF_GAN = [name for name, option in OPTIONS.items() if option.panel == PAPER]
# Options that belong to the paper's own generator, and mean nothing to its rivals.
OF_MULTIRESUNET = (
    *("attention", "residual", "generates", "conditional"),
    *("losses", "content_loss", "vgg19"),
)

MakePart = Callable[[VideoInfo, Plan], Part]


@dataclass(frozen=True, kw_only=True)
class EncoderColouriser:
    """One colouriser, as the encoder uses it.

    `contradictions` gives what options it cannot be combined with, of a configuration whose
    `colour` is known; `complete` fills in the options that it leaves open. `prepare` takes the name
    of the source and the configuration before any work: it raises CodecError for what is missing,
    and returns what makes the part in the encode. `check_size` raises CodecError for pictures that
    are too large. With `restores` a network that ships restores luma, so that choices are weighed
    by rehearsal; with `trains` the video gets a network of its own, trained on a second reading.
    """

    name: str
    contradictions: Callable[[EncodeConfig], Iterable[tuple[bool, str]]]
    complete: Callable[[EncodeConfig], EncodeConfig]
    prepare: Callable[[str, EncodeConfig], MakePart]
    check_size: Callable[[EncodeConfig, VideoInfo], None] = lambda config, info: None
    restores: bool = False
    trains: bool = False


def select_colouriser(config: EncodeConfig) -> EncoderColouriser:
    """Return the row that a configuration asks for; `auto` tries the networks that ship."""
    return COLOURISERS.get(config.colouriser, COMPACT)


def may_restore(config: EncodeConfig) -> bool:
    """Return whether a network on a colour track is weighed on samples (resolved configuration)."""
    return select_colouriser(config).restores and not config.is_in_band


def restores_in_band(config: EncodeConfig) -> bool:
    """Return whether a network is tried on pictures that are coded with their colour."""
    return find_in_band_network(config) is not None


def find_in_band_network(config: EncodeConfig) -> str | None:
    """Return the network that is tried on pictures that are coded with their colour, if any."""
    if config.is_intra or not config.is_in_band or not select_colouriser(config).restores:
        return None
    row = IN_BAND_NETWORKS.get((config.base, config.network))
    return row.name if row is not None else None


def name_changed(config: EncodeConfig, names: Iterable[str]) -> str:
    """Return the flags of those options that are not at their defaults, as "--channels/recipe"."""
    changed = changed_options(config, names)
    return f"--{'/'.join(OPTIONS[name].flag for name in changed)}" if changed else ""


# ── none ────────────────────────────────────────────────────────────────────────────────────────


def _none_contradictions(config: EncodeConfig) -> Iterable[tuple[bool, str]]:
    learns = config.adapt not in (None, "auto", "off")
    yield learns, "--adapt needs a network: --colouriser compact or gan"


def _complete_none(config: EncodeConfig) -> EncodeConfig:
    """Key frames are as fine as the others unless asked for: only a network can use finer ones."""
    boost = 0 if config.key_boost == "auto" else config.key_boost
    return replace(config, key_boost=boost, colouriser="none")


def _prepare_none(source: str, config: EncodeConfig) -> MakePart:
    return lambda info, plan: Part(info, plan, config)


# ── compact ─────────────────────────────────────────────────────────────────────────────────────


def _compact_contradictions(config: EncodeConfig) -> Iterable[tuple[bool, str]]:
    named = f"--colouriser {config.colouriser}"
    if config.colouriser == "auto":
        return
    yield config.has_whole_keys, f"{named} needs --key-form chroma"
    if config.is_intra:
        yield config.is_in_band, f"{named} needs --colour track where --structure is intra"
        return
    yield not config.is_in_band, f"{named} needs --structure intra, or in-band colour"
    sizes = [size for base, size in IN_BAND_NETWORKS if base == config.base]
    asked = f"--network {' or '.join(sizes)}" if sizes else "--base av1 or hevc"
    yield config.network not in sizes, f"{named} with in-band colour needs {asked}"


def _complete_compact(config: EncodeConfig) -> EncodeConfig:
    if config.is_intra and not config.is_in_band and not config.has_whole_keys:
        return config
    if restores_in_band(config):
        return replace(config, key_boost=0)
    return _complete_none(config)


def _prepare_compact(source: str, config: EncodeConfig) -> MakePart:
    is_asked = config.adapt not in (None, "auto", "off")
    has_torch = find_spec("torch") is not None
    if is_asked and source == PIPE:
        raise CodecError(
            f"expected a file with --adapt {config.adapt}, which reads the video twice; "
            "found a pipe: save it first"
        )
    if is_asked and not has_torch:
        raise CodecError(
            "--adapt needs torch, which is not installed; "
            "get all of it: pip install 'tinct[networks]'"
        )
    learns = is_asked or (config.adapt == "auto" and source != PIPE and has_torch)

    def make_part(info: VideoInfo, plan: Plan) -> Part:
        if not plan.has_shipped_network:
            return Part(info, plan, config)
        if config.is_blind:
            return BlindPart(info, plan, config)
        if not plan.row.has_colour_track:
            return InBandPart(info, plan, config)
        return CompactPart(info, plan, config, learns=learns)

    return make_part


# ── gan ─────────────────────────────────────────────────────────────────────────────────────────


def _gan_contradictions(config: EncodeConfig) -> Iterable[tuple[bool, str]]:
    of_paper = name_changed(config, OF_MULTIRESUNET)
    is_rival = config.generator != DEFAULTS["generator"]
    yield is_rival and bool(of_paper), f"{of_paper} needs --generator {DEFAULTS['generator']}"
    named = f"--colouriser {config.colouriser}"
    yield not config.is_intra, f"{named} needs --structure intra"
    yield config.is_in_band, f"{named} needs --colour track"
    yield config.key_boost not in ("auto", 0), f"{named} needs --key-boost 0"
    yield config.adapt == "off", f"{named} needs --adapt: it is trained on the video"


def _complete_gan(config: EncodeConfig) -> EncodeConfig:
    budget = AUTO_BUDGET if config.adapt in (None, "auto") else config.adapt
    return replace(config, key_boost=0, adapt=budget)


def _prepare_gan(source: str, config: EncodeConfig) -> MakePart:
    if source == PIPE:
        raise CodecError(
            f"expected a file with --colouriser {config.colouriser}, which reads the video twice; "
            "found a pipe: save it first"
        )
    try:
        from tinct.adapt.gan_update import prepare_training
    except ModuleNotFoundError as error:
        raise CodecError(
            f"--colouriser {config.colouriser} needs {error.name}, which is not installed; "
            "get all of it: pip install 'tinct[networks]'"
        ) from error
    setup: TrainingSetup = prepare_training(config)
    return lambda info, plan: GanPart(info, plan, config, setup=setup)


def _check_gan_size(config: EncodeConfig, info: VideoInfo) -> None:
    from tinct.networks.gan import check_size

    check_size(config.generator_config(), info)


NONE = EncoderColouriser(
    name="none",
    contradictions=_none_contradictions,
    complete=_complete_none,
    prepare=_prepare_none,
)
COMPACT = EncoderColouriser(
    name="compact",
    contradictions=_compact_contradictions,
    complete=_complete_compact,
    prepare=_prepare_compact,
    restores=True,
)
GAN = EncoderColouriser(
    name="gan",
    contradictions=_gan_contradictions,
    complete=_complete_gan,
    prepare=_prepare_gan,
    check_size=_check_gan_size,
    trains=True,
)
COLOURISERS = {row.name: row for row in (NONE, COMPACT, GAN)}
