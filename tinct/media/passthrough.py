"""Everything beside moving pictures, passed from a file to an open output.

That is sound, subtitles, chapters, attachments, covers and tags. `extra_tracks` copies or converts
the packets of one track.
"""

import heapq
import io
import math
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from tinct.media.containers import find_container
from tinct.media.demux import (
    LONG_PROBE_BYTES,
    MILLISECOND,
    TINCT_ATTACHMENTS,
    AnyPacket,
    describe_error,
    find_origin,
    find_video,
    is_flush,
    is_seekable,
    is_tinct_file,
    open_input,
    read_packets,
)
from tinct.media.extra_tracks import ConvertedTrack, CopiedTrack, CoverTrack, ExtraTrack, TextTrack
from tinct.media.programmes import find_programme
from tinct.media.sound import SoundTimes, choose_flac_format, choose_layout, choose_rate
from tinct.media.tags import add_tags, select_tags

AHEAD_SECONDS = 1  # tracks may run this far apart and still come out in order
SPREAD_SECONDS = 10  # how far apart tracks may lie in a file; a subtitle may be up as long
# RealMedia tells the times of some packets alone: it is read from the start, so that they follow.
_FORMATS_WITHOUT_SOUND_TIMES = ("rm",)
_TEXT_CODECS = {"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"}


