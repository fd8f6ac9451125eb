"""Opening of user files and reading of their packets (PyAV); `source` decodes them.

A file that is no video raises one clear CodecError.
"""

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.video.stream import VideoStream

from tinct.errors import FileError
from tinct.files import identify_file
from tinct.limits import MAX_ATTACHMENTS, MAX_PIXELS, MAX_TRACKS
from tinct.media.clock import DISCONTINUOUS_FORMATS, STEADY, Clock, Positions, find_clock
from tinct.media.ebml import ATTACHMENT_LIMITS, check_bounds
from tinct.media.head_bounds import check_heads
from tinct.media.mp4_bounds import check_tables

AnyPacket: TypeAlias = "Packet[Any]"
TINCT_ATTACHMENTS = tuple(ATTACHMENT_LIMITS)  # belong to the Tinct file, never passed through
MILLISECOND = Fraction(1, 1000)
VIDEO = "a video file"  # what is expected of an input
PROBE_BYTES = 5_000_000  # FFmpeg's own bound on what it reads for that
LONG_PROBE_BYTES = 64_000_000  # where sound begins late; FFmpeg holds these packets in memory
LONG_PROBE_SECONDS = 600
# Those of FFmpeg's formats that hold video and never lead to other files, as lists, numbered
# pictures and discs do.
_VIDEO_FORMATS = (
    "matroska,mov,avi,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,evc,obu,av1,ivf,flv,"
    "live_flv,ogg,asf,rm,mxf,gxf,nut,nuv,dv,yuv4mpegpipe,wtv,mjpeg,vc1,cavsvideo,avs2,avs3,dirac,"
    "dnxhd,apv,gif,apng,dhav,ty,swf,smjpeg,roq,bink,smk"
)


def open_input(path: str) -> InputContainer:
    """Open a video file. Raises CodecError where it is no file, no video or beyond a limit."""
    file = Path(path)
    if not file.exists() or "\0" in path:
        raise FileError(path, VIDEO, f"nothing at {path}", advice="check the name")
    if file.is_dir():
        raise FileError(path, VIDEO, f"a folder at {path}", advice="name a file in it")
    if not file.is_file():
        advice = "give YUV4MPEG2 on stdin as -"
        raise FileError(path, VIDEO, f"a pipe or device at {path}", advice=advice)
    try:
        if file.stat().st_size == 0:
            raise FileError(path, VIDEO, f"an empty file at {path}")
        _check_once(path, identify_file(path))
        container = _open_file(file)
        if _lacks_sound(container):
            container.close()
            container = _open_file(file, is_long_probe=True)
    except ArgumentError as error:  # FFmpeg's error for a format that is not on the list
        found = f"text, pictures, a list of files or a rare format in {path}"
        raise FileError(path, VIDEO, found) from error
    except (FFmpegError, OSError) as error:
        found = f'"{describe_error(error)}" in {path}'
        raise FileError(path, VIDEO, found, advice="check that ffmpeg plays it") from error
    if (tracks := len(container.streams) - len(list_attachments(container))) > MAX_TRACKS:
        container.close()
        found = f"{tracks} in {path}"
        raise FileError(path, f"at most {MAX_TRACKS} tracks", found, advice="take some out first")
    return container


@lru_cache(maxsize=64)
def _check_once(path: str, file: tuple[int, ...] | None) -> None:
    """Check a file's bounds once while it stays the same: it is opened several times.

    A refusal is not cached.
    """
    check_bounds(path)
    check_tables(path)
    check_heads(path)


def _lacks_sound(container: InputContainer) -> bool:
    """Return whether sound may begin behind what FFmpeg looked at to find the streams."""
    if container.format.name not in DISCONTINUOUS_FORMATS or container.size <= PROBE_BYTES:
        return False
    sound = container.streams.audio
    is_listed = container.format.name == "mpegts"  # by its programme tables
    is_unknown = [s.codec_context is not None and not s.codec_context.sample_rate for s in sound]
    return any(is_unknown) or not (sound or is_listed)


def _open_file(file: Path, *, is_long_probe: bool = False) -> InputContainer:
    probe = {}
    if is_long_probe:
        seconds = LONG_PROBE_SECONDS * av.time_base
        probe = {"probesize": str(LONG_PROBE_BYTES), "analyzeduration": str(seconds)}
    return av.open(
        f"file:{file.absolute()}",  # "file:" keeps a colon in a name from naming a protocol
        metadata_errors="replace",
        options={"max_pixels": str(MAX_PIXELS)},
        container_options=probe
        | {
            "protocol_whitelist": "file",  # the file may lead to nothing but files
            "format_whitelist": _VIDEO_FORMATS,
            "max_streams": str(MAX_TRACKS + MAX_ATTACHMENTS),
        },
    )


