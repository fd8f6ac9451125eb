"""Tracks of a Tinct file: which of them is what, the manifest beside them, and their checks.

`manifest` specifies the format and owns the manifest; `muxer` writes such files.
"""

from av.container import InputContainer
from av.video.stream import VideoStream

from tinct.bitstream.base import BASES, coded_shape, find_base
from tinct.bitstream.codecs import BaseCodec
from tinct.bitstream.layouts import IN_BAND, LAYOUTS, LayoutRow
from tinct.bitstream.manifest import (
    COLOUR,
    LUMA,
    UPDATE_NAME,
    Manifest,
    read_manifest,
)
from tinct.bitstream.schema import MANIFEST_NAME
from tinct.bitstream.short_manifest import TAG, read_short
from tinct.errors import CodecError
from tinct.limits import MAX_UPDATE_BYTES
from tinct.media.demux import open_input
from tinct.networks.compact_config import SHIPPED_NETWORKS
from tinct.networks.weights import hash_weights


def read_file_manifest(path: str) -> Manifest | None:
    """Return the manifest of a file; None if it is not a Tinct file.

    Raises CodecError for a Tinct file whose manifest is missing, damaged or of another version, or
    whose tracks do not match the manifest.
    """
    with open_input(path) as container:
        manifests = _find_attachments(container, MANIFEST_NAME)
        names = [s.metadata.get("title") for s in container.streams.video]
        if not manifests:
            if (tagged := _find_tagged(container)) is not None:
                return _read_tag(tagged)
            if LUMA in names and COLOUR in names:
                raise CodecError(
                    f"expected {MANIFEST_NAME} beside Tinct's tracks, "
                    f"found none in {path}; get the original file"
                )
            return None
        if len(manifests) > 1:
            raise CodecError(f"expected one {MANIFEST_NAME}, found {len(manifests)} in {path}")
        manifest = read_manifest(manifests[0])
        _check_tracks(path, container, manifest)
        return manifest


def read_update(path: str, manifest: Manifest) -> bytes | None:
    """Return the bytes of `update.bin`; None where the manifest names no update.

    Raises CodecError where the file has no update, or not the one that the manifest names.
    """
    if manifest.update is None:
        return None
    with open_input(path) as container:
        updates = _find_attachments(container, UPDATE_NAME)
    if len(updates) != 1:
        raise CodecError(
            f"expected one {UPDATE_NAME}, found {len(updates) or 'none'} in {path}; "
            "get the original file"
        )
    update = updates[0]
    if len(update) > MAX_UPDATE_BYTES:
        raise CodecError(
            f"damaged {UPDATE_NAME}: expected at most {MAX_UPDATE_BYTES:,} bytes, "
            f"found {len(update):,}"
        )
    if hash_weights(update) != manifest.update:
        raise CodecError(
            f"damaged {UPDATE_NAME}: expected {manifest.update}, "
            f"found {hash_weights(update)}; get the file again"
        )
    return update


def find_tracks(container: InputContainer, manifest: Manifest) -> dict[str, VideoStream]:
    """Return the tracks of an opened Tinct file by name.

    `read_file_manifest` must have checked that they are there.
    """
    named = {stream.metadata.get("title"): stream for stream in container.streams.video}
    if manifest.layout == IN_BAND.name and (tagged := _find_tagged(container)) is not None:
        named = {LUMA: tagged}
    return {name: named[name] for name in LAYOUTS[manifest.layout].tracks}


def _find_tagged(container: InputContainer) -> VideoStream | None:
    """Return the first track of video if it has a short manifest and FFmpeg knows its codec."""
    tracks = [stream for stream in container.streams.video[:1] if stream.codec_context is not None]
    return next((track for track in tracks if TAG in track.metadata), None)


def _read_tag(track: VideoStream) -> Manifest | None:
    """Return the short manifest of a track; None where the track is not what it speaks of.

    Other programs copy the tag when they code the video anew.
    """
    context = track.codec_context
    manifest = read_short(track.metadata[TAG], (context.height, context.width))
    assert manifest.network is not None
    base = find_base(context.codec.canonical_name)
    if base is None or base.name != SHIPPED_NETWORKS[manifest.network[0]].base:
        return None
    return manifest if context.pix_fmt in base.pixels else None


