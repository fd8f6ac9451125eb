"""When frames are shown: stream timestamps judged to be a constant or a variable rate, and turned into ticks."""

from array import array
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.media.demux import MILLISECOND, is_flush, only_video, origin, packets_of

DEFAULT_RATE = Fraction(25)
MAX_SECONDS = 1 << 31  # of a start or duration: FFmpeg counts in ticks of 64 bits


@dataclass(frozen=True)
class Timing:
    """How stream timestamps become ticks: tick = round((pts * stream_base - zero) / time_base) + delay."""

    stream_base: Fraction
    rate: Fraction | None  # None: variable, ticks are milliseconds
    zero: Fraction  # seconds of the first frame; `delay` ticks after the start of the file
    delay: int
    ticks: np.ndarray | None  # of every frame, sorted; None for a pipe
    timed: bool  # False: no timestamps, frames are counted
    last_seconds: float = 0.0  # how long the last frame of a variable-rate video is shown

    @property
    def time_base(self) -> Fraction:
        return MILLISECOND if self.rate is None else 1 / self.rate

    def tick(self, pts: int | None, index: int) -> int:
        if not self.timed or pts is None:
            return index + self.delay
        return round((pts * self.stream_base - self.zero) / self.time_base) + self.delay

    def pts(self, tick: int) -> int:
        return round(((tick - self.delay) * self.time_base + self.zero) / self.stream_base)


def scan(container: InputContainer, stream: VideoStream, path: str) -> Timing:
    """Count frames and judge their rate by one pass over the packets, 8 bytes of memory a frame, nothing decoded."""
    only_video(container, stream)
    hidden = stream.codec_context.name == "vp8"
    times = array("q")
    count, last_duration = 0, 0
    packets = packets_of(container, stream)
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, OSError):
            break  # decoding meets it again and counts it
        if packet is None or is_flush(packet):
            break
        if packet.is_discard or (
            hidden and not bytes(packet)[0] & 0x10
        ):  # VP8's frame header says if it is shown
            continue
        count += 1
        last_duration = packet.duration or 0
        if packet.pts is not None:
            times.append(packet.pts)
    if count == 0:
        raise CodecError(
            f"expected frames to decode, found none in {path}; check that ffmpeg plays it"
        )
    base = stream.time_base or MILLISECOND
    rates = [rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
    if len(times) < count:
        rate = Fraction(stream.guessed_rate or stream.average_rate or DEFAULT_RATE)
        return Timing(base, rate, Fraction(0), 0, np.arange(count), timed=False)
    return _judge(
        np.sort(np.frombuffer(times, np.int64)), base, rates, last_duration, origin(container)
    )


def _judge(
    pts: np.ndarray, base: Fraction, rates: list[Fraction], last_duration: int, origin: Fraction
) -> Timing:
    rate = constant_rate(pts, base, rates)
    zero = int(pts[0]) * base
    time_base = MILLISECOND if rate is None else 1 / rate
    delay = max(0, round((zero - origin) / time_base))
    elapsed = (pts - pts[0]).astype(np.float64) * float(base / time_base)
    ticks = np.rint(elapsed).astype(np.int64) + delay
    return Timing(
        base, rate, zero, delay, ticks, timed=True, last_seconds=float(last_duration * base)
    )


def constant_rate(pts: np.ndarray, base: Fraction, rates: list[Fraction]) -> Fraction | None:
    """The rate at which every sorted `pts` lies within a tick or a millisecond of pts[0] + n / rate, or None.

    Files often name a rounded rate (Matroska keeps nanoseconds): the usual rate nearest to each candidate is tried
    first.
    """
    seconds = (pts - pts[0]).astype(np.float64) * float(base)
    if len(pts) == 1:
        return _usual(rates[0]) if rates else DEFAULT_RATE
    if seconds[-1] <= 0:
        return None
    measured = Fraction(len(pts) - 1) / (int(pts[-1] - pts[0]) * base)
    tolerance = max(float(base), 1e-3) * 1.001
    for rate in [*map(_usual, [*rates, measured]), *rates, measured.limit_denominator(1001)]:
        if rate > 0 and np.abs(seconds - np.arange(len(pts)) / float(rate)).max() <= tolerance:
            return rate
    return None


def _usual(rate: Fraction) -> Fraction:
    """The nearest of N and N / 1.001 frames a second where it is within 0.02 %, else `rate`."""
    for usual in (Fraction(round(rate)), Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)):
        if usual > 0 and abs(rate - usual) <= usual / 5000:
            return usual
    return Fraction(rate)


def cut(
    time_base: Fraction, start_seconds: float, duration_seconds: float | None
) -> tuple[int, int | None]:
    """First tick and the one after the last; a frame belongs to the cut if it starts in it, give or take 1 µs."""
    duration = 1 if duration_seconds is None else duration_seconds
    if not 0 <= start_seconds < MAX_SECONDS or not 0 < duration < MAX_SECONDS:
        raise CodecError(
            f"expected a start from 0 and a duration above 0, below {MAX_SECONDS:,} s; found {start_seconds} and {duration_seconds}"
        )
    tick = float(time_base)
    start = int(np.ceil((start_seconds - 1e-6) / tick))
    if duration_seconds is None:
        return max(start, 0), None
    return max(start, 0), int(np.ceil((start_seconds + duration_seconds - 1e-6) / tick))


def cut_info(info: VideoInfo, timing: Timing, start: int, end: int | None) -> VideoInfo:
    assert timing.ticks is not None
    ticks = timing.ticks[timing.ticks >= start]
    if len(ticks) == 0:
        length = float(timing.ticks[-1] * timing.time_base)
        raise CodecError(
            f"expected a start before the last frame at {length:.3f} s, found {float(start * timing.time_base):.3f} s"
        )
    if end is not None and ticks[-1] >= end:
        ticks = ticks[ticks < end]
        if len(ticks) == 0:
            raise CodecError(
                "expected a frame in the time asked for, found none; ask for a longer duration"
            )
    shown = float(timing.time_base) if timing.rate else timing.last_seconds
    seconds = float((ticks[-1] - start) * timing.time_base) + shown
    return replace(info, frame_count=len(ticks), duration_seconds=seconds)
