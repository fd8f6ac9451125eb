"""Codecs that the lab compares: one function and one row of FAMILIES each.

A user names a codec `family[:structure][,option=value]...`, such as `x265:intra,chroma-offset=6`. A family's function gives the
command line that codes the clip INPUT to the file OUTPUT in the current folder; another process decodes it from disk.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import av

from tinct.config import X265_PRESETS, EncodeConfig, preset, resolved
from tinct.errors import CodecError
from tinct.frames import VideoInfo

PYTHON = sys.executable
INPUT, OUTPUT = "clip", "coded"  # stems; the family says which suffixes
DECODED = "decoded.y4m"
STRUCTURES = ("intra", "low-delay", "random-access")
AV1_QP = (
    -3.0,
    1.7,
)  # AV1's 43, 51 and 60 give the PSNR of HEVC's 27, 32 and 37; 63, its coarsest, that of 39
WORDS = ("adapt", "attention")  # options of Tinct that are words even where they look like numbers
FLAGS = ("compatible", "conditional")  # options of Tinct without a value
KEY_INTERVAL = 250  # frames, of everything but all-intra: x265's and x264's default


@dataclass(frozen=True)
class Codec:
    """One codec as the user named it: `name` is the text, `options` what stood behind the structure."""

    name: str
    family: str
    structure: str
    options: dict[str, str]


@dataclass(frozen=True)
class Family:
    """`encode` makes the command line for a codec at a QP. `binary` is the program that has to be there, if not this Python."""

    encode: Callable[[Codec, int, VideoInfo], list[str]]
    structures: tuple[str, ...]  # the first is the default
    options: tuple[str, ...]
    reads: Literal[".mkv", ".y4m", ".yuv"] = ".mkv"
    writes: str = ".mkv"
    library: str | None = None  # FFmpeg's name of an encoder that PyAV has to have
    binary: str | None = None


def tinct(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """`tinct encode`, with any option of it."""
    options = [f"--{name}={value}" for name, value in codec.options.items() if value]
    options += [f"--{name}" for name, value in codec.options.items() if not value]
    command = [
        PYTHON,
        "-m",
        "tinct",
        "encode",
        "--quiet",
        f"--structure={codec.structure}",
        f"--qp={qp}",
    ]
    return [*command, *options, f"{INPUT}.mkv", f"{OUTPUT}.mkv"]


def trains(codec: Codec) -> bool:
    """Whether an encode is a training that a checkpoint can save."""
    return codec.family == "tinct" and resolved(config_of(codec)).colouriser == "gan"


def x265(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """The anchor, with chroma QP offsets where asked for: the cheap rival, which spends less on colour."""
    options = [
        f"structure={codec.structure}",
        f"qp={qp}",
        f"preset={codec.options.get('preset', 'medium')}",
    ]
    if "chroma-offset" in codec.options:
        options.append(f"chroma-qp-offset={codec.options['chroma-offset']}")
    return _encode("hevc", options)


def x264(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """H.264; all-intra without the 3 QP that x264 takes off intra frames otherwise. Its QP has another zero at each bit depth."""
    options = [
        f"preset={codec.options.get('preset', 'medium')}",
        "tune=psnr",
        f"qp={qp + 6 * (info.bit_depth - 8)}",
        "threads=1",
    ]
    options += {
        "intra": ["g=1", "x264-params=ipratio=1"],
        "low-delay": [f"g={KEY_INTERVAL}", "bf=0"],
    }.get(codec.structure, [f"g={KEY_INTERVAL}"])
    return _encode("libx264", options)


def svt_av1(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """AV1 at the fixed QP of 0 to 63 whose PSNR is near HEVC's at the QP given; found on intra frames, see AV1_QP."""
    key_interval = 1 if codec.structure == "intra" else KEY_INTERVAL
    parameters = "rc=0:aq-mode=0:tune=1:lp=1" + (
        ":pred-struct=1" if codec.structure == "low-delay" else ""
    )
    options = [
        f"preset={codec.options.get('preset', '6')}",
        f"qp={min(max(round(AV1_QP[0] + AV1_QP[1] * qp), 0), 63)}",
        f"g={key_interval}",
    ]
    return _encode("libsvtav1", [*options, f"svtav1-params={parameters}"])