class Extras:
    """Passes everything but moving pictures from the file at `path` to `out`.

    Make it after `out` has its video streams and before anything is muxed; then call `mux_until`
    as the video is written, and `finish`. Give the start and duration that the video was given
    (`Source.start_seconds`): times are shifted so that it starts at 0.

    `notes` names what could not be passed on. `video_metadata` has title and language of the video
    track, for the writer of `out`. Memory does not grow with the file.
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
        self.video_metadata: dict[str, str] = {}
        self._out, self._path = out, path
        self._to = find_container(out.format.name)
        self._container = open_input(path)
        start = Fraction(start_seconds).limit_denominator(1_000_000)
        self._shift = find_origin(self._container) + start
        self._starts_later = start_seconds > 0
        self._end = duration_seconds
        self._tracks: dict[int, ExtraTrack] = {}
        self._times: defaultdict[int, SoundTimes] = defaultdict(SoundTimes)
        programme = self._find_programme()
        for stream in self._container.streams:
            if programme is None or stream.id in programme:
                self._add(stream)
        if lost := add_tags(out, select_tags(self._container.metadata)):
            self.notes.append(
                f"tags that {out.format.name} does not take are left out: {', '.join(lost)}"
            )
        self._add_chapters()
        self._reading: Generator[AnyPacket, None, None] = self._read()
        # A heap by time: subtitles may stand far ahead in a file.
        self._ready: list[tuple[float, int, AnyPacket]] = []
        self._count = 0
        self._read_until = -math.inf  # seconds on the output's clock

    def mux_until(self, seconds: float) -> None:
        """Mux every packet that starts before `seconds` on the output's clock."""
        while self._read_until < seconds + AHEAD_SECONDS:
            packet = next(self._reading, None)
            if packet is None:
                break
            self._push(packet)
        self._mux_before(seconds)

    def finish(self) -> None:
        """Mux the rest and close the input."""
        for packet in self._reading:
            self._push(packet)
            self._mux_before(self._read_until - AHEAD_SECONDS)
        self._mux_before(math.inf)
        for index, track in self._tracks.items():
            with self._note_refusal(self._container.streams[index]):
                self._out.mux(track.flush())
        self.close()

    def close(self) -> None:
        """Close the input."""
        self._reading.close()
        self._container.close()

    # ── packets ──────────────────────────────────────────────────────────────────────────────────

    def _read(self) -> Generator[AnyPacket, None, None]:
        """Yield the packets of passed streams that lie between start and end."""
        chosen = [stream for stream in self._container.streams if stream.index in self._tracks]
        for stream in self._container.streams:
            if stream.index not in self._tracks:
                stream.discard = Discard.all
        if not chosen:
            return
        try:
            has_times = self._container.format.name not in _FORMATS_WITHOUT_SOUND_TIMES
            if self._starts_later and has_times and is_seekable(self._container):
                first = self._shift - SPREAD_SECONDS
                self._container.seek(max(0, int(first * av.time_base)))
            for packet in read_packets(self._container, *chosen):
                if is_flush(packet):
                    continue
                if isinstance(packet.stream, AudioStream):
                    self._times[packet.stream_index].complete(packet)
                if self._is_past_end(packet):
                    return
                if self._is_inside(packet):
                    yield packet
        except (FFmpegError, OSError) as error:
            self.notes.append(
                f'sound and subtitles end early: "{describe_error(error)}" in {self._path}'
            )

    def _is_past_end(self, packet: AnyPacket) -> bool:
        """Return whether no packet behind this one starts before the end."""
        if self._end is None or is_cover(packet.stream) or not self._sets_pace(packet):
            return False
        return self._get_seconds(packet) > self._end + SPREAD_SECONDS

    def _is_inside(self, packet: AnyPacket) -> bool:
        """Return whether a packet is shown or heard between start and end."""
        if is_cover(packet.stream):
            return True
        start = self._get_seconds(packet)
        if self._end is not None and start >= self._end:
            return False
        length = float((packet.duration or 0) * packet.time_base)
        return not (self._starts_later and start < 0 and start + length <= 0)

    def _push(self, packet: AnyPacket) -> None:
        heapq.heappush(self._ready, (self._get_seconds(packet), self._count, packet))
        self._count += 1
        if self._sets_pace(packet):
            self._read_until = max(self._read_until, self._get_seconds(packet))

    def _mux_before(self, seconds: float) -> None:
        while self._ready and self._ready[0][0] < seconds:
            packet = heapq.heappop(self._ready)[2]
            with self._note_refusal(packet.stream):
                self._out.mux(self._tracks[packet.stream_index].convert(packet, self._shift))

    @contextmanager
    def _note_refusal(self, stream: Stream) -> Iterator[None]:
        """Note packets that the output does not take: one of them would end the whole file."""
        note = (
            f"packets of {stream.type} track {stream.index} that are damaged or have no time "
            "are left out"
        )
        try:
            yield
        # These errors are the packet's; a full disk raises another.
        except (av.error.InvalidDataError, av.error.ArgumentError):
            if note not in self.notes:
                self.notes.append(note)

    def _sets_pace(self, packet: AnyPacket) -> bool:
        """Return whether a packet's time tells how far the file is read.

        Audio does, or any packet in a file without audio.
        """
        if packet.stream.type == "audio":
            return True
        return not any(self._container.streams[n].type == "audio" for n in self._tracks)

    def _get_seconds(self, packet: AnyPacket) -> float:
        """Return when a packet starts on the output's clock."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        return float((stamp or 0) * packet.time_base - self._shift)

    # ── streams ──────────────────────────────────────────────────────────────────────────────────

    def _add(self, stream: Stream) -> None:
        """Pass a stream on, or note why not."""
        if isinstance(stream, VideoStream) and not is_cover(stream):
            if stream == find_video(self._container):
                self._take_video_tags(stream)
            return
        if isinstance(stream, AttachmentStream) and stream.name in TINCT_ATTACHMENTS:
            return
        codec = (
            stream.codec_context.name
            if stream.codec_context is not None
            else getattr(stream, "name", None)
        )
        if stream.type == "data" and codec == "bin_data" and self._container.chapters():
            return  # the text of MP4's chapters, which are passed on as such
        if not self._add_track(stream):
            self.notes.append(
                f"{_describe_stream(stream)} ({codec or 'unknown'}) is left out: "
                f"{self._explain_refusal(stream)}"
            )

    def _find_programme(self) -> frozenset[int] | None:
        """Return the ids of the streams that belong to the picture; None where all do.

        Notes how many tracks of other programmes are left out.
        """
        streams, picture = self._container.streams, find_video(self._container)
        if self._container.format.name != "mpegts" or picture is None:
            return None
        programme = find_programme(self._path, picture.id)
        if programme is None:
            return None
        kinds = [s.type for s in streams if s.id not in programme and s.type != "video"]
        if kinds:
            named = " and ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
            self.notes.append(f"tracks of other programmes are left out: {named}")
        return programme

    def _explain_refusal(self, stream: Stream) -> str:
        if isinstance(stream, AudioStream):
            if stream.codec_context is None:
                return "its codec is not known"
            return f"none of its sound is in the first {LONG_PROBE_BYTES // 1_000_000} MB"
        return f"{self._out.format.name} does not take it"

    def _add_track(self, stream: Stream) -> bool:
        """Add a stream to the output; return whether it takes it."""
        if isinstance(stream, VideoStream):
            return self._add_cover(stream)
        if isinstance(stream, AttachmentStream):
            return self._add_attachment(stream)
        if isinstance(stream, AudioStream):
            return self._add_copy(stream) or self._add_converted(stream)
        if isinstance(stream, SubtitleStream):
            return self._add_copy(stream) or self._add_text(stream)
        return False

    def _take_video_tags(self, stream: VideoStream) -> None:
        self.video_metadata = select_tags(stream.metadata)
        if is_tinct_file(self._container):
            self.video_metadata.pop("title", None)  # the track's name in the format

    def _add_copy(self, stream: Stream) -> bool:
        if not _accepts(self._out.format.name, stream):
            return False
        target = self._out.add_stream_from_template(stream)
        _copy_tags(stream, target)
        # Matroska would move every track, video too, to make room for what comes before 0 (AAC's
        # priming).
        can_be_early = not self._to.is_matroska or stream.codec_context.name == "opus"
        keep_early = not self._starts_later and can_be_early
        self._tracks[stream.index] = CopiedTrack(target, keep_early=keep_early)
        return True

    def _add_converted(self, stream: AudioStream) -> bool:
        """Add sound that the output cannot hold as it is, in the codec of the container's row."""
        context = stream.codec_context
        if context is None or not context.sample_rate:
            return False
        codec = self._to.sound
        layout = choose_layout(context, codec)
        target = self._out.add_stream(codec, rate=choose_rate(context, codec))
        assert isinstance(target, AudioStream)
        target.codec_context.layout = layout
        if codec == "flac":
            target.codec_context.format = choose_flac_format(context)
        _copy_tags(stream, target)
        self._tracks[stream.index] = ConvertedTrack(stream, target)
        made = codec.removeprefix("lib").upper()
        note = f"audio track {stream.index} ({context.name}) is converted to {made}"
        if av.AudioLayout(layout).nb_channels < context.channels:
            note += f"; its {context.channels} channels are mixed down to {layout}"
        self.notes.append(note)
        return True

    def _add_text(self, stream: SubtitleStream) -> bool:
        if stream.codec_context is None or stream.codec_context.name not in _TEXT_CODECS:
            return False
        target = self._out.add_stream(self._to.texts, time_base=MILLISECOND)
        assert isinstance(target, SubtitleStream)
        _copy_tags(stream, target)
        self._tracks[stream.index] = TextTrack(stream, target)
        return True

    def _add_attachment(self, stream: AttachmentStream) -> bool:
        if not self._to.holds_files:
            return False
        self._out.add_attachment(
            stream.name or f"attachment{stream.index}",
            stream.mimetype or "application/octet-stream",
            stream.data,
        )
        return True

    def _add_cover(self, stream: VideoStream) -> bool:
        """Add a cover picture: an attachment in Matroska, an attached picture in MP4."""
        if self._to.holds_covers:
            if not self._add_copy(stream):
                return False
            self._tracks[stream.index] = CoverTrack(self._out.streams[-1])
            return True
        data = read_first_packet(self._path, stream.index) if self._to.holds_files else None
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


def is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _describe_stream(stream: Stream) -> str:
    if isinstance(stream, VideoStream):
        return f"cover picture {stream.index}"
    if isinstance(stream, AttachmentStream):
        return f"attachment {stream.name}"
    return f"{stream.type} track {stream.index}"


def _accepts(format_name: str, stream: Stream) -> bool:
    """Return whether a container takes a copy of `stream`: a header with it is tried in memory."""
    if stream.codec_context is None:
        return False
    trial = av.open(io.BytesIO(), "w", format=format_name)
    try:
        trial.add_stream_from_template(stream, opaque=True)
        trial.start_encoding()
        return True
    except (FFmpegError, ValueError):
        return False


def read_first_packet(path: str, index: int) -> bytes | None:
    with open_input(path) as container:
        for packet in container.demux(container.streams[index]):
            return bytes(packet) or None
    return None


def _copy_tags(source: Stream, target: Stream) -> None:
    target.metadata.update(select_tags(source.metadata))
    target.disposition = source.disposition
