"""The networks of the colouriser `compact`: the size of one, the table of those that ship, and the
file of their weights.

`compact_graph` builds the graph for decoding, `trainable.compact` the module for training.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tinct.errors import CodecError
from tinct.files import AtomicOutput

CELL = 4  # a position of the network stands for CELL x CELL luma samples
SHARES = 4  # of each luma source at a position, 2 x 2
CORRECTION_SCALE = 0.1  # of what is added to the mixed sources, in units of the peak
CONDITIONS = 4  # numbers that a network is told of a frame, see `References.conditions`

SHIPPED_FOLDER = Path(__file__).parent / "shipped"


# What a network does: the first and the second pass over a frame that was sent, and the pass over a
# frame between two that are shown, which was not. A picture that was coded with its colour, in a
# pyramid, is restored from two others (near) or four.
Kind = Literal["first", "second", "between", "near", "pyramid"]


@dataclass(frozen=True, kw_only=True)
class SourceSet:
    """How many sources a frame is mixed from: its own luma and chroma, and pairs of others.

    A pair is an earlier and a later picture. See `motion.references` and `motion.interpolation`.
    """

    own_luma: int
    own_chroma: int
    pairs: int


SOURCE_SETS: dict[Kind, SourceSet] = {
    "first": SourceSet(own_luma=1, own_chroma=0, pairs=2),
    "second": SourceSet(own_luma=2, own_chroma=1, pairs=3),
    "between": SourceSet(own_luma=1, own_chroma=1, pairs=2),
    "near": SourceSet(own_luma=1, own_chroma=1, pairs=2),
    "pyramid": SourceSet(own_luma=1, own_chroma=1, pairs=3),
}


@dataclass(frozen=True)
class CompactConfig:
    """The size of a network, and its kind, which says what sources it mixes.

    `width` is its channels, `depth` its 3x3 convolutions.
    """

    width: int = 32
    depth: int = 3
    kind: Kind = "first"

    @property
    def own_luma(self) -> int:
        """Luma sources that are the frame's own; the others come in pairs, earlier and later."""
        return SOURCE_SETS[self.kind].own_luma

    @property
    def own_chroma(self) -> int:
        """Chroma sources that are the frame's own."""
        return SOURCE_SETS[self.kind].own_chroma

    @property
    def luma_sources(self) -> int:
        return self.own_luma + 2 * SOURCE_SETS[self.kind].pairs

    @property
    def chroma_sources(self) -> int:
        return self.own_chroma + 2 * SOURCE_SETS[self.kind].pairs

    @property
    def inputs(self) -> int:
        """Channels that enter: the luma of every source, and its mean Cb and Cr."""
        return CELL * CELL * self.luma_sources + 2 * self.chroma_sources

    @property
    def output_split(self) -> list[int]:
        """Channels of the last layer: luma's shares and correction, then chroma's."""
        return [SHARES * self.luma_sources, CELL * CELL, self.chroma_sources, 2]

    @property
    def outputs(self) -> int:
        return sum(self.output_split)

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates of the convolutions and the mixing, for one luma sample."""
        width = self.width
        convolutions = self.inputs * width + 9 * width * width * self.depth + width * self.outputs
        return convolutions / CELL**2 + self.luma_sources + self.chroma_sources / 2

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, in the order of their names."""
        width = self.width
        shapes = {
            "enter.bias": (width,),
            "enter.weight": (width, self.inputs, 1, 1),
            "when.weight": (width, CONDITIONS),
            "leave.bias": (self.outputs,),
            "leave.weight": (self.outputs, width, 1, 1),
        }
        for number in range(self.depth):
            shapes[f"body.{number}.bias"] = (width,)
            shapes[f"body.{number}.weight"] = (width, width, 3, 3)
        return dict(sorted(shapes.items()))


@dataclass(frozen=True, kw_only=True)
class ShippedNetwork:
    """A network that ships: a row of SHIPPED_NETWORKS.

    `name` is what a manifest calls it, `size` the value of `--network` that asks for it. `passes`
    are its files in SHIPPED_FOLDER for frames that were sent, in the order of the passes, `between`
    that for frames that were not. With `base` it restores pictures that this base codec coded with
    their colour, and is of no use to others.
    """

    name: str
    size: str
    passes: tuple[str, ...]
    between: str | None = None
    base: str | None = None

    @property
    def in_band(self) -> bool:
        return self.base is not None

    @property
    def paths(self) -> list[Path]:
        """All its files of weights."""
        between = () if self.between is None else (self.between,)
        return [find_weights(file) for file in (*self.passes, *between)]


def find_weights(file: str) -> Path:
    """Return the path of a file of weights that ships."""
    return SHIPPED_FOLDER / f"{file}.safetensors"


FAST_NETWORK = ShippedNetwork(name="fast", size="fast", passes=("first",))
BEST_NETWORK = ShippedNetwork(name="best", size="best", passes=("first", "second"))
# Networks for pictures with their colour: of those for one base codec and size the last is used,
# and those before it are for the files that name them.
IN_BAND_ROWS = (
    ShippedNetwork(name="in-band", size="best", passes=("in-band",), base="hevc"),
    ShippedNetwork(name="fast-hevc", size="fast", passes=("fast-hevc",), base="hevc"),
    ShippedNetwork(name="best-hevc", size="best", passes=("best-hevc",), base="hevc"),
    ShippedNetwork(name="fast-av1", size="fast", passes=("fast-av1",), base="av1"),
    ShippedNetwork(name="best-av1", size="best", passes=("best-av1",), base="av1"),
)
IN_BAND_NETWORKS = {(row.base, row.size): row for row in IN_BAND_ROWS}
SHIPPED_NETWORKS = {row.name: row for row in (FAST_NETWORK, BEST_NETWORK, *IN_BAND_ROWS)}


def write_weights(path: Path, config: CompactConfig, weights: Mapping[str, np.ndarray]) -> None:
    """Write a safetensors file, whole or not at all. Raise CodecError where that fails."""
    from safetensors.numpy import save

    try:
        with AtomicOutput(path) as output:
            output.path.write_bytes(
                save(dict(weights), metadata={"compact": json.dumps(asdict(config))})
            )
            output.publish()
    except OSError as error:
        raise CodecError(
            f"expected to write weights to {path}, found {error.strerror or error}"
        ) from error


def read_weights(path: Path) -> tuple[CompactConfig, dict[str, np.ndarray]]:
    """Read what `write_weights` wrote. Raise CodecError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            config = _read_config((file.metadata() or {})["compact"])
            names = file.keys()
            weights = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        raise _file_error(f"of `compact` in {path}", "no such file") from error
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _file_error(f"of `compact` in {path}", "another file") from error
    has_shapes = {name: value.shape for name, value in weights.items()} == config.shapes
    if not has_shapes or not all(np.isfinite(value).all() for value in weights.values()):
        raise _file_error(f"of {config} in {path}", "others")
    return config, weights


def _read_config(text: str) -> CompactConfig:
    """Return the configuration that a file names; the first files say `second` for the kind."""
    fields = json.loads(text)
    if "second" in fields:
        fields["kind"] = "second" if fields.pop("second") else "first"
    if fields["kind"] not in SOURCE_SETS:
        raise ValueError(fields["kind"])
    return CompactConfig(**fields)


def _file_error(wanted: str, found: str) -> CodecError:
    return CodecError(f"expected weights {wanted}, found {found}; make them with tinct train")
