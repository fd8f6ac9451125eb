"""What the base codec is told on behalf of a configuration."""

from tinct.bitstream.base import BaseSettings
from tinct.config import EncodeConfig
from tinct.frames import VideoInfo


def base_settings(
    config: EncodeConfig, info: VideoInfo, *, qp: int, structure: str | None = None
) -> BaseSettings:
    """Return settings at a constant QP; `structure` is the configuration's own unless named."""
    return BaseSettings(
        structure=structure or config.structure,
        info=info,
        qp=qp,
        preset=config.x265_preset,
        tune=config.x265_tune,
    )
