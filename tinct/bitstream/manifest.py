"""The Tinct file: its specification, and the reader and writer of its manifest.

The module `container` has the tracks, `muxer` writes them.

# Format, versions 1 to 4

A Tinct file is a Matroska file that any player can open. It holds, in this order:

| part | contents |
|---|---|
| track 1, named `luma`, default | HEVC or H.264, 4:0:0 or 4:2:0; in-band also AV1, all 4:2:0 |
| track 2, named `colour`, not default | same codec: a packet for each key frame; not in-band |
| further tracks | sound and subtitles, copied from the source |
| attachment `tinct.json` | the manifest, see Manifest; not with the tag `TINCT` of track 1 |
| attachment `update.bin` | weights that were trained on this video, see `gan` and `compact` |

Chroma of 4:2:0 that is not in-band is flat (all samples of Cb and Cr at the middle of their range),
or holds hints of colour, see Hints. In `update.bin` the colouriser `gan` stores its whole network,
`compact` a change to the weights of its network.

Tracks say themselves which codec they have, and their parameter sets whether pictures are 4:0:0
(`chroma_format_idc` of the SPS, 0 for 4:0:0); a decoder of H.264 may show 4:0:0 as 4:2:0 with flat
chroma. Consecutive IDR pictures of H.264 differ in `idr_pic_id`.

A file without the attachment `tinct.json`, without tracks named `luma` and `colour` and without the
tag `TINCT` is an ordinary video; so is one whose tag is of a network for another codec.

## Layouts

- `chroma`: track 1 holds every frame that is sent. Track 2 holds one 4:0:0 picture of
  ceil(w/2) x 2 ceil(h/2) for each key frame, with Cb above Cr. Each picture may be predicted from
  that of the key frame before it, without reordering. There is an IDR picture at least every 10 s.
- `full`: track 2 holds the key frames as whole 4:2:0 pictures, intra coded. Track 1 holds all other
  frames that are sent, and no key frames.
- `in-band`: one 4:2:0 track holds every frame with its colour. The file has a manifest only where
  the decoder must crop (see Size), or where a network restores the frames (see In-band networks).

The frames at the times of track 2's packets are key frames. A group is a key frame and the frames
before the next key frame. The frames of a group take their colour from the group's key frame and
from the next key frame. They take it from the group's key frame alone where the group is open, and
in the last group.

Frames between key frames may be interpolated: they are in no track. `interpolated` of the manifest
has their times, see Interpolated frames.

## Manifest

The manifest is UTF-8 JSON without white space. Its keys are in the order of this table; keys with
their default value are left out. A reader refuses unknown keys, as these versions have no others,
and repeated keys.

| key | value | default |
|---|---|---|
| `tinct` | format version: 2 with `interpolated` or `hints`, else 1 | required |
| `layout` | `"chroma"`, `"full"` or `"in-band"` | `"chroma"` |
| `size` | [width, height] of the video, 1 to 16384 each, at most 8192 x 4352 pixels | required |
| `rate` | [numerator, denominator] of a constant rate in frames per second, see Time | variable |
| `frames` | number of frames in the video | required |
| `keys` | number of packets in track 2, at most `frames` | 0 |
| `open` | times of the key frames of open groups, at most `keys` | none |
| `colouriser` | restores the frames between key frames: `"none"`, `"compact"`, `"gan"` | `"none"` |
| `network` | with `compact`: [name, hash] of the network | |
| `qps` | with `compact`: [times, QPs of key frames, QPs of other frames] | |
| `generator` | with `gan`: an object that describes the network, see The generator | |
| `rank` | with `compact`, a colour track and an update: rank of its matrices, 1 to 8 | no update |
| `update` | with `gan` or `rank`: hash of `update.bin`, which has at most 16 MiB | |
| `plain` | [times for Y, times for Cb, times for Cr] where the network is left out | none |
| `strengths` | with `compact`: [text for Y, text for Cb, text for Cr], see Post-filter | none |
| `interpolated` | text: the times of interpolated frames; not in-band | none |
| `hints` | `true`: track 1 is 4:2:0, and its chroma are hints; not in-band | no hints |

- Times are in ascending order: frame numbers where the frame rate is constant, else milliseconds.
- A hash is the first 16 hexadecimal digits of a SHA-256.
- `network`: the names are `"fast"` and `"best"`, and in-band `"fast-av1"`, `"best-av1"`,
  `"fast-hevc"`, `"best-hevc"` and `"in-band"`. The hash is that of the network's weights. A decoder
  must have the network with that name and hash. What the network is told of the distance to both
  key frames counts interpolated frames too.
- `qps`: the QPs of luma, 0 to 51. Each pair of QPs holds from its time until the next time; the
  first pair also holds before its time. For each frame the network receives two QPs: that of the
  earlier key frame (of the later one where there is no earlier one), and that of the frame itself.
  In-band both are the video's nominal QP or CRF.
- `plain`: the times are those of key frames. In the groups of these key frames the plane (Y, Cb or
  Cr) is the one that the colouriser `none` would give. In-band the lists hold seconds, as whole
  numbers: from each second to the next the plane stays as it was decoded.
- `interpolated`: times in ascending order, fewer than `frames`, packed. Each time is coded as the
  step from the one before it, the first as that from -1. A step is a variable-length number: seven
  bits a byte, lowest first, with the highest bit set in all bytes but the last. The steps are
  deflated (RFC 1951) and written in base64 (RFC 4648) without padding. At most 2^24 times.

## Short manifest

An in-band file has no attachment, and no name of its track, where the decoder need not crop and the
QP holds throughout: the track's tag `TINCT` says all. Its text has, with a space between them, the
format version, 3 or 4; the name and the hash of `network`; the QP; `frames`; where the rate is
constant numerator and denominator of `rate` with a slash between them; and where `plain` is not
empty its three lists, numbers with commas between them and lists with semicolons. In version 4
these are always there, and after them the three texts of `strengths`, with semicolons. `size` is
the track's.

    3 fast-av1 0123456789abcdef 37 96 30000/1001 ;0,1,7;2
    4 fast-av1 0123456789abcdef 37 96 30000/1001 ;; 0kncc;0jggg;

## In-band networks

`in-band` restores a frame from itself and the two frames on either side. The others go by levels,
of which 0 is the finest. In HEVC and H.264 entry points (key frames of the codec), and pictures
that are shown later than all before them in the stream, have level 0; of the rest, those from which
others may be predicted have level 1 and those from which none is level 2. In AV1 a frame at the
place n after its entry point has level 3 - log2(d), where d is the largest power of two, at most 8,
that divides n, and 8 at the place 0.

A frame is restored from itself and the nearest frame before and after it of a lower level, or for
one of level 0 of its own; by the `best` ones also from the next such frame on either side. No more
than 8 frames on either side are looked at. Where too few are found, the furthest of those stands
for them, at an end of the video the frame itself. As both distances the networks are told that to
the nearest frame, the larger of the two sides.

## Post-filter

What `compact` gives for a plane of a frame that is no key frame, x, is filtered before it is shown.
`strengths` has a text for each plane: changes with commas between them, each a place (a time as in
`plain`) in decimal digits and four digits n, e, r, c of base 64 (`A-Z`, `a-z`, `0-9`, `-`, `_`, in
this order), from which 32 is subtracted. A change holds from its place on; before the first n is 8
and the others are 0. n is 0 to 16. Where the plane is in `plain`, n is 0.

z = p + floor(n (x - p) / 8 + 1/2), with p as the plane is without the network: what the colouriser
`none` would give, in-band what was decoded. The plane that is shown is z + e (E - z) / 8 +
r (R - z) / 8 + c (C - z) / 8, rounded. R is z smoothed along its rows by 1/4, 1/2, 1/4, C along its
columns, E by OpenCV's bilateral filter (diameter 5, 8 levels of 8 bits, 3 samples; rounded where
the video has 8 bits). Samples beyond an edge are those at the edge.

## Interpolated frames

An interpolated frame lies between two frames of its shot that are sent: key frames, or frames
between them after the colouriser. The nearest ones are A, at time a, and B, at time b. The decoder
makes the frame at time t from their Y, Cb and Cr as they are shown; s = (t - a) / (b - a).

1. Motion F from A to B and G from B to A: OpenCV's DIS (preset medium, without variational
   refinement) on luma, reduced to 8 bit, at half the resolution in pictures of more than 640x360.
   It is set to zero where standing still fits about as well (`zero_still_flow` of
   `tinct/motion/flow.py`), and rounded to half precision.
2. Two guesses at the motion from A to B at each place x of the frame: f(x) = F(x - s F(x)) and
   g(x) = -G(x - (1 - s) G(x)), scaled to the planes.
3. Each guess m moves both pictures: A'(x) = A(x - s m(x)), B'(x) = B(x + (1 - s) m(x)); Y is read
   bicubically (a = -0.75), Cb and Cr bilinearly, edges repeated, all rounded to the video's levels.
   Its picture is (1 - s) A' + s B'. Its doubt is the square of 2 plus the mean of |A' - B'| of luma
   over 7x7 samples, in 8-bit levels.
4. The frame is the mean of both pictures, each weighted by the doubt of the other, and rounded.

Pictures that are too small for DIS (a side below 32) are mixed where they stand. In a video with
`rate`, a frame between A and B that is neither sent nor in `interpolated` is lost. It is
interpolated too, and counted as damage.

## Hints

With `hints` the chroma of a frame in track 1, as it decodes, is a hint of its colour. In a frame
that is no key frame the colouriser's Cb and Cr are corrected by it, and interpolated frames are
made of what that gives. d is the hint less the colouriser's plane, m the length of the vector of
the means of both planes' d over the 5x5 samples around (edges mirrored without their own sample),
in 8-bit levels; s = m / 4 - 1, at least 0 and at most 1. The plane that is shown is the
colouriser's plus s d, rounded.

## The generator

The network of `gan` makes each frame between key frames from the decoded luma of that frame alone.
The keys of `generator` are these; keys with their default value are left out:

| key | value | default |
|---|---|---|
| `kind` | `"multiresunet"`, or for comparison one of the kinds below | `"multiresunet"` |
| `channels` | the paper's C, 6 to 128 | 64 |
| `attention` | levels that have self-attention, of 1 to 4, ascending | [3, 4] |
| `residual` | skip connections: `"global"` or `"original"` | `"global"` |
| `output` | `"rgb"` or `"ycbcr"` | `"rgb"` |

The other kinds are `"pix2pix"`, `"pix2pix-attention"`, `"pix2pixhd"` and `"cyclegan"`. `"global"`
skips have the paper's global long residual connections, `"original"` skips do not. With `"ycbcr"`
the output is Y'CbCr, and its Y' is the decoded luma plus a correction.

`update.bin` holds the weights of this network, with batch normalisation folded into them;
`tinct/networks/weights.py` specifies the bytes.

## The update of `compact`

`update.bin` holds three tensors for each convolution of the network's last pass, in the order of
the convolutions' names: `NAME.bias` [n], `NAME.left` [rank, n] and `NAME.right` [rank, m]. The
decoder adds the bias to that of the network, and left.T @ right to the network's kernel [n, m]. The
bytes are specified in `tinct/networks/weights.py` as well.

## Size

Luma is padded by replication to at least 18 x 16 (width x height; 16 x 16 in H.264, 64 x 64 in
AV1), and to even sides where the track is 4:2:0. The colour picture is padded to as much at least.
A decoder crops to `size`: the top left part is the video.

## Time

Matroska stores times in milliseconds. With `rate`, the frame at m milliseconds is frame
n = round(m * rate / 1000), and its exact time is n / rate seconds. Without `rate`, its time is m
milliseconds. A constant rate is at least 1/1000 and below 1000; its terms are below 2^31.

## Checksums

Track entries, attachments and each cluster of packets (5 s or 5 MB) begin with Matroska's own
CRC-32. A decoder counts the checksums that do not match, and still shows all that can be decoded.

## Tags

Colour primaries, transfer, matrix, range, sample aspect ratio and HDR10 metadata are stored in the
stream of track 1, rotation in Matroska, and there the sample aspect ratio of AV1, too. The tags of
track 2 have no meaning.
"""

