"""Properties of a Tinct video and of a cut of it, and the times of its frames, without decoding."""

import dataclasses

import numpy as np

from tinct.bitstream.manifest import Manifest
from tinct.decoder.entry import read_track_packets
from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.limits import MAX_GAP_FRAMES
from tinct.media.demux import MILLISECOND, open_input


def describe_video(luma: VideoInfo, manifest: Manifest) -> VideoInfo:
    """Return the properties of a Tinct video: the manifest's, and the luma track's for the rest.

    The time base is the duration of a frame, or a millisecond where the rate varies.
    """
    rate = manifest.rate
    width, height = manifest.size
    return dataclasses.replace(
        luma,
        width=width,
        height=height,
        frame_rate=rate,
        time_base=1 / rate if rate else MILLISECOND,
        frame_count=manifest.frames,
        duration_seconds=float(manifest.frames / rate) if rate else luma.duration_seconds,
    )


def describe_cut(whole: VideoInfo, first: int, *, start: int, end: int | None) -> VideoInfo:
    """Return the properties of the cut from tick `start` to before `end`, or to the video's end.

    The video's first frame is at tick `first`. The number of frames is None where the rate varies.
    Raises CodecError where there is none.
    """
    if start == 0 and end is None:
        return whole
    start_seconds = float(start * whole.time_base)
    if whole.frame_rate is None or whole.frame_count is None:
        return dataclasses.replace(
            whole, frame_count=None, duration_seconds=_cut_seconds(whole, start=start, end=end)
        )
    after = first + whole.frame_count
    if start >= after:
        raise CodecError(
            f"expected --start before the end at {float(after / whole.frame_rate):.3f} s, "
            f"found {start_seconds:.3f} s"
        )
    last = after if end is None else min(end, after)
    if last <= first:
        raise CodecError(
            "expected a frame in the time asked for, "
            f"the first is at {float(first / whole.frame_rate):.3f} s"
        )
    count = last - max(start, first)
    seconds = float((last - start) / whole.frame_rate)
    return dataclasses.replace(whole, frame_count=count, duration_seconds=seconds)


def _cut_seconds(whole: VideoInfo, *, start: int, end: int | None) -> float | None:
    """Return how long the cut is shown; its last frame is shown to its end."""
    if whole.duration_seconds is None:
        return None
    after = whole.duration_seconds
    if end is not None:
        after = min(after, float(end * whole.time_base))
    return max(0.0, after - float(start * whole.time_base))


def read_ticks(path: str, manifest: Manifest, info: VideoInfo) -> np.ndarray:
    """Return the ticks of all frames of a Tinct file, sorted, int64; none is decoded.

    They are those of packets and of interpolated frames. At a constant rate short gaps count too:
    a decoder fills them with the frame before.
    """
    with open_input(path) as container:
        sent = {packet.pts for packet in read_track_packets(container, manifest, info)}
    if not sent:
        raise CodecError(f"expected frames in {path}, found none")
    last = max(sent)
    sent.update(tick for tick in manifest.interpolated if tick < last)
    ticks = np.array(sorted(sent), np.int64)
    if info.frame_rate is None:
        return ticks
    gaps = np.diff(ticks) - 1
    fillable = np.flatnonzero((gaps > 0) & (gaps <= MAX_GAP_FRAMES))
    filled = [np.arange(ticks[at] + 1, ticks[at + 1]) for at in fillable]
    return np.sort(np.concatenate([ticks, *filled]))
