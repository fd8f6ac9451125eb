"""Which structure, base codec and QP an encode has where the user named none.

An option that only one of them has chooses it, so that options contradict each other only where
both were typed.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

from tinct.bitstream.av1 import AV1
from tinct.bitstream.base import BASES
from tinct.bitstream.codecs import BaseCodec
from tinct.bitstream.hevc import HEVC
from tinct.config import DEFAULTS, Base, EncodeConfig, Structure

# All-intra pictures are whole at any QP; predicted ones are soft where the QP is high.
USUAL_QPS = {"intra": 32, "low-delay": 27, "random-access": 27}
USUAL_BASE = {"intra": HEVC, "low-delay": AV1, "random-access": AV1}
# What an option was typed with that needs all-intra, or HEVC. Any value but the default counts
# where none stands here.
Asks = dict[str, Callable[[object], bool]]


def _is_typed(value: object) -> bool:
    return True


ASK_FOR_INTRA: Asks = {
    "group": _is_typed,
    "key_boost": _is_typed,
    "key_form": _is_typed,
    "compatible": _is_typed,
    "colour": lambda value: value in ("track", "auto"),
    "interpolate": lambda value: isinstance(value, int),
    "hints": lambda value: value == "on",
    "colouriser": lambda value: value in ("compact", "gan"),
    "adapt": lambda value: value != "off",
}
ASK_FOR_HEVC: Asks = {
    "x265_preset": _is_typed,
    "x265_tune": _is_typed,
    "key_form": _is_typed,
    "colour": lambda value: value == "track",
    "colouriser": lambda value: value in ("compact", "gan"),
}


def fill_kind(config: EncodeConfig) -> EncodeConfig:
    """Return the configuration with its structure, its base codec and its QP."""
    if config.structure == "auto":
        structure: Structure = "intra" if _asks(config, ASK_FOR_INTRA) else "random-access"
        config = replace(config, structure=structure)
    if config.base == "auto":
        config = replace(config, base=cast("Base", _choose_base(config).name))
    return replace(config, qp=USUAL_QPS[config.structure] if config.qp is None else config.qp)


def changed_options(config: EncodeConfig, names: Iterable[str]) -> list[str]:
    """Return those of `names` that are not at their defaults: what was typed."""
    return [name for name in names if getattr(config, name) != DEFAULTS[name]]


def _choose_base(config: EncodeConfig) -> BaseCodec:
    if _asks(config, ASK_FOR_HEVC):
        return HEVC
    usual = USUAL_BASE[config.structure]
    presets = (usual, *BASES.values())
    return next((row for row in presets if config.base_preset in (None, *row.presets)), usual)


def _asks(config: EncodeConfig, table: Asks) -> bool:
    typed = changed_options(config, table)
    return any(table[name](getattr(config, name)) for name in typed)
