"""Tinct: a video codec that sends luma and restores colour at the decoder.

    report = tinct.encode("talk.mp4", "talk.mkv", tinct.EncodeConfig(structure="intra", qp=32))
    for frame in tinct.open("talk.mkv"):
        frame.rgb()

    encode, Writer            a video, or frames of a program, to a file
    open (Video), decode      a file to frames, or to another file
    info, verify              what a file holds; whether it is whole, and how good
    encode_folder             a folder of videos, each to a file
    EncodeConfig, preset      options of an encode
    colourise                 grey footage coloured from a few frames; write_keyframes finds them
    load_network              a network that ships, to run on arrays
    Frame, VideoInfo          a picture and the properties of a video
    CodecError                every error that an input or an option can cause, and its kinds

Paths are text or os.PathLike; binary file objects may stand in their place. Names are loaded when
they are first used, so that `tinct --help` does not wait for video libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinct.colouring import ColouriseReport as ColouriseReport
    from tinct.colouring import colourise as colourise
    from tinct.colouring import write_keyframes as write_keyframes
    from tinct.config import EncodeConfig as EncodeConfig
    from tinct.decoder.api import DecodeReport as DecodeReport
    from tinct.decoder.api import decode as decode
    from tinct.decoder.damage import Damage as Damage
    from tinct.decoder.inspection import FileInfo as FileInfo
    from tinct.decoder.inspection import Verification as Verification
    from tinct.decoder.inspection import info as info
    from tinct.decoder.inspection import verify as verify
    from tinct.decoder.video import Video as Video
    from tinct.encoder.api import EncodeReport as EncodeReport
    from tinct.encoder.api import encode as encode
    from tinct.encoder.batch import FolderReport as FolderReport
    from tinct.encoder.batch import encode_folder as encode_folder
    from tinct.encoder.writer import Writer as Writer
    from tinct.errors import CodecError as CodecError
    from tinct.errors import FileError as FileError
    from tinct.errors import OptionError as OptionError
    from tinct.errors import TimeError as TimeError
    from tinct.frames import Frame as Frame
    from tinct.frames import VideoInfo as VideoInfo
    from tinct.networks.models import RestorationNetwork as RestorationNetwork
    from tinct.networks.models import load_network as load_network
    from tinct.presets import preset as preset
    from tinct.psnr import Psnr as Psnr

    open = Video

__version__ = "0.1.0"

# The public names: the module where each is, and its name there.
_PUBLIC = {
    "CodecError": ("errors", "CodecError"),
    "ColouriseReport": ("colouring", "ColouriseReport"),
    "Damage": ("decoder.damage", "Damage"),
    "DecodeReport": ("decoder.api", "DecodeReport"),
    "EncodeConfig": ("config", "EncodeConfig"),
    "EncodeReport": ("encoder.api", "EncodeReport"),
    "FileError": ("errors", "FileError"),
    "FileInfo": ("decoder.inspection", "FileInfo"),
    "FolderReport": ("encoder.batch", "FolderReport"),
    "Frame": ("frames", "Frame"),
    "OptionError": ("errors", "OptionError"),
    "Psnr": ("psnr", "Psnr"),
    "RestorationNetwork": ("networks.models", "RestorationNetwork"),
    "TimeError": ("errors", "TimeError"),
    "Verification": ("decoder.inspection", "Verification"),
    "Video": ("decoder.video", "Video"),
    "VideoInfo": ("frames", "VideoInfo"),
    "Writer": ("encoder.writer", "Writer"),
    "colourise": ("colouring", "colourise"),
    "decode": ("decoder.api", "decode"),
    "encode": ("encoder.api", "encode"),
    "encode_folder": ("encoder.batch", "encode_folder"),
    "info": ("decoder.inspection", "info"),
    "load_network": ("networks.models", "load_network"),
    "open": ("decoder.video", "Video"),
    "preset": ("presets", "preset"),
    "verify": ("decoder.inspection", "verify"),
    "write_keyframes": ("colouring", "write_keyframes"),
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Load a public name, or the package `tinct.evaluation`, when it is first used."""
    if name == "evaluation":
        return import_module("tinct.evaluation")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tinct' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    return getattr(import_module(f"tinct.{module}"), attribute)


def __dir__() -> list[str]:
    """Return the public names, whether they are loaded or not."""
    return sorted([*__all__, "__version__", "evaluation"])
