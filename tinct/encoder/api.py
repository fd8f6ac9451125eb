"""`tinct.encode`: a video file to a Tinct file, whole or not there."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tinct.adapt.torchrun import process_number
from tinct.bitstream.container import mux
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.config import EncodeConfig, resolved
from tinct.encoder.decide import make_plan, needs_samples
from tinct.encoder.plan import Plan
from tinct.encoder.refusals import _check_adapt, _check_names, _check_size, _tuition, _tunes
from tinct.encoder.samples import Samples, sample
from tinct.encoder.session import _Coding
from tinct.errors import CodecError
from tinct.files import Growing
from tinct.frames import Progress
from tinct.media.source import open_source
from tinct.psnr import Psnr

if TYPE_CHECKING:
    from tinct.adapt.budget import Step


@dataclass(frozen=True)
class EncodeReport:
    """What an encode did. `psnr` is of Y, Cb and Cr, of what the decoder shows against the source.

    `plan` holds what plain HEVC takes on the sample groups; `notes` what was converted or left out. `damaged` counts
    packets of the source that did not decode and frames that it lacks: the rest of it was coded.
    """

    frames: int
    seconds: float
    size_bytes: int
    luma_bytes: int
    colour_bytes: int
    update_bytes: int
    psnr: tuple[Psnr, Psnr, Psnr]
    plan: Plan
    config: EncodeConfig
    notes: list[str]
    damaged: int

    @property
    def tinct(self) -> bool:
        """False where plain HEVC was the better file."""
        return self.plan.layout != "in-band" or self.plan.colouriser != "none"


def encode(
    source: str,
    destination: str,
    config: EncodeConfig = EncodeConfig(),
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    training: "Callable[[Step], None] | None" = None,
) -> EncodeReport:
    """Write `source` (any video, or "-" for YUV4MPEG2 on stdin) to the Matroska file `destination`.

    The file appears whole or not at all. Where a network is trained on the video it is read twice, and `training` hears of each
    step between. Raises CodecError on bad input, bad options and what the disk refuses.
    """
    began = time.monotonic()
    config = resolved(config)
    target = Path(destination)
    _check_names(source, target, config, overwrite=overwrite)
    tuition = _tuition(source, config)
    _check_adapt(source, config)
    video = open_source(source)
    _check_size(video.info, config, tuition)
    samples, frames = (
        sample(video, config) if needs_samples(config) else (Samples([], video.info), iter(video))
    )
    plan = make_plan(samples, config)
    del samples
    tunes = _tunes(source, config, plan)
    try:
        with (
            Growing(target, replaces=overwrite) as growing,
            _Coding(video.info, plan, config, target.parent, tunes=tunes) as coding,
        ):
            for count, frame_count in coding.run(frames):
                if progress is not None:
                    progress(count, frame_count)
            damaged = (
                video.damaged
            )  # a second reading counts anew, and not what lies behind the last frame
            for count, frame_count in coding.adapt(tuition, iter(video), training):
                if progress is not None:
                    progress(count, frame_count)
            extras_of = None if source == "-" else source
            notes = mux(
                growing.path,
                video.info,
                coding.tracks(),
                coding.manifest(),
                extras_of,
                coding.update,
            )
            size = growing.path.stat().st_size
            if process_number() == 0:  # of torchrun's processes, which train together, one writes
                growing.publish()
    except OSError as error:
        found = error.strerror or error
        raise CodecError(
            f"expected to write {target}, found {found}; check the folder and its free space"
        ) from error
    sizes = {spool.name: spool.size_bytes for spool in coding.tracks()}
    return EncodeReport(
        frames=coding.frames,
        seconds=time.monotonic() - began,
        size_bytes=size,
        luma_bytes=sizes[LUMA],
        colour_bytes=sizes.get(COLOUR, 0),
        update_bytes=len(coding.update or b""),
        psnr=(Psnr.of(coding.errors[0]), Psnr.of(coding.errors[1]), Psnr.of(coding.errors[2])),
        plan=replace(plan, layout=coding.layout, colouriser=coding.colouriser),
        config=config,
        notes=video.notes + notes,
        damaged=damaged,
    )
