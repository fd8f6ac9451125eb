"""When frames are shown: timestamps judged to have a constant or a variable rate, and the ticks.

Also trims a video to a start and a duration. `source` decodes the frames.
"""

import math
import re
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import heappop, heappush

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.limits import is_frame_rate
from tinct.media.demux import (
    MILLISECOND,
    AnyPacket,
    find_origin,
    is_flush,
    read_packets,
    select_video,
)
from tinct.media.unshown import find_unshown

DEFAULT_RATE = Fraction(25)
FORMATS_WITHOUT_TIMES = ("avi",)  # of presentation
_REORDERED_FRAMES = 16  # H.264 and HEVC hold no more
_HALF = 0.5 + 1e-9  # of a frame; products of floats fall short of it
MAX_SECONDS = 1 << 31  # of a start or duration: FFmpeg counts in ticks of 64 bits


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Conversion of stream timestamps to ticks.

    tick = round((pts * stream_base - zero) / time_base) + delay
    """

    stream_base: Fraction
    rate: Fraction | None  # None: variable, ticks are milliseconds
    zero: Fraction  # seconds of the first frame, which is `delay` ticks after the file's start
    delay: int
    ticks: np.ndarray | None  # of every frame, sorted; None for a pipe
    timed: bool  # False: no timestamps, frames are counted
    last_seconds: float = 0.0  # how long the last frame of a variable-rate video is shown

    @property
    def time_base(self) -> Fraction:
        """Seconds of one tick."""
        return MILLISECOND if self.rate is None else 1 / self.rate

    def to_tick(self, pts: int | None, index: int) -> int:
        """Return the tick of the frame number `index`, whose timestamp is `pts`."""
        if not self.timed or pts is None:
            return index + self.delay
        elapsed = (pts * self.stream_base - self.zero) / self.time_base
        nearest = round(elapsed) if self.rate is None else math.floor(elapsed + Fraction(1, 2))
        return nearest + self.delay

    def to_pts(self, tick: int) -> int:
        """Return the stream timestamp of a tick."""
        return round(((tick - self.delay) * self.time_base + self.zero) / self.stream_base)


def scan_timing(container: InputContainer, stream: VideoStream, path: str) -> Timing:
    """Count frames and judge their rate in one pass over the packets, without decoding.

    Takes 8 bytes of memory a frame. Raises CodecError where there is no frame.
    """
    select_video(container, stream)
    stamps = array("q")
    count, last_pts, last_duration = 0, -math.inf, 0
    for packet in _read_shown_packets(container, stream):
        count += 1
        if packet.pts is not None:
            stamps.append(packet.pts)
        if packet.pts is None or packet.pts > last_pts:
            last_pts, last_duration = packet.pts or 0, packet.duration or 0
    if count == 0:
        raise CodecError(
            f"expected frames to decode, found none in {path}; check that ffmpeg plays it"
        )
    base = stream.time_base or MILLISECOND
    if len(stamps) < count:
        return Timing(
            stream_base=base,
            rate=guess_rate([rate for rate in (stream.guessed_rate, stream.average_rate) if rate]),
            zero=Fraction(0),
            delay=0,
            ticks=np.arange(count),
            timed=False,
        )
    pts = np.sort(np.frombuffer(stamps, np.int64))
    rates = [rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
    rate = find_constant_rate(pts, base, rates)
    zero = int(pts[0]) * base
    time_base = MILLISECOND if rate is None else 1 / rate
    delay = max(0, round((zero - find_origin(container)) / time_base))
    elapsed = np.rint((pts - pts[0]).astype(np.float64) * float(base / time_base)).astype(np.int64)
    return Timing(
        stream_base=base,
        rate=rate,
        zero=zero,
        delay=delay,
        ticks=(elapsed if rate is None else np.arange(count)) + delay,
        timed=True,
        last_seconds=float(last_duration * base) or _read_last_seconds(stream, pts, base),
    )


def _read_last_seconds(stream: VideoStream, pts: np.ndarray, base: Fraction) -> float:
    """Return how long the last frame is shown by the duration that Matroska gives for the track.

    Its packets have none of their own; 0 where nothing tells.
    """
    text = stream.metadata.get("DURATION", "")
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    if match is None:
        return 0.0
    hours, minutes, seconds = map(float, match.groups())
    return max(0.0, 3600 * hours + 60 * minutes + seconds - float(int(pts[-1]) * base))


def _read_shown_packets(container: InputContainer, stream: VideoStream) -> Iterator[AnyPacket]:
    """Yield packets of frames that are shown, up to an error: decoding meets it too and counts it.

    An empty packet, as AVI has them for dropped frames, stands for none.
    """
    is_unshown = find_unshown(stream)
    packets = read_packets(container, stream)
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, OSError):
            return
        if packet is None or is_flush(packet):
            return
        if not (packet.is_discard or packet.size == 0 or is_unshown(bytes(packet))):
            yield packet


def sort_times(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Yield frames with their times in ascending order.

    AVI tells only when packets are decoded: frames come in order of time, but with the times of
    packets that hold others.
    """
    waiting: deque[av.VideoFrame] = deque()
    times: list[int] = []
    for frame in frames:
        if frame.pts is None:
            yield frame
            continue
        waiting.append(frame)
        heappush(times, frame.pts)
        if len(waiting) > _REORDERED_FRAMES:
            waiting[0].pts = heappop(times)
            yield waiting.popleft()
    for frame in waiting:
        frame.pts = heappop(times)
        yield frame


