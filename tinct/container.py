"""The Tinct file: its specification, its reader and its writer. No network code is imported here.

# Format, version 1

A Tinct file is a Matroska file that any player opens. It holds, in this order:

| part | what |
|---|---|
| track 1, named `luma`, default | HEVC: 4:0:0, or 4:2:0 with flat chroma (`--compatible`); in-band 4:2:0 with its colour |
| track 2, named `colour`, not default | HEVC, packets only at the times of key frames. No such track in-band |
| further tracks | sound and subtitles, copied from the source |
| attachment `tinct.json` | the manifest, below |
| attachment `update.bin` | what was trained on this video: with `gan` its network, with `compact` a change of weights, below |

A file without the attachment `tinct.json` and without tracks named `luma` and `colour` is an ordinary video.

## Layouts

- `chroma`: track 1 has every frame; track 2 has one 4:0:0 picture of ceil(w/2) x 2 ceil(h/2) for each key frame, Cb above Cr,
  inter-coded from key frame to key frame without reordering, an IDR picture at least every 10 s.
- `full`: track 2 has the key frames whole, 4:2:0, intra; track 1 has all the other frames and only them.
- `in-band`: one 4:2:0 track. It only carries a manifest where the size has to be cropped (see Size), or where a network restores
  each frame, from itself, the two before it and the two behind it as they were decoded.

Key frames are the frames at the times of track 2's packets. A group is a key frame and the frames before the next one.
A frame of a group takes its colour from the group's key frame and from the next key frame, from the first alone where the
group is open or the last.

## Manifest

UTF-8 JSON without white space, keys in this order, defaults left out. A reader refuses unknown keys, version 1 has no others, and a
key that stands twice.

| key | value | default |
|---|---|---|
| `tinct` | format version, 1 | required |
| `layout` | `"chroma"`, `"full"` or `"in-band"` | `"chroma"` |
| `size` | [width, height] of the video, 1 to 16384 each, at most 8192 x 4352 pixels | required |
| `rate` | [numerator, denominator] of a constant frame rate, in frames per second | variable rate |
| `frames` | number of frames of the video | required |
| `keys` | number of packets of track 2, at most `frames` | 0 |
| `open` | numbers of the open groups' key frames, ascending: frame numbers at a constant rate, else milliseconds | none |
| `colouriser` | what finishes the frames between key frames: `"none"`, `"compact"` or `"gan"` | `"none"` |
| `network` | with `compact`, [name, first 16 hexadecimal digits of the SHA-256 of its weights], which a decoder must have | |
| `qps` | with `compact`, [times as in `open`, QPs, QPs]: what it is told of key frames and others from each time on | |
| `generator` | with `gan`, an object that says what its network is, below | |
| `rank` | with `compact`, a colour track and an update, the rank of its matrices, 1 to 8 | no update |
| `update` | with `gan` or `rank`, the first 16 hexadecimal digits of the SHA-256 of `update.bin`, at most 16 MiB | |
| `plain` | lists of key frames, as in `open`: in their groups Y, Cb, Cr are not the network's but what `none` gives | none |

The networks are `"fast"` and `"best"`, in-band `"in-band"`. They are told two QPs of luma, 0 to 51: the earlier key frame's, or the
later's where there is no earlier one, and the frame's own. Before the first time those of the first hold. In-band they are the
video's nominal QP or CRF, and `plain` lists whole seconds: from there to the next second Y, Cb or Cr are as they were coded.

## The generator

The network of `gan` makes each frame between key frames from its decoded luma alone. Keys of `generator`, defaults left out:

| key | value | default |
|---|---|---|
| `kind` | `"multiresunet"`; for comparison `"pix2pix"`, `"pix2pix-attention"`, `"pix2pixhd"`, `"cyclegan"` | `"multiresunet"` |
| `channels` | the paper's C, 6 to 128 | 64 |
| `attention` | levels that attend to themselves, ascending, of 1 to 4 | [3, 4] |
| `residual` | the skips: `"global"`, with their long residual connection, or `"original"` | `"global"` |
| `output` | `"rgb"`, or `"ycbcr"`: Y' is then luma and what is added to it | `"rgb"` |

`update.bin` holds the weights that follow from it, batch norm folded into them; `weights.py` has the layout of the bytes.

## The update of `compact`

For each convolution of the network's last pass, in the order of their names: `NAME.bias` [n], `NAME.left` [rank, n] and
`NAME.right` [rank, m]. The bias is added to the network's own, left.T @ right to its kernel [n, m]. The bytes are as above.

## Size

Luma is padded by replication to at least 18 x 16, and to even sides where the track is 4:2:0; the colour picture to at least
18 x 16. A decoder crops to `size`: the top left part is the video.

## Time

Matroska keeps milliseconds. With `rate`, the frame at m milliseconds is frame n = round(m * rate / 1000) and its time is
n / rate exactly; without, its time is m.

## Checksums

Track entries, attachments and each cluster of packets (5 s or 5 MB) begin with Matroska's own CRC-32. A decoder counts those that
do not hold; it shows what decodes all the same.

## Tags

Colour primaries, transfer, matrix, range, sample aspect ratio and HDR10 metadata are in track 1's HEVC stream, rotation in
Matroska. Those of track 2 mean nothing.
"""

