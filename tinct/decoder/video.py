"""A Tinct file, or any other video, to finished frames: `tinct.open` returns a `Video`.

`entry` reads the packets, `restorer` makes frames of the decoded pictures, `frame_reader` finds
single ones, `api` writes them to a file.
"""

import dataclasses
import operator
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from copy import copy
from functools import cached_property
from itertools import chain
from typing import BinaryIO, Self, SupportsIndex, overload

import numpy as np

from tinct.bitstream.container import find_track_base, find_tracks, read_file_manifest, read_update
from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import COLOUR, LUMA, Manifest
from tinct.decoder.colourisers import (
    COLOURISERS,
    start_colouriser,
    start_in_band_colouriser,
    start_interpolator,
)
from tinct.decoder.damage import Damage
from tinct.decoder.entry import (
    Entry,
    TrackPacket,
    count_ticks,
    find_first_tick,
)
from tinct.decoder.frame_reader import FrameReader
from tinct.decoder.levels import Levels
from tinct.decoder.losses import LossLog
from tinct.decoder.pending import Cut
from tinct.decoder.pictures import decode_pictures, open_decoder
from tinct.decoder.postfilter import PostFilter
from tinct.decoder.properties import describe_cut, describe_video, read_ticks
from tinct.decoder.restorer import Restorer
from tinct.errors import CodecError, TimeError
from tinct.files import identify_file
from tinct.frames import Frame
from tinct.limits import MAX_GAP_FRAMES
from tinct.media.demux import open_input
from tinct.media.ebml import count_broken_checksums
from tinct.media.file_objects import Input, hold_input, name_file
from tinct.media.source import Source, open_source
from tinct.media.timing import trim_ticks

PIPE = "-"  # the name of stdin
# Frames that are passed over rather than sought: those of a Tinct file are restored, which takes
# long, and those of another file decoded alone, which entering anew may do for many more.
AHEAD_RESTORED, AHEAD_DECODED = 4, 32
ROUNDING_SECONDS = 1e-6  # by which a time may fall short of a frame's


