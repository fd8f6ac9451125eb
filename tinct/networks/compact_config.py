"""Size and sources of the network of `compact`, and its file of weights."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tinct.errors import CodecError
from tinct.files import Growing

CELL = 4  # luma samples a side that are one position of the network
MASKS = 4  # shares of each luma source a position, 2 x 2
FINER = 0.1  # scale of the corrections
CONDITIONS = 4  # numbers that a network is told of a frame, see `References.conditions`


@dataclass(frozen=True)
class CompactConfig:
    """Size of a network, and what it chooses from (see `references`): of a second pass, more."""

    width: int = 32
    depth: int = 3
    second: bool = False

    @property
    def own_luma(self) -> int:
        """Luma sources that are the frame's own; the others come in pairs, from before and from behind."""
        return 2 if self.second else 1

    @property
    def own_chroma(self) -> int:
        return self.own_luma - 1

    @property
    def luma_sources(self) -> int:
        return self.own_luma + (6 if self.second else 4)

    @property
    def chroma_sources(self) -> int:
        return self.luma_sources - 1

    @property
    def inputs(self) -> int:
        return CELL * CELL * self.luma_sources + 2 * self.chroma_sources

    @property
    def split(self) -> list[int]:
        """Channels of the last layer: shares of luma, its correction, shares of chroma, its correction."""
        return [MASKS * self.luma_sources, CELL * CELL, self.chroma_sources, 2]

    @property
    def outputs(self) -> int:
        return sum(self.split)

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates of the convolutions and the mixing, for a sample of luma."""
        width = self.width
        convolutions = self.inputs * width + 9 * width * width * self.depth + width * self.outputs
        return convolutions / CELL**2 + self.luma_sources + self.chroma_sources / 2

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor, in the order of the names."""
        width = self.width
        body = {
            f"body.{i}.{part}": shape
            for i in range(self.depth)
            for part, shape in (("bias", (width,)), ("weight", (width, width, 3, 3)))
        }
        ends = {
            "enter.bias": (width,), "enter.weight": (width, self.inputs, 1, 1), "when.weight": (width, CONDITIONS),
            "leave.bias": (self.outputs,), "leave.weight": (self.outputs, width, 1, 1),
        }  # fmt: skip
        return dict(sorted({**body, **ends}.items()))


def write_weights(path: Path, config: CompactConfig, weights: Mapping[str, np.ndarray]) -> None:
    """A safetensors file, whole or not there."""
    from safetensors.numpy import save

    try:
        with Growing(path) as growing:
            growing.path.write_bytes(
                save(dict(weights), metadata={"compact": json.dumps(asdict(config))})
            )
            growing.publish()
    except OSError as error:
        raise CodecError(
            f"expected to write weights to {path}, found {error.strerror or error}"
        ) from error


def read_weights(path: Path) -> tuple[CompactConfig, dict[str, np.ndarray]]:
    """What `write_weights` wrote. Raises CodecError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            config = CompactConfig(**json.loads((file.metadata() or {})["compact"]))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
    except FileNotFoundError as error:
        raise CodecError(
            f"expected weights of `compact` in {path}, found no such file; make them with tinct train"
        ) from error
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CodecError(
            f"expected weights of `compact` in {path}, found another file; make them with tinct train"
        ) from error
    if {name: value.shape for name, value in weights.items()} != config.shapes or not all(
        np.isfinite(v).all() for v in weights.values()
    ):
        raise CodecError(
            f"expected weights of {config} in {path}, found others; make them with tinct train"
        )
    return config, weights
