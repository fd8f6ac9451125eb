"""One audio, subtitle or cover track on its way to an output: copied, or converted.

`passthrough` chooses the kind of track and decides when packets are muxed.
"""

from fractions import Fraction
from typing import Protocol

import av
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from tinct.media.demux import MILLISECOND, AnyPacket


class ExtraTrack(Protocol):
    """One stream on its way to the output."""

    def convert(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        """Return the packets to mux for an input packet, shifted to `shift` seconds earlier."""

    def flush(self) -> list[AnyPacket]:
        """Return the packets that are left at the end."""


class CopiedTrack:
    """Packets as they are, only their times shifted."""

    def __init__(self, target: Stream, *, keep_early: bool) -> None:
        self._target, self._keep_early = target, keep_early
        self._last: int | None = None

    def convert(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        if packet.stream.type == "subtitle" and bytes(packet) == b"\0\0":
            return []  # MP4's gap between subtitles; its muxer makes new ones
        ticks = round(shift / packet.time_base)
        if packet.pts is not None:
            packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        first = packet.pts if packet.pts is not None else packet.dts
        if first is not None and first < 0 and not self._keep_early:
            if packet.stream.type != "subtitle":
                return []
            # A subtitle that is up when the trimmed video begins is shown from there on.
            packet.duration = max((packet.duration or 0) + first, 0)
            packet.pts = packet.dts = 0
        if not self._is_in_order(packet):
            return []
        packet.stream = self._target
        return [packet]

    def _is_in_order(self, packet: AnyPacket) -> bool:
        """Return whether a muxer takes the packet: one damaged time would end the whole file."""
        if packet.dts is None:
            return True
        if self._last is not None and packet.dts < self._last:
            return False
        if packet.pts is not None and packet.pts < packet.dts:
            return False
        self._last = packet.dts
        return True

    def flush(self) -> list[AnyPacket]:
        return []


class CoverTrack:
    """A cover picture, which has no time."""

    def __init__(self, target: Stream) -> None:
        self._target = target

    def convert(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        packet.pts = packet.dts = 0
        packet.stream = self._target
        return [packet]

    def flush(self) -> list[AnyPacket]:
        return []


class TextTrack:
    """Text subtitles converted to another format.

    The way leads through FFmpeg's ASS events, which keep italics and line breaks.
    """

    def __init__(self, source: SubtitleStream, target: SubtitleStream) -> None:
        self._decoder, self._target = source.codec_context, target
        self._decoder.open(strict=False)
        target.codec_context.subtitle_header = self._decoder.subtitle_header

    def convert(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        event = self._decoder.decode2(packet)
        if event is None or len(event) == 0:
            return []  # MP4 fills the gaps between subtitles with empty ones
        start = round(((packet.pts or 0) * packet.time_base - shift) / MILLISECOND)
        end = start + round((packet.duration or 0) * packet.time_base / MILLISECOND)
        if end <= 0:
            return []
        text = self._target.codec_context.encode_subtitle(event)
        text.time_base = MILLISECOND
        text.pts = text.dts = max(start, 0)
        text.duration = end - max(start, 0)
        text.stream = self._target
        return [text]

    def flush(self) -> list[AnyPacket]:
        return []


class ConvertedTrack:
    """Sound that the output cannot hold, encoded again."""

    def __init__(self, source: AudioStream, target: AudioStream) -> None:
        self._source, self._target = source, target
        self._shift = self._end_seconds = Fraction(0)
        self._told_seconds: Fraction | None = None  # the last time that a frame had of its own
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[object, ...] = ()  # format, layout and rate that the resampler takes

    def convert(self, packet: AnyPacket, shift: Fraction) -> list[AnyPacket]:
        self._shift = shift
        return self._convert_frames(packet)

    def flush(self) -> list[AnyPacket]:
        """Return what decoder, resampler and encoder still hold."""
        held = self._convert_frames(None)
        return [*held, *self._flush_resampler(), *self._target.encode(None)]

    def _convert_frames(self, packet: "AnyPacket | None") -> list[AnyPacket]:
        encoded: list[AnyPacket] = []
        try:
            frames = self._source.decode(packet)
        except FFmpegError:
            return encoded
        for frame in frames:
            seconds = self._find_seconds(frame)
            frame.pts = round(seconds * frame.sample_rate)
            frame.time_base = Fraction(1, frame.sample_rate)
            self._end_seconds = seconds + Fraction(frame.samples, frame.sample_rate)
            if frame.pts >= 0:
                encoded += self._encode(frame)
        return encoded

    def _find_seconds(self, frame: av.AudioFrame) -> Fraction:
        """Return when a frame starts; one without a time of its own follows the one before.

        The last frame that a decoder holds back has none. Frames of packets without times have that
        of the frame before; rounded to ticks, only frames of up to a tick share one.
        """
        if frame.pts is None:
            return self._end_seconds
        tick = frame.time_base or Fraction(0)
        seconds = frame.pts * tick - self._shift
        is_repeated = seconds == self._told_seconds and self._end_seconds > seconds + tick
        self._told_seconds = seconds
        return self._end_seconds if is_repeated else seconds

    def _encode(self, frame: av.AudioFrame) -> list[AnyPacket]:
        """Encode a frame; sound may change from mono to stereo, as broadcasts do."""
        encoded: list[AnyPacket] = []
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            encoded += self._flush_resampler()
            context = self._target.codec_context
            self._resampler = av.AudioResampler(
                context.format, context.layout, context.sample_rate, context.frame_size or None
            )
            self._kind = kind
        return encoded + self._resample(frame)

    def _flush_resampler(self) -> list[AnyPacket]:
        """Encode the samples that the resampler still holds."""
        return [] if self._resampler is None else self._resample(None)

    def _resample(self, frame: av.AudioFrame | None) -> list[AnyPacket]:
        assert self._resampler is not None
        parts = self._resampler.resample(frame)
        return [packet for part in parts for packet in self._target.encode(part)]
