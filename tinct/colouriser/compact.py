"""The colouriser `compact`: its network's graph, run by OpenVINO on the processor, so that decoding needs no PyTorch.

`network` is the same graph for training; a test holds both together. `references` makes what it chooses from.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinct.colouriser import Around, Colouriser, none
from tinct.colouriser.runtime import Compiled, const, conv, load_openvino, patches, whole
from tinct.errors import CodecError
from tinct.limits import compacted_at_once
from tinct.paths import Growing
from tinct.planes import Planes, pad
from tinct.propagate import KeyView, LumaView
from tinct.references import Flow, References, in_band_reference, reference, second_reference, track_both, track_restored
from tinct.weights import hash_of

if TYPE_CHECKING:
    import openvino

CELL = 4  # luma samples a side that are one position of the network
MASKS = 4  # shares of each luma source a position, 2 x 2
FINER = 0.1  # scale of the corrections
CONDITIONS = 4  # numbers that a network is told of a frame, see `References.conditions`
WEIGHTS = Path(__file__).parent / "weights"
NETWORKS = {"fast": ("first",), "best": ("first", "second"), "in-band": ("in-band",)}  # the passes of each, as files in WEIGHTS


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
            growing.path.write_bytes(save(dict(weights), metadata={"compact": json.dumps(asdict(config))}))
            growing.publish()
    except OSError as error:
        raise CodecError(f"expected to write weights to {path}, found {error.strerror or error}") from error


def read_weights(path: Path) -> tuple[CompactConfig, dict[str, np.ndarray]]:
    """What `write_weights` wrote. Raises CodecError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            config = CompactConfig(**json.loads((file.metadata() or {})["compact"]))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
    except FileNotFoundError as error:
        raise CodecError(f"expected weights of `compact` in {path}, found no such file; make them with tinct train") from error
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CodecError(f"expected weights of `compact` in {path}, found another file; make them with tinct train") from error
    if {name: value.shape for name, value in weights.items()} != config.shapes or not all(
        np.isfinite(v).all() for v in weights.values()
    ):
        raise CodecError(f"expected weights of {config} in {path}, found others; make them with tinct train")
    return config, weights


