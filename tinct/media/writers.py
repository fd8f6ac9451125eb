"""Writers of decoded video, one class for each kind of output; `sink` opens and publishes them.

MovieWriter writes movies by the codecs of `movie_codecs`, Y4mWriter YUV4MPEG2, PngWriter a folder
of pictures.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Protocol

import av
import cv2
from av.codec.context import Flags
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from tinct.colour import to_rgb, to_rgb16
from tinct.errors import CodecError
from tinct.frames import Frame, Hdr, VideoInfo
from tinct.media.containers import CONTAINERS
from tinct.media.matroska import ROOM, complete_matroska
from tinct.media.movie_codecs import Coding, MovieCodec, choose_codec
from tinct.media.passthrough import Extras
from tinct.media.planes import colour_range, pixel_format, to_av_frame

logger = logging.getLogger(__name__)
MAX_BASE_TERM = 1 << 24  # numerator and denominator of a time base in MP4
MAX_TITLE = 1000  # characters of a track's name; `matroska` writes sizes of up to 16 KB


class Writer(Protocol):
    """One output: frames in order, then `close`, or `drop` where it is given up.

    `notes` tell the user what the format does not keep.
    """

    notes: list[str]

    def write(self, frame: Frame) -> None: ...
    def close(self) -> None: ...
    def drop(self) -> None: ...


# ── movies ───────────────────────────────────────────────────────────────────────────────────────


class MovieWriter:
    """Pictures in a container of CONTAINERS, with the other streams beside them.

    `coding` says which codec and quality. `extras_from` names the file that the others come from,
    trimmed as given.
    """

    def __init__(
        self,
        path: Path,
        suffix: str,
        info: VideoInfo,
        *,
        coding: Coding,
        extras_from: str | None,
        start_seconds: float,
        duration_seconds: float | None,
    ) -> None:
        self.notes: list[str] = []
        self._path, self._info = path, info
        self._held: Frame | None = None  # its duration is known with the next
        container = CONTAINERS[suffix]
        row = choose_codec(coding, container)
        # bitexact: no random identifiers, so that the same frames make the same file
        options = {"fflags": "+bitexact"} | ({"write_crc": "0"} if container.is_matroska else {})
        self._out = av.open(
            f"file:{path.absolute()}", "w", format=container.name, container_options=options
        )
        self._stream = _add_stream(self._out, info, row, crf=coding.crf)
        self.notes += _describe_padding(info, self._stream, row.title)
        if row.crf is None:
            self.notes += describe_lost_location(info)
        _set_properties(self._stream, info)
        self._extras = None
        if extras_from is not None:
            self._extras = Extras(
                extras_from,
                self._out,
                start_seconds=start_seconds,
                duration_seconds=duration_seconds,
            )
            self._stream.metadata.update(self._extras.video_metadata)
            self._extras.notes += self.notes
            self.notes = self._extras.notes  # one list: more is noted on the way
        self._needs_completion = container.is_matroska and (
            info.sample_aspect_ratio != 1 or info.hdr != Hdr()
        )
        if self._needs_completion:
            title = self._stream.metadata.get("title", "")[:MAX_TITLE]
            self._stream.metadata["title"] = title + ROOM

    def write(self, frame: Frame) -> None:
        """Encode the frame before this one, which lasts until it."""
        self._encode_held(frame.pts)
        self._held = frame

    def _encode_held(self, until: int) -> None:
        frame = self._held
        if frame is None:
            return
        if self._extras is not None:
            self._extras.mux_until(frame.pts_seconds)
        raw = _to_av_frame(frame, self._stream.width, self._stream.height)
        raw.duration = until - frame.pts
        self._out.mux(self._stream.encode(raw))

    def close(self) -> None:
        self._encode_held(self._find_end())
        self._out.mux(self._stream.encode(None))
        if self._extras is not None:
            self._extras.finish()
        self._out.close()
        if self._needs_completion:
            complete_matroska(self._path, self._info)

    def _find_end(self) -> int:
        """Return the tick at which the last frame ends, at least a tick after it."""
        assert self._held is not None, "a video has frames"
        if self._info.frame_rate is not None:
            return self._held.pts + 1
        end = round((self._info.duration_seconds or 0.0) / self._info.time_base)
        return max(end, self._held.pts + 1)

    def drop(self) -> None:
        if self._extras is not None:
            self._extras.close()
        try:
            self._out.close()
        except (FFmpegError, OSError) as error:  # a full disk again; the file is removed next
            logger.debug("closing a dropped file: %s", error)


def _add_stream(
    out: OutputContainer, info: VideoInfo, row: MovieCodec, *, crf: float | None
) -> VideoStream:
    """Add a stream of a codec, for pictures padded to even sides where it has no others."""
    if min(info.width, info.height) < row.least:
        raise CodecError(
            f"expected pictures of {row.least} pixels a side or more for {row.title}, found "
            f"{info.width}x{info.height}; take another --codec, such as h264"
        )
    options = row.make_options(info)
    quality = row.crf if crf is None else crf
    if quality is not None:
        options = {"crf": f"{quality:g}", **options}
    stream = out.add_stream(row.library, rate=info.mean_rate, options=options)
    assert isinstance(stream, VideoStream)
    padding = (info.width % 2, info.height % 2) if row.needs_even else (0, 0)
    stream.width, stream.height = info.width + padding[0], info.height + padding[1]
    if row.crf is None:
        stream.thread_type = "SLICE"
    return stream


def _describe_padding(info: VideoInfo, stream: VideoStream, title: str) -> list[str]:
    """Return a note if the stream is larger than the video."""
    if (stream.width, stream.height) == (info.width, info.height):
        return []
    return [
        f"{info.width}x{info.height} is padded to {stream.width}x{stream.height}: "
        f"{title} has even sides only"
    ]


def _set_properties(stream: VideoStream, info: VideoInfo) -> None:
    context = stream.codec_context
    stream.disposition = Disposition.default
    stream.pix_fmt = pixel_format(info.bit_depth)
    context.flags |= Flags.frame_duration
    context.time_base = stream.time_base = _choose_time_base(info)
    context.sample_aspect_ratio = info.sample_aspect_ratio
    context.color_primaries, context.color_trc = info.colour.primaries, info.colour.transfer
    context.colorspace = info.colour.matrix
    context.color_range = colour_range(info.colour.full_range)
    if info.rotation:
        stream.set_display_rotation(-info.rotation)  # FFmpeg's angle runs counter-clockwise


def _choose_time_base(info: VideoInfo) -> Fraction:
    """Return the video's time base, or a common one where MP4's 32 bits do not hold its ticks."""
    is_short = max(info.time_base.numerator, info.time_base.denominator) <= MAX_BASE_TERM
    return info.time_base if is_short else Fraction(1, 90000)


def _to_av_frame(frame: Frame, width: int, height: int) -> av.VideoFrame:
    """Return `frame` for an encoder of `width` x `height`, which may be one pixel more: padded."""
    info = frame.info
    raw = to_av_frame((frame.y, frame.cb, frame.cr), pixel_format(info.bit_depth), (height, width))
    raw.pts, raw.time_base = frame.pts, info.time_base
    raw.colorspace, raw.color_range = info.colour.matrix, colour_range(info.colour.full_range)
    raw.color_primaries, raw.color_trc = info.colour.primaries, info.colour.transfer
    return raw


# ── pictures alone ───────────────────────────────────────────────────────────────────────────────


# Words for the chroma of a bit depth and location.
_Y4M_CHROMA: dict[tuple[int, str | None], str] = {
    (8, None): "420mpeg2",
    (8, "center"): "420jpeg",
    (8, "topleft"): "420paldv",
    (10, None): "420p10 XYSCSS=420P10",
}


def describe_lost_location(info: VideoInfo) -> list[str]:
    """Return a note where an output does not say that chroma lies elsewhere than usual."""
    if info.chroma_location is None:
        return []
    return [f"the location of chroma ({info.chroma_location}) is not kept"]


class Y4mWriter:
    """YUV4MPEG2: a text header, then every frame's planes, at a constant rate only."""

    def __init__(self, file: BinaryIO, info: VideoInfo, notes: list[str]) -> None:
        self.notes = list(notes)
        self._file = file
        rate = info.mean_rate
        if info.frame_rate is None:
            self.notes.append(
                "Y4M has no times: frames of a variable rate are written at "
                f"{float(rate):.3f} a second"
            )
        if info.rotation or info.hdr != Hdr():
            self.notes.append("Y4M keeps neither rotation nor HDR10 metadata")
        aspect = info.sample_aspect_ratio
        chroma = _Y4M_CHROMA.get((info.bit_depth, info.chroma_location))
        if chroma is None:
            self.notes += describe_lost_location(info)
            chroma = _Y4M_CHROMA[info.bit_depth, None]
        colour_ranges = {None: "", False: " XCOLORRANGE=LIMITED", True: " XCOLORRANGE=FULL"}
        size = f"W{info.width} H{info.height} F{rate.numerator}:{rate.denominator}"
        pixels = f"A{aspect.numerator}:{aspect.denominator} C{chroma}"
        colours = colour_ranges[info.colour.full_range]
        file.write(f"YUV4MPEG2 {size} Ip {pixels}{colours}\n".encode())

    def write(self, frame: Frame) -> None:
        self._file.write(b"FRAME\n")
        for plane in (frame.y, frame.cb, frame.cr):
            self._file.write(plane.astype(plane.dtype.newbyteorder("<"), copy=False).tobytes())

    def close(self) -> None:
        self._file.close()

    def drop(self) -> None:
        try:
            self._file.close()
        except OSError as error:  # buffered bytes cannot be written either
            logger.debug("closing a dropped file: %s", error)


class PngWriter:
    """A folder of 000000.png and so on, as coded (not rotated).

    Pictures are 8-bit RGB, 16-bit for a 10-bit video. `names` gives their numbers.
    """

    def __init__(
        self,
        folder: Path,
        info: VideoInfo,
        notes: list[str],
        *,
        names: Iterator[int],
        keep_luma: bool,
    ) -> None:
        self.notes = [*notes, "pictures are not rotated"] if info.rotation else list(notes)
        self._folder, self._names, self._keep_luma = folder, names, keep_luma
        self._to_rgb = to_rgb if info.bit_depth == 8 else to_rgb16

    def write(self, frame: Frame) -> None:
        rgb = self._to_rgb(frame, keep_luma=self._keep_luma)
        done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        assert done
        (self._folder / f"{next(self._names):06}.png").write_bytes(data.tobytes())

    def close(self) -> None:
        pass

    def drop(self) -> None:
        pass
