"""User files in and out (PyAV), audio and the other streams carried over; the Tinct file itself is `container.py`.

    open_source ──► Source: frames of any video file, or YUV4MPEG2 from stdin
    open_sink   ──► Sink:   H.264 .mp4/.mov, FFV1 .mkv, .y4m, "-" or a folder of PNGs
    Extras:                 audio, subtitles, chapters, attachments and tags from a file to an open output

Time counts from the file's start: its earliest stream, as players do, but never before 0 (the priming samples of an
audio track may come earlier). A video that starts later than its audio keeps that delay; one that starts earlier than
0 starts at 0. A Tinct file counts from 0 already.
"""

import struct
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from tinct.colour import BT601, BT709
from tinct.errors import CodecError
from tinct.frames import ColourTags, Frame, Hdr, VideoInfo
from tinct.media.demux import is_flush, only_video, open_input, packets_of, reason
from tinct.media.planes import from_av_frame, rows
from tinct.media.timing import DEFAULT_RATE, Timing, cut, cut_info, scan


def open_source(
    path: str, *, start_seconds: float = 0.0, duration_seconds: float | None = None
) -> "Source":
    """A video to iterate over; `path` "-" is YUV4MPEG2 on stdin. A cut is made at whole frames and counts from 0."""
    if path == "-":
        return _open_pipe(start_seconds, duration_seconds)
    with open_input(path) as container:
        stream = _video_stream(container, path)
        timing = scan(container, stream, path)
    with open_input(path) as container:
        first = _first_frame(container, _video_stream(container, path), path)
        notes: list[str] = []
        info = _describe(first, _video_stream(container, path), timing, notes)
        if others := len(_video_candidates(container)) - 1:
            notes.append(f"{others} more video track{'s' * (others > 1)} left out")
    return Source(path, info, timing, notes, start_seconds, duration_seconds)


class Source:
    """Frames of one video file in order of time. Iterating again starts again, except on a pipe.

    `start_seconds` is where the cut was really made (the first whole frame): hand it to `Extras` so that audio stays
    in step. `damaged` counts packets that could not be decoded and frames that were concealed, so far in this iteration.
    """

    def __init__(
        self,
        path: str,
        info: VideoInfo,
        timing: Timing,
        notes: list[str],
        start_seconds: float,
        duration_seconds: float | None,
        pipe: Iterator[av.VideoFrame] | None = None,
    ) -> None:
        self.notes = notes
        self.damaged = 0
        self._path, self._timing, self._pipe = path, timing, pipe
        self._start, self._end = cut(timing.time_base, start_seconds, duration_seconds)
        if timing.ticks is not None:
            info = cut_info(info, timing, self._start, self._end)
        self.info = info

    @property
    def start_seconds(self) -> float:
        return float(self._start * self._timing.time_base)

    def part(self, first: int) -> "Source":
        """The same file from frame `first` on, without looking it over again. Not for a pipe."""
        assert self._timing.ticks is not None, "a pipe has no parts"
        start_seconds = float(self._timing.ticks[first] * self._timing.time_base)
        return Source(self._path, self.info, self._timing, self.notes, start_seconds, None)

    @property
    def ticks(self) -> np.ndarray:
        """When each frame is shown by the file's index, sorted, in ticks from the start of the cut. Not of a pipe."""
        assert self._timing.ticks is not None, "a pipe has no index"
        inside = self._timing.ticks >= self._start
        if self._end is not None:
            inside &= self._timing.ticks < self._end
        return self._timing.ticks[inside] - self._start

    def between(self, first: int, last: int) -> Iterator[Frame]:
        """The frames from tick `first` to tick `last`, both included, as they come when all are read. Not for a pipe."""
        stretch = copy(self)
        stretch._start, stretch._end = self._start + first, self._start + last + 1
        return (replace(frame, pts=frame.pts + first) for frame in stretch)

    def __iter__(self) -> Iterator[Frame]:
        self.damaged = 0
        last = self._start - 1
        count = 0
        for index, raw in enumerate(self._pipe or self._decoded()):
            tick = self._timing.tick(raw.pts, index)
            if tick < self._start:
                continue
            tick = max(tick, last + 1)
            if self._end is not None and tick >= self._end:
                break
            self._check(raw)
            last = tick
            count += 1
            self.damaged += bool(raw.is_corrupt)
            yield _to_frame(raw, tick - self._start, self.info)
        if count == 0:
            raise CodecError(f"expected frames to decode, found none in {self._path}")
        # a decoder may drop a broken frame without a word
        self.damaged = max(self.damaged, (self.info.frame_count or 0) - count)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        with open_input(self._path) as container:
            stream = only_video(container, _video_stream(container, self._path))
            if self._start > 0 and self._timing.timed:
                _seek(container, stream, self._timing.pts(self._start))
            yield from _decode(container, stream, self._path, self._count_damage)

    def _count_damage(self) -> None:
        self.damaged += 1

    def _check(self, raw: av.VideoFrame) -> None:
        if (raw.width, raw.height) != (self.info.width, self.info.height):
            raise CodecError(
                f"expected {self.info.width}x{self.info.height} to the end, found {raw.width}x{raw.height} in "
                f"{self._path}; scale it first (ffmpeg -i in -vf scale={self.info.width}:{self.info.height} out.mkv)"
            )
        _refuse_interlaced(raw, self._path)


