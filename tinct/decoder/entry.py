"""Where reading starts for a cut: the packets from the last point where every track can be decoded.

`video` decodes them. Times are in ticks of the video's time base.
"""

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import av
from av.container import InputContainer
from av.error import FFmpegError

from tinct.bitstream.container import find_tracks
from tinct.bitstream.layouts import LAYOUTS, LayoutRow
from tinct.bitstream.manifest import COLOUR, IDR_SECONDS, LUMA, Manifest
from tinct.frames import VideoInfo
from tinct.limits import MAX_GROUP
from tinct.media.demux import MILLISECOND, open_input, read_packets
from tinct.media.planes import Planes

logger = logging.getLogger(__name__)
# How much further back than usual to look for a point where the tracks can be decoded.
LOOK_BACK_SECONDS = (0.0, 30.0, 300.0)

TrackPicture = tuple[str, int, Planes]  # track, pts, planes as they were coded


@dataclass(frozen=True, kw_only=True)
class TrackPacket:
    """A packet of a track; decoding of the track can start where `is_keyframe`."""

    track: str
    pts: int
    is_keyframe: bool
    data: bytes


@dataclass(frozen=True)
class Lead:
    """The packets before and around the start of a cut.

    `can_start` tells whether they suffice: each track has a packet where its decoding can start,
    early enough for the first frame of the cut.
    """

    packets: list[TrackPacket]
    can_start: bool


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Reads a Tinct file from where the frames from tick `start` on can be decoded.

    `info` are the properties of the cut. An in-band frame is restored from pictures up to `reach`
    ticks before it.
    """

    path: str
    manifest: Manifest
    info: VideoInfo
    start: int
    reach: int = 0

    def read(self, container: InputContainer) -> Iterator[TrackPacket]:
        """Yield the packets of an open file, of all tracks in the order of the file."""
        if self.start == 0:
            yield from read_track_packets(container, self.manifest, self.info)
            return
        seek_seconds = self._find_seek_seconds()
        if seek_seconds > 0:
            # no seek to 0: it goes to the first luma, which follows the first whole key frame
            container.seek(int(seek_seconds * av.time_base))
        packets = read_track_packets(container, self.manifest, self.info)
        yield from chain(self._select_lead(packets).packets, packets)

    def _find_seek_seconds(self) -> float:
        """Return where reading has to start.

        That is the usual distance before the cut, or further back in a slow video or in a file that
        another program wrote.
        """
        usual = IDR_SECONDS + MAX_GROUP / float(self.info.mean_rate)
        start_seconds = float(self.start * self.info.time_base)
        for back in LOOK_BACK_SECONDS:
            seek_seconds = start_seconds - usual - back
            if seek_seconds <= 0:
                break
            with open_input(self.path) as container:
                container.seek(int(seek_seconds * av.time_base))
                packets = read_track_packets(container, self.manifest, self.info)
                if self._select_lead(packets).can_start:
                    return seek_seconds
        return 0.0

    def _select_lead(self, packets: Iterable[TrackPacket]) -> Lead:
        row = LAYOUTS[self.manifest.layout]
        return select_lead(packets, row, start=self.start, reach=self.reach)


def read_track_packets(
    container: InputContainer, manifest: Manifest, info: VideoInfo
) -> Iterator[TrackPacket]:
    """Yield the packets that have a time and data; a truncated file ends early."""
    streams = find_tracks(container, manifest)
    names = {stream.index: name for name, stream in streams.items()}
    try:
        for packet in read_packets(container, *streams.values()):
            if packet.pts is not None and packet.size:
                yield TrackPacket(
                    track=names[packet.stream_index],
                    pts=round(packet.pts * packet.time_base / info.time_base),
                    is_keyframe=packet.is_keyframe,
                    data=bytes(packet),
                )
    except (FFmpegError, OSError) as error:
        logger.info("the file ends early: %s", error)


def select_lead(packets: Iterable[TrackPacket], row: LayoutRow, *, start: int, reach: int) -> Lead:
    """Take packets up to the first one after `start`, once every track has had one.

    Leaves out colour before the first packet where its decoding can start, and luma that the last
    key frame at or before `start` does not need.
    """
    lead: list[TrackPacket] = []
    missing = set(row.tracks)
    key: TrackPacket | None = None  # the last key frame at or before `start`
    key_place = kept = 0  # its place in `lead`; the length after packets were last left out
    for packet in packets:
        is_late = packet.pts > start
        if packet.track == COLOUR:
            if key is None and not packet.is_keyframe:
                continue
            if not is_late:
                if len(lead) > 2 * kept:  # so that time is linear and memory small
                    lead = _drop_early_luma(lead, packet)
                    kept = len(lead)
                key, key_place = packet, len(lead)
        lead.append(packet)
        missing.discard(packet.track)
        if is_late and not missing:
            break
    if key is not None:
        lead = _drop_early_luma(lead[:key_place], key) + lead[key_place:]
    elif row.has_colour_track:
        return Lead(lead, can_start=False)
    needed = start - reach if key is None else key.pts
    # luma beside whole key frames is all-intra: decoding can start at each packet
    can_start = row.whole_keys or any(_starts_luma(packet, needed) for packet in lead)
    return Lead(lead, can_start)


def _drop_early_luma(packets: list[TrackPacket], key: TrackPacket) -> list[TrackPacket]:
    """Return what key frame `key` needs: all colour, and luma from the last start of decoding.

    A luma packet that is shown after `key` does not count: in coding order, intra pictures precede
    pictures that are shown before them.
    """
    first = max((i for i, packet in enumerate(packets) if _starts_luma(packet, key.pts)), default=0)
    return [packet for i, packet in enumerate(packets) if i >= first or packet.track == COLOUR]


def _starts_luma(packet: TrackPacket, pts: int) -> bool:
    """Return whether decoding of luma can start at `packet`, which is shown at `pts` or earlier."""
    return packet.track == LUMA and packet.is_keyframe and packet.pts <= pts


def count_ticks(frames: int, info: VideoInfo) -> int:
    """Return how many ticks so many frames last; an estimate where the frame rate varies.

    `info` is the whole video's.
    """
    if info.frame_rate:
        return frames
    return math.ceil(frames / float(info.mean_rate) / info.time_base)


def find_first_tick(path: str, manifest: Manifest, info: VideoInfo) -> int:
    """Return the tick of the first frame of a Tinct file; sound may begin before the video."""
    with open_input(path) as container:
        streams = find_tracks(container, manifest).values()
        first = min((s.start_time or 0) * (s.time_base or MILLISECOND) for s in streams)
    return round(first / info.time_base)
