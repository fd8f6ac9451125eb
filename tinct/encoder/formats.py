"""The containers that an encode may write: Matroska, and others for plain video.

Asking for .mp4 or .webm asks for a file that every player shows as it is meant: nothing is left to
the decoder then, neither colour on a track of its own nor a network. `refusals` resolves options.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal, cast, get_args

from tinct.bitstream.base import BASES
from tinct.config import OPTIONS, Base, EncodeConfig
from tinct.encoder.kinds import ASK_FOR_INTRA, Asks, changed_options
from tinct.encoder.refusals import resolve
from tinct.errors import CodecError, FileError
from tinct.media.containers import CONTAINERS, MATROSKA, Container

EncodeFormat = Literal["mkv", "mp4", "webm"]
OUTPUT_SUFFIXES = tuple(f".{name}" for name in get_args(EncodeFormat))
# Options that ask for what the decoder does.
ASK_FOR_TINCT: Asks = {
    "colouriser": lambda value: value in ("compact", "gan"),
    **{name: asks for name, asks in ASK_FOR_INTRA.items() if name != "colouriser"},
    "colour": lambda value: value == "track",
    "network": lambda value: True,
}


def find_format(target: Path) -> Container:
    """Return the container of an output's name. Raise FileError for another name."""
    suffix = target.suffix.lower()
    if suffix not in OUTPUT_SUFFIXES or target.is_dir():
        expected = "an output name ending in .mkv, or .mp4 or .webm for plain video"
        advice = f"into a folder: --out {target}" if target.is_dir() else ""
        raise FileError(str(target), expected, str(target), advice=advice)
    return CONTAINERS[suffix]


def fit_format(config: EncodeConfig, target: Path) -> EncodeConfig:
    """Return the resolved configuration of an encode to `target`; plain where it has to be.

    Raise CodecError where an option asks for what the container does not hold.
    """
    container = find_format(target)
    if container is MATROSKA:
        return resolve(config)
    typed = changed_options(config, ASK_FOR_TINCT)
    asking = [name for name in ASK_FOR_TINCT if name in typed and _asks(config, name)]
    if asking:
        raise CodecError(
            f"expected an output name ending in .mkv with --{OPTIONS[asking[0]].flag}, found "
            f"{target}: {container.title} holds plain video alone"
        )
    plain = replace(config, colour="in-band", colouriser="none")
    resolved = resolve(plain)
    if BASES[resolved.base].coded_as in container.codecs:
        return resolved
    if config.base == "auto":
        held = next(row for row in BASES.values() if row.coded_as in container.codecs)
        return resolve(replace(plain, base=cast("Base", held.name)))
    held_rows = [row for row in BASES.values() if row.coded_as in container.codecs]
    titles = dict.fromkeys(row.title for row in held_rows)
    raise CodecError(
        f"expected {' or '.join(titles)} in {container.title}, found --base {config.base}; "
        "name the output .mkv or .mp4"
    )


def _asks(config: EncodeConfig, name: str) -> bool:
    return ASK_FOR_TINCT[name](getattr(config, name))
