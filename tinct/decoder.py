"""A Tinct file, or any other video, to finished frames: `tinct.open` iterates, `decode` writes a file.

`restore` makes the frames, `container` reads the file, `video` writes what users want.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from tinct.base import HevcDecoder
from tinct.config import MAX_GROUP
from tinct.container import COLOUR, Manifest, read_file_manifest, video_tracks
from tinct.demux import MILLISECOND, open_input, packets_of
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.paths import check_output
from tinct.planes import Planes
from tinct.restore import Restorer
from tinct.sink import open_sink
from tinct.timing import cut
from tinct.video import Source, open_source

logger = logging.getLogger(__name__)

IDR_SECONDS = 10.0  # the colour track can be entered at least this often
Progress = Callable[[int, int | None], None]  # frames done, frames in all where known


@dataclass
class Damage:
    """What was not whole: packets that did not decode, frames that repeat the one before, frames missing at the end."""

    packets: int = 0
    concealed_frames: int = 0
    missing_frames: int = 0

    def __bool__(self) -> bool:
        return bool(self.packets or self.concealed_frames or self.missing_frames)

    def __str__(self) -> str:
        return (
            f"{self.packets} packets did not decode, {self.concealed_frames} frames were concealed, "
            f"{self.missing_frames} frames are missing at the end"
        )


class Video:
    """Finished frames of a file, in order of time; what `tinct.open` returns. Iterating again starts again.

    A cut (`start_seconds`, `duration_seconds`) is made at whole frames and counts from 0. `manifest` is None for a
    file with no Tinct in it, whose frames come as they are. `damage` is of the iteration that ended last.
    """

    def __init__(self, path: str, *, start_seconds: float = 0.0, duration_seconds: float | None = None) -> None:
        self.path = path
        self.damage = Damage()
        self._expected = 0  # frames in the cut
        self.manifest = None if path == "-" else read_file_manifest(path)
        if self.manifest is None:
            self._plain: Source | None = open_source(path, start_seconds=start_seconds, duration_seconds=duration_seconds)
            self.info, self.start_seconds = self._plain.info, self._plain.start_seconds
            return
        self._plain = None
        whole = _tinct_info(open_source(path).info, self.manifest)
        self._start, self._end = cut(whole.time_base, start_seconds, duration_seconds)
        self.start_seconds = float(self._start * whole.time_base)
        self.info = self._cut_info(whole)
        if self.info.frame_count == 0:
            raise CodecError(f"expected --start before the end at {whole.duration_seconds:.3f} s, found {start_seconds}")

    def __iter__(self) -> Iterator[Frame]:
        self.damage = Damage()
        if self._plain is not None:
            yield from self._plain
            self.damage = Damage(packets=self._plain.damaged)
            return
        for frame in self._concealed(self._in_cut(self._restored())):
            yield dataclasses.replace(frame, pts=frame.pts - self._start)

    def _cut_info(self, whole: VideoInfo) -> VideoInfo:
        if whole.frame_rate is None or whole.frame_count is None:
            return whole
        end = whole.frame_count if self._end is None else min(self._end, whole.frame_count)
        count = max(0, end - self._start)
        return dataclasses.replace(whole, frame_count=count, duration_seconds=float(count / whole.frame_rate))

    def _concealed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames of the cut; at a constant rate, short gaps are filled with the frame before."""
        before: Frame | None = None
        count = 0
        for frame in frames:
            gap = frame.pts - before.pts - 1 if before is not None and self.info.frame_rate is not None else 0
            if before is not None and 0 < gap <= MAX_GROUP:
                self.damage.concealed_frames += gap
                yield from (dataclasses.replace(before, pts=before.pts + 1 + i) for i in range(gap))
                count += gap
            yield frame
            before, count = frame, count + 1
        if before is None:
            raise CodecError(f"expected frames that decode, found none in {self.path}; get the file again")
        self.damage.missing_frames = max(0, self._expected - count)

    def _in_cut(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if self._end is not None and frame.pts >= self._end:
                return
            if frame.pts >= self._start:
                yield frame

    def _restored(self) -> Iterator[Frame]:
        """All frames from where the tracks are entered, finished."""
        assert self.manifest is not None
        manifest = self.manifest
        with (
            open_input(self.path) as container,
            Restorer(self.info, manifest.layout, colouriser=manifest.colouriser, open_keys=manifest.open) as restorer,
        ):
            streams = video_tracks(container, manifest)
            self._expected = self._count_expected(manifest, streams)
            for picture in self._pictures(container, streams):
                yield from restorer.push(*picture)
            yield from restorer.flush()

    def _count_expected(self, manifest: Manifest, streams: dict[str, VideoStream]) -> int:
        """Frames that the cut should have; 0 where that cannot be known before they are decoded."""
        if self.info.frame_rate is None:
            return manifest.frames if self._start == 0 and self._end is None else 0
        first = min(_ticks(stream.start_time or 0, self.info) for stream in streams.values())
        end = first + manifest.frames if self._end is None else min(self._end, first + manifest.frames)
        return max(0, end - max(self._start, first))

    def _pictures(self, container: InputContainer, streams: dict[str, VideoStream]) -> Iterator[tuple[str, int, Planes]]:
        """Decoded pictures of both tracks as (track, pts, planes)."""
        # frame threads would hold colour back behind the luma that waits for it
        decoders = {name: HevcDecoder(stream.codec_context.extradata, low_delay=name == COLOUR) for name, stream in streams.items()}
        for name, packet in self._packets(container, streams):
            for pts, planes in decoders[name].decode(bytes(packet), _time(packet, self.info)):
                yield name, pts, planes
        for name, decoder in decoders.items():
            for pts, planes in decoder.flush():
                yield name, pts, planes
        self.damage.packets = sum(decoder.damaged for decoder in decoders.values())
        if COLOUR in decoders:  # entered at an IDR picture; lost luma shows as a gap
            self.damage.packets += max(0, decoders[COLOUR].unanswered)

    def _packets(self, container: InputContainer, streams: dict[str, VideoStream]) -> Iterator[tuple[str, Packet]]:
        """Packets from the last point where both tracks can be entered before the cut starts."""
        names = {stream.index: name for name, stream in streams.items()}
        if self._start > 0:
            group_seconds = MAX_GROUP / float(self.info.frame_rate or 24)
            earliest = max(0.0, self.start_seconds - IDR_SECONDS - group_seconds)
            if earliest > 0:  # a seek to 0 goes to the first luma, which in `full` lies behind the first key frame
                container.seek(int(earliest * av.time_base))
        packets = _readable(container, list(streams.values()))
        if self._start > 0:
            packets = self._entered(packets, names)
        for packet in packets:
            yield names[packet.stream_index], packet

    def _entered(self, packets: Iterator[Packet], names: dict[int, str]) -> Iterator[Packet]:
        """Leave out luma that no frame of the cut needs: what is before the last key frame in front of it."""
        held: list[Packet] = []
        entered = False
        for packet in packets:
            late = _time(packet, self.info) > self._start
            if names[packet.stream_index] == COLOUR:
                entered = entered or packet.is_keyframe
                if entered:
                    held = held if late else _from_entry(held, packet)
                    held.append(packet)
            else:
                held.append(packet)
            if late and len(names) == len({names[p.stream_index] for p in held}):
                break
        yield from held
        yield from packets


def _from_entry(held: list[Packet], key: Packet) -> list[Packet]:
    """What of the held packets is needed from key frame `key` on: all colour, luma from its last entry point.

    An entry point later than `key` does not count: intra pictures come ahead of the pictures shown before them.
    """
    entry = 0
    for i, packet in enumerate(held):
        luma = packet.stream_index != key.stream_index
        if luma and packet.is_keyframe and _is_by(packet, key):
            entry = i
    return [p for i, p in enumerate(held) if i >= entry or p.stream_index == key.stream_index]


def _is_by(packet: Packet, key: Packet) -> bool:
    assert packet.pts is not None
    assert key.pts is not None
    return packet.pts <= key.pts


def _readable(container: InputContainer, streams: list[VideoStream]) -> Iterator[Packet]:
    """Packets with a time; a file that was cut short ends early."""
    try:
        for packet in packets_of(container, *streams):
            if packet.pts is not None and packet.size:
                yield packet
    except (FFmpegError, OSError) as error:
        logger.info("the file ends early: %s", error)


def _time(packet: Packet, info: VideoInfo) -> int:
    assert packet.pts is not None  # `_readable` leaves out packets without a time
    return _ticks(packet.pts, info)


def _ticks(milliseconds: int, info: VideoInfo) -> int:
    """Matroska's time in ticks of the video's time base."""
    return round(milliseconds * MILLISECOND / info.time_base)


def _tinct_info(luma: VideoInfo, manifest: Manifest) -> VideoInfo:
    """The video's properties: the luma track's, but for what only the manifest knows."""
    rate = manifest.rate
    width, height = manifest.size
    duration = float(manifest.frames / rate) if rate else luma.duration_seconds
    return dataclasses.replace(
        luma, width=width, height=height, frame_rate=rate, time_base=1 / rate if rate else MILLISECOND,
        frame_count=manifest.frames, duration_seconds=duration,
    )  # fmt: skip


@dataclass(frozen=True)
class DecodeReport:
    """What `decode` did: `tinct` is False for a file with no Tinct in it."""

    frames: int
    tinct: bool
    damage: Damage
    notes: list[str]


def decode(
    source: str,
    destination: str,
    *,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DecodeReport:
    """Write the video of `source` in colour to `destination`, its format by its name (see `video.open_sink`).

    A damaged file gives what is whole of it, and says so in the report.
    """
    check_output(destination, source, overwrite=overwrite)
    video = Video(source, start_seconds=start_seconds, duration_seconds=duration_seconds)
    extras = None if source == "-" else source
    count = 0
    with open_sink(destination, video.info, extras, start_seconds=video.start_seconds, duration_seconds=duration_seconds) as sink:
        for frame in video:
            sink.write(frame)
            count += 1
            if progress is not None:
                progress(count, video.info.frame_count)
    return DecodeReport(count, video.manifest is not None, video.damage, sink.notes)