def _open_pipe(start_seconds: float, duration_seconds: float | None) -> Source:
    try:
        container = av.open("pipe:0", format="yuv4mpegpipe")
        stream = container.streams.video[0]
        frames = _decode(container, stream, "stdin", lambda: None)
        first = next(frames, None)
    except (FFmpegError, OSError) as error:
        raise CodecError(
            f'expected YUV4MPEG2 on stdin (ffmpeg -i in -f yuv4mpegpipe - | ...), found "{reason(error)}"'
        ) from error
    if first is None:
        raise CodecError("expected YUV4MPEG2 on stdin, found no frame")
    rate = stream.average_rate or DEFAULT_RATE
    timing = Timing(1 / rate, rate, Fraction(0), 0, None, timed=False)
    notes: list[str] = []
    info = _describe(first, stream, timing, notes)

    def all_frames() -> Iterator[av.VideoFrame]:
        yield first
        yield from frames

    return Source("stdin", info, timing, notes, start_seconds, duration_seconds, all_frames())


def _video_candidates(container: InputContainer) -> list[VideoStream]:
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & pictures]


def _video_stream(container: InputContainer, path: str) -> VideoStream:
    candidates = _video_candidates(container)
    if not candidates:
        kinds = sorted({str(stream.type) for stream in container.streams}) or ["no track"]
        raise CodecError(f"expected a video track, found {', '.join(kinds)} in {path}")
    stream = next((s for s in candidates if s.disposition & Disposition.default), candidates[0])
    if stream.codec_context is None:
        raise CodecError(
            f"expected a video codec that FFmpeg decodes, found an unknown one in {path}; convert it first"
        )
    return stream


def _first_frame(container: InputContainer, stream: VideoStream, path: str) -> av.VideoFrame:
    frame = next(_decode(container, only_video(container, stream), path, lambda: None), None)
    if frame is None:
        raise CodecError(
            f"expected frames to decode, found none in {path}; check that ffmpeg plays it"
        )
    _refuse_interlaced(frame, path)
    return frame


def _refuse_interlaced(frame: av.VideoFrame, path: str) -> None:
    if frame.interlaced_frame:
        raise CodecError(
            f"expected progressive video, found interlaced frames in {path}; "
            f"deinterlace it first (ffmpeg -i {path} -vf bwdif -c:a copy out.mkv)"
        )


def _decode(
    container: InputContainer, stream: VideoStream, path: str, on_damage: Callable[[], None]
) -> Iterator[av.VideoFrame]:
    """Frames in order of time; a packet that cannot be decoded is reported and left out.

    What is predicted from a lost picture is shown as far as that goes, but for what comes before the first whole one.
    """
    stream.codec_context.flags |= Flags.output_corrupt
    packets, begun = packets_of(container, stream), False
    while True:
        try:
            packet = next(packets, None)
        except (av.error.InvalidDataError, av.error.EOFError):
            on_damage()  # the file is cut off or broken here: show what came before
            packet = None
        except (FFmpegError, OSError) as error:
            raise CodecError(
                f'expected to read {path} to its end, found "{reason(error)}"'
            ) from error
        try:
            for frame in stream.decode(packet):
                begun = begun or frame.key_frame or not frame.is_corrupt
                if begun:
                    yield frame
        except FFmpegError:
            if packet is not None:
                on_damage()
        if packet is None or is_flush(packet):
            return