import heapq
import io
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import pairwise, repeat
from pathlib import Path
from typing import IO, Any, Literal, get_args

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from tinct.base import Packet, coded_shape
from tinct.config import LEVELS, MAX_CHANNELS, MAX_QP, MIN_CHANNELS, GanConfig, GeneratorKind, Output, Residual
from tinct.demux import open_input, reason
from tinct.errors import CodecError
from tinct.extras import Extras
from tinct.frames import VideoInfo
from tinct.limits import (
    MAX_FRAMES,
    MAX_MANIFEST_BYTES,
    MAX_MANIFEST_KEYS,
    MAX_MANIFEST_LISTS,
    MAX_PIXELS,
    MAX_RANK,
    MAX_RATE,
    MAX_RATE_TERM,
    MAX_SIDE,
    MAX_UPDATE_BYTES,
)
from tinct.weights import HASH_DIGITS, hash_of

VERSION = 1
MANIFEST_NAME, UPDATE_NAME = "tinct.json", "update.bin"
ATTACHMENT_BYTES = 70  # that a manifest takes beside its own, with what else marks a file of Tinct's
IDR_SECONDS = 10.0  # the colour track can be entered at least this often
LUMA, COLOUR = "luma", "colour"
NETWORK_NAMES = ("fast", "best", "in-band")

Layout = Literal["chroma", "full", "in-band"]


@dataclass(frozen=True)
class Manifest:
    """`tinct.json`, as specified above; `size` is (width, height), `rate` None for a variable frame rate."""

    size: tuple[int, int]
    frames: int
    keys: int = 0
    layout: Layout = "chroma"
    rate: Fraction | None = None
    open: tuple[int, ...] = ()
    colouriser: str = "none"
    network: tuple[str, str] | None = None
    qps: tuple[tuple[int, int, int], ...] = ()  # from a time on, of key frames and of the others
    generator: GanConfig | None = None
    rank: int | None = None
    update: str | None = None
    plain: tuple[tuple[int, ...], ...] = ((), (), ())  # of Y, Cb and Cr


def write_manifest(manifest: Manifest) -> bytes:
    fields: dict[str, Any] = {"tinct": VERSION}
    if manifest.layout != "chroma":
        fields["layout"] = manifest.layout
    fields["size"] = manifest.size
    if manifest.rate is not None:
        fields["rate"] = [manifest.rate.numerator, manifest.rate.denominator]
    fields["frames"] = manifest.frames
    if manifest.keys:
        fields["keys"] = manifest.keys
    if manifest.open:
        fields["open"] = manifest.open
    if manifest.colouriser != "none":
        fields["colouriser"] = manifest.colouriser
    if manifest.network is not None:
        fields["network"] = manifest.network
        assert manifest.qps, "a network is told what luma was coded at"
        fields["qps"] = list(zip(*manifest.qps, strict=True))
    if manifest.generator is not None:
        fields["generator"] = _generator_fields(manifest.generator)
    if manifest.rank is not None:
        fields["rank"] = manifest.rank
    if manifest.update is not None:
        fields["update"] = manifest.update
    if any(manifest.plain):
        fields["plain"] = manifest.plain
    return json.dumps(fields, separators=(",", ":")).encode()


