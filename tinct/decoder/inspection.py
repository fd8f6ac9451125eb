"""Looking at a file without changing it: what it holds (`info`), and whether it is whole and how good it is (`verify`)."""

import logging
from array import array
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError

from tinct.bitstream.container import find_tracks, read_file_manifest, read_update
from tinct.bitstream.manifest import COLOUR, LUMA, Manifest
from tinct.decoder.damage import Damage
from tinct.decoder.video import Video, describe_video
from tinct.errors import CodecError
from tinct.frames import Progress, VideoInfo
from tinct.media.demux import open_input, read_packets
from tinct.media.source import open_source
from tinct.psnr import Psnr, plane_errors

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileInfo:
    """Contents of a file; `bytes_by_part` adds up to `size_bytes`. `layout` and `colouriser` are None without Tinct."""

    path: str
    size_bytes: int
    layout: str | None
    structure: str
    colouriser: str | None
    width: int
    height: int
    bit_depth: int
    frames: int
    key_frames: int | None
    duration_seconds: float
    frame_rate: str
    bytes_by_part: dict[str, int]

    @property
    def rate_kbps(self) -> dict[str, float]:
        """Kilobits a second of each part, over the duration of the video."""
        seconds = self.duration_seconds
        return (
            {part: size * 8 / 1000 / seconds for part, size in self.bytes_by_part.items()}
            if seconds
            else {}
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "rate_kbps": {part: round(rate, 3) for part, rate in self.rate_kbps.items()},
        }


@dataclass
class _Track:
    """What the packets of one track add up to."""

    part: str
    size_bytes: int = 0
    packets: int = 0
    keyframes: int = 0
    reordered: bool = False
    last_pts: int = -1


def info(path: str) -> FileInfo:
    """What is in a Tinct file, or in any other video. Nothing is decoded but the first frame."""
    manifest, video = read_file_manifest(path), open_source(path).info
    if manifest is not None:
        video = describe_video(video, manifest)
    with open_input(path) as container:
        tracks, size = _count(container, manifest), container.size
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
        structure=_structure([t for t in tracks if t.part in (LUMA, "video")]),
        colouriser=manifest.colouriser if manifest else None,
        width=video.width,
        height=video.height,
        bit_depth=video.bit_depth,
        frames=manifest.frames if manifest else video.frame_count or 0,
        key_frames=colour[0].packets if colour else None,
        duration_seconds=video.duration_seconds or 0.0,
        frame_rate=str(video.frame_rate) if video.frame_rate else "variable",
        bytes_by_part={**parts, "container": size - sum(parts.values())},
    )


def _count(container: InputContainer, manifest: Manifest | None) -> list[_Track]:
    names = (
        {}
        if manifest is None
        else {s.index: name for name, s in find_tracks(container, manifest).items()}
    )
    tracks = {
        s.index: _Track(names.get(s.index, s.type))
        for s in container.streams
        if s.type in ("video", "audio", "subtitle")
    }
    try:
        for packet in read_packets(container):
            track = tracks.get(packet.stream_index)
            if track is None or packet.pts is None:
                continue
            track.size_bytes += packet.size
            track.packets += 1
            track.keyframes += packet.is_keyframe
            track.reordered |= packet.pts < track.last_pts
            track.last_pts = packet.pts
    except (
        FFmpegError,
        OSError,
    ) as error:  # what is there is counted; `verify` says what is missing
        logger.info("%s ends early: %s", container.name, error)
    return list(tracks.values())


def _structure(video: list[_Track]) -> str:
    if not video:
        return "none"
    track = video[0]
    if track.keyframes == track.packets:
        return "intra"
    return "random-access" if track.reordered else "low-delay"


@dataclass(frozen=True)
class Verification:
    """Outcome of `verify`; `psnr` of Y, Cb and Cr where there was a source to compare with."""

    frames: int
    damage: Damage
    psnr: tuple[Psnr, Psnr, Psnr] | None

    @property
    def whole(self) -> bool:
        return not self.damage


def verify(
    path: str, against: str | None = None, *, progress: Progress | None = None
) -> Verification:
    """Decode every frame, and measure it against the source where one is given.

    Raises CodecError where the two are not the same frames.
    """
    video = Video(path)
    if against is None:
        count = 0
        for _ in video:
            count += 1
            if progress is not None:
                progress(count, video.info.frame_count)
        return Verification(count, video.damage, None)
    if read_file_manifest(against) is not None:
        raise CodecError(f"expected the source to compare with, found a Tinct file in {against}")
    source = open_source(against)
    _check_same(video.info, source.info, path, against)
    errors = (array("d"), array("d"), array("d"))
    first = next((frame.pts for frame in video), 0)  # frames may be lost at the start
    for ours, theirs in zip_longest(video, (frame for frame in source if frame.pts >= first)):
        if ours is None and video.damage.missing_frames:
            break
        if ours is None or theirs is None:
            raise CodecError(
                f"expected as many frames in {against} as in {path}, found {'more' if ours is None else 'fewer'}"
            )
        for plane, error in zip(errors, plane_errors(ours, theirs), strict=True):
            plane.append(error)
        if progress is not None:
            progress(len(errors[0]), video.info.frame_count)
    psnr = (Psnr.of(errors[0]), Psnr.of(errors[1]), Psnr.of(errors[2]))
    return Verification(len(errors[0]), video.damage, psnr)


def _check_same(ours: VideoInfo, theirs: VideoInfo, path: str, against: str) -> None:
    a, b = ((v.width, v.height, v.bit_depth) for v in (ours, theirs))
    if a != b:
        raise CodecError(
            f"expected {a[0]}x{a[1]}, {a[2]} bit in {against} as in {path}; found {b[0]}x{b[1]}, {b[2]} bit"
        )
