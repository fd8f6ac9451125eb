"""Reading of user files: any video file, or YUV4MPEG2 from stdin, as frames in order of time.

    open_source ──► Source    frames             (this module)
                    timing    when they are shown
                    probe     what they are: size, depth, colour, rotation
                    conversion  FFmpeg's pictures to frames
    open_sink   ──► Sink      files for users    (`sink`)

`bitstream.container` reads Tinct's own tracks.

Time counts from the file's start: its earliest stream, as players do, but never before 0 (the
priming samples of an audio track may come earlier). A video that starts later than its audio keeps
that delay; one that starts earlier than 0 starts at 0. A Tinct file counts from 0 already.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import partial

import av
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.media.conversion import TRANSPARENCY_NOTE, has_transparency, to_frame
from tinct.media.demux import (
    choose_stream,
    describe_error,
    has_later_tracks,
    is_flush,
    is_seekable,
    list_video,
    open_input,
    read_packets,
    select_video,
)
from tinct.media.description import Crop, describe_stream
from tinct.media.fields import DEINTERLACED, find_parity, make_progressive, refuse_interlaced
from tinct.media.probe import has_captions, probe_video
from tinct.media.timing import (
    DEFAULT_RATE,
    FORMATS_WITHOUT_TIMES,
    Timing,
    describe_moved,
    make_pipe_timing,
    scan_timing,
    sort_times,
    trim_info,
    trim_ticks,
)
from tinct.media.truncation import CountedPipe, is_cut_off

PIPE_BUFFER_BYTES = 1 << 20
# Notes on what pictures lose, with the test of a picture for it.
_LOSSES: tuple[tuple[str, Callable[[av.VideoFrame], bool]], ...] = (
    ("closed captions (CEA-608/708) are left out", has_captions),
    (TRANSPARENCY_NOTE, has_transparency),
)
_SEEK_BACK_SECONDS = (0, 2, 10, 60)  # tried one after the other


def open_source(
    path: str,
    *,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    deinterlaces: bool = True,
) -> "Source":
    """Open a video for iteration over its frames; `path` "-" is YUV4MPEG2 on stdin.

    A start or duration trims it at whole frames; time then counts from the first of them. Raise
    CodecError for interlaced frames unless it `deinterlaces`.
    """
    if path == "-":
        return _open_pipe(start_seconds, duration_seconds, deinterlaces=deinterlaces)
    with open_input(path) as container:
        timing = scan_timing(container, choose_stream(container, path), path)
    with open_input(path) as container:
        stream = choose_stream(container, path)
        about = describe_stream(stream)
        first = next(_decode_frames(container, select_video(container, stream), path), None)
        if first is None:
            raise CodecError(
                f"expected frames to decode, found none in {path}; check that ffmpeg plays it"
            )
        parity = find_parity(stream)
        info, notes = probe_video(first, stream, timing=timing, about=about)
        if others := len(list_video(container)) - 1:
            notes.append(f"{others} more video track{'s' * (others > 1)} left out")
        if has_later_tracks(container):
            notes.append("tracks that appear in the middle of the file are left out")
    source = Source(
        path,
        info,
        timing,
        notes=notes,
        start_seconds=start_seconds,
        duration_seconds=duration_seconds,
        is_cut_off=partial(is_cut_off, path),
        crop=about.crop,
        parity=parity,
        deinterlaces=deinterlaces,
    )
    source.check_fields(first)
    source.notes += describe_moved(source.ticks)
    return source


class Source:
    """Frames of one video file in order of time. Iterating again starts again, except on a pipe.

    `start_seconds` is where the video really starts (the first whole frame): hand it to `Extras`
    so that audio stays in step. `damaged` counts packets that could not be decoded and frames that
    were concealed, so far in this iteration. `notes` are for the user.
    """

    def __init__(
        self,
        path: str,
        info: VideoInfo,
        timing: Timing,
        *,
        notes: list[str],
        start_seconds: float,
        duration_seconds: float | None,
        pipe: Iterator[av.VideoFrame] | None = None,
        is_cut_off: Callable[[], bool],
        crop: Crop = Crop(),
        parity: str | None = None,
        deinterlaces: bool = True,
    ) -> None:
        self._crop, self._parity, self._deinterlaces = crop, parity, deinterlaces
        self._is_cut_off = is_cut_off
        self.notes = notes
        self.damaged = 0
        self._path, self._timing, self._pipe = path, timing, pipe
        self._start, self._end = trim_ticks(timing.time_base, start_seconds, duration_seconds)
        if timing.ticks is not None:
            info = trim_info(info, timing, start=self._start, end=self._end)
        self.info = info

    @property
    def start_seconds(self) -> float:
        """Time of the first frame on the file's clock."""
        return float(self._start * self._timing.time_base)

    def start_at(self, first: int) -> "Source":
        """Return the file from frame number `first` on, without scanning it again. Not for pipes.

        The number counts the frames of the whole file.
        """
        assert self._timing.ticks is not None, "a pipe cannot start at a frame"
        return Source(
            self._path,
            self.info,
            self._timing,
            notes=self.notes,
            start_seconds=float(self._timing.ticks[first] * self._timing.time_base),
            duration_seconds=None,
            is_cut_off=self._is_cut_off,
            crop=self._crop,
            parity=self._parity,
            deinterlaces=self._deinterlaces,
        )

    def check_fields(self, raw: av.VideoFrame) -> None:
        """Note interlaced frames, or raise CodecError for one where they are not wanted."""
        if not (raw.interlaced_frame or self._parity):
            return
        if not self._deinterlaces:
            refuse_interlaced(self._path)
        if DEINTERLACED not in self.notes:
            self.notes.append(DEINTERLACED)

    @property
    def ticks(self) -> np.ndarray:
        """Ticks of the frames by the file's index, sorted, from the start on. Not for pipes."""
        assert self._timing.ticks is not None, "a pipe has no index"
        inside = self._timing.ticks >= self._start
        if self._end is not None:
            inside &= self._timing.ticks < self._end
        return self._timing.ticks[inside] - self._start

    def read_between(self, first: int, last: int) -> Iterator[Frame]:
        """Yield the frames from tick `first` to tick `last`, both included. Not for pipes.

        They are the same frames, with the same times, as when the whole video is read.
        """
        stretch = copy(self)
        stretch._start, stretch._end = self._start + first, self._start + last + 1
        return (replace(frame, pts=frame.pts + first) for frame in stretch)

    def __iter__(self) -> Iterator[Frame]:
        self.damaged = 0
        last = self._start - 1
        count = 0
        frames = make_progressive(self._check_all(self._pipe or self._decode()), self._parity)
        for index, raw in enumerate(frames):
            tick = self._timing.to_tick(raw.pts, index)
            if tick < self._start:
                continue
            tick = max(tick, last + 1)
            if self._end is not None and tick >= self._end:
                break
            self._check(raw)
            last = tick
            count += 1
            self.damaged += bool(raw.is_corrupt)
            yield self._show(raw, tick - self._start)
        if count == 0:
            raise CodecError(f"expected frames to decode, found none in {self._path}")
        # A decoder may drop a broken frame without an error.
        self.damaged = max(self.damaged, (self.info.frame_count or 0) - count)
        if self._end is None and self._is_cut_off():
            self.damaged = max(self.damaged, 1)

    def _check_all(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for raw in frames:
            self.check_fields(raw)
            yield raw

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield frames; where some are missing or broken, decode on from there without threads.

        Threads lose whole frames that are under way beside a broken one, at the end without a word.
        """
        count, last, inside = 0, None, 0
        with suppress(_Damaged):
            for raw in self._decode_from(None, threads=True):
                yield raw
                inside += self._timing.to_tick(raw.pts, count) >= self._start
                count, last = count + 1, raw.pts
            if inside >= len(self.ticks):
                return
        place = last if self._timing.timed else None
        for number, raw in enumerate(self._decode_from(place, threads=False)):
            is_new = number >= count if place is None else raw.pts is None or raw.pts > place
            if is_new:
                yield raw

    def _decode_from(self, pts: int | None, *, threads: bool) -> Iterator[av.VideoFrame]:
        """Yield frames from a key frame before `pts`, or before the start, on."""
        if pts is None and self._start > 0 and self._timing.timed:
            pts = self._timing.to_pts(self._start)
            if DEINTERLACED in self.notes:
                pts -= 1  # bwdif looks at the frame before
        with open_input(self._path) as container:
            stream = choose_stream(container, self._path)
            select_video(container, stream, threads=threads)
            if pts is not None and is_seekable(container):
                _seek(container, stream, pts)
            on_damage = _raise_damaged if threads else self._count_damage
            frames = _decode_frames(container, stream, self._path, on_damage=on_damage)
            has_times = container.format.name not in FORMATS_WITHOUT_TIMES
            yield from frames if has_times else sort_times(frames)

    def _count_damage(self) -> None:
        self.damaged += 1

    def _show(self, raw: av.VideoFrame, tick: int) -> Frame:
        """Return a frame without what the container crops."""
        whole = replace(self.info, width=raw.width, height=raw.height)
        return self._crop.crop_frame(to_frame(raw, tick, whole), self.info)

    def _check(self, raw: av.VideoFrame) -> None:
        info = replace(
            self.info,
            width=self.info.width + self._crop.left + self._crop.right,
            height=self.info.height + self._crop.top + self._crop.bottom,
        )
        if (raw.width, raw.height) != (info.width, info.height):
            raise CodecError(
                f"expected {info.width}x{info.height} to the end, "
                f"found {raw.width}x{raw.height} in {self._path}; scale it first "
                f"(ffmpeg -i in -vf scale={info.width}:{info.height} out.mkv)"
            )
        for note, is_lost in _LOSSES:
            if note not in self.notes and is_lost(raw):
                self.notes.append(note)


class _Damaged(Exception):
    """Something of a file did not decode."""


def _raise_damaged() -> None:
    raise _Damaged


def _open_pipe(
    start_seconds: float, duration_seconds: float | None, *, deinterlaces: bool
) -> Source:
    if sys.__stdin__ is None:
        raise CodecError("expected YUV4MPEG2 on stdin, found it closed")
    stdin = open(sys.__stdin__.fileno(), "rb", closefd=False)  # noqa: SIM115  as long as the pipe
    pipe = CountedPipe(stdin.read)
    try:
        container = av.open(pipe, "r", format="yuv4mpegpipe", buffer_size=PIPE_BUFFER_BYTES)
        stream = container.streams.video[0]
        frames = _decode_frames(container, stream, "stdin")
        first = next(frames, None)
    except (FFmpegError, OSError) as error:
        raise CodecError(
            "expected YUV4MPEG2 on stdin (ffmpeg -i in -f yuv4mpegpipe - | ...), "
            f'found "{describe_error(error)}"'
        ) from error
    if first is None:
        raise CodecError("expected YUV4MPEG2 on stdin, found no frame")
    timing = make_pipe_timing(stream.average_rate or DEFAULT_RATE)
    info, notes = probe_video(first, stream, timing=timing, about=describe_stream(stream))

    def read_all() -> Iterator[av.VideoFrame]:
        yield first
        yield from frames

    source = Source(
        "stdin",
        info,
        timing,
        notes=notes,
        start_seconds=start_seconds,
        duration_seconds=duration_seconds,
        pipe=read_all(),
        is_cut_off=lambda: pipe.is_cut,
        deinterlaces=deinterlaces,
    )
    source.check_fields(first)
    return source


# ── decoding ─────────────────────────────────────────────────────────────────────────────────────


def _decode_frames(
    container: InputContainer,
    stream: VideoStream,
    path: str,
    *,
    on_damage: Callable[[], None] = lambda: None,
) -> Iterator[av.VideoFrame]:
    """Yield frames in order of time; call `on_damage` for each packet that cannot be decoded.

    Frames predicted from a lost picture are shown as far as they decode, except those before the
    first undamaged one.
    """
    # Unaligned: a crop within the bitstream is applied on the left side too.
    stream.codec_context.flags |= Flags.output_corrupt | Flags.unaligned
    packets, has_begun = read_packets(container, stream), False
    while True:
        try:
            packet = next(packets, None)
        except (av.error.InvalidDataError, av.error.EOFError):
            on_damage()  # the file is cut off or broken here: show the frames before it
            packet = None
        except (FFmpegError, OSError) as error:
            raise CodecError(
                f'expected to read {path} to its end, found "{describe_error(error)}"'
            ) from error
        if packet is not None and packet.size == 0 and not is_flush(packet):
            continue  # a decoder would take it for the end
        try:
            for frame in stream.decode(packet):
                has_begun = has_begun or frame.key_frame or not frame.is_corrupt
                if has_begun:
                    yield frame
        except FFmpegError:
            if packet is not None:
                on_damage()
        if packet is None or is_flush(packet):
            return


def _seek(container: InputContainer, stream: VideoStream, pts: int) -> None:
    """Seek to a key frame at or before `pts`.

    Where the index misleads, seek further back, at last to the start.
    """
    second = round(1 / stream.time_base) if stream.time_base else 1
    for back in _SEEK_BACK_SECONDS:
        target = max(pts - back * second, stream.start_time or 0)
        try:
            container.seek(target, stream=stream)
            packet = next(container.demux(stream), None)
            if packet is None or packet.pts is None:
                continue
            if packet.pts <= pts and packet.is_keyframe:
                container.seek(target, stream=stream)
                return
        except FFmpegError:
            break
    with suppress(FFmpegError):  # a file that cannot be sought is read from where it stands
        # MPEG streams are sought behind the packet of a time: the first one needs an earlier time
        container.seek(min(stream.start_time or 0, 0) - second, stream=stream)