def find_constant_rate(
    pts: np.ndarray, base: Fraction, rates: Sequence[Fraction]
) -> Fraction | None:
    """Return the rate at which sorted timestamps are evenly spaced, or None.

    Every `pts` must lie within a tick or a millisecond of pts[0] + n / rate, and nearest to that
    frame, or in the middle before it: none is missing. Files often name a rounded rate (Matroska
    keeps nanoseconds): the usual rate nearest to each candidate is tried first. A rate that the
    format does not hold is returned only where several frames share a millisecond; else the rate
    counts as variable.

    A clock whose tick is the usual step counts frames, as AVI's does: uneven times on it are frames
    that are missing, not the rounded times of a lower rate.
    """
    seconds = (pts - pts[0]).astype(np.float64) * float(base)
    if len(pts) == 1:
        return guess_rate([find_usual_rate(rate) for rate in rates[:1]])
    if seconds[-1] <= 0:
        return None
    measured = Fraction(len(pts) - 1) / (int(pts[-1] - pts[0]) * base)
    steps = np.diff(pts)
    counts_frames = base > MILLISECOND and np.median(steps) < 2
    if counts_frames and np.ptp(steps) > 0:
        return None
    tolerance = max(float(base), 1e-3) * 1.001
    usual = map(find_usual_rate, [*rates, measured])
    for rate in [*usual, *rates, measured.limit_denominator(1001)]:
        places = np.arange(len(pts))
        if (
            rate > 0
            and np.abs(seconds - places / float(rate)).max() <= tolerance
            and (np.floor(seconds * float(rate) + _HALF) == places).all()
        ):
            return rate if is_frame_rate(rate) or not _have_own_milliseconds(seconds) else None
    return None


def _have_own_milliseconds(seconds: np.ndarray) -> bool:
    """Return whether no two of some sorted times fall into one millisecond."""
    return bool((np.diff(np.rint(seconds / float(MILLISECOND))) > 0).all())


def describe_moved(ticks: np.ndarray) -> list[str]:
    """Return a note on frames that `Source` moves since they share a tick, given sorted ticks."""
    places = np.arange(len(ticks))
    shown = np.maximum.accumulate(ticks - places) + places
    moved = int((shown > ticks).sum())
    if moved == 0:
        return []
    frames = "1 frame is" if moved == 1 else f"{moved} frames are"
    return [f"frames closer than a millisecond are spread out: {frames} shown later"]


def guess_rate(rates: Sequence[Fraction]) -> Fraction:
    """Return the rate of a video whose times tell none: what the file names first, else 25.

    A rate that the format does not hold is FFmpeg's guess, or nonsense: it counts as none.
    """
    rate = Fraction(rates[0]) if rates else DEFAULT_RATE
    return rate if is_frame_rate(rate) else DEFAULT_RATE


def make_pipe_timing(rate: Fraction) -> Timing:
    """Return the timing of frames that come through a pipe at a stated rate.

    It counts as variable where the format does not hold the rate but milliseconds do.
    """
    is_variable = not is_frame_rate(rate) and rate <= 1 / MILLISECOND
    return Timing(
        stream_base=1 / rate,
        rate=None if is_variable else rate,
        zero=Fraction(0),
        delay=0,
        ticks=None,
        timed=is_variable,
        last_seconds=float(1 / rate),
    )


def find_usual_rate(rate: Fraction) -> Fraction:
    """Return the nearest of N and N / 1.001 frames a second if it is within 0.02 %, else `rate`."""
    for usual in (Fraction(round(rate)), Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)):
        if usual > 0 and abs(rate - usual) <= usual / 5000:
            return usual
    return Fraction(rate)


def trim_ticks(
    time_base: Fraction, start_seconds: float, duration_seconds: float | None
) -> tuple[int, int | None]:
    """Return the first tick of a trimmed video and the tick after its last, or None for the end.

    A frame belongs to it if it starts within these times, give or take 1 µs.
    """
    duration = 1 if duration_seconds is None else duration_seconds
    if not 0 <= start_seconds < MAX_SECONDS or not 0 < duration < MAX_SECONDS:
        raise CodecError(
            f"expected a start from 0 and a duration above 0, below {MAX_SECONDS:,} s; "
            f"found {start_seconds} and {duration_seconds}"
        )
    tick = float(time_base)
    start = int(np.ceil((start_seconds - 1e-6) / tick))
    if duration_seconds is None:
        return max(start, 0), None
    return max(start, 0), int(np.ceil((start_seconds + duration_seconds - 1e-6) / tick))


def trim_info(info: VideoInfo, timing: Timing, *, start: int, end: int | None) -> VideoInfo:
    """Return `info` with frame count and duration of the frames from tick `start` to before `end`.

    Raises CodecError where there is none.
    """
    assert timing.ticks is not None
    ticks = timing.ticks[timing.ticks >= start]
    if len(ticks) == 0:
        length = float(timing.ticks[-1] * timing.time_base)
        raise CodecError(
            f"expected a start before the last frame at {length:.3f} s, "
            f"found {float(start * timing.time_base):.3f} s"
        )
    if end is not None and ticks[-1] >= end:
        ticks = ticks[ticks < end]
        if len(ticks) == 0:
            raise CodecError(
                "expected a frame in the time asked for, found none; ask for a longer duration"
            )
    if timing.rate is not None:
        seconds = float((ticks[-1] + 1 - start) * timing.time_base)
    else:  # the frame after a cut comes at its end or later: until then the last one is shown
        seconds = float((timing.ticks[-1] - start) * timing.time_base) + timing.last_seconds
        if end is not None:
            seconds = min(seconds, float((end - start) * timing.time_base))
    return replace(info, frame_count=len(ticks), duration_seconds=seconds)
