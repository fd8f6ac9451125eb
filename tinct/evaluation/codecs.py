"""Codecs that the lab compares: one function and one row of FAMILIES each.

A user names a codec `family[:structure][,option=value]...`, such as `x265:intra,chroma-offset=6`.
A family's function gives the command line that codes the clip INPUT to the file OUTPUT in the
current folder. `measurement` runs it, and decodes the file in another process.
"""

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av

from tinct.bitstream import hm
from tinct.bitstream.base import BASES
from tinct.bitstream.programs import find_program
from tinct.config import OPTIONS, SVT_AV1_PRESETS, X265_PRESETS, EncodeConfig
from tinct.encoder.colourisers import select_colouriser
from tinct.encoder.refusals import resolve
from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.limits import MAX_WEIGHTS
from tinct.presets import preset

PYTHON = sys.executable
INPUT, OUTPUT = "clip", "coded"  # file names without suffix, which the family adds
DECODED = "decoded.y4m"
NETWORK = ".net"  # suffix of a network beside its video
STRUCTURES = ("intra", "low-delay", "random-access")
PLAIN_BASES = {"x265": "hevc", "x264": "avc", "svt-av1": "av1"}  # families that are one alone
# How the configuration files of HM and VTM name the structures.
REFERENCE_STRUCTURES = {
    "intra": "intra",
    "low-delay": "lowdelay",
    "random-access": "randomaccess",
}
EVERY = "every"  # the option by which frames are left out
# Options that are whole numbers, lowest and highest: HEVC's chroma QP offset; one frame in so many;
# frames from entry point to entry point.
RANGES = {"chroma-offset": (-12, 12), EVERY: (1, 64), "keyint": (1, 600)}

# Options of `tinct encode` that the lab sets itself: the QP is the point's, the structure is part
# of the codec's name, and the checkpoint lies in the results folder.
SET_BY_LAB = ("structure", "qp", "crf", "bitrate_kbps", "checkpoint")
TINCT_OPTIONS = {option.flag: name for name, option in OPTIONS.items() if name not in SET_BY_LAB}


@dataclass(frozen=True)
class Codec:
    """A codec as the user named it: `name` is the text, `options` what follows the structure."""

    name: str
    family: str
    structure: str
    options: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Family:
    """An encoder; `make_command` makes its command line for a codec, a QP and a clip's properties.

    The first of `structures` is the default. `presets` are the allowed values of the option
    `preset`; empty where the program checks them itself. `library` is FFmpeg's name of an encoder
    that PyAV must have, `binary` a program that must be installed. `decoder` gives the module, with
    its arguments, that takes the coded file to a decoded one. A network has at most `most_weights`.
    """

    make_command: Callable[[Codec, int, VideoInfo], list[str]]
    structures: tuple[str, ...]
    options: tuple[str, ...]
    presets: tuple[str, ...] = ()
    parse_config: Callable[[Codec], EncodeConfig] | None = None  # where Tinct itself encodes
    reads: Literal[".mkv", ".y4m", ".yuv"] = ".mkv"
    writes: str = ".mkv"
    library: str | None = None
    binary: str | None = None
    decoder: Callable[[Codec], list[str]] = lambda codec: ["tinct", "decode", "--quiet"]
    most_weights: int = MAX_WEIGHTS


# ── Tinct ────────────────────────────────────────────────────────────────────────────────────────


