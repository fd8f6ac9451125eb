"""The base codec under neutral names: it codes the tracks of a file, and today it is `hevc`."""

from tinct.bitstream.hevc import (
    CODEC_NAME,
    PIXEL_FORMATS,
    STRUCTURES,
    IntraEncoder,
    code_pictures,
    coded_shape,
    drop_unknown_tags,
    encode_pictures,
)
from tinct.bitstream.hevc import HevcDecoder as PictureDecoder
from tinct.bitstream.hevc import HevcEncoder as PictureEncoder
from tinct.bitstream.hevc import HevcSettings as BaseSettings
from tinct.bitstream.pictures import Packet, PictureKind, stack_chroma, unstack_chroma

__all__ = [
    "CODEC_NAME",
    "PIXEL_FORMATS",
    "STRUCTURES",
    "BaseSettings",
    "IntraEncoder",
    "Packet",
    "PictureDecoder",
    "PictureEncoder",
    "PictureKind",
    "code_pictures",
    "coded_shape",
    "drop_unknown_tags",
    "encode_pictures",
    "stack_chroma",
    "unstack_chroma",
]