def describe_error(error: BaseException) -> str:
    """Return the first line of an error's text, without its number."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def read_packets(container: InputContainer, *streams: Stream) -> Generator[AnyPacket, None, None]:
    """Yield packets to the end of the file, on one clock where the file has several.

    Damage in MPEG-TS can make a new track appear, at which PyAV raises IndexError; reading goes on
    behind it.
    """
    clock = read_clock(container)
    positions = Positions()
    while True:
        try:
            for packet in container.demux(*streams):
                if clock.jumps:
                    clock.correct(packet, positions.find(packet))
                yield packet
            return
        except IndexError:
            continue


def read_clock(container: InputContainer) -> Clock:
    """Return the clock of an open file; only formats without an index are read for it, once."""
    return _scan(container).clock


def has_later_tracks(container: InputContainer) -> bool:
    """Return whether tracks appear behind what FFmpeg looked at to find them; nothing reads them.

    They may be those of another recording, joined to this one.
    """
    return _scan(container).has_later_tracks


@dataclass(frozen=True)
class _Scan:
    """What reading a whole file told."""

    clock: Clock = STEADY
    has_later_tracks: bool = False


def _scan(container: InputContainer) -> _Scan:
    path = container.name.removeprefix("file:")
    if container.format.name not in DISCONTINUOUS_FORMATS:
        return _Scan()
    return _scan_once(path, identify_file(path))


@lru_cache(maxsize=64)
def _scan_once(path: str, file: tuple[int, ...] | None) -> _Scan:
    later: list[IndexError] = []
    with open_input(path) as container:
        clock = find_clock(_demux_all(container, later))
    return _Scan(clock, has_later_tracks=bool(later))


def is_seekable(container: InputContainer) -> bool:
    """Return whether times lead to places in a file: not where its clock jumps or passes its end.

    Such a file is read from its start.
    """
    return find_origin(container) >= 0 and not read_clock(container).jumps


def _demux_all(
    container: InputContainer, later: list[IndexError]
) -> Generator[AnyPacket, None, None]:
    """Yield the packets of all streams as far as they can be read.

    PyAV's errors at packets of tracks that were not there at first are added to `later`.
    """
    while True:
        try:
            yield from (packet for packet in container.demux() if packet.size)
            return
        except IndexError as error:
            later.append(error)
        except (FFmpegError, OSError):
            return


def is_flush(packet: AnyPacket) -> bool:
    """Return whether a packet is PyAV's empty last one."""
    return packet.size == 0 and packet.dts is None and packet.pts is None


def find_origin(container: InputContainer) -> Fraction:
    """Return the time on the file's own clock, in seconds, that counts as 0 (see `source`).

    It is below 0 where a broadcast clock of 33 bits passes its end: FFmpeg gives negative times to
    what comes before.
    """
    if container.start_time is None or is_tinct_file(container):
        return Fraction(0)
    start = Fraction(container.start_time, av.time_base)
    return start if container.format.name in DISCONTINUOUS_FORMATS else max(Fraction(0), start)


def is_tinct_file(container: InputContainer) -> bool:
    """Return whether the file has one of Tinct's attachments."""
    return any(stream.name in TINCT_ATTACHMENTS for stream in list_attachments(container))


def list_attachments(container: InputContainer) -> list[AttachmentStream]:
    """Return the attachments of an open file."""
    return [stream for stream in container.streams if isinstance(stream, AttachmentStream)]


def list_video(container: InputContainer) -> list[VideoStream]:
    """Return the video streams that are neither cover pictures nor thumbnails."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & pictures]


def find_video(container: InputContainer) -> VideoStream | None:
    """Return the video stream that is read: the default one, else the first."""
    candidates = list_video(container)
    is_default = (s for s in candidates if s.disposition & Disposition.default)
    return next(is_default, candidates[0] if candidates else None)


def choose_stream(container: InputContainer, path: str) -> VideoStream:
    """Return the default video stream, else the first. Raises CodecError where there is none."""
    stream = find_video(container)
    if stream is None:
        kinds = sorted({str(stream.type) for stream in container.streams}) or ["no track"]
        raise FileError(path, "a video track", f"{', '.join(kinds)} in {path}")
    if stream.codec_context is None:
        raise FileError(
            path,
            "a video codec that FFmpeg decodes",
            found=f"an unknown one in {path}",
            advice="convert it first",
        )
    return stream


def select_video(
    container: InputContainer, stream: VideoStream, *, threads: bool = True
) -> VideoStream:
    """Set a stream up for decoding, make its container discard all others, and return it."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    stream.thread_type = "AUTO" if threads else "NONE"
    if stream.codec_context is not None:
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream
