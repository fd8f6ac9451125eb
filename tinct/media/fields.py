"""Interlaced video: pictures of two fields, of which FFmpeg's bwdif makes one whole frame each."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import NoReturn

import av
from av.error import FFmpegError
from av.filter import Graph
from av.video.stream import VideoStream

from tinct.errors import CodecError

DEINTERLACED = "interlaced frames are deinterlaced (bwdif)"  # a note
# FFmpeg's field orders of a container: which field of a picture is shown first.
_PARITIES = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}
# Codecs whose own pictures say whether they are interlaced.
_CODECS_WITH_FIELDS = {"h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3"}
_CODECS_WITH_FIELDS |= {"prores", "dnxhd", "dvvideo", "ffv1", "cavs"}


def find_parity(stream: VideoStream) -> str | None:
    """Return the field that comes first where the container alone says that there are two."""
    context = stream.codec_context
    if context.name in _CODECS_WITH_FIELDS:
        return None
    return _PARITIES.get(int(context.field_order))


def refuse_interlaced(path: str) -> NoReturn:
    """Raise CodecError for a video of fields where none are wanted."""
    raise CodecError(
        f"expected progressive video with --deinterlace off, found interlaced frames in {path}; "
        f"leave the option out, or deinterlace it first (ffmpeg -i {path} -vf bwdif out.mkv)"
    )


def make_progressive(
    frames: Iterator[av.VideoFrame], parity: str | None
) -> Iterator[av.VideoFrame]:
    """Yield the frames at their times; from the first interlaced one on they pass bwdif.

    With `parity`, "tff" or "bff", all are taken for interlaced, without it those that say so.
    """
    bwdif: _Bwdif | None = None
    for frame in frames:
        if bwdif is None and parity is None and not frame.interlaced_frame:
            yield frame
            continue
        if bwdif is None or not bwdif.takes(frame):
            if bwdif is not None:
                yield from bwdif.push(None)
            bwdif = _Bwdif(frame, parity)
        yield from bwdif.push(frame)
    if bwdif is not None:
        yield from bwdif.push(None)


class _Bwdif:
    """FFmpeg's filter for frames of one size and format: one frame comes out for each."""

    def __init__(self, frame: av.VideoFrame, parity: str | None) -> None:
        self._shape = (frame.width, frame.height, frame.format.name)
        self._times: deque[tuple[int | None, Fraction | None]] = deque()
        self._count = 0
        graph = Graph()
        which = f"parity={parity}:deint=all" if parity else "deint=interlaced"
        self._in = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 1),
        )
        bwdif = graph.add("bwdif", f"mode=send_frame:{which}")
        self._out = graph.add("buffersink")
        self._in.link_to(bwdif)
        bwdif.link_to(self._out)
        graph.configure()
        self._graph = graph  # which owns the filters

    def takes(self, frame: av.VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._shape

    def push(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """Filter a frame, or the end; yield the frames that are ready."""
        if frame is None:
            self._in.push(None)
        else:
            times = frame.pts, frame.time_base
            frame.pts, frame.time_base = self._count, Fraction(1, 1)
            self._in.push(frame)
            frame.pts = times[0]
            if times[1] is not None:
                frame.time_base = times[1]
            self._times.append(times)
            self._count += 1
        while self._times:
            try:
                done = self._out.pull()
            except FFmpegError:  # until more frames are there, or at the end
                return
            assert isinstance(done, av.VideoFrame)
            done.pts, time_base = self._times.popleft()
            if time_base is not None:
                done.time_base = time_base
            yield done
