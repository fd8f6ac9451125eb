"""The muxer: tracks of an encode, sound and texts of its source, and the manifest in one file.

`spools` has the packets, `container` reads such files; `media.containers` says what a container
holds.
"""

from dataclasses import replace
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from tinct.bitstream.base import coded_shape
from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import LUMA, UPDATE_NAME, Manifest, write_manifest
from tinct.bitstream.pictures import Packet
from tinct.bitstream.schema import MANIFEST_NAME
from tinct.bitstream.short_manifest import TAG, write_short
from tinct.bitstream.spools import Spool, merge_spools
from tinct.errors import CodecError
from tinct.frames import Hdr, VideoInfo
from tinct.media.containers import MATROSKA, Container
from tinct.media.cues import thin_index
from tinct.media.demux import describe_error
from tinct.media.matroska import ROOM, complete_matroska
from tinct.media.passthrough import Extras
from tinct.phases import tell


def mux(
    path: Path,
    info: VideoInfo,
    spools: list[Spool],
    *,
    manifest: Manifest | None,
    source: str | None,
    update: bytes | None = None,
    container: Container = MATROSKA,
) -> list[str]:
    """Write the file; return notes on streams of `source` that could not be copied.

    It holds the tracks in order of decoding time, the other streams of `source`, the manifest and
    the update, for which it has to be Matroska. Without a manifest it is an ordinary video. Raises
    CodecError where the container refuses a track.
    """
    assert manifest is None or container is MATROSKA
    shape = coded_shape((info.height, info.width), grey=False, base=spools[0].base)
    is_completed = container.is_matroska and _needs_completion(spools[0], info)
    try:
        with av.open(
            f"file:{path.absolute()}",
            "w",
            format=container.name,
            container_options={"fflags": "+bitexact", **container.options},
        ) as out:
            short = None if manifest is None else write_short(manifest, shape)
            named = manifest is not None and short is None
            streams = [
                _add_track(out, spool, info, named=named, has_room=is_completed) for spool in spools
            ]
            if manifest is not None and short is None:
                out.add_attachment(MANIFEST_NAME, "application/json", write_manifest(manifest))
            if update is not None:
                out.add_attachment(UPDATE_NAME, "application/octet-stream", update)
            extras = Extras(source, out) if source is not None else None
            if extras is not None:
                tags = _select_tags(extras.video_metadata, named=named)
                if "title" in tags and is_completed:
                    tags["title"] += ROOM
                streams[0].metadata.update(tags)
            if short is not None:
                streams[0].metadata[TAG] = short
            _mux_packets(out, info, spools, streams=streams, extras=extras)
        if is_completed:
            complete_matroska(path, _select_unsaid(spools[0], info))
        if container.is_matroska and (manifest is None or not LAYOUTS[manifest.layout].whole_keys):
            thin_index(path)
        lost = _describe_lost_hdr(spools[0], info, container)
        return [*lost, *(extras.notes if extras is not None else [])]
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise CodecError(
            f'expected {container.title} to take the tracks, found "{describe_error(error)}"'
        ) from error


def _mux_packets(
    out: OutputContainer,
    info: VideoInfo,
    spools: list[Spool],
    *,
    streams: list[VideoStream],
    extras: Extras | None,
) -> None:
    """Mux the packets of all tracks, and what lies between them of the source's other streams."""
    luma = next(spool for spool in spools if spool.name == LUMA)
    by_name = dict(zip((spool.name for spool in spools), streams, strict=True))
    done, total = 0, sum(spool.size_bytes for spool in spools)
    for name, packet in merge_spools(spools):
        if extras is not None:
            extras.mux_until(float(packet.pts * info.time_base))
        out_packet = _to_av_packet(packet, by_name[name], info)
        if name == LUMA and packet.pts == luma.last_pts:
            out_packet.duration = _last_duration(packet.pts, info)
        out.mux(out_packet)
        done += len(packet.data)
        tell("muxing", done, total)
    if extras is not None:
        extras.finish()


def _select_tags(metadata: dict[str, str], *, named: bool) -> dict[str, str]:
    """Return the source's tags of video, without its title where the track has a name of ours."""
    return {key: value for key, value in metadata.items() if not (named and key == "title")}


def _add_track(
    out: OutputContainer, spool: Spool, info: VideoInfo, *, named: bool, has_room: bool
) -> VideoStream:
    with spool.open_template() as template:
        stream = out.add_stream_from_template(template.streams.video[0], opaque=True)
    stream.time_base = info.time_base
    if spool.name == LUMA:
        stream.disposition = Disposition.default
        if info.rotation:
            stream.set_display_rotation(-info.rotation)  # FFmpeg's angle is counter-clockwise
    title = (spool.name if named else "") + (ROOM if has_room else "")
    if title:
        stream.metadata["title"] = title
    return stream


def _needs_completion(spool: Spool, info: VideoInfo) -> bool:
    """Return whether the container has to say what pictures cannot: see `complete_matroska`."""
    base = spool.base
    has_shape = base.has_pixel_shape or info.sample_aspect_ratio == 1
    has_hdr = base.has_hdr or info.hdr == Hdr()
    return not (has_shape and has_hdr and info.chroma_location in base.locations)


def _select_unsaid(spool: Spool, info: VideoInfo) -> VideoInfo:
    """Return what the container says of coded pictures: HDR10's metadata only where they do not."""
    shape = coded_shape((info.height, info.width), grey=False, base=spool.base)
    hdr = Hdr() if spool.base.has_hdr else info.hdr
    return replace(info, height=shape[0], width=shape[1], hdr=hdr)


def _describe_lost_hdr(spool: Spool, info: VideoInfo, container: Container) -> list[str]:
    """Return a note on HDR10's metadata that neither pictures nor container hold."""
    if spool.base.has_hdr or info.hdr == Hdr() or container.is_matroska:
        return []
    maker = spool.base.maker
    return [f"HDR10's metadata are left out: {maker} does not write them, .mkv holds them"]


def _to_av_packet(packet: Packet, stream: VideoStream, info: VideoInfo) -> av.Packet:
    result = av.Packet(packet.data)
    result.pts, result.dts, result.time_base = packet.pts, packet.dts, info.time_base
    result.is_keyframe = packet.keyframe
    result.stream = stream
    if info.frame_rate is not None:
        result.duration = 1
    return result


def _last_duration(pts: int, info: VideoInfo) -> int:
    """Return how many ticks the last frame is shown; 0 where nobody knows."""
    if info.frame_rate is not None:
        return 1
    return max(0, round((info.duration_seconds or 0.0) / info.time_base) - pts)
