"""Writers of decoded video, one class for each kind of output; `sink` opens and publishes them.

MovieWriter writes H.264 in MP4 or MOV and FFV1 in Matroska, Y4mWriter YUV4MPEG2, PngWriter a
folder of pictures.
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
from tinct.frames import CHROMA_LOCATIONS, Frame, Hdr, VideoInfo
from tinct.media.matroska import ROOM, complete_matroska
from tinct.media.passthrough import Extras
from tinct.media.planes import colour_range, pixel_format, to_av_frame

logger = logging.getLogger(__name__)
MOVIE_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}  # FFmpeg's names by suffix
X264_CRF = "16"
# Limits of FFmpeg's FFV1 encoder: rows of slices, slices in all, and bits of one slice's planes.
MAX_FFV1_ROWS, MAX_FFV1_SLICES, MAX_FFV1_SLICE_BITS = 32, 256, 8 << 24
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
    """H.264 in MP4 or MOV, FFV1 in Matroska, with the other streams beside it.

    `extras_from` names the file that these come from, trimmed as given.
    """

    def __init__(
        self,
        path: Path,
        suffix: str,
        info: VideoInfo,
        *,
        extras_from: str | None,
        start_seconds: float,
        duration_seconds: float | None,
    ) -> None:
        self.notes: list[str] = []
        self._path, self._info = path, info
        self._held: Frame | None = None  # its duration is known with the next
        container = MOVIE_FORMATS[suffix]
        is_matroska = container == "matroska"
        # bitexact: no random identifiers, so that the same frames make the same file
        options = {"fflags": "+bitexact"} | ({"write_crc": "0"} if is_matroska else {})
        self._out = av.open(
            f"file:{path.absolute()}", "w", format=container, container_options=options
        )
        if is_matroska:
            self._stream = _add_ffv1(self._out, info)
            self.notes += describe_lost_location(info)
        else:
            self._stream = _add_h264(self._out, info)
            self.notes += _describe_padding(info, self._stream)
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
        self._needs_completion = is_matroska and (
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


def _add_h264(out: OutputContainer, info: VideoInfo) -> VideoStream:
    """Add an x264 stream; H.264 has even sides only."""
    options = {"crf": X264_CRF}
    parameters = {"mastering-display": info.hdr.master_display, "cll": info.hdr.max_cll}
    if info.chroma_location is not None:
        parameters["chromaloc"] = str(CHROMA_LOCATIONS[info.chroma_location])
    given = [f"{key}={value}" for key, value in parameters.items() if value]
    # Macroblock tree reads unset memory behind rows that are no multiple of 8 macroblocks: other
    # bytes from run to run.
    given += ["mbtree=0"] if (info.width + 15) // 16 % 8 else []
    if info.frame_rate is None:
        options["bf"] = "0"  # MP4 keeps steps between coded pictures: in order they are durations
    if given:
        options["x264-params"] = ":".join(given)
    stream = out.add_stream("libx264", rate=info.mean_rate, options=options)
    stream.width, stream.height = info.width + info.width % 2, info.height + info.height % 2
    return stream


def _describe_padding(info: VideoInfo, stream: VideoStream) -> list[str]:
    """Return a note if the stream is larger than the video."""
    if (stream.width, stream.height) == (info.width, info.height):
        return []
    return [
        f"{info.width}x{info.height} is padded to {stream.width}x{stream.height}: "
        "H.264 has even sides only"
    ]


def _add_ffv1(out: OutputContainer, info: VideoInfo) -> VideoStream:
    slices = choose_ffv1_slices(info.width, info.height, bit_depth=info.bit_depth)
    options = {"level": "3", "slices": str(slices), "slicecrc": "1"}
    if slices == 0:
        options = {"level": "1"}  # one stream for the whole picture, without checksums
    stream = out.add_stream("ffv1", rate=info.mean_rate, options=options)
    stream.width, stream.height = info.width, info.height
    stream.thread_type = "SLICE"
    return stream


def choose_ffv1_slices(width: int, height: int, *, bit_depth: int) -> int:
    """Return a number of slices that FFmpeg's FFV1 version 3 takes for a 4:2:0 picture, or 0.

    FFmpeg looks for v rows of h slices, v <= h <= 2 v, as `encode_init` of its ffv1enc.c does: each
    slice has chroma and at most 128 Mbit, and a picture of more than 352x288 has two rows at
    least. Few of the narrow pictures of more than 352x288 have no such grid: 0.
    """
    preferred = 4 if min(width, height) >= 64 and width % 4 != 3 and height % 4 != 3 else 1
    most_h, most_v = (width + 1) // 2, (height + 1) // 2
    least = min(2 if width > 352 or height > 288 else 1, most_v)
    found = [
        h * v
        for v in range(least, min(MAX_FFV1_ROWS, most_v) + 1)
        if _fits_ffv1(height, v)
        for h in range(v, min(2 * v, most_h) + 1)
        if _fits_ffv1(width, h)
        and -(-width // h) * -(-height // v) * (bit_depth + 1) * 3 <= MAX_FFV1_SLICE_BITS
        and h * v <= MAX_FFV1_SLICES
    ]
    return preferred if preferred in found else min(found, default=0)


def _fits_ffv1(side: int, count: int) -> bool:
    """Return whether chroma fits where an odd side is divided: the last part has to be odd too."""
    last = side - side * (count - 1) // count
    return side % 2 == 0 or last % 2 == 1


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
