"""The Tinct file: its specification, and the reader and writer of its manifest. `container` has the tracks and packets.

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

import json
import re
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, get_args

from tinct.bitstream.qp import MAX_QP
from tinct.errors import CodecError
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
)
from tinct.networks.gan_config import (
    LEVELS,
    MAX_CHANNELS,
    MIN_CHANNELS,
    GanConfig,
    GeneratorKind,
    Output,
    Residual,
)
from tinct.networks.weights import HASH_DIGITS

VERSION = 1
MANIFEST_NAME, UPDATE_NAME = "tinct.json", "update.bin"
ATTACHMENT_BYTES = (
    70  # that a manifest takes beside its own, with what else marks a file of Tinct's
)
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
        raise CodecError(
            f"damaged {MANIFEST_NAME}: expected at most {MAX_MANIFEST_BYTES} bytes, found {len(data)}"
        )
    for kind, most, found in (
        ("lists", MAX_MANIFEST_LISTS, data.count(b"[") + data.count(b"{")), ("keys", MAX_MANIFEST_KEYS, data.count(b":"))
    ):  # fmt: skip
        if found > most:
            raise CodecError(
                f"damaged {MANIFEST_NAME}: expected at most {most} {kind}, found {found:,}; get the file again"
            )
    try:
        fields = json.loads(data.decode(), object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise CodecError(
            f"damaged {MANIFEST_NAME}: expected JSON, found {data[:20]!r}; get the file again"
        ) from error
    version = fields.get("tinct") if isinstance(fields, dict) else None
    if not _is_count(version, 1, MAX_FRAMES):
        raise CodecError(
            f"damaged {MANIFEST_NAME}: expected a format version, found {json.dumps(version)[:40]}; get the file again"
        )
    if version != VERSION:
        raise CodecError(
            f"expected Tinct format version {VERSION}, found {version}; it takes a newer tinct to read it"
        )
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
        "rate": _are_counts(rate, 1, MAX_RATE_TERM, length=2)
        and 1 / MAX_RATE <= rate[0] / rate[1] < MAX_RATE,
        "frames": _is_count(frames, 1, MAX_FRAMES),
        "keys": _is_count(frames, 1, MAX_FRAMES) and _is_count(fields.get("keys", 0), 0, frames),
        "open": _are_times(fields.get("open", [])),
        "colouriser": colouriser in ("none", "compact", "gan"),
        "network": "network" not in fields
        if colouriser != "compact"
        else _is_network(fields.get("network"), in_band=in_band),
        "qps": "qps" not in fields if colouriser != "compact" else _are_qps(fields.get("qps")),
        "generator": "generator" not in fields
        if colouriser != "gan"
        else _is_generator(fields.get("generator")),
        "rank": "rank" not in fields
        or (colouriser == "compact" and not in_band and _is_count(fields["rank"], 1, MAX_RANK)),
        "update": _is_hash(fields.get("update"))
        if colouriser == "gan" or "rank" in fields
        else "update" not in fields,
        "plain": isinstance(plain, list)
        and len(plain) == 3
        and all(_are_times(times) for times in plain),
    }
    for key in [*fields, *allowed]:
        if not allowed.get(key, False):
            found = json.dumps(fields.get(key))[:40]
            raise CodecError(
                f"damaged {MANIFEST_NAME}: {key[:40]!r} is not as format {VERSION} has it, found {found}"
            )


def _is_count(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _are_counts(values: object, low: int, high: int, length: int | None = None) -> bool:
    return (
        isinstance(values, list)
        and (length is None or len(values) == length)
        and all(_is_count(v, low, high) for v in values)
    )


def _are_times(values: object) -> bool:
    return (
        isinstance(values, list)
        and _are_counts(values, 0, MAX_FRAMES)
        and all(a < b for a, b in pairwise(values))
    )


def _is_network(value: object, *, in_band: bool) -> bool:
    """A name that is installed, and a hash; in-band there is one network, which is for nothing else."""
    named = (
        isinstance(value, list)
        and len(value) == 2
        and value[0] in NETWORK_NAMES
        and _is_hash(value[1])
    )
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
    return GanConfig(
        **{**fields, **({"attention": tuple(attention)} if attention is not None else {})}
    )


def _is_generator(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    allowed = {
        "kind": value.get("kind", "multiresunet") in get_args(GeneratorKind),
        "channels": _is_count(value.get("channels", MIN_CHANNELS), MIN_CHANNELS, MAX_CHANNELS),
        "attention": _are_counts(levels := value.get("attention", []), 1, LEVELS)
        and sorted(set(levels)) == levels,
        "residual": value.get("residual", "global") in get_args(Residual),
        "output": value.get("output", "rgb") in get_args(Output),
    }
    return all(allowed.get(key, False) for key in [*value, *allowed])