import json
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tinct.bitstream.schema import (
    SENT_VERSION,
    VERSION,
    Layout,
    check_fields,
    damage_error,
    is_count,
    list_generator_fields,
    make_generator,
    parse_json,
)
from tinct.bitstream.strengths import Changes, pack_strengths, unpack_strengths
from tinct.bitstream.times import pack_times, unpack_times
from tinct.errors import CodecError
from tinct.limits import MAX_FRAMES
from tinct.networks.gan_config import GanConfig

UPDATE_NAME = "update.bin"
# Bytes that a Tinct file takes beside plain HEVC, apart from the manifest's own: the attachment's
# head, and the names of tracks.
ATTACHMENT_BYTES = 70
IDR_SECONDS = 10.0  # longest distance between IDR pictures of the colour track
LUMA, COLOUR = "luma", "colour"  # names of the tracks


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The values of `tinct.json`, as specified above.

    `size` is (width, height); `rate` is None where the frame rate is variable. `qps` has a row
    (time, QP of key frames, QP of other frames) for each change, `plain` and `strengths` the lists
    of Y, Cb and Cr. `interpolated` has eight bytes for a time, since there may be millions.
    """

    size: tuple[int, int]
    frames: int
    keys: int = 0
    layout: Layout = "chroma"
    rate: Fraction | None = None
    open: tuple[int, ...] = ()
    colouriser: str = "none"
    network: tuple[str, str] | None = None
    qps: tuple[tuple[int, int, int], ...] = ()
    generator: GanConfig | None = None
    rank: int | None = None
    update: str | None = None
    plain: tuple[tuple[int, ...], ...] = ((), (), ())
    strengths: tuple[Changes, ...] = ((), (), ())
    interpolated: "array[int]" = field(default_factory=lambda: array("q"))
    hints: bool = False

    @property
    def version(self) -> int:
        if any(self.strengths):
            return VERSION
        return SENT_VERSION if self.interpolated or self.hints else 1


def write_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of `tinct.json`."""
    fields: dict[str, Any] = {"tinct": manifest.version}
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
        assert manifest.qps, "a network needs the QPs of luma"
        fields["qps"] = list(zip(*manifest.qps, strict=True))
    if manifest.generator is not None:
        fields["generator"] = list_generator_fields(manifest.generator)
    if manifest.rank is not None:
        fields["rank"] = manifest.rank
    if manifest.update is not None:
        fields["update"] = manifest.update
    if any(manifest.plain):
        fields["plain"] = manifest.plain
    if any(manifest.strengths):
        fields["strengths"] = [pack_strengths(changes) for changes in manifest.strengths]
    if manifest.interpolated:
        fields["interpolated"] = pack_times(manifest.interpolated)
    if manifest.hints:
        fields["hints"] = True
    return json.dumps(fields, separators=(",", ":")).encode()


def read_manifest(data: bytes) -> Manifest:
    """Return the manifest that `data`, the bytes of `tinct.json`, stand for.

    Raises CodecError, which names the fault, for all bytes that the specification does not allow.
    """
    fields = parse_json(data)
    version = fields.get("tinct") if isinstance(fields, dict) else None
    if not is_count(version, 1, MAX_FRAMES):
        found = f"{json.dumps(version)[:40]}; get the file again"
        raise damage_error("a format version", found)
    assert isinstance(version, int)
    if version > VERSION:
        raise CodecError(
            f"expected Tinct format version {VERSION} or lower, found {version}; "
            "it takes a newer tinct to read it"
        )
    check_fields(fields)
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
        generator=make_generator(fields["generator"]) if "generator" in fields else None,
        rank=fields.get("rank"),
        update=fields.get("update"),
        plain=tuple(tuple(times) for times in fields.get("plain", ((), (), ()))),
        strengths=tuple(map(unpack_strengths, fields.get("strengths", ("", "", "")))),
        interpolated=_read_interpolated(fields),
        hints="hints" in fields,
    )


def _read_interpolated(fields: dict[str, Any]) -> "array[int]":
    return unpack_times(fields["interpolated"]) if "interpolated" in fields else array("q")
