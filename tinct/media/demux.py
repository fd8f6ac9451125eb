"""User files opened and taken apart into packets (PyAV), with one clear error for what is no video."""

from collections.abc import Generator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from av.video.stream import VideoStream

from tinct.errors import CodecError
from tinct.files import identity
from tinct.limits import MAX_ATTACHMENTS, MAX_PIXELS, MAX_TRACKS
from tinct.media.ebml import OWN_LIMITS, check_bounds

AnyPacket: TypeAlias = "Packet[Any]"
OWN_ATTACHMENTS = tuple(OWN_LIMITS)  # of the Tinct file, never carried on
MILLISECOND = Fraction(1, 1000)
# of FFmpeg's formats those that hold video and never lead to other files, as lists, pictures by number and discs do
_VIDEO = (
    "matroska", "mov", "avi", "mpegts", "mpeg", "mpegvideo", "m4v", "h261", "h263", "h264", "hevc", "vvc", "evc", "obu", "av1",
    "ivf", "flv", "live_flv", "ogg", "asf", "rm", "mxf", "gxf", "nut", "nuv", "dv", "yuv4mpegpipe", "wtv", "mjpeg", "vc1",
    "cavsvideo", "avs2", "avs3", "dirac", "dnxhd", "apv", "gif", "apng", "dhav", "ty", "swf", "smjpeg", "roq", "bink", "smk",
)  # fmt: skip


def open_input(path: str) -> InputContainer:
    file = Path(path)
    if not file.exists() or "\0" in path:
        raise CodecError(f"expected a video file, found nothing at {path}; check the name")
    if file.is_dir():
        raise CodecError(f"expected a video file, found a folder at {path}; name a file in it")
    if not file.is_file():
        raise CodecError(
            f"expected a video file, found a pipe or device at {path}; give YUV4MPEG2 on stdin as -"
        )
    try:
        if file.stat().st_size == 0:
            raise CodecError(f"expected a video file, found an empty file at {path}")
        _check_once(path, identity(path))
        # "file:" keeps a colon in a name from being taken for a protocol; nothing but files may be opened from it
        container = av.open(
            f"file:{file.absolute()}", metadata_errors="replace", options={"max_pixels": str(MAX_PIXELS)},
            container_options={
                "protocol_whitelist": "file", "format_whitelist": ",".join(_VIDEO), "max_streams": str(MAX_TRACKS + MAX_ATTACHMENTS)
            },
        )  # fmt: skip
    except ArgumentError as error:  # what FFmpeg says of a format that is not on the list
        raise CodecError(
            f"expected a video file, found text, pictures, a list of files or a rare format in {path}"
        ) from error
    except (FFmpegError, OSError) as error:
        raise CodecError(
            f'expected a video file, found "{reason(error)}" in {path}; check that ffmpeg plays it'
        ) from error
    if (tracks := len(container.streams) - len(attachments(container))) > MAX_TRACKS:
        container.close()
        raise CodecError(
            f"expected at most {MAX_TRACKS} tracks, found {tracks} in {path}; take some out first"
        )
    return container


@lru_cache(maxsize=64)
def _check_once(path: str, file: tuple[int, ...] | None) -> None:
    """A file is opened several times, and walked once as long as it stays the same; a refusal is not remembered."""
    check_bounds(path)


def reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def packets_of(container: InputContainer, *streams: Stream) -> Generator[AnyPacket, None, None]:
    """Packets to the end. Damage in MPEG-TS can conjure up a new track, at which PyAV stumbles: read on behind it."""
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            continue


def is_flush(packet: AnyPacket) -> bool:
    return packet.size == 0 and packet.dts is None and packet.pts is None


def origin(container: InputContainer) -> Fraction:
    """Seconds on the file's own clock that count as 0 (see `video`)."""
    if container.start_time is None or is_own(container):
        return Fraction(0)
    return max(Fraction(0), Fraction(container.start_time, av.time_base))


def is_own(container: InputContainer) -> bool:
    """Whether there is Tinct in the file."""
    return any(stream.name in OWN_ATTACHMENTS for stream in attachments(container))


def attachments(container: InputContainer) -> list[AttachmentStream]:
    return [stream for stream in container.streams if isinstance(stream, AttachmentStream)]


def only_video(container: InputContainer, stream: VideoStream) -> VideoStream:
    """The stream, set up to be decoded, its container told to leave out all others."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    stream.thread_type = "AUTO"
    if stream.codec_context is not None:
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream
