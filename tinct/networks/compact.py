"""The colouriser `compact`: its network's graph, run by OpenVINO on the processor, so that decoding needs no PyTorch.

`network` is the same graph for training; a test holds both together. `references` makes what it chooses from.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tinct.limits import compacted_at_once
from tinct.media.planes import Planes, pad
from tinct.motion.flow import Flow, track_both, track_restored
from tinct.motion.references import References, in_band_reference, reference, second_reference
from tinct.motion.views import KeyView, LumaView
from tinct.networks.compact_config import CELL, CompactConfig, read_weights
from tinct.networks.compact_graph import build
from tinct.networks.interface import Around, Colouriser, none
from tinct.networks.runtime import Compiled
from tinct.networks.weights import hash_of

WEIGHTS = Path(__file__).parent / "shipped"
NETWORKS = {
    "fast": ("first",),
    "best": ("first", "second"),
    "in-band": ("in-band",),
}  # the passes of each, as files in WEIGHTS


class Runner:
    """A network compiled for one size of picture; called from several threads at once."""

    def __init__(
        self,
        config: CompactConfig,
        weights: Mapping[str, np.ndarray],
        size: tuple[int, int],
        bit_depth: int,
    ) -> None:
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
        (y,), colour = (
            planes[0]
            for planes in self._compiled([luma[None], chroma[None], frame.conditions[None]])
        )
        rows, columns = (height + 1) // 2, (width + 1) // 2
        return (
            y[:height, :width].copy(),
            colour[0, :rows, :columns].copy(),
            colour[1, :rows, :columns].copy(),
        )


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


def compact(
    network: Network, size: tuple[int, int], bit_depth: int, watch: Watch | None = None
) -> Colouriser:
    """The colouriser for pictures of `size` (height, width); `watch` sees what the last pass is given, on any thread."""
    runners = [Runner(config, weights, size, bit_depth) for config, weights in network.passes]

    def begin(
        luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor
    ) -> list[Future[Planes]]:
        if not luma or not keys:
            return none(luma, keys, pool)
        ends = (keys[0], keys[-1])
        flows = track_both(luma, ends, pool)
        shown = [watch if run is runners[-1] else None for run in runners]
        restored = [
            pool.submit(_first_pass, runners[0], luma, i, ends, flows, shown[0])
            for i in range(len(luma))
        ]
        if len(runners) == 1:
            return restored
        views = [
            pool.submit(_view, before, done) for before, done in zip(luma, restored, strict=True)
        ]
        again = track_restored(views, ends, pool)
        return [
            pool.submit(_second_pass, runners[1], luma, views, i, ends, again, shown[1])
            for i in range(len(luma))
        ]

    return begin


def in_band(network: Network, size: tuple[int, int], bit_depth: int) -> Around:
    """What restores pictures of `size` (height, width) that were coded with their colour."""
    ((config, weights),) = network.passes
    run = Runner(config, weights, size, bit_depth)
    return lambda frames, index, pool: pool.submit(lambda: run(in_band_reference(frames, index)))


Flows = tuple[Future[list[Flow]], Future[list[Flow]]]


def _first_pass(
    run: Runner,
    luma: Sequence[LumaView],
    index: int,
    keys: Sequence[KeyView],
    flows: Flows,
    watch: Watch | None,
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