class Video:
    """Finished frames of a file, in order of time: `tinct.open(path)`.

        with tinct.open("talk.mkv") as video:
            for frame in video:  # each iteration starts at the first frame
                frame.rgb()
            video[-1], video[10:20:2], video.frame_at(12.5)  # IndexError, TimeError outside

    `path` is that of a Tinct file or of any other video, a binary file object of one, or "-" for
    YUV4MPEG2 on stdin, whose frames only come in order. Frames that follow each other are decoded
    in one go; one elsewhere is decoded from the entry point before it, so that its time does not
    grow with the video. One thread may read by number at a time.

    A cut (`start_seconds`, `duration_seconds`) consists of whole frames, whose `pts` count from 0.
    `info` are the properties of the cut, `start_seconds` where it starts on the file's clock.
    `manifest` is None for a file without Tinct, whose frames come as they are. `damage` is of the
    latest iteration, complete when that has ended. Raise CodecError for a file that is no video, or
    damaged beyond use, FileError where there is none.
    """

    def __init__(
        self, path: Input, *, start_seconds: float = 0.0, duration_seconds: float | None = None
    ) -> None:
        self.name, self._is_closed = name_file(path), False
        self._copy = ExitStack()  # of a file object, as long as the video
        self.path = path = self._copy.enter_context(hold_input(path))
        self.damage = Damage()
        self._identity = identify_file(path)
        self.manifest = None if path == PIPE else read_file_manifest(path)
        self._source: Source | None = None
        self._last_pts = 0  # of the latest packet of luma
        if self.manifest is None:
            self._source = open_source(
                path, start_seconds=start_seconds, duration_seconds=duration_seconds
            )
            self.info, self.start_seconds = self._source.info, self._source.start_seconds
            return
        whole = describe_video(open_source(path).info, self.manifest)
        self._start, self._end = trim_ticks(whole.time_base, start_seconds, duration_seconds)
        self.start_seconds = float(self._start * whole.time_base)
        first = find_first_tick(path, self.manifest, whole)
        self.info = describe_cut(whole, first, start=self._start, end=self._end)
        is_constant = self.manifest.rate is not None
        self._span = range(first, first + self.manifest.frames) if is_constant else None
        self._colouriser = start_colouriser(self.manifest, read_update(path, self.manifest), whole)
        self._around = start_in_band_colouriser(self.manifest, whole)
        self._interpolate = start_interpolator(self.manifest, whole)
        self._entry = Entry(
            path=path,
            manifest=self.manifest,
            info=self.info,
            start=self._start,
            reach=0 if self._around is None else count_ticks(self._around.reach, whole),
        )

    def __repr__(self) -> str:
        info, kind = self.info, "no Tinct"
        if self.manifest is not None:
            kind = f"layout {self.manifest.layout}, colouriser {self.manifest.colouriser}"
        rate = f"{float(info.frame_rate):g} frames/s" if info.frame_rate else "variable rate"
        count = "" if info.frame_count is None else f", {info.frame_count} frames"
        size = f"{info.width}x{info.height}, {info.bit_depth} bit"
        return f"<tinct.Video {self.name!r}: {size}, {rate}{count}, {kind}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; no frame can be read from then on."""
        if "_reader" in self.__dict__:
            self._reader.close()
        self._copy.close()
        self._is_closed = True

    def __len__(self) -> int:
        """Return the number of frames. Raise TypeError for stdin, which does not tell."""
        return len(self._reader.ticks)

    @overload
    def __getitem__(self, number: SupportsIndex) -> Frame: ...
    @overload
    def __getitem__(self, number: slice) -> list[Frame]: ...
    def __getitem__(self, number: SupportsIndex | slice) -> Frame | list[Frame]:
        """Return a frame by its number from 0, or from the end where negative; or a list of them.

        Raise IndexError where there is no such frame, CodecError where it is lost.
        """
        self._check_open()
        numbers = range(len(self))
        if isinstance(number, slice):
            wanted = numbers[number]
            found = {index: self._reader.read(index) for index in sorted(wanted)}
            return [found[index] for index in wanted]
        try:
            return self._reader.read(numbers[operator.index(number)])
        except IndexError as error:
            raise IndexError(
                f"expected a frame from {-len(self)} to {len(self) - 1}, found {number}"
            ) from error

    @property
    def times_seconds(self) -> np.ndarray:
        """When each frame is shown on the file's clock, float64 [len(video)].

        A cut keeps the file's times here: `frame.pts_seconds` count from `start_seconds`.
        """
        return self.start_seconds + self._reader.ticks * float(self.info.time_base)

    def frame_at(self, seconds: float) -> Frame:
        """Return the frame that is shown at a time of the file's clock, as in `times_seconds`.

        Raise TimeError (a CodecError and a ValueError) for a time outside the video.
        """
        self._check_open()
        times = self.times_seconds
        end = float(times[-1] + 1 / self.info.mean_rate)
        if not times[0] - ROUNDING_SECONDS <= seconds < end:
            raise TimeError(f"a time from {times[0]:.3f} to before {end:.3f} s", f"{seconds} s")
        number = int(np.searchsorted(times, seconds + ROUNDING_SECONDS, side="right")) - 1
        return self._reader.read(number)

    def __iter__(self) -> Iterator[Frame]:
        self._check_open()
        self.damage = Damage()
        if self._source is not None:
            yield from self._fill_source(self._source)
            self.damage.packets = self._source.damaged
            return
        assert self.manifest is not None
        losses = LossLog(
            self._span,
            self.manifest.interpolated,
            follows_group=COLOURISERS[self.manifest.colouriser].follows_group,
            whole_keys=LAYOUTS[self.manifest.layout].whole_keys,
        )
        frames = self._cut_frames(self._restore_frames(losses), losses)
        for frame in self._conceal_gaps(frames, losses):
            yield dataclasses.replace(frame, pts=frame.pts - self._start)

    @property
    def notes(self) -> list[str]:
        """Return what of a file without Tinct is converted or left out, so far."""
        return [] if self._source is None else self._source.notes

    def _check_open(self) -> None:
        if self._is_closed:
            raise CodecError(f"expected a video that is open, found {self.name} closed")

    @cached_property
    def _reader(self) -> FrameReader:
        """The reader of frames by number; the first use reads the times of all packets."""
        if self.path == PIPE:  # a TypeError, since `list` asks for the length
            raise TypeError("frames on stdin have no number and no time yet: iterate over them")
        if self._source is not None:
            ticks = np.unique(self._source.ticks)
            return FrameReader(ticks, self._read_source_from, ahead=AHEAD_DECODED)
        assert self.manifest is not None
        with self._reopen():  # the same file still
            ticks = read_ticks(self.path, self.manifest, self.info)
        inside = ticks >= self._start
        if self._end is not None:
            inside &= ticks < self._end
        ticks = ticks[inside] - self._start
        return FrameReader(ticks, self._restore_from, ahead=AHEAD_RESTORED)

    def _read_source_from(self, number: int) -> Generator[Frame, None, None]:
        """Yield the frames of a file without Tinct from a number on."""
        assert self._source is not None
        ticks = self._reader.ticks
        yield from self._source.read_between(int(ticks[number]), int(ticks[-1]))

    def _restore_from(self, number: int) -> Generator[Frame, None, None]:
        """Yield the frames of a Tinct file from a number on: those of a later cut."""
        tick = int(self._reader.ticks[number])
        later = copy(self)
        later._start = self._start + tick
        later._entry = dataclasses.replace(self._entry, start=later._start)
        for frame in later:
            yield dataclasses.replace(frame, pts=frame.pts + tick)

    @property
    def _is_whole(self) -> bool:
        return self._start == 0 and self._end is None

    def _restore_frames(self, losses: LossLog) -> Generator[Frame, None, None]:
        """Yield finished frames from where the tracks can be decoded; count damage and `losses`."""
        assert self.manifest is not None
        with (
            open_input(self.path) as container,
            self._reopen() as file,  # its checksums are read last, when it may have lost its name
            ExitStack() as stack,
        ):
            tracks = find_tracks(container, self.manifest)
            decoders = {name: open_decoder(track, name) for name, track in tracks.items()}
            levels = Levels(find_track_base(tracks[LUMA]))
            restorer = stack.enter_context(self._open_restorer(self.manifest, losses, levels))
            try:
                packets = self._note_packets(self._entry.read(container), levels)
                pictures = decode_pictures(packets, decoders, losses)
                for track, pts, planes in pictures:
                    yield from restorer.push(track, pts, planes)
                    if restorer.is_over:
                        break
                yield from restorer.flush()
            finally:  # also where the cut ends before the file does
                self.damage.packets += sum(decoder.damaged for decoder in decoders.values())
            if restorer.is_over:
                return  # what follows is known at the end of the file
            if self._is_whole:
                self.damage.broken_checksums = count_broken_checksums(file)
            if COLOUR in decoders:  # lost luma shows as a gap instead
                self.damage.packets += max(0, decoders[COLOUR].pictureless)
                if self._start == 0:  # how many key frames a later cut has is not known
                    self.damage.packets += max(0, self.manifest.keys - losses.key_count)
                    self.damage.concealed_frames += losses.count_unlocated(self.manifest.keys)

    def _note_packets(
        self, packets: Iterable[TrackPacket], levels: Levels
    ) -> Iterator[TrackPacket]:
        """Yield the packets; keep the time of the latest luma, and tell `levels` of it."""
        for packet in packets:
            if packet.track == LUMA:
                levels.note(packet.data, packet.pts, is_entry=packet.is_keyframe)
                self._last_pts = max(self._last_pts, packet.pts)
            yield packet

    def _reopen(self) -> BinaryIO:
        """Open the file once more. Raises CodecError where another has its name by now."""
        try:
            file = open(self.path, "rb")  # noqa: SIM115  the caller closes it
        except OSError as error:
            raise CodecError(
                f"expected {self.path} to stay while it is read, found {error.strerror}"
            ) from error
        if identify_file(self.path) != self._identity:
            file.close()
            raise CodecError(
                "expected the same file when it is read again, "
                f"found another in {self.path}; open it anew"
            )
        return file

    def _open_restorer(self, manifest: Manifest, losses: LossLog, levels: Levels) -> Restorer:
        return Restorer(
            self.info,
            manifest.layout,
            colouriser=self._colouriser,
            around=self._around,
            levels=levels,
            open_keys=frozenset(manifest.open),
            qps=manifest.qps,
            losses=losses,
            post_filter=PostFilter.of(manifest.plain, manifest.strengths),
            interpolated=manifest.interpolated,
            interpolate=self._interpolate,
            has_hints=manifest.hints,
            cut=Cut(self._start, self._end),
        )

    def _cut_frames(self, frames: Generator[Frame, None, None], losses: LossLog) -> Iterator[Frame]:
        """Yield the frames of the cut; end the decoding at the first frame after it."""
        with closing(frames):
            for frame in frames:
                if self._end is not None and frame.pts >= self._end:
                    return
                is_touched = losses.pop_touched(frame.pts)
                if frame.pts >= self._start:
                    self.damage.concealed_frames += is_touched
                    yield frame

    def _fill_source(self, source: Source) -> Iterator[Frame]:
        """Yield the frames of a file without Tinct; where packets gave none, the frame before."""
        if source.info.frame_count is None:
            yield from source
            return
        ticks, index, count = np.unique(source.ticks), 0, 0
        before: Frame | None = None
        for frame in chain(source, [None]):
            while index < len(ticks) and (frame is None or ticks[index] < frame.pts):
                if before is not None and count < len(ticks):
                    self.damage.concealed_frames += 1
                    count += 1
                    yield dataclasses.replace(before, pts=int(ticks[index]))
                index += 1
            # broken pictures may come at times that no packet has
            if frame is not None and not (self.damage and count >= len(ticks)):
                index += index < len(ticks) and bool(ticks[index] == frame.pts)
                count += 1
                yield frame
                before = frame

    def _conceal_gaps(self, frames: Iterable[Frame], losses: LossLog) -> Iterator[Frame]:
        """Yield the cut's frames; at a constant rate, short gaps are filled with the frame before.

        Frames beyond the manifest's count are dropped. Raises CodecError where there is no frame.
        """
        expected = self.info.frame_count or 0
        is_counted = self.info.frame_count is not None
        before: Frame | None = None
        count = filled = 0
        for frame in frames:
            if is_counted and count >= expected + losses.filled:
                self.damage.packets += 1
                continue
            if before is not None and self.info.frame_rate is not None:
                gap = frame.pts - before.pts - 1
                # Gaps of the source are filled too, though the frame count leaves them out. The
                # bound keeps a false file from repeating frames without end.
                if 0 < gap <= MAX_GAP_FRAMES and filled + gap <= expected + MAX_GAP_FRAMES:
                    self.damage.concealed_frames += gap
                    filled += gap
                    yield from _repeat_frame(before, gap)
            yield frame
            before, count = frame, count + 1
        if before is not None and self.info.frame_rate is not None:
            # packets came for these frames, and the decoder has no entry point after them
            late = min(max(0, self._last_pts - before.pts), expected - count - filled)
            late = min(max(0, late), MAX_GAP_FRAMES)
            self.damage.concealed_frames += late
            filled += late
            yield from _repeat_frame(before, late)
        if before is None:
            raise CodecError(
                f"expected frames that decode from {self.start_seconds:.3f} s on, "
                f"found none in {self.path}"
            )
        self.damage.missing_frames = max(0, expected - count - filled)


def _repeat_frame(frame: Frame, count: int) -> Iterator[Frame]:
    """Yield a frame `count` times, a tick apart."""
    for number in range(1, count + 1):
        yield dataclasses.replace(frame, pts=frame.pts + number)
