"""Sound, subtitles, chapters, attachments and tags, carried from a file to an open output."""

import heapq
import io
import logging
import math
from collections.abc import Generator
from fractions import Fraction
from typing import Protocol

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from tinct.media.demux import (
    MILLISECOND,
    OWN_ATTACHMENTS,
    AnyPacket,
    is_flush,
    is_own,
    open_input,
    origin,
    packets_of,
    reason,
)

logger = logging.getLogger(__name__)
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_TEXT_CODECS = {"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"}
# tags that describe the file they came from, not the work
_STALE_TAGS = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "handler_name", "vendor_id",
    "filename", "mimetype", "number_of_frames", "number_of_bytes", "bps", "timecode",
}  # fmt: skip


class _Track(Protocol):
    """One stream on its way to the output: packets in, shifted by `shift` seconds, packets to mux out."""

    def packets(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]: ...
    def flush(self) -> list[AnyPacket]: ...


class Extras:
    """Carries everything but moving pictures from the file at `path` to `out`.

    Make it after `out` has its video streams and before anything is muxed; then call `mux_until` as the video goes
    along, and `finish`. `notes` names what could not be carried. Memory does not grow with the file.
    Give the cut that the video was given (`Source.start_seconds`): times are shifted so that it starts at 0.
    """

    def __init__(
        self,
        path: str,
        out: OutputContainer,
        *,
        start_seconds: float = 0.0,
        duration_seconds: float | None = None,
    ) -> None:
        self.notes: list[str] = []
        self.video_metadata: dict[
            str, str
        ] = {}  # title and language of the video track, for the writer of `out`
        self._out, self._path = out, path
        self._matroska = out.format.name == "matroska"
        self._container = open_input(path)
        self._shift = origin(self._container) + Fraction(start_seconds).limit_denominator(1_000_000)
        self._cut = start_seconds > 0
        self._end = None if duration_seconds is None else duration_seconds
        self._tracks: dict[int, _Track] = {}
        for stream in self._container.streams:
            self._add(stream)
        out.metadata.update(_kept_tags(self._container.metadata))
        self._add_chapters()
        self._reading: Generator[AnyPacket, None, None] = self._packets()
        self._ready: list[
            tuple[float, int, AnyPacket]
        ] = []  # a heap by time: subtitles may stand far ahead in a file
        self._count = 0
        self._read = -math.inf  # seconds on the output's clock up to which the file is read

    def mux_until(self, seconds: float) -> None:
        """Mux every packet that starts before `seconds` on the output's clock."""
        # tracks may run a second apart and still come out in order
        while self._read < seconds + 1 and (packet := next(self._reading, None)) is not None:
            self._push(packet)
        self._mux_before(seconds)

    def finish(self) -> None:
        for packet in self._reading:
            self._push(packet)
            self._mux_before(self._read - 1)
        self._mux_before(float("inf"))
        for track in self._tracks.values():
            self._out.mux(track.flush())
        self.close()

    def _push(self, packet: AnyPacket) -> None:
        heapq.heappush(self._ready, (self._seconds(packet), self._count, packet))
        self._count += 1
        if self._paces(packet):
            self._read = max(self._read, self._seconds(packet))

    def _mux_before(self, seconds: float) -> None:
        while self._ready and self._ready[0][0] < seconds:
            packet = heapq.heappop(self._ready)[2]
            index, kind = packet.stream_index, packet.stream.type
            try:
                self._out.mux(self._tracks[index].packets(packet, self._shift))
            except (
                av.error.InvalidDataError,
                av.error.ArgumentError,
            ):  # of the packet; a full disk is another error
                note = f"damaged packets of {kind} track {index} are left out"
                if note not in self.notes:
                    self.notes.append(note)

    def _paces(self, packet: AnyPacket) -> bool:
        """Whether where this packet stands says how far the file is read: audio, or anything where there is none."""
        return packet.stream.type == "audio" or not any(
            self._container.streams[n].type == "audio" for n in self._tracks
        )

    def close(self) -> None:
        self._reading.close()
        self._container.close()

    def _add(self, stream: Stream) -> None:
        what = f"{stream.type} track {stream.index}"
        codec = (
            stream.codec_context.name
            if stream.codec_context is not None
            else getattr(stream, "name", None)
        )
        added = False
        if isinstance(stream, VideoStream):
            if stream.disposition & Disposition.attached_pic:
                added, what = self._add_picture(stream), f"cover picture {stream.index}"
            else:
                if not self.video_metadata:
                    self.video_metadata = _kept_tags(stream.metadata)
                    if is_own(self._container):
                        self.video_metadata.pop("title", None)  # the track's name in the format
                return
        elif isinstance(stream, AttachmentStream):
            if stream.name in OWN_ATTACHMENTS:
                return
            added, what = self._add_attachment(stream), f"attachment {stream.name}"
        elif isinstance(stream, AudioStream):
            added = self._add_copy(stream) or self._add_aac(stream)
        elif isinstance(stream, SubtitleStream):
            added = self._add_copy(stream) or self._add_text(stream)
        if stream.type == "data" and codec == "bin_data" and self._container.chapters():
            return  # the text of MP4's chapters, which are carried as such
        if not added:
            self.notes.append(
                f"{what} ({codec or 'unknown'}) is left out: {self._out.format.name} does not take it"
            )

    def _add_copy(self, stream: Stream) -> bool:
        if not _takes(self._out.format.name, stream):
            return False
        target = self._out.add_stream_from_template(stream)
        _copy_tags(stream, target)
        # Matroska would move every track, video too, to make room for what comes before 0 (AAC's priming)
        keep_early = not self._cut and (not self._matroska or stream.codec_context.name == "opus")
        self._tracks[stream.index] = _Copy(target, keep_early)
        return True

    def _add_aac(self, stream: AudioStream) -> bool:
        if self._matroska or stream.codec_context is None or not stream.codec_context.sample_rate:
            return False
        rate = min(
            (rate for rate in _AAC_RATES if rate >= stream.codec_context.sample_rate),
            default=_AAC_RATES[-1],
        )
        target = self._out.add_stream("aac", rate=rate)
        target.codec_context.layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        _copy_tags(stream, target)
        self._tracks[stream.index] = _Aac(target)
        self.notes.append(
            f"audio track {stream.index} ({stream.codec_context.name}) is converted to AAC"
        )
        return True

    def _add_text(self, stream: SubtitleStream) -> bool:
        if stream.codec_context is None or stream.codec_context.name not in _TEXT_CODECS:
            return False
        target = self._out.add_stream(
            "subrip" if self._matroska else "mov_text", time_base=MILLISECOND
        )
        _copy_tags(stream, target)
        self._tracks[stream.index] = _Text(stream, target)
        return True

    def _add_attachment(self, stream: AttachmentStream) -> bool:
        if not self._matroska:
            return False
        self._out.add_attachment(
            stream.name or f"attachment{stream.index}",
            stream.mimetype or "application/octet-stream",
            stream.data,
        )
        return True

    def _add_picture(self, stream: VideoStream) -> bool:
        """A cover: an attachment in Matroska, an attached picture in MP4."""
        if not self._matroska:
            if not self._add_copy(stream):
                return False
            self._tracks[stream.index] = _Picture(self._out.streams[-1])
            return True
        data = _first_packet(self._path, stream.index)
        if data is None or stream.codec_context is None:
            return False
        kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
        suffix = {"jpeg": "jpg"}.get(kind, kind)
        name = stream.metadata.get("filename") or f"cover.{suffix}"
        self._out.add_attachment(name, stream.metadata.get("mimetype") or f"image/{kind}", data)
        return True

    def _add_chapters(self) -> None:
        chapters = []
        for chapter in self._container.chapters():
            base = chapter["time_base"] or MILLISECOND
            shift = round(self._shift / base)
            start, end = max(chapter["start"] - shift, 0), chapter["end"] - shift
            if self._end is not None:
                end = min(end, round(self._end / base))
            if start < end:
                chapters.append({**chapter, "start": start, "end": end, "time_base": base})
        if chapters:
            self._out.set_chapters(chapters)  # type: ignore[arg-type]

    def _packets(self) -> Generator[AnyPacket, None, None]:
        """Packets of the carried streams that lie in the cut."""
        chosen = [stream for stream in self._container.streams if stream.index in self._tracks]
        for stream in self._container.streams:
            if stream.index not in self._tracks:
                stream.discard = Discard.all
        if not chosen:
            return
        try:
            if self._cut:
                # ten seconds back: a subtitle may be up that long
                self._container.seek(max(0, int((self._shift - 10) * av.time_base)))
            for packet in packets_of(self._container, *chosen):
                if is_flush(packet):
                    continue
                position = self._position(packet)
                if (
                    position == "after"
                    and self._paces(packet)
                    and self._seconds(packet) > float(self._end or 0) + 10
                ):
                    return  # tracks may run that much apart
                if position == "in":
                    yield packet
        except (FFmpegError, OSError) as error:
            self.notes.append(f'sound and subtitles end early: "{reason(error)}" in {self._path}')

    def _position(self, packet: AnyPacket) -> str:
        start = self._seconds(packet)
        if packet.stream.disposition & Disposition.attached_pic:
            return "in"
        if self._end is not None and start >= self._end:
            return "after"
        length = float((packet.duration or 0) * packet.time_base)
        return "before" if self._cut and start < 0 and start + length <= 0 else "in"

    def _seconds(self, packet: AnyPacket) -> float:
        stamp = packet.pts if packet.pts is not None else packet.dts
        return float((stamp or 0) * packet.time_base - self._shift)


