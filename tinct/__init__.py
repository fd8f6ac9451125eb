"""Tinct: a video codec that sends luma and restores colour at the decoder.

    report = tinct.encode("talk.mp4", "talk.mkv", tinct.EncodeConfig(structure="intra", qp=32))
    for frame in tinct.open("talk.mkv"):
        frame.rgb()

Names are loaded when they are first used, so that `tinct --help` does not wait for video libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinct.colouring import ColouriseReport, colourise, write_keyframes
    from tinct.config import EncodeConfig, preset
    from tinct.decoder.api import DecodeReport, decode
    from tinct.decoder.inspection import info, verify
    from tinct.decoder.video import Video as open  # noqa: N813
    from tinct.encoder.api import EncodeReport, encode
    from tinct.encoder.batch import FolderReport, encode_folder
    from tinct.errors import CodecError
    from tinct.frames import Frame, VideoInfo


__version__ = "0.1.0"
_HOME = {
    "encoder.batch": ("FolderReport", "encode_folder"),
    "colouring": ("ColouriseReport", "colourise", "write_keyframes"),
    "config": ("EncodeConfig", "preset"),
    "decoder.api": ("DecodeReport", "decode"),
    "encoder.api": ("EncodeReport", "encode"),
    "errors": ("CodecError",),
    "frames": ("Frame", "VideoInfo"),
    "decoder.inspection": ("info", "verify"),
}
__all__ = [
    "CodecError", "ColouriseReport", "DecodeReport", "EncodeConfig", "EncodeReport", "FolderReport", "Frame", "VideoInfo",
    "colourise", "decode", "encode", "encode_folder", "info", "open", "preset", "verify", "write_keyframes",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "evaluation":
        return import_module("tinct.evaluation")
    if name == "open":
        return import_module("tinct.decoder.video").Video
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"tinct.{module}"), name)
    raise AttributeError(f"module 'tinct' has no attribute {name!r}")