def read_manifest(data: bytes) -> Manifest:
    """The inverse of `write_manifest` for bytes from strangers; CodecError names what is wrong."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise CodecError(f"damaged {MANIFEST_NAME}: expected at most {MAX_MANIFEST_BYTES} bytes, found {len(data)}")
    for kind, most, found in (
        ("lists", MAX_MANIFEST_LISTS, data.count(b"[") + data.count(b"{")), ("keys", MAX_MANIFEST_KEYS, data.count(b":"))
    ):  # fmt: skip
        if found > most:
            raise CodecError(f"damaged {MANIFEST_NAME}: expected at most {most} {kind}, found {found:,}; get the file again")
    try:
        fields = json.loads(data.decode(), object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise CodecError(f"damaged {MANIFEST_NAME}: expected JSON, found {data[:20]!r}; get the file again") from error
    version = fields.get("tinct") if isinstance(fields, dict) else None
    if not _is_count(version, 1, MAX_FRAMES):
        raise CodecError(
            f"damaged {MANIFEST_NAME}: expected a format version, found {json.dumps(version)[:40]}; get the file again"
        )
    if version != VERSION:
        raise CodecError(f"expected Tinct format version {VERSION}, found {version}; it takes a newer tinct to read it")
    _check_fields(fields)
    rate = fields.get("rate")
    return Manifest(
        size=(fields["size"][0], fields["size"][1]),
        frames=fields["frames"],
        keys=fields.get("keys", 0),
        layout=fields.get("layout", "chroma"),
        rate=Fraction(*rate) if rate else None,
        open=tuple(fields.get("open", ())),
        colouriser=fields.get("colouriser", "none"),
        network=tuple(fields["network"]) if "network" in fields else None,
        qps=tuple(zip(*fields["qps"], strict=True)) if "qps" in fields else (),
        generator=_generator(fields["generator"]) if "generator" in fields else None,
        rank=fields.get("rank"),
        update=fields.get("update"),
        plain=tuple(tuple(times) for times in fields.get("plain", ((), (), ()))),
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice would mean one thing to one reader and another to the next."""
    if len(fields := dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _check_fields(fields: dict[str, Any]) -> None:
    """Refuse what the table above does not allow."""
    plain = fields.get("plain", [[], [], []])
    colouriser = fields.get("colouriser", "none")
    in_band = fields.get("layout") == "in-band"
    rate = fields.get("rate", [25, 1])
    size: Any = fields.get("size")
    frames: Any = fields.get("frames")
    allowed = {
        "tinct": True,
        "layout": fields.get("layout", "chroma") in ("chroma", "full", "in-band"),
        "size": _are_counts(size, 1, MAX_SIDE, length=2) and size[0] * size[1] <= MAX_PIXELS,
        "rate": _are_counts(rate, 1, MAX_RATE_TERM, length=2) and 1 / MAX_RATE <= rate[0] / rate[1] < MAX_RATE,
        "frames": _is_count(frames, 1, MAX_FRAMES),
        "keys": _is_count(frames, 1, MAX_FRAMES) and _is_count(fields.get("keys", 0), 0, frames),
        "open": _are_times(fields.get("open", [])),
        "colouriser": colouriser in ("none", "compact", "gan"),
        "network": "network" not in fields if colouriser != "compact" else _is_network(fields.get("network"), in_band=in_band),
        "qps": "qps" not in fields if colouriser != "compact" else _are_qps(fields.get("qps")),
        "generator": "generator" not in fields if colouriser != "gan" else _is_generator(fields.get("generator")),
        "rank": "rank" not in fields or (colouriser == "compact" and not in_band and _is_count(fields["rank"], 1, MAX_RANK)),
        "update": _is_hash(fields.get("update")) if colouriser == "gan" or "rank" in fields else "update" not in fields,
        "plain": isinstance(plain, list) and len(plain) == 3 and all(_are_times(times) for times in plain),
    }
    for key in [*fields, *allowed]:
        if not allowed.get(key, False):
            found = json.dumps(fields.get(key))[:40]
            raise CodecError(f"damaged {MANIFEST_NAME}: {key[:40]!r} is not as format {VERSION} has it, found {found}")


def _is_count(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _are_counts(values: object, low: int, high: int, length: int | None = None) -> bool:
    return isinstance(values, list) and (length is None or len(values) == length) and all(_is_count(v, low, high) for v in values)


def _are_times(values: object) -> bool:
    return isinstance(values, list) and _are_counts(values, 0, MAX_FRAMES) and all(a < b for a, b in pairwise(values))


def _is_network(value: object, *, in_band: bool) -> bool:
    """A name that is installed, and a hash; in-band there is one network, which is for nothing else."""
    named = isinstance(value, list) and len(value) == 2 and value[0] in NETWORK_NAMES and _is_hash(value[1])
    return named and (value[0] == "in-band") == in_band  # type: ignore[index]


def _are_qps(value: object) -> bool:
    if not (isinstance(value, list) and len(value) == 3 and _are_times(value[0]) and value[0]):
        return False
    return all(_are_counts(qps, 0, MAX_QP, length=len(value[0])) for qps in value[1:])


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{HASH_DIGITS}}}", value) is not None