class _Copy:
    """Packets as they are, only their times shifted."""

    def __init__(self, target: Stream, keep_early: bool) -> None:
        self._target, self._keep_early = target, keep_early
        self._last: int | None = None

    def packets(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        if packet.stream.type == "subtitle" and bytes(packet) == b"\0\0":
            return []  # MP4's gaps between subtitles; its writer makes them anew
        ticks = round(shift / packet.time_base)
        if packet.pts is not None:
            packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        first = packet.pts if packet.pts is not None else packet.dts
        if first is not None and first < 0 and not self._keep_early:
            if packet.stream.type != "subtitle":
                return []
            packet.duration = max(
                (packet.duration or 0) + first, 0
            )  # up when the cut begins: shown from there on
            packet.pts = packet.dts = 0
        if not self._in_order(packet):
            return []
        packet.stream = self._target
        return [packet]

    def _in_order(self, packet: AnyPacket) -> bool:
        """Whether a muxer takes it: one time that damage has moved would end the whole file."""
        if packet.dts is None:
            return True
        if (self._last is not None and packet.dts < self._last) or (
            packet.pts is not None and packet.pts < packet.dts
        ):
            return False
        self._last = packet.dts
        return True

    def flush(self) -> list[AnyPacket]:
        return []


class _Picture:
    """A cover, which has no time."""

    def __init__(self, target: Stream) -> None:
        self._target = target

    def packets(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        packet.pts = packet.dts = 0
        packet.stream = self._target
        return [packet]

    def flush(self) -> list[AnyPacket]:
        return []


class _Text:
    """Text subtitles of one kind to another, by way of FFmpeg's ASS events: italics and line breaks survive."""

    def __init__(self, source: SubtitleStream, target: SubtitleStream) -> None:
        self._decoder, self._target = source.codec_context, target
        self._decoder.open(strict=False)
        target.codec_context.subtitle_header = self._decoder.subtitle_header

    def packets(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        event = self._decoder.decode2(packet)
        if event is None or len(event) == 0:
            return []  # MP4 fills the gaps between subtitles with empty ones
        start = round(((packet.pts or 0) * packet.time_base - shift) / MILLISECOND)
        end = start + round((packet.duration or 0) * packet.time_base / MILLISECOND)
        if end <= 0:
            return []
        coded = self._target.codec_context.encode_subtitle(event)
        coded.time_base = MILLISECOND
        coded.pts = coded.dts = max(start, 0)
        coded.duration = end - max(start, 0)
        coded.stream = self._target
        return [coded]

    def flush(self) -> list[AnyPacket]:
        return []


class _Aac:
    """Sound that the output cannot hold, coded again."""

    def __init__(self, target: AudioStream) -> None:
        self._target = target
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[object, ...] = ()  # of sound that the resampler takes

    def packets(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        coded: list[AnyPacket] = []
        frames: list[av.AudioFrame]
        try:
            frames = packet.decode()  # type: ignore[assignment]
        except FFmpegError:
            return coded
        for frame in frames:
            frame.pts = round(
                ((frame.pts or 0) * (frame.time_base or 0) - shift) * frame.sample_rate
            )
            frame.time_base = Fraction(1, frame.sample_rate)
            if frame.pts >= 0:
                coded += self._encoded(frame)
        return coded

    def flush(self) -> list[AnyPacket]:
        return [*self._left(), *self._target.encode(None)]

    def _encoded(self, frame: av.AudioFrame) -> list[AnyPacket]:
        """Sound may change from mono to stereo in the middle, as broadcasts do."""
        coded: list[AnyPacket] = []
        if (kind := (frame.format.name, frame.layout.name, frame.sample_rate)) != self._kind:
            coded += self._left()
            context = self._target.codec_context
            self._resampler = av.AudioResampler(
                context.format, context.layout, context.sample_rate, context.frame_size or None
            )
            self._kind = kind
        assert self._resampler is not None
        for part in self._resampler.resample(frame):
            coded += self._target.encode(part)
        return coded

    def _left(self) -> list[AnyPacket]:
        """What the resampler has kept."""
        if self._resampler is None:
            return []
        return [
            packet
            for part in self._resampler.resample(None)
            for packet in self._target.encode(part)
        ]


def _takes(format_name: str, stream: Stream) -> bool:
    """Whether a container takes a copy of `stream`: a header with it alone is written to memory to see."""
    if stream.codec_context is None:
        return False
    trial = av.open(io.BytesIO(), "w", format=format_name)
    try:
        trial.add_stream_from_template(stream, opaque=True)
        trial.start_encoding()
        return True
    except (FFmpegError, ValueError):
        return False


def _first_packet(path: str, index: int) -> bytes | None:
    with open_input(path) as container:
        for packet in container.demux(container.streams[index]):
            return bytes(packet) or None
    return None


def _kept_tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags without those of the container they came from; Matroska's statistics end in a language ("BPS-eng")."""
    kept = {
        key: value
        for key, value in tags.items()
        if key.lower().split("-")[0] not in _STALE_TAGS and not key.startswith("_")
    }
    if "title" not in kept and "name" in kept:
        kept["title"] = kept.pop("name")  # MP4's word for a track's title
    return kept


def _copy_tags(source: Stream, target: Stream) -> None:
    target.metadata.update(_kept_tags(source.metadata))
    target.disposition = source.disposition
