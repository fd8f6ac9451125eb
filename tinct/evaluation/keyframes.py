"""Where the key frames of a Tinct file stand, read from the packets of its tracks."""

from bisect import bisect_left

import av

from tinct.bitstream.container import find_tracks, read_file_manifest
from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import COLOUR


def find_key_frames(path: str) -> list[int]:
    """Return the numbers of the frames whose colour was sent; none without a colour track."""
    manifest = read_file_manifest(path) if path.endswith(".mkv") else None
    if manifest is None or not LAYOUTS[manifest.layout].has_colour_track:
        return []
    return sorted(number_sent_frames(path)[COLOUR].values())


def number_sent_frames(path: str) -> dict[str, dict[int, int]]:
    """Return the frame numbers of the packets of each video track of a Tinct file, by ms."""
    manifest = read_file_manifest(path)
    assert manifest is not None
    times = read_track_times(path)
    rate = manifest.rate or 1000  # ticks are milliseconds where the rate varies
    sent = {ms: round(ms * rate / 1000) for track in times.values() for ms in track}
    every = sorted({*sent.values(), *manifest.interpolated})
    return {
        name: {ms: bisect_left(every, sent[ms]) for ms in track} for name, track in times.items()
    }


def read_track_times(path: str) -> dict[str, set[int]]:
    """Return the presentation times, in ms, of the packets of each video track of a Tinct file."""
    manifest = read_file_manifest(path)
    assert manifest is not None
    with av.open(path) as container:
        tracks = find_tracks(container, manifest)
        names = {stream.index: name for name, stream in tracks.items()}
        times: dict[str, set[int]] = {name: set() for name in tracks}
        for packet in container.demux(list(tracks.values())):
            if packet.size and packet.pts is not None:
                times[names[packet.stream.index]].add(packet.pts)
    return times