def _seek(container: InputContainer, stream: VideoStream, pts: int) -> None:
    """To a key frame at or before `pts`; where the index misleads, further back, at last to the start."""
    second = round(1 / stream.time_base) if stream.time_base else 1
    for back in (0, 2, 10, 60):
        try:
            container.seek(max(pts - back * second, stream.start_time or 0), stream=stream)
            packet = next(container.demux(stream), None)
            if (
                packet is not None
                and packet.pts is not None
                and packet.pts <= pts
                and packet.is_keyframe
            ):
                container.seek(max(pts - back * second, stream.start_time or 0), stream=stream)
                return
        except FFmpegError:
            break
    container.seek(min(stream.start_time or 0, 0), stream=stream)


# ── what a frame is ────────────────────────────────────────────────────────────────────────────────────────────────


def _describe(
    frame: av.VideoFrame, stream: VideoStream, timing: Timing, notes: list[str]
) -> VideoInfo:
    colour = _colour(frame, stream)
    depth = 10 if max(component.bits for component in frame.format.components) > 8 else 8
    info = VideoInfo(
        width=frame.width,
        height=frame.height,
        bit_depth=depth,
        time_base=timing.time_base,
        frame_rate=timing.rate,
        frame_count=None,
        duration_seconds=None,
        colour=colour,
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        rotation=_rotation(frame, notes),
        hdr=_hdr(frame),
    )
    _note_conversion(frame.format, info, notes)
    if timing.rate is None:
        notes.append("variable frame rate: times are kept to the millisecond")
    return info


def _colour(frame: av.VideoFrame, stream: VideoStream) -> ColourTags:
    """The frame's tags, else the track's. RGB becomes limited BT.709 or BT.601 and is tagged so."""
    context = stream.codec_context
    primaries, transfer, matrix = (
        int(ours) if ours not in (0, 2, 3) else int(theirs or 2)
        for ours, theirs in (
            (frame.color_primaries, context.color_primaries),
            (frame.color_trc, context.color_trc),
            (frame.colorspace, context.colorspace),
        )
    )
    if _is_rgb(frame.format):
        return ColourTags(primaries, transfer, BT709 if frame.height >= 720 else BT601, False)
    full_range = {1: False, 2: True}.get(int(frame.color_range) or int(context.color_range))
    if frame.format.name.startswith(("yuvj", "mono")):
        full_range = True
    return ColourTags(primaries, transfer, 2 if matrix == 0 else matrix, full_range)


def _rotation(frame: av.VideoFrame, notes: list[str]) -> int:
    data = _side_data(frame, "DISPLAYMATRIX")
    if data is None:
        return 0
    a, b, _, c, d = struct.unpack("=9i", data)[:5]
    if a * d - b * c < 0:
        notes.append("mirroring in the display matrix is not kept")
    clockwise = -frame.rotation % 360
    if clockwise % 90:
        notes.append(
            f"rotation by {clockwise} degrees is taken as {round(clockwise / 90) * 90 % 360}"
        )
    return round(clockwise / 90) * 90 % 360


def _hdr(frame: av.VideoFrame) -> Hdr:
    display, light = (
        _side_data(frame, "MASTERING_DISPLAY_METADATA"),
        _side_data(frame, "CONTENT_LIGHT_LEVEL"),
    )
    max_cll = "{},{}".format(*struct.unpack_from("=2I", light)) if light is not None else None
    return Hdr(_master_display(display) if display is not None else None, max_cll)


def _side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """FFmpeg's struct as it lies in memory."""
    data: Any = frame.side_data.get(kind)
    return None if data is None else bytes(data)


