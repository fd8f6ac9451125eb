"""Tracks and packets of a Tinct file: spools on disk, the muxer, the tracks of a file that is read. `manifest` has the format."""

import heapq
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import IO

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from tinct.bitstream.hevc import Packet, coded_shape
from tinct.bitstream.manifest import (
    COLOUR,
    LUMA,
    MANIFEST_NAME,
    UPDATE_NAME,
    Layout,
    Manifest,
    read_manifest,
    write_manifest,
)
from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.limits import (
    MAX_UPDATE_BYTES,
)
from tinct.media.demux import open_input, reason
from tinct.media.passthrough import Extras
from tinct.networks.weights import hash_of

# ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Spool:
    """One track's packets on disk until the file is muxed, so that memory does not grow with the video."""

    name: str
    header: bytes
    file: IO[bytes]
    size_bytes: int = 0
    _first: bytes = field(default=b"", repr=False)

    _RECORD = struct.Struct("<qqBI")  # pts, dts, keyframe, length

    def write(self, packets: list[Packet]) -> None:
        for packet in packets:
            self._first = self._first or packet.data
            self.file.write(
                self._RECORD.pack(packet.pts, packet.dts, packet.keyframe, len(packet.data))
            )
            self.file.write(packet.data)
            self.size_bytes += len(packet.data)

    def read(self) -> Iterator[Packet]:
        self.file.seek(0)
        while record := self.file.read(self._RECORD.size):
            pts, dts, keyframe, length = self._RECORD.unpack(record)
            yield Packet(self.file.read(length), pts, dts, bool(keyframe))

    def template(self) -> InputContainer:
        """The track as FFmpeg knows it from its first picture: size, profile, colour tags, parameter sets."""
        container = av.open(io.BytesIO(self.header + self._first), "r", format="hevc")
        assert isinstance(container, InputContainer)
        return container


def mux(
    path: Path,
    info: VideoInfo,
    spools: list[Spool],
    manifest: Manifest | None,
    source: str | None,
    update: bytes | None = None,
) -> list[str]:
    """Write the file: tracks in order of decoding time, the other streams of `source` beside them, the manifest, the update.

    Without a manifest this is an ordinary HEVC file. Returns notes on what could not be carried over.
    """
    try:
        return _mux(path, info, spools, manifest, source, update)
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise CodecError(
            f'expected Matroska to take the tracks, found "{reason(error)}"'
        ) from error


def _mux(
    path: Path,
    info: VideoInfo,
    spools: list[Spool],
    manifest: Manifest | None,
    source: str | None,
    update: bytes | None,
) -> list[str]:
    with av.open(
        f"file:{path.absolute()}", "w", format="matroska", container_options={"fflags": "+bitexact"}
    ) as out:
        streams = [_add_track(out, spool, info, named=manifest is not None) for spool in spools]
        if manifest is not None:
            out.add_attachment(MANIFEST_NAME, "application/json", write_manifest(manifest))
        if update is not None:
            out.add_attachment(UPDATE_NAME, "application/octet-stream", update)
        extras = Extras(source, out) if source is not None else None
        if extras is not None:
            streams[0].metadata.update(_kept(extras.video_metadata, named=manifest is not None))
        named = dict(zip((spool.name for spool in spools), streams, strict=True))
        for name, packet in in_coding_order(spools):
            if extras is not None:
                extras.mux_until(float(packet.pts * info.time_base))
            out.mux(_av_packet(packet, named[name], info))
        if extras is not None:
            extras.finish()
        return extras.notes if extras is not None else []


def in_coding_order(spools: list[Spool]) -> Iterator[tuple[str, Packet]]:
    """Packets of all tracks by their decoding time, each with its track's name."""
    return heapq.merge(
        *(zip(repeat(spool.name), spool.read()) for spool in spools), key=lambda item: item[1].dts
    )


def _kept(metadata: dict[str, str], *, named: bool) -> dict[str, str]:
    """The source's video track's own tags; a Tinct file's track keeps its name."""
    return {key: value for key, value in metadata.items() if not (named and key == "title")}


def _add_track(out: OutputContainer, spool: Spool, info: VideoInfo, *, named: bool) -> VideoStream:
    with spool.template() as template:
        stream = out.add_stream_from_template(template.streams.video[0])
    stream.time_base = info.time_base
    if spool.name == LUMA:
        stream.disposition = Disposition.default
        if info.rotation:
            stream.set_display_rotation(-info.rotation)  # FFmpeg's angle runs counter-clockwise
    if named:
        stream.metadata["title"] = spool.name
    return stream


