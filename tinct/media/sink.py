"""Decoded video written for users: H.264 .mp4, lossless .mkv, .y4m, PNGs; it appears whole or not at all."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeVar

import av
import cv2
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from tinct.colour import to_rgb, to_rgb16
from tinct.errors import CodecError
from tinct.files import Growing
from tinct.frames import Frame, Hdr, VideoInfo
from tinct.media.demux import open_input, reason
from tinct.media.matroska import ROOM, complete_matroska
from tinct.media.passthrough import Extras
from tinct.media.planes import colour_range, pixel_format, to_av_frame

logger = logging.getLogger(__name__)
SUFFIXES = (".mp4", ".mov", ".mkv", ".y4m")
X264_CRF = "16"
MAX_TITLE = 1000  # characters of a track's name; `matroska` writes sizes of up to 16 KB
_T = TypeVar("_T")


class _Writer(Protocol):
    """One format: frames in order, then `close`; `drop` gives up and lets go of files."""

    notes: list[str]

    def write(self, frame: Frame) -> None: ...
    def close(self) -> None: ...
    def drop(self) -> None: ...


def open_sink(
    path: str,
    info: VideoInfo,
    extras_from: str | None = None,
    *,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    names: Iterable[int] | None = None,
    keep_luma: bool = False,
    overwrite: bool = False,
) -> "Sink":
    """A file of decoded frames, its format by the suffix of `path`; no suffix is a folder of PNGs, "-" is stdout.

    `extras_from` names the file whose sound, subtitles and tags go along, cut as given; a pipe ("-") has none. Frames
    are written with the times that they carry. PNGs are numbered from 0 unless `names` has their numbers; with `keep_luma`
    colours that R'G'B' cannot show are made fainter, not cut off, so that it has their luma. Only with `overwrite` a file that is
    there when the new one is whole is replaced.
    """
    extras_from = None if extras_from == "-" else extras_from
    if path == "-":
        return Sink(None, lambda _: _Y4m(_stdout(), info, _left_out(extras_from)), "stdout")
    destination = Path(path)
    suffix = destination.suffix.lower()
    folder = path.endswith(("/", os.sep)) or destination.is_dir() or not suffix
    if not folder and suffix not in SUFFIXES:
        raise CodecError(
            f"expected a name ending in {', '.join(SUFFIXES)}, or a folder for PNGs, found {path}"
        )
    if not destination.absolute().parent.is_dir():
        raise CodecError(
            f"expected the folder {destination.absolute().parent} to exist; make it first"
        )
    if folder and destination.is_symlink():
        raise CodecError(
            f"expected a folder for PNGs, found a symbolic link at {path}; name the folder itself"
        )
    if folder and destination.exists() and not destination.is_dir():
        raise CodecError(
            f"expected a folder for PNGs, found a file at {path}; a video's name ends in {', '.join(SUFFIXES)}"
        )
    if folder and destination.exists() and any(destination.iterdir()):
        raise CodecError(
            f"expected a new or an empty folder for PNGs, found files in {path}; name another"
        )

    def make(temporary: Path) -> _Writer:
        if folder:
            return _Pngs(
                temporary,
                info,
                _left_out(extras_from),
                count() if names is None else iter(names),
                keep_luma=keep_luma,
            )
        if suffix == ".y4m":
            return _Y4m(temporary.open("wb"), info, _left_out(extras_from))
        return _Film(temporary, suffix, info, extras_from, start_seconds, duration_seconds)

    return Sink(lambda: Growing(destination, folder=folder, replaces=overwrite), make, path)


def _left_out(path: str | None) -> list[str]:
    """The note for formats that hold pictures only."""
    if path is None:
        return []
    with open_input(path) as container:
        kinds = {stream.type for stream in container.streams} & {"audio", "subtitle"}
    return (
        [f"{' and '.join(sorted(kinds))} left out: this output holds pictures only"]
        if kinds
        else []
    )


class Sink:
    """Frames to one destination. What is written appears there when `close` is done, or not at all.

    As a context manager it closes, or aborts when an exception passes through.
    """

    def __init__(
        self, begin: Callable[[], Growing] | None, make: Callable[[Path], _Writer], name: str
    ) -> None:
        self._name, self._to_disk, self._finished = name, begin is not None, False
        self._growing: Growing | None = None
        self._writer: _Writer | None = None
        if begin is not None:
            self._growing = self._guarded(begin)
        path = self._growing.path if self._growing is not None else Path()
        self._writer = self._guarded(lambda: make(path))
        self.notes = self._writer.notes

    def write(self, frame: Frame) -> None:
        assert self._writer is not None, "written after close"
        writer = self._writer
        self._guarded(lambda: writer.write(frame))

    def finish(self) -> None:
        """Make it whole, still without its name: of two outputs both are to be whole before one is seen."""
        assert self._writer is not None, "finished after close"
        if not self._finished:
            self._guarded(self._writer.close)
            self._finished = True

    def close(self) -> None:
        if self._writer is not None:
            self.finish()
            if self._growing is not None:
                self._guarded(self._growing.publish)
                self._growing.drop()
            self._writer = None

    def abort(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            self._writer.drop()
            self._writer = None
        if self._growing is not None:
            self._growing.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _guarded(self, step: Callable[[], _T]) -> _T:
        """Whatever interrupts a step, nothing half written stays."""
        done = False
        try:
            result = step()
            done = True
            return result
        except (FFmpegError, OSError) as error:
            advice = "; check the folder and its free space" if self._to_disk else ""
            raise CodecError(
                f'expected to write {self._name}, found "{reason(error)}"{advice}'
            ) from error
        finally:
            if not done:
                self.abort()


class _Film:
    """H.264 in MP4 or MOV, FFV1 in Matroska, with the other streams beside it."""

    def __init__(
        self,
        path: Path,
        suffix: str,
        info: VideoInfo,
        extras_from: str | None,
        start_seconds: float,
        duration_seconds: float | None,
    ) -> None:
        self.notes: list[str] = []
        self._info = info
        container = {".mkv": "matroska", ".mov": "mov"}.get(suffix, "mp4")
        # bitexact: no random identifiers, so that the same frames make the same file
        options = {"fflags": "+bitexact"} | ({"write_crc": "0"} if suffix == ".mkv" else {})
        self._out = av.open(
            f"file:{path.absolute()}", "w", format=container, container_options=options
        )
        self._stream = (
            _add_ffv1(self._out, info)
            if suffix == ".mkv"
            else _add_h264(self._out, info, self.notes)
        )
        _describe_output(self._stream, info)
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
        self._completed = (
            path
            if suffix == ".mkv" and (info.sample_aspect_ratio != 1 or info.hdr != Hdr())
            else None
        )
        if self._completed:
            self._stream.metadata["title"] = (
                self._stream.metadata.get("title", "")[:MAX_TITLE] + ROOM
            )

    def write(self, frame: Frame) -> None:
        if self._extras is not None:
            self._extras.mux_until(frame.pts_seconds)
        self._out.mux(self._stream.encode(_to_av(frame, self._stream.width, self._stream.height)))

    def close(self) -> None:
        self._out.mux(self._stream.encode(None))
        if self._extras is not None:
            self._extras.finish()
        self._out.close()
        if self._completed:
            complete_matroska(self._completed, self._info)

    def drop(self) -> None:
        if self._extras is not None:
            self._extras.close()
        try:
            self._out.close()
        except (FFmpegError, OSError) as error:  # a full disk again; the file is removed next
            logger.debug("closing a dropped file: %s", error)


def _add_h264(out: OutputContainer, info: VideoInfo, notes: list[str]) -> VideoStream:
    options = {"crf": X264_CRF}
    parameters = {"mastering-display": info.hdr.master_display, "cll": info.hdr.max_cll}
    given = [f"{key}={value}" for key, value in parameters.items() if value]
    # macroblock tree reads unset memory behind rows that are no multiple of 8 macroblocks: other bytes from run to run
    given += ["mbtree=0"] if (info.width + 15) // 16 % 8 else []
    if given:
        options["x264-params"] = ":".join(given)
    stream = out.add_stream("libx264", rate=info.mean_rate, options=options)
    stream.width, stream.height = info.width + info.width % 2, info.height + info.height % 2
    if (stream.width, stream.height) != (info.width, info.height):
        notes.append(
            f"{info.width}x{info.height} is padded to {stream.width}x{stream.height}: H.264 has even sides only"
        )
    return stream


def _add_ffv1(out: OutputContainer, info: VideoInfo) -> VideoStream:
    sides = (info.width, info.height)
    # FFV1 refuses to halve an odd side where the second half would be even, since chroma would not come out
    slices = "4" if min(sides) >= 64 and all(side % 4 != 3 for side in sides) else "1"
    stream = out.add_stream(
        "ffv1", rate=info.mean_rate, options={"level": "3", "slices": slices, "slicecrc": "1"}
    )
    stream.width, stream.height = info.width, info.height
    stream.thread_type = "SLICE"
    return stream


def _describe_output(stream: VideoStream, info: VideoInfo) -> None:
    context = stream.codec_context
    stream.disposition = Disposition.default
    stream.pix_fmt = pixel_format(info.bit_depth)
    context.time_base = info.time_base
    stream.time_base = info.time_base
    context.sample_aspect_ratio = info.sample_aspect_ratio
    context.color_primaries, context.color_trc = info.colour.primaries, info.colour.transfer
    context.colorspace = info.colour.matrix
    context.color_range = colour_range(info.colour.full_range)
    if info.rotation:
        stream.set_display_rotation(-info.rotation)  # FFmpeg's angle runs counter-clockwise


def _to_av(frame: Frame, width: int, height: int) -> av.VideoFrame:
    """`frame` for an encoder of `width` x `height`, which may be one pixel more: the edge is repeated."""
    info = frame.info
    raw = to_av_frame((frame.y, frame.cb, frame.cr), pixel_format(info.bit_depth), (height, width))
    raw.pts, raw.time_base = frame.pts, info.time_base
    raw.colorspace, raw.color_range = info.colour.matrix, colour_range(info.colour.full_range)
    raw.color_primaries, raw.color_trc = info.colour.primaries, info.colour.transfer
    if info.frame_rate is not None:
        raw.duration = 1
    return raw


class _Y4m:
    """YUV4MPEG2: a text header, then every frame's planes. It has a constant rate only."""

    def __init__(self, file: BinaryIO, info: VideoInfo, notes: list[str]) -> None:
        self.notes = notes
        self._file = file
        rate = info.mean_rate
        if info.frame_rate is None:
            self.notes.append(
                f"Y4M has no times: frames of a variable rate are written at {float(rate):.3f} a second"
            )
        if info.rotation or info.hdr != Hdr():
            self.notes.append("Y4M keeps neither rotation nor HDR10 metadata")
        aspect = info.sample_aspect_ratio
        chroma = "420mpeg2" if info.bit_depth == 8 else "420p10 XYSCSS=420P10"
        span = {None: "", False: " XCOLORRANGE=LIMITED", True: " XCOLORRANGE=FULL"}[
            info.colour.full_range
        ]
        size = f"W{info.width} H{info.height} F{rate.numerator}:{rate.denominator}"
        file.write(
            f"YUV4MPEG2 {size} Ip A{aspect.numerator}:{aspect.denominator} C{chroma}{span}\n".encode()
        )

    def write(self, frame: Frame) -> None:
        self._file.write(b"FRAME\n")
        for plane in (frame.y, frame.cb, frame.cr):
            self._file.write(plane.astype(plane.dtype.newbyteorder("<"), copy=False).tobytes())

    def close(self) -> None:
        self._file.close()

    def drop(self) -> None:
        try:
            self._file.close()
        except OSError as error:  # what is still buffered goes where the rest could not
            logger.debug("closing a dropped file: %s", error)


