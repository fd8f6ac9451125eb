"""Where a file is entered for a cut: the packets from the last point at which every track can be decoded."""

import logging
from collections.abc import Iterator

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from tinct.bitstream.container import video_tracks
from tinct.bitstream.manifest import Manifest
from tinct.frames import VideoInfo
from tinct.media.demux import MILLISECOND, open_input, packets_of

logger = logging.getLogger(__name__)
LOOK_BACK_SECONDS = (
    0.0,
    30.0,
    300.0,
)  # behind the usual distance, for where the tracks can be entered


def _from_entry(held: list[Packet], key: Packet) -> list[Packet]:
    """What of the held packets is needed from key frame `key` on: all colour, luma from its last entry point.

    An entry point later than `key` does not count: intra pictures come ahead of the pictures shown before them.
    """
    entry = 0
    for i, packet in enumerate(held):
        luma = packet.stream_index != key.stream_index
        if luma and packet.is_keyframe and _is_by(packet, key):
            entry = i
    return [p for i, p in enumerate(held) if i >= entry or p.stream_index == key.stream_index]


def _is_by(packet: Packet, key: Packet) -> bool:
    assert packet.pts is not None
    assert key.pts is not None
    return packet.pts <= key.pts


def _names(streams: dict[str, VideoStream]) -> dict[int, str]:
    return {stream.index: name for name, stream in streams.items()}


def _readable(container: InputContainer, streams: list[VideoStream]) -> Iterator[Packet]:
    """Packets with a time; a file that was cut short ends early."""
    try:
        for packet in packets_of(container, *streams):
            if packet.pts is not None and packet.size:
                yield packet
    except (FFmpegError, OSError) as error:
        logger.info("the file ends early: %s", error)


def _time(packet: Packet, info: VideoInfo) -> int:
    """Matroska's time in ticks of the video's time base."""
    assert packet.pts is not None  # `_readable` leaves out packets without a time
    return round(packet.pts * packet.time_base / info.time_base)


def _first_tick(path: str, manifest: Manifest, info: VideoInfo) -> int:
    """Of the first frame of a Tinct file; a video may begin later than its sound."""
    with open_input(path) as container:
        streams = video_tracks(container, manifest).values()
        first = min((s.start_time or 0) * (s.time_base or MILLISECOND) for s in streams)
    return round(first / info.time_base)
