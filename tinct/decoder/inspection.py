"""Inspection of a file: what it holds (`info`), whether it is whole and how good (`verify`).

`api` decodes it to a video.
"""

import logging
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from tinct.bitstream.base import find_base
from tinct.bitstream.container import find_tracks, read_file_manifest, read_update
from tinct.bitstream.manifest import COLOUR, LUMA, Manifest
from tinct.decoder.damage import Damage
from tinct.decoder.properties import describe_video
from tinct.decoder.video import Video
from tinct.errors import CodecError
from tinct.frames import Frame, Progress, VideoInfo
from tinct.media.demux import open_input, read_packets
from tinct.media.file_objects import Input, hold_input, name_file
from tinct.media.source import open_source
from tinct.psnr import Psnr, plane_errors

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """Contents of a file.

    `codec` is that of the pictures as users call it. `layout` and `colouriser` are None without
    Tinct, `key_frames` without a colour track. `interpolated_frames` were not sent: other players
    do not show them. `longest_run` is the number of them in a row. With `has_hints` the luma track
    has coarse colour. `bytes_by_part` adds up to `size_bytes`.
    """

    path: str
    size_bytes: int
    layout: str | None
    codec: str
    structure: str
    colouriser: str | None
    width: int
    height: int
    bit_depth: int
    frames: int
    key_frames: int | None
    interpolated_frames: int
    longest_run: int
    has_hints: bool
    duration_seconds: float
    frame_rate: str
    bytes_by_part: dict[str, int]

    @property
    def sent_frames(self) -> int:
        """Return how many frames are in the tracks; the others are interpolated."""
        return self.frames - self.interpolated_frames

    @property
    def shown_per_second(self) -> float:
        """Return how many frames a second a player without Tinct shows; 0 if not known."""
        return self.sent_frames / self.duration_seconds if self.duration_seconds else 0.0

    @property
    def rate_kbps(self) -> dict[str, float]:
        """Return kilobits a second of each part; empty where the duration is not known."""
        if not self.duration_seconds:
            return {}
        return {
            part: size * 8 / 1000 / self.duration_seconds
            for part, size in self.bytes_by_part.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all fields and the rates, as `tinct info --json` prints them."""
        return {
            **asdict(self),
            "sent_frames": self.sent_frames,
            "shown_per_second": round(self.shown_per_second, 3),
            "rate_kbps": {part: round(rate, 3) for part, rate in self.rate_kbps.items()},
        }


@dataclass
class TrackCount:
    """Packets of one track: time, size and whether decoding can start there, of each, and totals.

    `part` is its name in `FileInfo.bytes_by_part`.
    """

    part: str
    codec: str = ""
    size_bytes: int = 0
    packets: int = 0
    keyframes: int = 0
    reordered: bool = False  # coding order differs from display order
    last_pts: int = -1
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    sizes: "array[int]" = field(default_factory=lambda: array("q"))
    entries: "array[int]" = field(default_factory=lambda: array("b"))


def info(path: Input) -> FileInfo:
    """Return what a Tinct file, or any other video, contains; only the first frame is decoded.

    `path` may be a binary file object. Raise CodecError where it is no video, FileError where there
    is none.
    """
    with hold_input(path) as held:
        return replace(_inspect(held), path=name_file(path))


def _inspect(path: str) -> FileInfo:
    manifest, video = read_file_manifest(path), open_source(path).info
    if manifest is not None:
        video = describe_video(video, manifest)
    with open_input(path) as container:
        tracks, size = count_packets(container, manifest), container.size
    parts: dict[str, int] = {}
    for track in tracks:
        parts[track.part] = parts.get(track.part, 0) + track.size_bytes
    if manifest is not None and (update := read_update(path, manifest)) is not None:
        parts["update"] = len(update)
    colour = [t for t in tracks if t.part == COLOUR]
    return FileInfo(
        path=path,
        size_bytes=size,
        layout=manifest.layout if manifest else None,
        codec=_name_codec([t for t in tracks if t.part in (LUMA, "video")]),
        structure=_find_structure([t for t in tracks if t.part in (LUMA, "video")]),
        colouriser=manifest.colouriser if manifest else None,
        width=video.width,
        height=video.height,
        bit_depth=video.bit_depth,
        frames=manifest.frames if manifest else video.frame_count or 0,
        key_frames=colour[0].packets if colour else None,
        interpolated_frames=len(manifest.interpolated) if manifest else 0,
        longest_run=_find_longest_run(tracks, video, manifest) if manifest else 0,
        has_hints=manifest is not None and manifest.hints,
        duration_seconds=video.duration_seconds or 0.0,
        frame_rate=str(video.frame_rate) if video.frame_rate else "variable",
        bytes_by_part={**parts, "container": size - sum(parts.values())},
    )


def count_packets(container: InputContainer, manifest: Manifest | None) -> list[TrackCount]:
    """Return the packets of each track of video, sound and subtitles of an open file."""
    names = {}
    if manifest is not None:
        names = {s.index: name for name, s in find_tracks(container, manifest).items()}
    tracks = {
        s.index: TrackCount(
            names.get(s.index, s.type),
            s.codec_context.codec.canonical_name if s.codec_context is not None else "",
        )
        for s in container.streams
        if s.type in ("video", "audio", "subtitle")
    }
    bases = {
        s.index: find_base(s.codec_context.codec.canonical_name)
        for s in container.streams.video
        if s.codec_context is not None
    }
    try:
        for packet in read_packets(container):
            track = tracks.get(packet.stream_index)
            if track is None or packet.pts is None:
                continue
            track.size_bytes += packet.size
            track.packets += 1
            track.keyframes += packet.is_keyframe
            base = bases.get(packet.stream_index)
            is_early = base is not None and not track.reordered and base.reorders(bytes(packet))
            track.reordered |= packet.pts < track.last_pts or is_early
            track.last_pts = packet.pts
            track.seconds.append(float(packet.pts * packet.time_base))
            track.sizes.append(packet.size)
            track.entries.append(packet.is_keyframe)
    except (FFmpegError, OSError) as error:  # `verify` counts what is missing
        logger.info("%s ends early: %s", container.name, error)
    return list(tracks.values())


def _find_longest_run(tracks: list[TrackCount], video: VideoInfo, manifest: Manifest) -> int:
    """Return how many interpolated frames stand in a row at most."""
    base = float(video.time_base)
    sent = [np.asarray(t.seconds) / base for t in tracks if t.part in (LUMA, COLOUR)]
    places = np.searchsorted(manifest.interpolated, np.rint(np.concatenate(sent)))
    edges = np.concatenate([[0], np.sort(places), [len(manifest.interpolated)]])
    return int(np.diff(edges).max())


def _name_codec(video: list[TrackCount]) -> str:
    """Return what users call the codec of the first video track."""
    name = video[0].codec if video else ""
    base = find_base(name)
    return base.title if base is not None else name.upper() or "of no known codec"


def _find_structure(video: list[TrackCount]) -> str:
    """Return the structure of the first video track; "none" where there is no track."""
    if not video:
        return "none"
    track = video[0]
    if track.keyframes == track.packets:
        return "intra"
    return "random-access" if track.reordered else "low-delay"


@dataclass(frozen=True)
class Verification:
    """Outcome of `verify`; `psnr` in dB is of Y, Cb and Cr, None without a source to compare."""

    frames: int
    damage: Damage
    psnr: tuple[Psnr, Psnr, Psnr] | None

    @property
    def whole(self) -> bool:
        """Whether nothing was lost or broken."""
        return not self.damage


def verify(
    path: Input, against: Input | None = None, *, progress: Progress | None = None
) -> Verification:
    """Decode every frame, and compare it with the source `against` where one is given.

    Both may be binary file objects. `progress` takes frames done and frames in all, where known.
    Raise CodecError where the two have different frames, or one is no video.
    """
    with Video(path) as video:
        if against is None:
            return _count(video, progress)
        with hold_input(against) as source:
            return _compare(video, source, progress)


def _count(video: Video, progress: Progress | None) -> Verification:
    """Decode every frame of `video`."""
    count = 0
    for _ in video:
        count += 1
        if progress is not None:
            progress(count, video.info.frame_count)
    return Verification(count, video.damage, None)


def _compare(video: Video, against: str, progress: Progress | None) -> Verification:
    """Decode every frame of `video` and compare it with the frame of the source at its time."""
    errors = (array("d"), array("d"), array("d"))
    for decoded, original in pair_frames(video, against):
        for plane, error in zip(errors, plane_errors(decoded, original), strict=True):
            plane.append(error)
        if progress is not None:
            progress(len(errors[0]), video.info.frame_count)
    y, cb, cr = map(Psnr.of, errors)
    return Verification(len(errors[0]), video.damage, (y, cb, cr))


def pair_frames(video: Video, against: str) -> Iterator[tuple[Frame, Frame]]:
    """Yield each decoded frame with that of the source `against` at its time.

    Raises CodecError where the two have different frames.
    """
    if read_file_manifest(against) is not None:
        raise CodecError(f"expected the source to compare with, found a Tinct file in {against}")
    source = open_source(against)
    _check_size(video, source.info, against)
    first = next((frame.pts for frame in video), 0)  # frames may be lost at the start
    originals = (frame for frame in source if frame.pts >= first)
    for decoded, original in zip_longest(video, originals):
        if decoded is None and video.damage.missing_frames:
            break
        if decoded is None or original is None:
            found = "more" if decoded is None else "fewer"
            raise CodecError(
                f"expected as many frames in {against} as in {video.path}, found {found}"
            )
        yield decoded, original


def _check_size(video: Video, source: VideoInfo, against: str) -> None:
    """Raise CodecError where a source has another size or bit depth than the video."""
    a, b = ((v.width, v.height, v.bit_depth) for v in (video.info, source))
    if a != b:
        raise CodecError(
            f"expected {a[0]}x{a[1]}, {a[2]} bit in {against} as in {video.path}; "
            f"found {b[0]}x{b[1]}, {b[2]} bit"
        )