def _find_attachments(container: InputContainer, name: str) -> list[bytes]:
    """Return the data of every attachment of that name."""
    return [
        bytes(stream.data)  # type: ignore[attr-defined]
        for stream in container.streams
        if stream.type == "attachment" and getattr(stream, "name", None) == name
    ]


def _check_tracks(path: str, container: InputContainer, manifest: Manifest) -> None:
    """Raise CodecError where the tracks are not those of the manifest's layout and size."""
    tracks = _name_tracks(path, container)
    row = LAYOUTS[manifest.layout]
    for name in row.tracks:
        if name not in tracks:
            raise CodecError(
                f"expected a track {name} for layout {row.name}, "
                f"found none in {path}; get the file again"
            )
        _check_codec(path, tracks[name], name=name, row=row)
    titles = {find_track_base(tracks[name]).title: None for name in row.tracks}
    if len(titles) > 1:
        raise CodecError(
            f"expected all tracks in one codec, found {' and '.join(titles)} in {path}; "
            "get the file again"
        )
    for name in row.tracks:
        context = tracks[name].codec_context
        pixels = context.pix_fmt or "of no known kind"
        base = find_track_base(tracks[name])
        is_grey = pixels.startswith("gray") or base.hides_grey(context.extradata or b"")
        wanted_grey = row.is_grey(name, has_hints=manifest.hints)
        if pixels not in base.pixels or wanted_grey not in (None, is_grey):
            found = f"{pixels}, grey" if is_grey and not pixels.startswith("gray") else pixels
            raise CodecError(
                f"expected other pixels in track {name} for layout {row.name}, "
                f"found {found} in {path}; get the file again"
            )
        network, _ = manifest.network or (None, None)
        wanted = base.name if network is None else SHIPPED_NETWORKS[network].base
        if wanted not in (None, base.name):
            needs = f"{BASES[wanted].title} for the network {network}"
            raise CodecError(f"expected {needs}, found {base.title} in {path}")
        shape = _coded_track_shape(name, manifest, base=base, grey=is_grey)
        if (context.height, context.width) != shape:
            width, height = manifest.size
            raise CodecError(
                f"{MANIFEST_NAME} says {width}x{height}, "
                f"so track {name} should be {shape[1]}x{shape[0]}; "
                f"found {context.width}x{context.height} in {path}"
            )


def _name_tracks(path: str, container: InputContainer) -> dict[str, VideoStream]:
    """Return the video tracks with a name of Tinct's. Raise CodecError where a name is repeated."""
    tracks: dict[str, VideoStream] = {}
    for stream in container.streams.video:
        name = stream.metadata.get("title")
        if name in (LUMA, COLOUR):
            if name in tracks:
                raise CodecError(f"expected one track {name}, found two in {path}")
            tracks[name] = stream
    return tracks


def find_track_base(track: VideoStream) -> BaseCodec:
    """Return the base codec of a track that was checked."""
    base = find_base(track.codec_context.codec.canonical_name)
    assert base is not None
    return base


def _check_codec(path: str, track: VideoStream, *, name: str, row: LayoutRow) -> None:
    codec = track.codec_context  # None where FFmpeg does not know the codec
    found = "an unknown codec" if codec is None else codec.codec.canonical_name
    wanted = [base for base in BASES.values() if base.codes_grey or not row.has_colour_track]
    if found not in [base.coded_as for base in wanted]:
        titles = " or ".join(dict.fromkeys(base.title for base in wanted))
        raise CodecError(f"expected {titles} in track {name}, found {found} in {path}")


def _coded_track_shape(
    name: str, manifest: Manifest, *, base: BaseCodec, grey: bool
) -> tuple[int, int]:
    """Return the height and width of a track's coded pictures."""
    width, height = manifest.size
    if name == COLOUR and not LAYOUTS[manifest.layout].whole_keys:
        return coded_shape((2 * ((height + 1) // 2), (width + 1) // 2), grey=grey, base=base)
    return coded_shape((height, width), grey=grey, base=base)