def _stdout() -> BinaryIO:
    if sys.__stdout__ is None:  # closed before we began: the number may be another file's by now
        raise CodecError("expected to write to stdout, found it closed; name a file")
    # a copy of the descriptor: a reader that goes away is then our error alone, not one of Python's at its exit
    return open(os.dup(sys.__stdout__.fileno()), "wb")


class _Pngs:
    """A folder of 000000.png and so on, as coded (not rotated): 8-bit RGB, 16-bit for a 10-bit video."""

    def __init__(
        self,
        folder: Path,
        info: VideoInfo,
        notes: list[str],
        names: Iterator[int],
        *,
        keep_luma: bool,
    ) -> None:
        self.notes = [*notes, "pictures are not rotated"] if info.rotation else notes
        self._folder, self._names, self._keep_luma = folder, names, keep_luma
        self._rgb = to_rgb if info.bit_depth == 8 else to_rgb16

    def write(self, frame: Frame) -> None:
        done, data = cv2.imencode(
            ".png", cv2.cvtColor(self._rgb(frame, keep_luma=self._keep_luma), cv2.COLOR_RGB2BGR)
        )
        assert done
        (self._folder / f"{next(self._names):06}.png").write_bytes(data.tobytes())

    def close(self) -> None:
        pass

    def drop(self) -> None:
        pass
