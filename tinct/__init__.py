"""Tinct: a video codec that sends luma and restores colour at the decoder.

    report = tinct.encode("talk.mp4", "talk.mkv", tinct.EncodeConfig(structure="intra", qp=32))
    for frame in tinct.open("talk.mkv"):
        frame.rgb()

Names are loaded when they are first used, so that `tinct --help` does not wait for video libraries.
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
    from tinct.decoder.inspection import info as info
    from tinct.decoder.inspection import verify as verify
    from tinct.decoder.video import Video
    from tinct.encoder.api import EncodeReport as EncodeReport
    from tinct.encoder.api import encode as encode
    from tinct.encoder.batch import FolderReport as FolderReport
    from tinct.encoder.batch import encode_folder as encode_folder
    from tinct.errors import CodecError as CodecError
    from tinct.errors import OptionError as OptionError
    from tinct.frames import Frame as Frame
    from tinct.frames import VideoInfo as VideoInfo
    from tinct.presets import preset as preset

    open = Video

__version__ = "0.1.0"

# The public names: the module where each is, and its name there.
_PUBLIC = {
    "CodecError": ("errors", "CodecError"),
    "ColouriseReport": ("colouring", "ColouriseReport"),
    "DecodeReport": ("decoder.api", "DecodeReport"),
    "EncodeConfig": ("config", "EncodeConfig"),
    "EncodeReport": ("encoder.api", "EncodeReport"),
    "FolderReport": ("encoder.batch", "FolderReport"),
    "Frame": ("frames", "Frame"),
    "OptionError": ("errors", "OptionError"),
    "VideoInfo": ("frames", "VideoInfo"),
    "colourise": ("colouring", "colourise"),
    "decode": ("decoder.api", "decode"),
    "encode": ("encoder.api", "encode"),
    "encode_folder": ("encoder.batch", "encode_folder"),
    "info": ("decoder.inspection", "info"),
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