def _generator_fields(config: GanConfig) -> dict[str, Any]:
    """Those that are not at their defaults."""
    defaults = asdict(GanConfig())
    return {name: value for name, value in asdict(config).items() if value != defaults[name]}


def _generator(fields: dict[str, Any]) -> GanConfig:
    attention = fields.get("attention")
    return GanConfig(**{**fields, **({"attention": tuple(attention)} if attention is not None else {})})


def _is_generator(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    allowed = {
        "kind": value.get("kind", "multiresunet") in get_args(GeneratorKind),
        "channels": _is_count(value.get("channels", MIN_CHANNELS), MIN_CHANNELS, MAX_CHANNELS),
        "attention": _are_counts(levels := value.get("attention", []), 1, LEVELS) and sorted(set(levels)) == levels,
        "residual": value.get("residual", "global") in get_args(Residual),
        "output": value.get("output", "rgb") in get_args(Output),
    }
    return all(allowed.get(key, False) for key in [*value, *allowed])


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
            self.file.write(self._RECORD.pack(packet.pts, packet.dts, packet.keyframe, len(packet.data)))
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
    path: Path, info: VideoInfo, spools: list[Spool], manifest: Manifest | None, source: str | None, update: bytes | None = None
) -> list[str]:
    """Write the file: tracks in order of decoding time, the other streams of `source` beside them, the manifest, the update.

    Without a manifest this is an ordinary HEVC file. Returns notes on what could not be carried over.
    """
    try:
        return _mux(path, info, spools, manifest, source, update)
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise CodecError(f'expected Matroska to take the tracks, found "{reason(error)}"') from error


def _mux(
    path: Path, info: VideoInfo, spools: list[Spool], manifest: Manifest | None, source: str | None, update: bytes | None
) -> list[str]:
    with av.open(f"file:{path.absolute()}", "w", format="matroska", container_options={"fflags": "+bitexact"}) as out:
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
    return heapq.merge(*(zip(repeat(spool.name), spool.read()) for spool in spools), key=lambda item: item[1].dts)


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
        attached = [s for s in container.streams if s.type == "attachment" and getattr(s, "name", None) == MANIFEST_NAME]
        names = [s.metadata.get("title") for s in container.streams.video]
        if not attached:
            if LUMA in names and COLOUR in names:
                raise CodecError(f"expected {MANIFEST_NAME} beside Tinct's tracks, found none in {path}; get the original file")
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
        found = [s.data for s in container.streams if s.type == "attachment" and getattr(s, "name", None) == UPDATE_NAME]  # type: ignore[attr-defined]
    if len(found) != 1:
        raise CodecError(f"expected one {UPDATE_NAME}, found {len(found) or 'none'} in {path}; get the original file")
    if len(found[0]) > MAX_UPDATE_BYTES:
        raise CodecError(f"damaged {UPDATE_NAME}: expected at most {MAX_UPDATE_BYTES:,} bytes, found {len(found[0]):,}")
    if hash_of(found[0]) != manifest.update:
        raise CodecError(f"damaged {UPDATE_NAME}: expected {manifest.update}, found {hash_of(found[0])}; get the file again")
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
            raise CodecError(f"expected a track {name} for layout {manifest.layout}, found none in {path}; get the file again")
        codec = tracks[name].codec_context  # None where FFmpeg does not know the codec
        if codec is None or codec.name != "hevc":
            raise CodecError(f"expected HEVC in track {name}, found {codec.name if codec else 'an unknown codec'} in {path}")
    width, height = manifest.size
    chroma = ((height + 1) // 2, (width + 1) // 2)
    shapes = {LUMA: (height, width), COLOUR: (2 * chroma[0], chroma[1]) if manifest.layout == "chroma" else (height, width)}
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
    if not allowed.get((layout, name), True) or pixels not in ("gray", "gray10le", "yuv420p", "yuvj420p", "yuv420p10le"):
        raise CodecError(f"expected other pixels in track {name} for layout {layout}, found {pixels} in {path}; get the file again")


def video_tracks(container: InputContainer, manifest: Manifest) -> dict[str, VideoStream]:
    """The tracks of an opened Tinct file by name, as `read_file_manifest` has checked them."""
    named = {stream.metadata.get("title"): stream for stream in container.streams.video}
    return {name: named[name] for name in ((LUMA,) if manifest.layout == "in-band" else (LUMA, COLOUR))}
