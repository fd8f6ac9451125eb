"""A decoder of HEVC from which `encode` left frames out, as a program.

    python -m tinct.evaluation.decode SOURCE TARGET

The frame rate in HEVC's header is that of the source, and every tick of it is a frame: between two
sent frames that are n ticks apart, n - 1 are interpolated as Tinct's decoder does it, without a
network.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import av

from tinct.decoder.filling import fill
from tinct.errors import CodecError
from tinct.evaluation.clips import write_frames
from tinct.frames import Frame, VideoInfo
from tinct.media.source import open_source
from tinct.motion.interpolation import interpolate_frame
from tinct.motion.views import KeyView, LumaView


def read_frames(path: str) -> tuple[VideoInfo, Iterator[Frame]]:
    """Return the properties of the whole video, and all its frames, made when they are asked for.

    Raise CodecError where the file names no frame rate.
    """
    video = open_source(path)
    rate = _read_rate(path)
    info = replace(video.info, frame_rate=rate, time_base=1 / rate, frame_count=None)
    sent = (_make_view(frame, round(frame.pts * frame.info.time_base * rate)) for frame in video)
    return info, (_make_frame(view, info) for view in _interpolate(sent))


def _read_rate(path: str) -> Fraction:
    """Return the rate that the HEVC stream names; Matroska has it rounded to nanoseconds."""
    with av.open(path) as container:
        rate = container.streams.video[0].codec_context.framerate
    if not rate:
        raise CodecError(f"expected HEVC that names its frame rate, found none in {path}")
    return Fraction(rate)


def _interpolate(sent: Iterator[KeyView]) -> Iterator[KeyView]:
    """Yield frames and, for every tick between them, one that is made of the two around it."""
    before = next(sent)
    yield before
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for after in sent:
            missing = range(before.luma.pts + 1, after.luma.pts)
            between = fill([before, after], missing, interpolate=interpolate_frame, pool=pool)
            yield from between[1:]
            before = after


def _make_view(frame: Frame, tick: int) -> KeyView:
    return KeyView(LumaView(frame.y, frame.info.bit_depth, tick), frame.cb, frame.cr)


def _make_frame(view: KeyView, info: VideoInfo) -> Frame:
    return Frame(y=view.luma.y, cb=view.cb, cr=view.cr, pts=view.luma.pts, info=info)


def main() -> None:
    """Decode as the command line says."""
    source, target = sys.argv[1:]
    info, frames = read_frames(source)
    write_frames(target, info, frames)


if __name__ == "__main__":
    main()
