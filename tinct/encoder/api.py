"""`tinct.encode`: a video file to a Tinct file, whole or not there."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinct.adapt.torchrun import is_first_process
from tinct.bitstream.base import BASES, drop_unknown_tags
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.config import EncodeConfig
from tinct.encoder.adaptation import Part
from tinct.encoder.blind_plan import make_blind_plan
from tinct.encoder.coder import Coder
from tinct.encoder.colourisers import NONE, PIPE, may_restore, select_colouriser
from tinct.encoder.decide import make_plan, needs_samples
from tinct.encoder.formats import find_format, fit_format
from tinct.encoder.plan import Plan
from tinct.encoder.refusals import (
    check_extras,
    check_length,
    check_names,
    check_rate,
    check_size,
    check_written,
)
from tinct.encoder.samples import Samples, sample
from tinct.encoder.session import Session
from tinct.errors import CodecError
from tinct.files import AtomicOutput
from tinct.frames import Frame, Progress, VideoInfo
from tinct.media.source import Source, open_source
from tinct.media.writers import describe_lost_location
from tinct.phases import tell
from tinct.psnr import Psnr

if TYPE_CHECKING:
    from tinct.adapt.budget import Step


@dataclass(frozen=True, kw_only=True)
class EncodeReport:
    """What an encode did.

    `psnr` (Y, Cb, Cr) compares what the decoder shows with the source; None after a blind encode,
    which measures nothing. `saved_share` is the share of a plain file's bits that a network saves
    (or would, where it is left out) of pictures with their colour; None elsewhere. `plan` is how it
    was coded, with the costs measured on samples; `notes` say what was converted or left out.
    `source_bytes` is None for a pipe. `damaged` counts packets of the source that did not decode
    and frames that it lacks: the rest was coded.
    """

    frames: int
    seconds: float
    size_bytes: int
    source_bytes: int | None
    luma_bytes: int
    colour_bytes: int
    update_bytes: int
    psnr: tuple[Psnr, Psnr, Psnr] | None
    saved_share: float | None
    plan: Plan
    config: EncodeConfig
    notes: list[str]
    damaged: int

    @property
    def codec(self) -> str:
        """Return what users call the base codec."""
        return BASES[self.config.base].title

    @property
    def advice(self) -> str | None:
        """Return what to do where the file is no smaller than its source, in a sentence."""
        if self.source_bytes is None or self.size_bytes < self.source_bytes:
            return None
        other = "--structure random-access" if self.config.is_intra else "a higher --qp"
        return f"this is no smaller than its source: keep that, or take {other}"

    @property
    def tinct(self) -> bool:
        """Return whether the file needs Tinct; False where it is a plain video."""
        return self.plan.row.has_colour_track or self.plan.colouriser != NONE.name


def encode(
    source: str,
    destination: str,
    config: EncodeConfig = EncodeConfig(),
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    training: "Callable[[Step], None] | None" = None,
) -> EncodeReport:
    """Write `source` (any video, or "-" for YUV4MPEG2 on stdin) to the file `destination`.

    It is Matroska, or .mp4 or .webm for plain video (see `formats`), whole or not there. `progress`
    takes frames done and frames in all, where known. Where a network is trained on the video, the
    source is read twice, and `training` takes each step in between. Raise CodecError on bad input,
    bad options and what the disk refuses.
    """
    began = time.monotonic()
    target = Path(destination)
    config = fit_format(config, target)
    check_names(source, target, config, overwrite=overwrite)
    make_part = select_colouriser(config).prepare(source, config)
    video = _open_video(source, config)
    plan, frames = _plan(video, config)
    session = _open_session(video, plan, config, target=target, part=make_part(video.info, plan))
    try:
        with AtomicOutput(target, replaces=overwrite) as output, session:
            _report(session.run(frames), progress, name="coding")
            damaged = video.damaged  # a second reading counts anew, and only up to the last frame
            views = session.adapt(iter(video), _follow(training))
            _report(views, progress, name="viewing again")
            notes = session.write(output.path, None if source == PIPE else source)
            check_written(output.path)
            size_bytes = output.path.stat().st_size
            if is_first_process():  # of torchrun's processes, which train together, one writes
                output.publish()
    except OSError as error:
        found = error.strerror or error
        raise CodecError(
            f"expected to write {target}, found {found}; check the folder and its free space"
        ) from error
    sizes = {spool.name: spool.size_bytes for spool in session.tracks()}
    return EncodeReport(
        frames=session.coder.frames,
        seconds=time.monotonic() - began,
        size_bytes=size_bytes,
        source_bytes=None if source == PIPE else Path(source).stat().st_size,
        luma_bytes=sizes[LUMA],
        colour_bytes=sizes.get(COLOUR, 0),
        update_bytes=len(session.part.update or b""),
        psnr=session.psnr,
        saved_share=session.part.saved_share,
        plan=session.final_plan(),
        config=config,
        notes=video.notes + _describe_losses(video.info, session, config) + notes,
        damaged=damaged,
    )


def _open_session(
    video: Source, plan: Plan, config: EncodeConfig, *, target: Path, part: Part
) -> Session:
    return Session(
        video.info,
        plan,
        coder=Coder(video.info, plan, config, folder=target.parent),
        part=part,
        container=find_format(target),
        is_blind=config.is_blind,
    )


def _open_video(source: str, config: EncodeConfig) -> Source:
    """Open a source, and refuse what no file could hold of it."""
    video = open_source(source, deinterlaces=config.deinterlace == "auto")
    check_rate(video.info, source)
    check_length(video, config, source)
    check_size(video.info, config)
    check_extras(source)
    return video


def _describe_losses(info: VideoInfo, session: Session, config: EncodeConfig) -> list[str]:
    """Return notes on what the tracks cannot say: tags, and in grey luma where chroma lies."""
    base = BASES[config.base]
    _, notes = drop_unknown_tags(info.colour, base)
    is_lost = session.row.has_colour_track and session.coder.is_grey
    notes += describe_lost_location(info) if is_lost else []
    return [*notes, *session.describe_padding()]


def _plan(video: Source, config: EncodeConfig) -> tuple[Plan, Iterator[Frame]]:
    """Return the plan, and all frames of the video, of which samples may have been read by then."""
    if config.is_blind:
        return make_blind_plan(video.info, config), iter(video)
    if needs_samples(config):
        tell("planning", 0)
        samples, frames = sample(video, restores=may_restore(config))
    else:
        samples, frames = Samples([], video.info), iter(video)
    return make_plan(samples, config), frames


def _follow(training: "Callable[[Step], None] | None") -> "Callable[[Step], None]":
    """Return what tells of each step of a training, and hands it to `training`."""
    watched = ""

    def follow(step: "Step") -> None:
        nonlocal watched
        if step.watched_db is not None:
            watched = f", {step.watched_db:.2f} dB"
        tell("training", step.spent, 1.0, note=f"{step.text()}{watched}")
        if training is not None:
            training(step)

    return follow


def _report(
    steps: Iterator[tuple[int, int | None]], progress: Progress | None, *, name: str
) -> None:
    for count, frame_count in steps:
        tell(name, count, frame_count, unit="frames")
        if progress is not None:
            progress(count, frame_count)