def hm(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """HEVC's reference encoder, HM 16; `config` names the folder of its configuration files."""
    name = {"intra": "intra", "low-delay": "lowdelay", "random-access": "randomaccess"}[
        codec.structure
    ]
    depth = str(info.bit_depth)
    command = [
        _binary(codec),
        "-c",
        _config(codec, f"encoder_{name}_main{'' if info.bit_depth == 8 else '10'}.cfg"),
    ]
    command += [
        *_raw_input(qp, info),
        f"--InputBitDepth={depth}",
        f"--InternalBitDepth={depth}",
        "--InputChromaFormat=420",
    ]
    profile = "main" if info.bit_depth == 8 else "main10"
    return [
        *command,
        "--ConformanceMode=1",
        f"--Profile={profile}",
        "--Level=6.2",
        "--SEIDecodedPictureHash=0",
        "-b",
        f"{OUTPUT}.hevc",
    ]


def vtm(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """VVC's reference encoder, VTM."""
    name = {"intra": "intra", "low-delay": "lowdelay", "random-access": "randomaccess"}[
        codec.structure
    ]
    command = [
        _binary(codec),
        "-c",
        _config(codec, f"encoder_{name}_vtm.cfg"),
        *_raw_input(qp, info),
    ]
    return [
        *command,
        f"--InputBitDepth={info.bit_depth}",
        "--InputChromaFormat=420",
        "-b",
        f"{OUTPUT}.266",
    ]


def vvenc(codec: Codec, qp: int, info: VideoInfo) -> list[str]:
    """Fraunhofer's VVC encoder."""
    command = [
        _binary(codec),
        "-i",
        f"{INPUT}.y4m",
        "--preset",
        codec.options.get("preset", "medium"),
        "-q",
        str(qp),
        "--qpa",
        "0",
    ]
    command += ["--intraperiod", "1"] if codec.structure == "intra" else []
    return [*command, "--threads", "1", "-o", f"{OUTPUT}.266"]


FAMILIES: dict[str, Family] = {
    "tinct": Family(
        tinct, STRUCTURES,
        ("preset", "colour", "key-form", "group", "key-boost", "colouriser", "network", "search", "compatible", "x265-preset",
         "x265-tune", "channels", "generator", "attention", "residual", "generates", "conditional", "recipe", "losses", "vgg19",
         "adapt", "device"),
    ),
    "x265": Family(x265, STRUCTURES, ("preset", "chroma-offset"), library="libx265"),
    "x264": Family(x264, ("random-access", "intra", "low-delay"), ("preset",), library="libx264"),
    "svt-av1": Family(svt_av1, ("random-access", "intra", "low-delay"), ("preset",), library="libsvtav1"),
    "hm": Family(hm, STRUCTURES, ("binary", "config"), ".yuv", ".hevc", binary="TAppEncoderStatic"),
    "vtm": Family(vtm, STRUCTURES, ("binary", "config"), ".yuv", ".266", binary="EncoderAppStatic"),
    "vvenc": Family(vvenc, ("random-access", "intra"), ("binary", "preset"), ".y4m", ".266", binary="vvencapp"),
}  # fmt: skip


def parse(text: str) -> Codec:
    """A codec from its name. Raises CodecError for a family, structure or option that is not there."""
    head, *pairs = text.split(",")
    name, _, structure = head.partition(":")
    family = FAMILIES.get(name)
    if family is None:
        raise CodecError(
            f"expected a codec of {', '.join(FAMILIES)}; found {name or 'nothing'} in {text!r}"
        )
    structure = structure or family.structures[0]
    if structure not in family.structures:
        raise CodecError(
            f"expected {name} with a structure of {', '.join(family.structures)}; found {structure}"
        )
    options = {option: value for option, _, value in (pair.partition("=") for pair in pairs)}
    for option in options:
        if option not in family.options:
            raise CodecError(
                f"expected {name} with options of {', '.join(family.options)}; found {option or 'nothing'} in {text!r}"
            )
    codec = Codec(text, name, structure, options)
    _check_values(codec)
    return codec


def at_home(text: str) -> str:
    """A codec's name with the paths in it made absolute, so that it means the same from every folder."""
    head, *pairs = text.split(",")
    return ",".join([head, *(_absolute(pair) for pair in pairs)])


def _absolute(pair: str) -> str:
    option, _, value = pair.partition("=")
    names_path = option in ("config", "vgg19") or (
        option == "binary" and os.sep in value
    )  # other binaries are looked for in PATH
    return f"{option}={Path(value).absolute()}" if names_path and value else pair


def missing(codec: Codec) -> str | None:
    """What this machine lacks for a codec, None where it runs."""
    family = FAMILIES[codec.family]
    if family.library is not None and family.library not in av.codecs_available:
        return f"this PyAV has no {family.library}"
    if family.binary is None:
        return None
    binary = codec.options.get("binary", family.binary)
    if shutil.which(binary) is None:
        return f"no program {binary}; install it, or name it: {codec.family}:{codec.structure},binary=PATH"
    if "config" in family.options and not Path(codec.options.get("config", os.devnull)).is_dir():
        return f"no folder of configuration files; name it: {codec.family}:{codec.structure},config=FOLDER"
    return None


def decode(codec: Codec) -> list[str]:
    """The command line that decodes any family's file to raw frames."""
    return [
        PYTHON,
        "-m",
        "tinct",
        "decode",
        "--quiet",
        OUTPUT + FAMILIES[codec.family].writes,
        DECODED,
    ]


def versions() -> dict[str, str]:
    """Of everything that a result hangs on; the encoders' are those inside the PyAV wheel."""
    packages = {
        name: version(name)
        for name in ("tinct", "av", "numpy", "opencv-python-headless", "scikit-image")
    }
    folder = Path(av.__file__).parent.parent / "av.libs"
    libraries = {
        f.name.split("-")[0]: f.name.split(".so.")[-1]
        for f in folder.glob("lib*")
        if f.name.startswith(ENCODER_LIBRARIES)
    }
    return {**packages, "ffmpeg": str(av.ffmpeg_version_info), **dict(sorted(libraries.items()))}


ENCODER_LIBRARIES = ("libx265", "libx264", "libSvtAv1Enc")


def _check_values(codec: Codec) -> None:
    if codec.family == "tinct":
        resolved(config_of(codec))
    offset = codec.options.get("chroma-offset", "0")
    if not re.fullmatch(r"[+-]?[0-9]{1,2}", offset) or not -12 <= int(offset) <= 12:
        raise CodecError(f"chroma-offset: expected -12 to 12, found {offset}")
    speed = codec.options.get("preset")
    allowed = {
        "x265": X265_PRESETS,
        "x264": X265_PRESETS,
        "svt-av1": tuple(map(str, range(14))),
    }.get(codec.family)
    if speed is not None and allowed is not None and speed not in allowed:
        raise CodecError(
            f"{codec.family}'s preset: expected one of {', '.join(allowed)}; found {speed}"
        )


def config_of(codec: Codec) -> EncodeConfig:
    """What the command line will make of the options of Tinct itself."""
    given: dict[str, object] = {"structure": codec.structure}
    for option, value in codec.options.items():
        if option in FLAGS and value:
            raise CodecError(f"expected {option} without a value, found {option}={value}")
        number = (
            int(value) if value.isascii() and value.isdigit() and option not in WORDS else value
        )
        given[option.replace("-", "_")] = True if option in FLAGS else number
    return preset(str(given.pop("preset", "default")), **given)


def _encode(encoder: str, options: list[str]) -> list[str]:
    return [
        PYTHON,
        "-m",
        "tinct.evaluation.encode",
        encoder,
        f"{INPUT}.mkv",
        f"{OUTPUT}.mkv",
        *options,
    ]


def _binary(codec: Codec) -> str:
    binary = codec.options.get("binary", FAMILIES[codec.family].binary)
    assert binary is not None
    found = shutil.which(binary)
    assert found is not None, f"`missing` was not asked about {codec.name}"
    return str(Path(found).absolute())


def _config(codec: Codec, name: str) -> str:
    return str((Path(codec.options["config"]) / name).absolute())


def _raw_input(qp: int, info: VideoInfo) -> list[str]:
    size = ["-wdt", str(info.width), "-hgt", str(info.height)]
    return [
        "-i",
        f"{INPUT}.yuv",
        *size,
        "-fr",
        str(round(info.mean_rate)),
        "-f",
        str(info.frame_count),
        "-q",
        str(qp),
    ]
