"""What the base codec is told on behalf of a configuration."""

from pathlib import Path

from tinct.bitstream.base import BASES
from tinct.bitstream.codecs import BaseSettings, Program
from tinct.bitstream.programs import find_program
from tinct.config import EncodeConfig
from tinct.frames import VideoInfo


def base_settings(
    config: EncodeConfig,
    info: VideoInfo,
    *,
    qp: int,
    structure: str | None = None,
    folder: Path | None = None,
) -> BaseSettings:
    """Return settings at a constant QP; `structure` is the configuration's own unless named.

    `folder` is where a program's pictures wait.
    """
    row = BASES[config.base]
    return BaseSettings(
        structure=structure or config.structure,
        info=info,
        qp=qp,
        base=config.base,
        preset=config.base_preset or config.x265_preset or row.preset,
        tune=config.x265_tune or "psnr",
        program=name_program(config, folder),
    )


def name_program(config: EncodeConfig, folder: Path | None) -> Program | None:
    """Return the program that codes the pictures, if one does."""
    if config.encoder is None or config.encoder_config is None:
        return None
    path = find_program(config.encoder) or config.encoder
    return Program(path=path, config=config.encoder_config, folder=folder)