def make_tinct_command(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """Return `tinct encode` with the codec's options: those with a value first, then the flags."""
    options = [f"--{name}={value}" for name, value in codec.options.items() if value]
    options += [f"--{name}" for name, value in codec.options.items() if not value]
    command = [PYTHON, "-m", "tinct", "encode", "--quiet"]
    command += [f"--structure={codec.structure}", f"--qp={qp}"]
    return [*command, *options, f"{INPUT}.mkv", f"{OUTPUT}.mkv"]


def make_beside_command(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """Return the program that trains as `tinct encode` does and keeps the network beside."""
    files = [f"{INPUT}.mkv", f"{OUTPUT}.mkv"]
    return [PYTHON, "-m", "tinct.evaluation.beside", "encode", codec.name, str(qp), *files]


def choose_beside_decoder(codec: Codec) -> list[str]:
    """Return the program that decodes with the network beside the file."""
    return ["tinct.evaluation.beside", "decode", codec.name]


def place_network(coded: Path) -> Path:
    """Return where the network lies that belongs to a video file."""
    return coded.with_suffix(NETWORK)


def parse_config(codec: Codec) -> EncodeConfig:
    """Return the configuration that `tinct encode` will make of a codec of the family `tinct`.

    Raise CodecError for a value out of range.
    """
    given: dict[str, object] = {"structure": codec.structure}
    for flag, value in codec.options.items():
        if flag == "preset":
            continue
        option = OPTIONS[TINCT_OPTIONS[flag]]
        if option.is_flag and value:
            raise CodecError(f"expected {flag} without a value, found {flag}={value}")
        given[TINCT_OPTIONS[flag]] = True if option.is_flag else option.parse(value)
    return preset(codec.options.get("preset", "default"), **given)


def has_training(codec: Codec) -> bool:
    """Return whether encoding trains a network, so that a checkpoint can save the work."""
    read_config = FAMILIES[codec.family].parse_config
    return read_config is not None and select_colouriser(read_config(codec)).trains


# ── encoders inside PyAV ─────────────────────────────────────────────────────────────────────────


def make_plain_command(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """Return the command of a base codec alone, at a nominal QP, with its own rate control.

    `chroma-offset` of HEVC's QP makes the simplest rival of Tinct: a positive one spends fewer bits
    on colour. `every` leaves frames out, which the decoder interpolates; `keyint` are the frames
    from entry point to entry point.
    """
    row = BASES[PLAIN_BASES[codec.family]]
    options = {"structure": codec.structure, "qp": str(qp), "preset": row.preset} | codec.options
    program = [PYTHON, "-m", "tinct.evaluation.encode", row.name]
    pairs = [f"{name}={value}" for name, value in options.items()]
    return [*program, f"{INPUT}.mkv", f"{OUTPUT}.mkv", *pairs]


def choose_plain_decoder(codec: Codec) -> list[str]:
    """Return Tinct's decoder, or the one that interpolates what `every` left out."""
    return ["tinct.evaluation.decode"] if EVERY in codec.options else ["tinct", "decode", "--quiet"]


# ── programs ─────────────────────────────────────────────────────────────────────────────────────


def make_hm_command(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """Return the command of HM 16, HEVC's reference encoder."""
    main = "main" if info.bit_depth == 8 else "main10"
    structure = REFERENCE_STRUCTURES[codec.structure]
    return [
        *(_find_binary(codec), "-c", _config_path(codec, f"encoder_{structure}_{main}.cfg")),
        *_raw_input(qp, info),
        *hm.list_options(info.bit_depth),
        *("-b", f"{OUTPUT}.hevc"),
    ]


def make_vtm_command(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """Return the command of VTM, VVC's reference encoder."""
    structure = REFERENCE_STRUCTURES[codec.structure]
    return [
        *(_find_binary(codec), "-c", _config_path(codec, f"encoder_{structure}_vtm.cfg")),
        *_raw_input(qp, info),
        f"--InputBitDepth={info.bit_depth}",
        "--InputChromaFormat=420",
        *("-b", f"{OUTPUT}.266"),
    ]


def make_vvenc_command(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """Return the command of VVenC, Fraunhofer's VVC encoder."""
    options = ["--preset", _preset_of(codec), "-q", str(qp), "--qpa", "0"]
    options += ["--intraperiod", "1"] if codec.structure == "intra" else []
    files = ["--threads", "1", "-o", f"{OUTPUT}.266"]
    return [_find_binary(codec), "-i", f"{INPUT}.y4m", *options, *files]


def _find_binary(codec: Codec) -> str:
    binary = codec.options.get("binary", FAMILIES[codec.family].binary)
    assert binary is not None
    found = find_program(binary)
    assert found is not None, f"`find_missing` was not asked about {codec.name}"
    return found


def _config_path(codec: Codec, name: str) -> str:
    return str((Path(codec.options["config"]) / name).absolute())


def _raw_input(qp: int, info: VideoInfo) -> list[str]:
    """Return the options by which HM and VTM are told of raw frames and the QP."""
    return [
        *("-i", f"{INPUT}.yuv"),
        *("-wdt", str(info.width), "-hgt", str(info.height)),
        *("-fr", str(round(info.mean_rate)), "-f", str(info.frame_count)),
        *("-q", str(qp)),
    ]


def _preset_of(codec: Codec, default: str = "medium") -> str:
    return codec.options.get("preset", default)


# ── the table ────────────────────────────────────────────────────────────────────────────────────

RANDOM_ACCESS_FIRST = ("random-access", "intra", "low-delay")

FAMILIES: dict[str, Family] = {
    "tinct": Family(
        make_command=make_tinct_command,
        structures=STRUCTURES,
        options=("preset", *TINCT_OPTIONS),
        parse_config=parse_config,
    ),
    "beside": Family(
        make_command=make_beside_command,
        structures=("intra",),
        options=("preset", *TINCT_OPTIONS),
        parse_config=parse_config,
        decoder=choose_beside_decoder,
        most_weights=1 << 28,  # pix2pixHD has 182 million at C = 64
    ),
    "x265": Family(
        make_command=make_plain_command,
        structures=STRUCTURES,
        options=("preset", "chroma-offset", EVERY, "keyint"),
        decoder=choose_plain_decoder,
        presets=X265_PRESETS,
        library="libx265",
    ),
    "x264": Family(
        make_command=make_plain_command,
        structures=RANDOM_ACCESS_FIRST,
        options=("preset", "keyint"),
        presets=X265_PRESETS,
        library="libx264",
    ),
    "svt-av1": Family(
        make_command=make_plain_command,
        structures=RANDOM_ACCESS_FIRST,
        options=("preset", "keyint"),
        presets=SVT_AV1_PRESETS,
        library="libsvtav1",
    ),
    "hm": Family(
        make_command=make_hm_command,
        structures=STRUCTURES,
        options=("binary", "config"),
        reads=".yuv",
        writes=".hevc",
        binary="TAppEncoderStatic",
    ),
    "vtm": Family(
        make_command=make_vtm_command,
        structures=STRUCTURES,
        options=("binary", "config"),
        reads=".yuv",
        writes=".266",
        binary="EncoderAppStatic",
    ),
    "vvenc": Family(
        make_command=make_vvenc_command,
        structures=("random-access", "intra"),
        options=("binary", "preset"),
        reads=".y4m",
        writes=".266",
        binary="vvencapp",
    ),
}


def make_decode_command(codec: Codec) -> list[str]:
    """Return the command line that decodes the file of any family to raw frames."""
    family = FAMILIES[codec.family]
    return [PYTHON, "-m", *family.decoder(codec), OUTPUT + family.writes, DECODED]


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def parse_codec(text: str) -> Codec:
    """Return the codec of a name. Raise CodecError for a family, structure or option unknown."""
    head, *pairs = text.split(",")
    name, _, structure = head.partition(":")
    family = FAMILIES.get(name)
    if family is None:
        found = f"{name or 'nothing'} in {text!r}"
        raise CodecError(f"expected a codec of {', '.join(FAMILIES)}; found {found}")
    structure = structure or family.structures[0]
    if structure not in family.structures:
        allowed = ", ".join(family.structures)
        raise CodecError(f"expected {name} with a structure of {allowed}; found {structure}")
    options = {option: value for option, _, value in (pair.partition("=") for pair in pairs)}
    for option in options:
        if option not in family.options:
            found = f"{option or 'nothing'} in {text!r}"
            allowed = ", ".join(family.options)
            raise CodecError(f"expected {name} with options of {allowed}; found {found}")
    codec = Codec(name=text, family=name, structure=structure, options=options)
    _check_values(codec)
    return codec


def _check_values(codec: Codec) -> None:
    family = FAMILIES[codec.family]
    if family.parse_config is not None:
        resolve(family.parse_config(codec))
    for option, (low, high) in RANGES.items():
        number = codec.options.get(option, str(high))
        if not re.fullmatch(r"[+-]?[0-9]{1,3}", number) or not low <= int(number) <= high:
            raise CodecError(f"{option}: expected {low} to {high}, found {number}")
    if EVERY in codec.options and codec.structure != "intra":
        raise CodecError(
            f"{EVERY}: expected the structure intra, from which frames can be left out; "
            f"found {codec.structure}"
        )
    speed = codec.options.get("preset")
    if speed is not None and family.presets and speed not in family.presets:
        allowed = ", ".join(family.presets)
        raise CodecError(f"{codec.family}'s preset: expected one of {allowed}; found {speed}")


def check_clip(codec: Codec, clip: str, info: VideoInfo) -> None:
    """Raise CodecError for a clip that the codec cannot be measured on."""
    if EVERY in codec.options and info.frame_rate is None:
        raise CodecError(
            f"{codec.name}: expected clips of a constant frame rate, found a variable one in "
            f"{clip}; leave out the clip or {EVERY}="
        )


def make_paths_absolute(text: str) -> str:
    """Return a codec's name with absolute paths in it: it means the same from every folder."""
    head, *pairs = text.split(",")
    return ",".join([head, *map(_make_path_absolute, pairs)])


def _make_path_absolute(pair: str) -> str:
    option, _, value = pair.partition("=")
    # A program's name without a folder is looked for in PATH.
    is_file = option in ("config", "vgg19", "encoder-config")
    is_path = is_file or (option in ("binary", "encoder") and os.sep in value)
    return f"{option}={Path(value).absolute()}" if is_path and value else pair


def find_missing(codec: Codec) -> str | None:
    """Return what this machine lacks for a codec, in words; None where it runs."""
    family = FAMILIES[codec.family]
    if family.library is not None and family.library not in av.codecs_available:
        return f"this PyAV has no {family.library}"
    if family.binary is None:
        return None
    binary = codec.options.get("binary", family.binary)
    head = f"{codec.family}:{codec.structure}"
    if find_program(binary) is None:
        return f"no program {binary}; install it, or name it: {head},binary=PATH"
    if "config" in family.options and not Path(codec.options.get("config", os.devnull)).is_dir():
        return f"no folder of configuration files; name it: {head},config=FOLDER"
    return None
