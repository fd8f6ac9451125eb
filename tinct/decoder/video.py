"""A Tinct file, or any other video, to finished frames: `tinct.open` returns a `Video`.

`entry` reads the packets, `restorer` makes frames of the decoded pictures, `api` writes them to a
file.
"""

import dataclasses
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import chain
from typing import BinaryIO

import numpy as np
from av.video.stream import VideoStream

from tinct.bitstream.container import find_track_base, find_tracks, read_file_manifest, read_update
from tinct.bitstream.decoding import PictureDecoder
from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import COLOUR, LUMA, Manifest
from tinct.bitstream.pictures import PictureKind
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
    TrackPicture,
    count_ticks,
    find_first_tick,
)
from tinct.decoder.levels import Levels
from tinct.decoder.losses import LossLog
from tinct.decoder.pending import Cut
from tinct.decoder.postfilter import PostFilter
from tinct.decoder.restorer import Restorer
from tinct.errors import CodecError
from tinct.files import identify_file
from tinct.frames import Frame, VideoInfo
from tinct.limits import MAX_GAP_FRAMES
from tinct.media.demux import MILLISECOND, open_input
from tinct.media.ebml import count_broken_checksums
from tinct.media.source import Source, open_source
from tinct.media.timing import trim_ticks


class Video:
    """Finished frames of a file, in order of time. Each iteration starts at the first frame.

    A cut (`start_seconds`, `duration_seconds`) consists of whole frames, its times count from 0.
    `info` are the properties of the cut. `manifest` is None for a file without Tinct, whose frames
    come as they are. `damage` is of the latest iteration, complete when that has ended.
    """

    def __init__(
        self, path: str, *, start_seconds: float = 0.0, duration_seconds: float | None = None
    ) -> None:
        self.path = path
        self.damage = Damage()
        self._identity = identify_file(path)
        self.manifest = None if path == "-" else read_file_manifest(path)
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
        self.info = self._trim_info(whole, first)
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

    def __iter__(self) -> Iterator[Frame]:
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

    @property
    def _is_whole(self) -> bool:
        return self._start == 0 and self._end is None

    def _trim_info(self, whole: VideoInfo, first: int) -> VideoInfo:
        """Return the properties of the cut of a video whose first frame is at tick `first`.

        The number of frames is None where the rate varies. Raises CodecError where there is none.
        """
        if self._is_whole:
            return whole
        if whole.frame_rate is None or whole.frame_count is None:
            return dataclasses.replace(
                whole, frame_count=None, duration_seconds=self._cut_seconds(whole)
            )
        end = first + whole.frame_count
        if self._start >= end:
            raise CodecError(
                f"expected --start before the end at {float(end / whole.frame_rate):.3f} s, "
                f"found {self.start_seconds:.3f} s"
            )
        last = end if self._end is None else min(self._end, end)
        if last <= first:
            raise CodecError(
                "expected a frame in the time asked for, "
                f"the first is at {float(first / whole.frame_rate):.3f} s"
            )
        count = last - max(self._start, first)
        seconds = float((last - self._start) / whole.frame_rate)
        return dataclasses.replace(whole, frame_count=count, duration_seconds=seconds)

    def _cut_seconds(self, whole: VideoInfo) -> float | None:
        """Return how long the cut is shown; its last frame is shown to its end."""
        if whole.duration_seconds is None:
            return None
        end = whole.duration_seconds
        if self._end is not None:
            end = min(end, float(self._end * whole.time_base))
        return max(0.0, end - self.start_seconds)

    def _restore_frames(self, losses: LossLog) -> Generator[Frame, None, None]:
        """Yield finished frames from where the tracks can be decoded; count damage and `losses`."""
        assert self.manifest is not None
        with (
            open_input(self.path) as container,
            self._reopen() as file,  # its checksums are read last, when it may have lost its name
            ExitStack() as stack,
        ):
            tracks = find_tracks(container, self.manifest)
            decoders = {name: _open_decoder(track, name) for name, track in tracks.items()}
            levels = Levels(find_track_base(tracks[LUMA]))
            restorer = stack.enter_context(self._open_restorer(self.manifest, losses, levels))
            try:
                packets = self._note_packets(self._entry.read(container), levels)
                pictures = _decode_pictures(packets, decoders, losses)
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


def _open_decoder(track: VideoStream, name: str) -> PictureDecoder:
    context = track.codec_context
    return PictureDecoder(
        context.extradata,
        base=find_track_base(track),
        # frame threads would hold colour back behind the luma that waits for it
        low_delay=name == COLOUR,
        kind=PictureKind.of(context),
    )


def _decode_pictures(
    packets: Iterable[TrackPacket], decoders: dict[str, PictureDecoder], losses: LossLog
) -> Iterator[TrackPicture]:
    """Yield the decoded pictures of all tracks; add each packet of the colour track to `losses`."""
    for packet in packets:
        pictures = decoders[packet.track].decode(packet.data, packet.pts)
        if packet.track == COLOUR:  # whose pictures have no delay
            losses.add_key(packet.pts, is_decoded=bool(pictures))
        for pts, planes in pictures:
            yield packet.track, pts, planes
    for track, decoder in decoders.items():
        for pts, planes in decoder.flush():
            yield track, pts, planes


def _repeat_frame(frame: Frame, count: int) -> Iterator[Frame]:
    """Yield a frame `count` times, a tick apart."""
    for number in range(1, count + 1):
        yield dataclasses.replace(frame, pts=frame.pts + number)


def describe_video(luma: VideoInfo, manifest: Manifest) -> VideoInfo:
    """Return the properties of a Tinct video: the manifest's, and the luma track's for the rest.

    The time base is the duration of a frame, or a millisecond where the rate varies.
    """
    rate = manifest.rate
    width, height = manifest.size
    return dataclasses.replace(
        luma,
        width=width,
        height=height,
        frame_rate=rate,
        time_base=1 / rate if rate else MILLISECOND,
        frame_count=manifest.frames,
        duration_seconds=float(manifest.frames / rate) if rate else luma.duration_seconds,
    )
