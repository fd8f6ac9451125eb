"""What a base codec is to Tinct: a row with its encoder, its decoder and what it can, and what an
encode asks of it.

`hevc`, `hm`, `avc` and `av1` have the rows, `base` their table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tinct.frames import CHROMA_LOCATIONS, ColourTags, VideoInfo

Shape = tuple[int, int]  # height and width
# Entry points, where decoding may begin, are no further apart where pictures are predicted.
ENTRY_SECONDS = 5
MAX_ENTRY_FRAMES = 250  # a decoder conceals the loss of as many

PRIMARIES, TRANSFERS, MATRICES = (  # that H.273 defines, but for those of late editions
    frozenset(codes) - {3} for codes in (range(13), range(19), range(15))
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """An encoder that is a program: its `path`, its configuration file `config`, and the `folder`
    in which pictures and packets wait, in files without a name."""

    path: str
    config: str
    folder: Path | None = None


@dataclass(frozen=True, kw_only=True)
class BaseSettings:
    """What an encode asks of the base codec `base`. Exactly one of the first three is set.

    `qp` is nominal, about HEVC's; `crf` and `preset` are the codec's own. `structure` is one of the
    row's. `chroma_qp_offset`, -12 to 12, applies to Cb and Cr, not in AV1. `keyint` frames
    lie between entry points, in place of ENTRY_SECONDS. `program` is the encoder of a row that has
    `make_command`.
    """

    qp: int | None = None
    crf: float | None = None
    bitrate_kbps: float | None = None
    base: str = "hevc"
    structure: str
    info: VideoInfo
    preset: str = "medium"
    tune: str = "psnr"
    chroma_qp_offset: int = 0
    keyint: int | None = None
    program: Program | None = None

    def __post_init__(self) -> None:
        rates = (self.qp, self.crf, self.bitrate_kbps)
        assert sum(rate is not None for rate in rates) == 1, rates

    @property
    def entry_frames(self) -> int:
        """Frames from entry point to entry point, at most."""
        if self.keyint is not None:
            return self.keyint
        return max(1, min(int(ENTRY_SECONDS * self.info.mean_rate), MAX_ENTRY_FRAMES))


class MakeOptions(Protocol):
    """Takes settings, and height and width of the pictures; returns options of a library."""

    def __call__(self, settings: BaseSettings, shape: Shape, *, grey: bool) -> dict[str, str]: ...


class MakeCommand(Protocol):
    """Takes settings, and height and width of the pictures; returns the words of a command line.

    Those of input (-i), number of pictures (-f) and output (-b) follow.
    """

    def __call__(self, settings: BaseSettings, shape: Shape, *, grey: bool) -> list[str]: ...


@dataclass(frozen=True, kw_only=True)
class BaseCodec:
    """A base codec: a row of BASES.

    `name` is the value of `--base`, `title` what users read. `maker` and `library` are the encoder
    as users and FFmpeg name it, `decoder` is FFmpeg's decoder, `coded_as` its name of what is
    coded, `raw_format` its format of packets without a container. `structures` are the values of
    `BaseSettings.structure` that it has. `presets` are its own, `preset` is the usual one;
    `highest_crf` is its worst quality; in a structure `find_crf` gives the CRF of a nominal QP, the
    nearest that it has, `find_nominal_qp` the nominal QP that a CRF is near. `pixels` are FFmpeg's
    names of the formats that a track may have, `least` is the smallest picture. FFmpeg may decode
    grey pictures as 4:2:0 with flat chroma: then `hides_grey` tells from a track's header whether
    they are grey. `make_options` gives the options of the library. `split_header` parts what the
    library writes before all pictures into the parameter sets and what belongs to each picture that
    decoding may start at; `complete_header` adds to the sets of grey pictures what the library
    leaves out, `clean` takes out of a packet what decoders do not need, and `join` makes a stream
    of header and packet. `number_entry` takes header, packet and the number of an entry point in
    its track: neighbours may have to differ, though each encoder counts for itself. `reorders`
    tells whether a packet has a picture that is shown later, where times do not tell.
    `is_reference` tells whether others may be predicted from a packet's picture; None where
    pictures form a regular pyramid from each entry point on. `tags` are the code numbers of H.273
    that it takes, by field of ColourTags, `locations` are the places of chroma; without
    `has_pixel_shape` its pictures do not say how wide a pixel is. Tracks of luma and of colour need
    `codes_grey`; with `has_own_qps` every intra picture may have a QP of its own. With
    `make_command` a program codes the pictures of a file in place of the library, which stands in
    for it on samples and for key frames' colour. Without `has_hdr` HDR10 metadata stand in the
    container alone.
    """

    name: str
    title: str
    maker: str
    library: str
    decoder: str
    coded_as: str
    raw_format: str
    structures: tuple[str, ...]
    presets: tuple[str, ...]
    preset: str
    highest_crf: float = 51
    find_crf: Callable[[float, str], float]
    find_nominal_qp: Callable[[float, str], int] = lambda crf, structure: round(crf)
    pixels: tuple[str, ...]
    least: Shape
    hides_grey: Callable[[bytes], bool] = lambda header: False
    make_options: MakeOptions
    split_header: Callable[[bytes], tuple[bytes, bytes]]
    complete_header: Callable[[bytes, ColourTags], bytes] = lambda header, colour: header
    clean: Callable[[bytes], bytes] = lambda data: data
    join: Callable[[bytes, bytes], bytes] = lambda header, packet: header + packet
    number_entry: Callable[[bytes, bytes, int], bytes] = lambda header, packet, number: packet
    tags: Mapping[str, frozenset[int]]
    reorders: Callable[[bytes], bool] = lambda packet: False
    is_reference: Callable[[bytes], bool] | None = None
    locations: frozenset[str | None] = frozenset({None, *CHROMA_LOCATIONS})
    has_pixel_shape: bool = True
    codes_grey: bool = False
    has_own_qps: bool = False
    has_hdr: bool = True
    make_command: MakeCommand | None = None