def _av_packet(packet: Packet, stream: VideoStream, info: VideoInfo) -> av.Packet:
    result = av.Packet(packet.data)
    result.pts, result.dts, result.time_base = packet.pts, packet.dts, info.time_base
    result.is_keyframe = packet.keyframe
    result.stream = stream
    if info.frame_rate is not None:
        result.duration = 1
    return result


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_file_manifest(path: str) -> Manifest | None:
    """The manifest of a file; None if there is no Tinct in it.

    Raises CodecError on a Tinct file whose manifest is missing, damaged or of another version, or whose tracks are not
    those that it names.
    """
    with open_input(path) as container:
        attached = [
            s
            for s in container.streams
            if s.type == "attachment" and getattr(s, "name", None) == MANIFEST_NAME
        ]
        names = [s.metadata.get("title") for s in container.streams.video]
        if not attached:
            if LUMA in names and COLOUR in names:
                raise CodecError(
                    f"expected {MANIFEST_NAME} beside Tinct's tracks, found none in {path}; get the original file"
                )
            return None
        if len(attached) > 1:
            raise CodecError(f"expected one {MANIFEST_NAME}, found {len(attached)} in {path}")
        manifest = read_manifest(attached[0].data)  # type: ignore[attr-defined]
        _check_tracks(path, container, manifest)
        return manifest


def read_update(path: str, manifest: Manifest) -> bytes | None:
    """The bytes of `update.bin`, those that the manifest names; None where it names none. Raises CodecError for any others."""
    if manifest.update is None:
        return None
    with open_input(path) as container:
        found = [
            s.data
            for s in container.streams
            if s.type == "attachment" and getattr(s, "name", None) == UPDATE_NAME
        ]  # type: ignore[attr-defined]
    if len(found) != 1:
        raise CodecError(
            f"expected one {UPDATE_NAME}, found {len(found) or 'none'} in {path}; get the original file"
        )
    if len(found[0]) > MAX_UPDATE_BYTES:
        raise CodecError(
            f"damaged {UPDATE_NAME}: expected at most {MAX_UPDATE_BYTES:,} bytes, found {len(found[0]):,}"
        )
    if hash_of(found[0]) != manifest.update:
        raise CodecError(
            f"damaged {UPDATE_NAME}: expected {manifest.update}, found {hash_of(found[0])}; get the file again"
        )
    return bytes(found[0])


def _check_tracks(path: str, container: InputContainer, manifest: Manifest) -> None:
    tracks = {}
    for stream in container.streams.video:
        name = stream.metadata.get("title")
        if name in (LUMA, COLOUR):
            if name in tracks:
                raise CodecError(f"expected one track {name}, found two in {path}")
            tracks[name] = stream
    wanted = [LUMA] if manifest.layout == "in-band" else [LUMA, COLOUR]
    for name in wanted:
        if name not in tracks:
            raise CodecError(
                f"expected a track {name} for layout {manifest.layout}, found none in {path}; get the file again"
            )
        codec = tracks[name].codec_context  # None where FFmpeg does not know the codec
        if codec is None or codec.name != "hevc":
            raise CodecError(
                f"expected HEVC in track {name}, found {codec.name if codec else 'an unknown codec'} in {path}"
            )
    width, height = manifest.size
    chroma = ((height + 1) // 2, (width + 1) // 2)
    shapes = {
        LUMA: (height, width),
        COLOUR: (2 * chroma[0], chroma[1]) if manifest.layout == "chroma" else (height, width),
    }
    for name in wanted:
        context = tracks[name].codec_context
        _check_planes(path, name, manifest.layout, context.pix_fmt or "of no known kind")
        shape = coded_shape(shapes[name], grey=(context.pix_fmt or "").startswith("gray"))
        if (context.height, context.width) != shape:
            raise CodecError(
                f"{MANIFEST_NAME} says {width}x{height}, so track {name} should be {shape[1]}x{shape[0]}; "
                f"found {context.width}x{context.height} in {path}"
            )


def _check_planes(path: str, name: str, layout: Layout, pixels: str) -> None:
    grey = pixels.startswith("gray")
    allowed = {("chroma", COLOUR): grey, ("full", COLOUR): not grey, ("in-band", LUMA): not grey}
    if not allowed.get((layout, name), True) or pixels not in (
        "gray",
        "gray10le",
        "yuv420p",
        "yuvj420p",
        "yuv420p10le",
    ):
        raise CodecError(
            f"expected other pixels in track {name} for layout {layout}, found {pixels} in {path}; get the file again"
        )


def video_tracks(container: InputContainer, manifest: Manifest) -> dict[str, VideoStream]:
    """The tracks of an opened Tinct file by name, as `read_file_manifest` has checked them."""
    named = {stream.metadata.get("title"): stream for stream in container.streams.video}
    return {
        name: named[name] for name in ((LUMA,) if manifest.layout == "in-band" else (LUMA, COLOUR))
    }
