"""Where the bits of a file go along time: the bytes of its packets by frame, and kinds of frames.

`decoder.inspection` reads the packets; `figures` puts them beside the quality of the frames.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import COLOUR, LUMA, Manifest
from tinct.decoder.inspection import TrackCount, count_packets
from tinct.frames import VideoInfo
from tinct.media.demux import find_origin, open_input

KEY, SENT, INTERPOLATED, LOST = "key", "sent", "interpolated", "lost"
KINDS = (KEY, SENT, INTERPOLATED, LOST)  # of frames; `FramePackets.kinds` has their places here
VIDEO = "video"  # the part of a file without Tinct that `LUMA` is of one with it


@dataclass(frozen=True, kw_only=True)
class FramePackets:
    """What the packets of a file say of its frames, which are numbered from 0.

    `bytes_by_part` has an array with a number for each frame: those of the packets whose time is
    nearest to it. `kinds` are places in KINDS: a lost frame has no packet, though it should. At
    `entries` decoding can start, that of colour where it has a track of its own.
    """

    bytes_by_part: dict[str, "array[int]"]
    kinds: bytes
    entries: list[int]


def read_frame_packets(
    path: str, manifest: Manifest | None, *, info: VideoInfo, ticks: Sequence[int]
) -> FramePackets:
    """Return what the packets of `path` say of the frames at `ticks`, in ascending order."""
    with open_input(path) as container:
        tracks = count_packets(container, manifest)
        origin = float(find_origin(container))
    times = np.asarray(ticks, np.float64)
    edges = (times[1:] + times[:-1]) / 2  # from one on packets belong to the next frame
    places = [
        np.searchsorted(edges, (np.asarray(track.seconds) - origin) / float(info.time_base))
        for track in tracks
    ]
    sizes: dict[str, np.ndarray] = {}
    for track, place in zip(tracks, places, strict=True):
        weights = np.bincount(place, np.asarray(track.sizes), len(ticks)).astype(np.int64)
        sizes[track.part] = sizes.get(track.part, 0) + weights
    by_part = {
        name: [place for t, place in zip(tracks, places, strict=True) if t.part == name]
        for name in (LUMA, COLOUR)
    }
    return FramePackets(
        bytes_by_part={name: array("q", values.tolist()) for name, values in sizes.items()},
        kinds=_tell_kinds(manifest, ticks, by_part),
        entries=_list_entries(tracks, places),
    )


def _tell_kinds(
    manifest: Manifest | None, ticks: Sequence[int], by_part: dict[str, list[np.ndarray]]
) -> bytes:
    """Return the kind of each frame; without Tinct every frame counts as sent."""
    if manifest is None:
        return bytes([KINDS.index(SENT)]) * len(ticks)
    kinds = np.full(len(ticks), KINDS.index(LOST), np.uint8)
    kinds[np.isin(ticks, manifest.interpolated)] = KINDS.index(INTERPOLATED)
    for place in by_part[LUMA]:
        kinds[place] = KINDS.index(SENT)
    if LAYOUTS[manifest.layout].has_colour_track:
        for place in by_part[COLOUR]:
            kinds[place] = KINDS.index(KEY)
    return kinds.tobytes()


def _list_entries(tracks: list[TrackCount], places: list[np.ndarray]) -> list[int]:
    """Return the frames of the packets at which the rarest kind of video can be entered."""
    for part in (COLOUR, LUMA, VIDEO):
        for track, place in zip(tracks, places, strict=True):
            if track.part == part:
                return np.unique(place[np.asarray(track.entries, bool)]).tolist()
    return []
