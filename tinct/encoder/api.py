"""`tinct.encode`: a video file, or frames of a program, to a Tinct file, whole or not there."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import count
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from tinct.adapt.torchrun import is_first_process
from tinct.bitstream.base import BASES, drop_unknown_tags
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.config import EncodeConfig
from tinct.encoder.blind_plan import make_blind_plan
from tinct.encoder.coder import Coder
from tinct.encoder.colourisers import NONE, PIPE, MakePart, may_restore, select_colouriser
from tinct.encoder.decide import make_plan, needs_samples
from tinct.encoder.formats import EncodeFormat, find_format, fit_format
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
from tinct.encoder.trials import RateSearch, describe_miss, measure_kbps
from tinct.errors import CodecError, OptionError
from tinct.files import AtomicOutput
from tinct.frames import Frame, Progress, VideoInfo
from tinct.media.arrays import FrameLike, open_frames
from tinct.media.file_objects import (
    Input,
    Output,
    Readable,
    choose_suffix,
    hold_input,
    hold_output,
)
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
    which measures nothing. `video_kbps` is the rate of luma and colour, as `info` tells it, without
    sound, update and container. `saved_share` is the share of a plain file's bits that a network
    saves (or would, where it is left out) of pictures with their colour; None elsewhere. `plan` is
    how it was coded, with the costs measured on samples; `notes` say what was converted or left
    out. `source_bytes` is None for a pipe. `damaged` counts packets of the source that did not
    decode and frames that it lacks: the rest was coded.
    """

    frames: int
    seconds: float
    size_bytes: int
    source_bytes: int | None
    luma_bytes: int
    colour_bytes: int
    update_bytes: int
    video_kbps: float
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
    source: Input | Iterable[FrameLike],
    destination: Output,
    config: EncodeConfig = EncodeConfig(),
    *,
    rate: float | Fraction | None = None,
    format: EncodeFormat | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    training: "Callable[[Step], None] | None" = None,
) -> EncodeReport:
    """Write `source` to `destination`, a file or a binary file object.

    `source` is a path of any video, a binary file object of one, "-" for YUV4MPEG2 on stdin, or an
    iterable of frames, `rate` of them a second. A frame is R'G'B' [H, W, 3] or [3, H, W] in uint8
    or uint16 (65535 is white), planes (Y [H, W], Cb and Cr [ceil(H/2), ceil(W/2)]) in uint8 or with
    0 to 1023 in uint16, NumPy or PyTorch, or a `Frame`. 16-bit R'G'B' is coded in 10 bit. `Frame`s
    keep their times where no rate is given.

    The name of `destination` gives its format: Matroska (.mkv), or plain video that leaves nothing
    to the decoder (.mp4, .webm). `format` is that of a file object, whose own name says it, too;
    without either it is Matroska.

    The file appears whole or not at all; a file object gets all of it at the end. `progress` takes
    frames done and frames in all, where known, and begins anew where a bitrate or a training asks
    for another reading. `training` takes each step of a training. Frames and stdin are read once,
    as they come: choices are made on the first of them, and nothing is trained.

    Raise CodecError on bad input, bad options and what the disk refuses: OptionError for an option,
    FileError for a file.
    """
    is_file = isinstance(source, str | PathLike | Readable)
    if is_file and rate is not None:
        raise OptionError("rate", "none with a file, which has its own", repr(rate))
    suffix = choose_suffix(destination, format, formats=get_args(EncodeFormat), usual=".mkv")
    with hold_output(destination, suffix) as target:
        run = partial(
            _encode,
            target=Path(target),
            config=fit_format(config, Path(target)),
            overwrite=overwrite,
            progress=progress,
            training=training,
        )
        if is_file:
            with hold_input(cast("Input", source)) as path:
                deinterlaces = config.deinterlace == "auto"
                return run(path, open_video=partial(open_source, path, deinterlaces=deinterlaces))
        return run(PIPE, open_video=partial(open_frames, _check_iterable(source), rate))


def _check_iterable(source: object) -> Iterable[FrameLike]:
    """Return a source that is no file. Raise CodecError where it cannot be iterated over."""
    if isinstance(source, bytes | bytearray) or not isinstance(source, Iterable):
        raise CodecError(
            "expected a path, a binary file object or frames to encode, "
            f"found {type(source).__name__}"
        )
    return source


def _encode(
    source: str,
    *,
    target: Path,
    config: EncodeConfig,
    overwrite: bool,
    progress: Progress | None,
    training: "Callable[[Step], None] | None",
    open_video: Callable[[], Source],
) -> EncodeReport:
    """Encode what `open_video` opens, with a resolved configuration; PIPE is read once."""
    began = time.monotonic()
    check_names(source, target, config, overwrite=overwrite)
    make_part = select_colouriser(config).prepare(source, config)
    video = open_video()
    _check_video(video, config, source)
    make_session = partial(
        _make_session, info=video.info, config=config, target=target, make_part=make_part
    )
    try:
        with (
            AtomicOutput(target, replaces=overwrite) as output,
            _code(video, config, make_session=make_session, progress=progress) as session,
        ):
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
        video_kbps=measure_kbps(session.coder, video.info),
        psnr=session.psnr,
        saved_share=session.part.saved_share,
        plan=session.final_plan(),
        config=config,
        notes=video.notes + _describe_losses(video.info, session, config) + notes,
        damaged=damaged,
    )


def _check_video(video: Source, config: EncodeConfig, source: str) -> None:
    """Refuse what no file could hold of a source."""
    check_rate(video.info, source)
    check_length(video, config, source)
    check_size(video.info, config)
    check_extras(source)


def _describe_losses(info: VideoInfo, session: Session, config: EncodeConfig) -> list[str]:
    """Return notes on a bitrate that was missed, and on what the tracks cannot say.

    These are tags, and in grey luma where chroma lies.
    """
    base = BASES[config.base]
    _, notes = drop_unknown_tags(info.colour, base)
    is_lost = session.row.has_colour_track and session.coder.is_grey
    notes += describe_lost_location(info) if is_lost else []
    missed = describe_miss(measure_kbps(session.coder, info), session.final_plan(), config)
    return [*missed, *notes, *session.describe_padding()]


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


def _make_session(
    plan: Plan, *, info: VideoInfo, config: EncodeConfig, target: Path, make_part: MakePart
) -> Session:
    return Session(
        info,
        plan,
        coder=Coder(info, plan, config, folder=target.parent),
        part=make_part(info, plan),
        container=find_format(target),
        is_blind=config.is_blind,
    )


@contextmanager
def _code(
    video: Source,
    config: EncodeConfig,
    *,
    make_session: Callable[[Plan], Session],
    progress: Progress | None,
) -> Iterator[Session]:
    """Yield the session that has coded the video: of those that a bitrate takes, the nearest."""
    search = RateSearch(config, video.info)
    plan, frames = _plan(video, config)
    plan = search.start(plan)
    for number in count(1):
        with make_session(plan) as session:
            name = "coding" if number == 1 else f"coding, trial {number}"
            _report(session.run(frames), progress, name=name)
            following = search.correct(plan, session.coder)
            if following is None:
                yield session
                return
        plan, frames = following, iter(video)


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
    for done, total in steps:
        tell(name, done, total, unit="frames")
        if progress is not None:
            progress(done, total)
