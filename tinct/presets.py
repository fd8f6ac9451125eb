"""Presets: sets of options under a name, of which each may be replaced."""

from tinct.config import EncodeConfig
from tinct.errors import CodecError
from tinct.text import suggest

PRESETS: dict[str, dict[str, object]] = {
    "default": {},
    "paper": {
        "structure": "intra",
        "base": "hevc",
        "colour": "track",
        "key_form": "full",
        "group": 6,
        "key_boost": 0,
        "interpolate": "off",
        "hints": "off",
        "colouriser": "gan",
        "adapt": "600",
    },
}


def preset(name: str, **options: object) -> EncodeConfig:
    """Return the configuration of a named preset, with any option replaced by the caller's own.

    Raise CodecError for a preset that does not exist, and for values out of range.
    """
    if name not in PRESETS:
        near = suggest(name, PRESETS)
        raise CodecError(f"expected a preset of {', '.join(PRESETS)}; found {name!r}{near}")
    named = PRESETS[name]
    if options.get("colouriser", named.get("colouriser")) != named.get("colouriser"):
        named = {key: value for key, value in named.items() if key != "adapt"}  # of its colouriser
    return EncodeConfig(**{**named, **options})  # type: ignore[arg-type]