def build(config: CompactConfig, weights: Mapping[str, np.ndarray], size: tuple[int, int], bit_depth: int) -> "openvino.Model":
    """The graph for pictures of `size` (height, width), both multiples of CELL.

    In: luma [1, S, H, W] and chroma [1, 2 S', H / 2, W / 2] as integers of `bit_depth`, conditions [1, 4].
    Out: luma [1, 1, H, W] and chroma [1, 2, H / 2, W / 2], integers of the same kind.
    """
    ov = load_openvino()
    op = ov.opset13
    height, width = size
    kind, peak = (ov.Type.u8, 255.0) if bit_depth == 8 else (ov.Type.u16, 1023.0)
    luma = op.parameter([1, config.luma_sources, height, width], kind, "luma")
    chroma = op.parameter([1, 2 * config.chroma_sources, height // 2, width // 2], kind, "chroma")
    conditions = op.parameter([1, CONDITIONS], ov.Type.f32, "conditions")

    luma_kernel, chroma_kernel, bias = _entry(config, weights)
    when = op.unsqueeze(op.matmul(conditions, const(weights["when.weight"]), False, True), whole(2, 3))
    x = op.relu(op.add(op.add(patches(luma, luma_kernel / peak), patches(chroma, chroma_kernel / peak, bias)), when))
    for number in range(config.depth):
        x = op.relu(conv(x, _residual(weights[f"body.{number}.weight"]), weights[f"body.{number}.bias"]))
    # a layer for each output: to split channels that lie innermost takes longer than the layer
    ends = np.cumsum(config.split)[:-1]
    kernels, biases = (np.split(weights[f"leave.{part}"], ends) for part in ("weight", "bias"))
    scales = (1.0, FINER * peak, 1.0, FINER * peak)
    masks, more, colour_masks, colour_more = (conv(x, k * s, b * s) for k, b, s in zip(kernels, biases, scales, strict=True))

    shares = op.softmax(op.depth_to_space(masks, "depth_first", 2), 1)
    colour_more = op.interpolate(colour_more, const([2.0, 2.0]), "nearest", "scales", axes=whole(2, 3))
    mixed = _mixed(luma, shares, op.depth_to_space(more, "depth_first", CELL), peak)
    coloured = _mixed(chroma, op.softmax(colour_masks, 1), colour_more, peak)
    return ov.Model([mixed, coloured], [luma, chroma, conditions], "compact")


def _entry(config: CompactConfig, weights: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first layer on planes of 0 to 1 as they are: kernels [width, S, 4, 4] and [width, 2 S', 2, 2], and its bias.

    It was trained on the frame's own luma less 0.5, 8 times what the others differ from that, and 4 times mean chroma less 0.5.
    """
    of_luma, of_chroma = np.split(weights["enter.weight"][:, :, 0, 0].astype(np.float64), [CELL**2 * config.luma_sources], 1)
    scales = np.array([1.0] + [8.0] * (config.luma_sources - 1))
    luma = of_luma.reshape(config.width, -1, CELL, CELL) * scales[:, None, None]
    bias = weights["enter.bias"] - 0.5 * (luma[:, 0].sum((1, 2)) + 4 * of_chroma.sum(1))
    luma[:, 0] -= luma[:, 1:].sum(1)
    chroma = np.broadcast_to(of_chroma[:, :, None, None], (*of_chroma.shape, 2, 2))  # 4 times the mean of 4
    return luma, chroma, bias


def _residual(kernel: np.ndarray) -> np.ndarray:
    """A convolution that what it sees is added to, as one that does both."""
    middle, channels = kernel.shape[-1] // 2, np.arange(len(kernel))
    both = kernel.copy()
    both[channels, channels, middle, middle] += 1
    return both


def _mixed(planes: Any, shares: Any, correction: Any, peak: float) -> Any:
    """Sources in `planes` [1, S D, H, W] by `shares` [1, S, H / 2, W / 2], and a `correction` [1, D, H, W]: integers of their kind.

    Source by source: OpenVINO makes one pass over the picture of that, and several with all shares at full size of a sum.
    """
    op = load_openvino().opset13
    depth, height, width = list(correction.shape)[1:]
    count = list(shares.shape)[1]
    pairs = whole(1, -1, height // 2, 2, width)  # of rows, which have the same shares
    wide = op.interpolate(shares, const([2.0]), "nearest", "scales", axes=whole(3))
    of_rows = op.reshape(wide, whole(1, count, height // 2, 1, width), False)
    total = op.reshape(correction, pairs, False)
    sources = (op.split(part, op.constant(1), count).outputs() for part in (op.reshape(planes, pairs, False), of_rows))
    for source, share in zip(*sources, strict=True):
        total = op.add(total, op.multiply(op.convert(source, "f32"), share))
    rounded = op.clamp(op.round(total, "half_to_even"), 0.0, peak)
    return op.reshape(op.convert(rounded, planes.get_element_type()), whole(1, depth, height, width), False)


class Runner:
    """A network compiled for one size of picture; called from several threads at once."""

    def __init__(self, config: CompactConfig, weights: Mapping[str, np.ndarray], size: tuple[int, int], bit_depth: int) -> None:
        self._size = size
        self._padded = (-(-size[0] // CELL) * CELL, -(-size[1] // CELL) * CELL)
        model = build(config, weights, self._padded, bit_depth)
        self._compiled = Compiled(model, compacted_at_once(self._padded[1], self._padded[0]))

    def __call__(self, frame: References) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Finished Y, Cb and Cr of a frame."""
        height, width = self._size
        luma = _padded(frame.luma, self._padded)
        half = (self._padded[0] // 2, self._padded[1] // 2)
        chroma = _padded(frame.chroma.reshape(-1, *frame.chroma.shape[2:]), half)
        (y,), colour = (planes[0] for planes in self._compiled([luma[None], chroma[None], frame.conditions[None]]))
        rows, columns = (height + 1) // 2, (width + 1) // 2
        return y[:height, :width].copy(), colour[0, :rows, :columns].copy(), colour[1, :rows, :columns].copy()


@dataclass(frozen=True)
class Network:
    """A network that ships: its passes, and the first digits of the SHA-256 of their files."""

    name: str
    identity: str
    passes: tuple[tuple[CompactConfig, dict[str, np.ndarray]], ...]


Watch = Callable[[int, References], None]  # of the frame at a time


@cache
def load_network(name: str) -> Network:
    """One of NETWORKS."""
    files = [WEIGHTS / f"{part}.safetensors" for part in NETWORKS[name]]
    identity = hash_of(b"".join(path.read_bytes() for path in files))
    return Network(name, identity, tuple(read_weights(path) for path in files))


def compact(network: Network, size: tuple[int, int], bit_depth: int, watch: Watch | None = None) -> Colouriser:
    """The colouriser for pictures of `size` (height, width); `watch` sees what the last pass is given, on any thread."""
    runners = [Runner(config, weights, size, bit_depth) for config, weights in network.passes]

    def begin(luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor) -> list[Future[Planes]]:
        if not luma or not keys:
            return none(luma, keys, pool)
        ends = (keys[0], keys[-1])
        flows = track_both(luma, ends, pool)
        shown = [watch if run is runners[-1] else None for run in runners]
        restored = [pool.submit(_first_pass, runners[0], luma, i, ends, flows, shown[0]) for i in range(len(luma))]
        if len(runners) == 1:
            return restored
        views = [pool.submit(_view, before, done) for before, done in zip(luma, restored, strict=True)]
        again = track_restored(views, ends, pool)
        return [pool.submit(_second_pass, runners[1], luma, views, i, ends, again, shown[1]) for i in range(len(luma))]

    return begin


def in_band(network: Network, size: tuple[int, int], bit_depth: int) -> Around:
    """What restores pictures of `size` (height, width) that were coded with their colour."""
    ((config, weights),) = network.passes
    run = Runner(config, weights, size, bit_depth)
    return lambda frames, index, pool: pool.submit(lambda: run(in_band_reference(frames, index)))


Flows = tuple[Future[list[Flow]], Future[list[Flow]]]


def _first_pass(
    run: Runner, luma: Sequence[LumaView], index: int, keys: Sequence[KeyView], flows: Flows, watch: Watch | None
) -> Planes:
    laid = reference(luma, index, keys, (flows[0].result(), flows[1].result()))
    if watch is not None:
        watch(luma[index].pts, laid)
    return run(laid)


def _second_pass(
    run: Runner,
    luma: Sequence[LumaView],
    views: Sequence[Future[KeyView]],
    index: int,
    keys: Sequence[KeyView],
    flows: Flows,
    watch: Watch | None,
) -> Planes:
    restored = [view.result() for view in views]
    laid = second_reference(luma, restored, index, keys, (flows[0].result(), flows[1].result()))
    if watch is not None:
        watch(luma[index].pts, laid)
    return run(laid)


def _view(luma: LumaView, restored: Future[Planes]) -> KeyView:
    y, cb, cr = restored.result()
    return KeyView(LumaView(y, luma.bit_depth, luma.pts), cb, cr)


def _padded(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if planes.shape[1:] == size:
        return planes
    return np.stack([pad(plane, size) for plane in planes])