def _master_display(data: bytes) -> str | None:
    """x265's text of an AVMasteringDisplayMetadata: 10 rationals (R, G, B, white, least, most), 2 flags."""
    numbers = struct.unpack_from("=22i", data)
    if not (numbers[20] and numbers[21]):
        return None
    values = [
        Fraction(n, d) if d else Fraction(0)
        for n, d in zip(numbers[0:20:2], numbers[1:20:2], strict=True)
    ]
    red, green, blue, white = ([round(v * 50000) for v in values[i : i + 2]] for i in (0, 2, 4, 6))
    least, most = (round(v * 10000) for v in values[8:])
    points = "".join(
        f"{name}({x},{y})"
        for name, (x, y) in (("G", green), ("B", blue), ("R", red), ("WP", white))
    )
    return f"{points}L({most},{least})"


# ── pixels in ──────────────────────────────────────────────────────────────────────────────────────────────────────

# these are cut out of memory as they are; never by swscale, which stretches the range of gray
_PLANAR = {
    "yuv420p": 8, "yuvj420p": 8, "yuva420p": 8, "gray": 8, "nv12": 8,
    "yuv420p10le": 10, "yuva420p10le": 10, "gray10le": 10,
}  # fmt: skip


def _is_rgb(pixel_format: av.VideoFormat) -> bool:
    return bool(pixel_format.is_rgb or pixel_format.has_palette)


def _is_grey(pixel_format: av.VideoFormat) -> bool:
    return pixel_format.name.startswith(("gray", "mono", "ya"))


def _note_conversion(pixel_format: av.VideoFormat, info: VideoInfo, notes: list[str]) -> None:
    name = pixel_format.name
    if name.startswith("yuva") or name in (
        "rgba",
        "bgra",
        "argb",
        "abgr",
        "gbrap",
        "ya8",
        "ya16le",
    ):
        notes.append("transparency is left out")
    if name not in _PLANAR:
        target = "gray" if _is_grey(pixel_format) else "4:2:0"
        matrix = (
            f" by the matrix of {'BT.709' if info.colour.matrix == BT709 else 'BT.601'}"
            if _is_rgb(pixel_format)
            else ""
        )
        notes.append(f"{name} is converted to {info.bit_depth}-bit {target}{matrix}")


def _to_frame(raw: av.VideoFrame, pts: int, info: VideoInfo) -> Frame:
    if _PLANAR.get(raw.format.name) != info.bit_depth:
        raw = _reformat(raw, info)
    return Frame(*_planes(raw, info), pts, info)


def _reformat(raw: av.VideoFrame, info: VideoInfo) -> av.VideoFrame:
    # one thread: with more, swscale's rows differ from run to run at odd heights (met with 17x33 in FFmpeg 8)
    name = ("gray" if _is_grey(raw.format) else "yuv420p") + (
        "10le" if info.bit_depth == 10 else ""
    )
    quality = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
    if _is_rgb(raw.format):
        # swscale's name for BT.601 is 5; RGB itself is always full range
        return raw.reformat(
            format=name, src_color_range=2, dst_color_range=1, interpolation=quality, threads=1,
            dst_colorspace=1 if info.colour.matrix == BT709 else 5,
        )  # fmt: skip
    same = 2 if info.colour.full_range or _is_grey(raw.format) else 1
    return raw.reformat(
        format=name, src_color_range=same, dst_color_range=same, interpolation=quality, threads=1
    )


def _planes(raw: av.VideoFrame, info: VideoInfo) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if _is_grey(raw.format):
        (y,) = from_av_frame(raw)
        flat = np.full(info.chroma_shape, 128 << (info.bit_depth - 8), y.dtype)
        return y, flat, flat.copy()
    if raw.format.name == "nv12":
        height, width = info.chroma_shape
        pairs = rows(raw.planes[1], np.dtype(np.uint8))[:height, : 2 * width]
        y = rows(raw.planes[0], pairs.dtype)[: info.height, : info.width].copy()
        return y, pairs[:, 0::2].copy(), pairs[:, 1::2].copy()
    y, cb, cr = from_av_frame(raw)[:3]  # transparency is left out
    return y, cb, cr
