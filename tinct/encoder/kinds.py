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

# Predicted pictures are softer at the same QP: carphone has 32.7 dB of Y at 32, all-intra 36.1.
USUAL_QPS = {"intra": 32, "low-delay": 27, "random-access": 27}
USUAL_BASE = {"intra": HEVC, "low-delay": AV1, "random-access": AV1}
# Options that need all-intra, or HEVC, with a test of the value that was typed.
Asks = dict[str, Callable[[object], bool]]


def _accept_any(value: object) -> bool:
    return True


ASK_FOR_INTRA: Asks = {
    "group": _accept_any,
    "key_boost": _accept_any,
    "key_form": _accept_any,
    "compatible": _accept_any,
    "colour": lambda value: value in ("track", "auto"),
    "interpolate": lambda value: isinstance(value, int),
    "hints": lambda value: value == "on",
    "colouriser": lambda value: value == "gan",
    "adapt": lambda value: value != "off",
}
ASK_FOR_HEVC: Asks = {
    "x265_preset": _accept_any,
    "x265_tune": _accept_any,
    "key_form": _accept_any,
    "colour": lambda value: value == "track",
    "colouriser": lambda value: value == "gan",
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
    rows = (usual, *BASES.values())
    return next((row for row in rows if config.base_preset in (None, *row.presets)), usual)


def _asks(config: EncodeConfig, table: Asks) -> bool:
    typed = changed_options(config, table)
    return any(table[name](getattr(config, name)) for name in typed)
