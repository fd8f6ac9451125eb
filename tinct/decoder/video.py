"""A Tinct file, or any other video, to finished frames: `tinct.open` iterates, `decode` writes a file.

`restore` makes the frames, `container` reads the file, `video` writes what users want.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from tinct.bitstream.container import read_file_manifest, read_update, video_tracks
from tinct.bitstream.hevc import HevcDecoder, PictureKind
from tinct.bitstream.manifest import COLOUR, IDR_SECONDS, LUMA, Manifest
from tinct.decoder.colourisers import around_of, colouriser_of
from tinct.decoder.damage import Damage
from tinct.decoder.entry import (
    LOOK_BACK_SECONDS,
    _first_tick,
    _from_entry,
    _names,
    _readable,
    _time,
)
from tinct.decoder.restorer import Restorer
from tinct.errors import CodecError
from tinct.files import identity
from tinct.frames import Frame, VideoInfo
from tinct.limits import MAX_GAP_FRAMES, MAX_GROUP
from tinct.media.demux import MILLISECOND, open_input
from tinct.media.ebml import broken_checksums
from tinct.media.planes import Planes
from tinct.media.source import Source, open_source
from tinct.media.timing import cut
from tinct.motion.references import REACH


class Video:
    """Finished frames of a file, in order of time; what `tinct.open` returns. Iterating again starts again.

    A cut (`start_seconds`, `duration_seconds`) is made at whole frames and counts from 0. `manifest` is None for a
    file with no Tinct in it, whose frames come as they are. `damage` is of the iteration that ended last.
    """

    def __init__(
        self, path: str, *, start_seconds: float = 0.0, duration_seconds: float | None = None
    ) -> None:
        self.path = path
        self.damage = Damage()
        self._lost_keys = 0
        self._lost_key_times: set[int] = set()
        self._keys: deque[tuple[int, bool]] = (
            deque()
        )  # times of key frames to come, and whether their colour is whole
        self._key_is_whole, self._keyless = True, 0
        self._identity = identity(path)
        self.manifest = None if path == "-" else read_file_manifest(path)
        if self.manifest is None:
            self._plain: Source | None = open_source(
                path, start_seconds=start_seconds, duration_seconds=duration_seconds
            )
            self.info, self.start_seconds = self._plain.info, self._plain.start_seconds
            return
        self._plain = None
        whole = described(open_source(path).info, self.manifest)
        self._start, self._end = cut(whole.time_base, start_seconds, duration_seconds)
        self.start_seconds = float(self._start * whole.time_base)
        self.info = self._cut_info(whole, _first_tick(path, self.manifest, whole))
        self._colouriser = colouriser_of(self.manifest, read_update(path, self.manifest), whole)
        self._around = around_of(self.manifest, whole)
        self._reach = 0  # ticks before the cut that its first frame is restored from, about where the rate varies
        if self._around is not None:
            self._reach = (
                REACH
                if self.manifest.rate
                else math.ceil(REACH / float(whole.mean_rate) / whole.time_base)
            )

    def __iter__(self) -> Iterator[Frame]:
        self.damage = Damage()
        self._keys.clear()
        self._lost_key_times.clear()
        self._key_is_whole, self._keyless = True, 0
        if self._plain is not None:
            yield from self._plain
            self.damage = Damage(packets=self._plain.damaged)
            return
        for frame in self._concealed(self._in_cut(self._restored())):
            yield dataclasses.replace(frame, pts=frame.pts - self._start)

    def _cut_info(self, whole: VideoInfo, first: int) -> VideoInfo:
        """Properties of the cut of a video that starts at tick `first`; how many frames is not known of a variable rate."""
        if self._start == 0 and self._end is None:
            return whole
        if whole.frame_rate is None or whole.frame_count is None:
            return dataclasses.replace(whole, frame_count=None, duration_seconds=None)
        end = first + whole.frame_count
        if self._start >= end:
            raise CodecError(
                f"expected --start before the end at {float(end / whole.frame_rate):.3f} s, found {self.start_seconds:.3f} s"
            )
        last = end if self._end is None else min(self._end, end)
        if last <= first:
            raise CodecError(
                f"expected a frame in the time asked for, the first is at {float(first / whole.frame_rate):.3f} s"
            )
        count = last - max(self._start, first)
        return dataclasses.replace(
            whole,
            frame_count=count,
            duration_seconds=float((last - self._start) / whole.frame_rate),
        )

    def _concealed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames of the cut; at a constant rate, short gaps are filled with the frame before."""
        before: Frame | None = None
        count = filled = 0
        for frame in frames:
            if (
                count == self.info.frame_count
            ):  # more than the manifest says: they have no place in the video
                self.damage.packets += 1
                continue
            gap = (
                frame.pts - before.pts - 1
                if before is not None and self.info.frame_rate is not None
                else 0
            )
            # the source may have had gaps too, which its number of frames leaves out: but not more than one for each
            fills = filled + gap <= (self.info.frame_count or 0) + MAX_GAP_FRAMES
            if before is not None and fills and 0 < gap <= MAX_GAP_FRAMES:
                self.damage.concealed_frames += gap
                yield from (dataclasses.replace(before, pts=before.pts + 1 + i) for i in range(gap))
                filled += gap
            yield frame
            before, count = frame, count + 1
        if before is None:
            raise CodecError(
                f"expected frames that decode from {self.start_seconds:.3f} s on, found none in {self.path}"
            )
        self.damage.missing_frames = max(0, (self.info.frame_count or 0) - count - filled)

    def _in_cut(self, frames: Generator[Frame, None, None]) -> Iterator[Frame]:
        with closing(frames):
            for frame in frames:
                if self._end is not None and frame.pts >= self._end:
                    return
                if frame.pts >= self._start:
                    self._keyless += not self._has_key(frame.pts)
                    yield frame

    def _has_key(self, pts: int) -> bool:
        """Whether the key frame of a frame's group is whole; else its colour comes from further away. Asked in order of time."""
        while self._keys and self._keys[0][0] <= pts:
            self._key_is_whole = self._keys.popleft()[1]
        return self._key_is_whole

    def _restored(self) -> Generator[Frame, None, None]:
        """All frames from where the tracks are entered, finished."""
        assert self.manifest is not None
        manifest = self.manifest
        with (
            open_input(self.path) as container,
            self._same_file() as file,  # read again at the end, when it may have lost its name
            Restorer(
                self.info,
                manifest.layout,
                colouriser=self._colouriser,
                around=self._around,
                open_keys=manifest.open,
                qps=manifest.qps,
                lost_keys=self._lost_key_times,
                plain=manifest.plain,
            ) as restorer,
        ):
            streams = video_tracks(container, manifest)
            # frame threads would hold colour back behind the luma that waits for it
            decoders = {
                name: _decoder(stream.codec_context, name) for name, stream in streams.items()
            }
            try:
                pictures = self._pictures(decoders, self._packets(container, streams))
                for picture in pictures if self._around is None else self._reached(pictures):
                    yield from restorer.push(*picture)
                yield from restorer.flush()
            finally:  # also where the cut ends before the file does
                self.damage.packets += sum(decoder.damaged for decoder in decoders.values())
                self.damage.concealed_frames += max(self._keyless, restorer.colourless)
            if self._start == 0 and self._end is None:
                self.damage.broken_checksums = broken_checksums(file)
            if COLOUR in decoders:  # entered at an IDR picture; lost luma shows as a gap
                self.damage.packets += max(0, decoders[COLOUR].unanswered) + self._lost_keys

    def _same_file(self) -> BinaryIO:
        """The file, once more. Raises CodecError where another has its name by now."""
        try:
            file = open(self.path, "rb")  # noqa: SIM115  the caller closes it
        except OSError as error:
            raise CodecError(
                f"expected {self.path} to stay while it is read, found {error.strerror}"
            ) from error
        if identity(self.path) != self._identity:
            file.close()
            raise CodecError(
                f"expected the same file when it is read again, found another in {self.path}; open it anew"
            )
        return file

    def _pictures(
        self, decoders: dict[str, HevcDecoder], packets: Iterator[tuple[str, int, bytes]]
    ) -> Iterator[tuple[str, int, Planes]]:
        """Decoded pictures of all tracks as (track, pts, planes)."""
        for name, tick, data in packets:
            pictures = decoders[name].decode(data, tick)
            if name == COLOUR:
                self._keys.append((tick, bool(pictures)))  # colour comes without delay
                if not pictures:
                    self._lost_key_times.add(tick)
            for pts, planes in pictures:
                yield name, pts, planes
        for name, decoder in decoders.items():
            for pts, planes in decoder.flush():
                yield name, pts, planes

    def _packets(
        self, container: InputContainer, streams: dict[str, VideoStream]
    ) -> Iterator[tuple[str, int, bytes]]:
        """Packets as (track, pts, data) from the last point where both tracks can be entered before the cut starts."""
        assert self.manifest is not None
        names = _names(streams)
        earliest = self._entry_seconds() if self._start > 0 else 0.0
        if (
            earliest > 0
        ):  # a seek to 0 goes to the first luma, which in `full` lies behind the first key frame
            container.seek(int(earliest * av.time_base))
        packets = _readable(container, list(streams.values()))
        if self._start > 0:
            packets = chain(self._needed(packets, names)[0], packets)
        keys = 0
        for packet in packets:
            keys += names[packet.stream_index] == COLOUR
            yield names[packet.stream_index], _time(packet, self.info), bytes(packet)
        self._lost_keys = (
            max(0, self.manifest.keys - keys) if self._start == 0 else 0
        )  # how many a cut has is not known

    def _entry_seconds(self) -> float:
        """Where reading has to start for the cut: at the usual distance, further back in a slow video or a foreign file."""
        assert self.manifest is not None
        usual = IDR_SECONDS + MAX_GROUP / float(self.info.mean_rate)
        for back in LOOK_BACK_SECONDS:
            earliest = self.start_seconds - usual - back
            if earliest <= 0:
                break
            with open_input(self.path) as container:
                streams = video_tracks(container, self.manifest)
                container.seek(int(earliest * av.time_base))
                if self._needed(_readable(container, list(streams.values())), _names(streams))[1]:
                    return earliest
        return 0.0

    def _needed(
        self, packets: Iterator[Packet], names: dict[int, str]
    ) -> tuple[list[Packet], bool]:
        """Packets up to where the cut starts on every track, less the luma before the last key frame in front of it.

        Also whether there is such a key frame, and luma to enter at by its time.
        """
        assert self.manifest is not None
        held: list[Packet] = []
        key: Packet | None = None  # the last one by the start of the cut
        for packet in packets:
            late = _time(packet, self.info) > self._start
            if names[packet.stream_index] == COLOUR:
                if key is None and not packet.is_keyframe:
                    continue
                if not late:
                    held, key = _from_entry(held, packet), packet
            held.append(packet)
            if late and len(names) == len({names[p.stream_index] for p in held}):
                break
        if COLOUR in names.values() and key is None:
            return held, False
        entry = _time(key, self.info) if key is not None else self._start - self._reach
        luma = [
            p
            for p in held
            if names[p.stream_index] == LUMA and p.is_keyframe and _time(p, self.info) <= entry
        ]
        return held, bool(luma) or self.manifest.layout == "full"  # whose luma are all entry points

    def _reached(
        self, pictures: Iterator[tuple[str, int, Planes]]
    ) -> Iterator[tuple[str, int, Planes]]:
        """In-band pictures from the first on that one of the cut is restored from."""
        early: deque[tuple[str, int, Planes]] = deque(maxlen=REACH + 1)
        for picture in pictures:
            early.append(picture)
            if picture[1] >= self._start:
                yield from early
                early.clear()


def _decoder(track: VideoCodecContext, name: str) -> HevcDecoder:
    return HevcDecoder(track.extradata, low_delay=name == COLOUR, kind=PictureKind.of(track))


def described(luma: VideoInfo, manifest: Manifest) -> VideoInfo:
    """The video's properties: the luma track's, but for what only the manifest knows."""
    rate = manifest.rate
    width, height = manifest.size
    duration = float(manifest.frames / rate) if rate else luma.duration_seconds
    return dataclasses.replace(
        luma, width=width, height=height, frame_rate=rate, time_base=1 / rate if rate else MILLISECOND,
        frame_count=manifest.frames, duration_seconds=duration,
    )  # fmt: skip
