"""What the base codec is told on behalf of a configuration."""

from tinct.bitstream.base import BASES
from tinct.bitstream.codecs import BaseSettings
from tinct.config import EncodeConfig
from tinct.frames import VideoInfo


def base_settings(
    config: EncodeConfig, info: VideoInfo, *, qp: int, structure: str | None = None
) -> BaseSettings:
    """Return settings at a constant QP; `structure` is the configuration's own unless named."""
    row = BASES[config.base]
    return BaseSettings(
        structure=structure or config.structure,
        info=info,
        qp=qp,
        base=config.base,
        preset=config.base_preset or config.x265_preset or row.preset,
        tune=config.x265_tune or "psnr",
    )
