"""The colouriser `compact`: networks that ship, run by OpenVINO, so that decoding needs no PyTorch.

`motion.references` gathers the sources of a frame, `compact_graph` builds the graph that mixes
them, `compact_config` lists the networks. `trainable.compact` is the same network for training.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from tinct.limits import max_compact_frames
from tinct.media.planes import Planes, pad_plane
from tinct.motion.flow import track_both, track_restored
from tinct.motion.interpolation import (
    Match,
    Place,
    gather_between_references,
    interpolate_frame,
)
from tinct.motion.references import (
    PYRAMID_REACH,
    REACH,
    References,
    gather_in_band_references,
    gather_pyramid_references,
    gather_references,
    gather_second_references,
)
from tinct.motion.views import KeyView, LumaView
from tinct.networks.compact_config import (
    CELL,
    SHIPPED_NETWORKS,
    CompactConfig,
    Kind,
    find_weights,
    read_weights,
)
from tinct.networks.compact_graph import build_compact_graph
from tinct.networks.interface import (
    Colouriser,
    InBandColouriser,
    Interpolator,
    propagate_group,
)
from tinct.networks.runtime import CompiledGraph
from tinct.networks.weights import hash_weights

# Takes a frame's time in ticks and its references, on any thread.
WatchReferences = Callable[[int, References], None]
# Takes decoded frames in order of time and the index of one.
GatherInBand = Callable[[Sequence[KeyView], int], References]


class Runner:
    """One pass of a network, for pictures of one size; any thread may call it.

    `size` is (height, width) of the luma. The graph is compiled when it is first needed, which
    takes a fifth of a second: a video of which only key frames are read needs none.
    """

    def __init__(
        self,
        config: CompactConfig,
        weights: Mapping[str, np.ndarray],
        *,
        size: tuple[int, int],
        bit_depth: int,
    ) -> None:
        self._size = size
        self._padded = (-(-size[0] // CELL) * CELL, -(-size[1] // CELL) * CELL)
        self._build = partial(
            build_compact_graph, config, weights, size=self._padded, bit_depth=bit_depth
        )
        self._compiled: CompiledGraph | None = None
        self._compiling = threading.Lock()

    def prepare(self) -> None:
        """Compile the graph, if nobody has begun to."""
        if self._compiling.acquire(blocking=False):
            try:
                self._compile()
            finally:
                self._compiling.release()

    def __call__(self, references: References) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the finished Y [H, W], Cb and Cr [h, w] of a frame, in the references' type."""
        height, width = self._size
        luma = _pad_planes(references.luma, self._padded)
        chroma = _pad_planes(
            references.chroma.reshape(-1, *references.chroma.shape[2:]),
            (self._padded[0] // 2, self._padded[1] // 2),
        )
        with self._compiling:
            graph = self._compile()
        outputs = graph([luma[None], chroma[None], references.conditions[None]])
        (y,), (cb, cr) = (planes[0] for planes in outputs)
        rows, columns = (height + 1) // 2, (width + 1) // 2
        return y[:height, :width].copy(), cb[:rows, :columns].copy(), cr[:rows, :columns].copy()

    def _compile(self) -> CompiledGraph:
        """Return the graph, compiled by the first call; one thread may call at a time."""
        if self._compiled is None:
            at_once = max_compact_frames(self._padded[1], self._padded[0])
            self._compiled = CompiledGraph(self._build(), at_once)
        return self._compiled


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that ships, with its weights.

    `identity` is the first digits of the SHA-256 of its files. `passes` holds the configuration and
    the tensors of each pass over a frame that was sent, `between` those of the pass over a frame
    that was not; None where such frames are mixed without a network.
    """

    name: str
    identity: str
    passes: tuple[tuple[CompactConfig, dict[str, np.ndarray]], ...]
    between: tuple[CompactConfig, dict[str, np.ndarray]] | None = None


@cache
def load_network(name: str) -> Network:
    """Read the network of SHIPPED_NETWORKS that is called `name`."""
    row = SHIPPED_NETWORKS[name]
    return Network(
        name=name,
        identity=hash_weights(b"".join(path.read_bytes() for path in row.paths)),
        passes=tuple(read_weights(find_weights(file)) for file in row.passes),
        between=read_weights(find_weights(row.between)) if row.between is not None else None,
    )


def make_compact_colouriser(
    network: Network,
    size: tuple[int, int],
    bit_depth: int,
    *,
    watch: WatchReferences | None = None,
) -> Colouriser:
    """Return the colouriser of a network, for pictures of `size` (height, width).

    `watch` is called with what the last pass is given, before it runs.
    """
    runners = [
        Runner(config, weights, size=size, bit_depth=bit_depth)
        for config, weights in network.passes
    ]

    def run_pass(number: int, pts: int, references: References) -> Planes:
        if watch is not None and number == len(runners) - 1:
            watch(pts, references)
        return runners[number](references)

    def colourise(
        luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor, *, wanted: range
    ) -> Iterable[Future[Planes]]:
        for runner in runners:
            pool.submit(runner.prepare)
        if not luma or not keys:
            return propagate_group(luma, keys, pool, wanted=wanted)
        ends = (keys[0], keys[-1])
        # a second pass needs the first one of every frame: motion is tracked on its output
        among = wanted if len(runners) == 1 else range(len(luma))
        flows = track_both(luma, ends, pool, wanted=among)

        def restore(index: int) -> Planes:
            references = gather_references(luma, index, keys=ends, flows=flows)
            return run_pass(0, luma[index].pts, references)

        restored = (pool.submit(restore, index) for index in among)
        if len(runners) == 1:
            return restored
        views = [
            pool.submit(_view_restored, view, planes)
            for view, planes in zip(luma, list(restored), strict=True)
        ]
        fine_flows = track_restored(views, ends, pool, wanted=wanted)

        def restore_again(index: int) -> Planes:
            first = [view.result() for view in views]
            references = gather_second_references(luma, first, index, keys=ends, flows=fine_flows)
            return run_pass(1, luma[index].pts, references)

        return (pool.submit(restore_again, index) for index in wanted)

    return colourise


def make_interpolator(network: Network, size: tuple[int, int], bit_depth: int) -> Interpolator:
    """Return what makes frames that were not sent, for pictures of `size` (height, width)."""
    if network.between is None:
        return interpolate_frame
    config, weights = network.between
    run = Runner(config, weights, size=size, bit_depth=bit_depth)

    def make_frame(before: KeyView, after: KeyView, *, motion: Match, place: Place) -> Planes:
        return run(gather_between_references(before, after, motion=motion, place=place))

    return make_frame


def make_in_band_colouriser(
    network: Network, size: tuple[int, int], bit_depth: int
) -> InBandColouriser:
    """Return what restores in-band pictures of `size` (height, width)."""
    ((config, weights),) = network.passes
    run = Runner(config, weights, size=size, bit_depth=bit_depth)
    gather, reach = IN_BAND_GATHERERS[config.kind], IN_BAND_REACHES[config.kind]

    def restore(frames: Sequence[KeyView], index: int) -> Planes:
        return run(gather(frames, index))

    def start_frame(frames: Sequence[KeyView], index: int, *, pool: Executor) -> Future[Planes]:
        return pool.submit(restore, frames, index)

    return InBandColouriser(start_frame, reach)


IN_BAND_GATHERERS: dict[Kind, GatherInBand] = {
    "second": gather_in_band_references,
    "near": partial(gather_pyramid_references, moved_pairs=1),
    "pyramid": partial(gather_pyramid_references, moved_pairs=2),
}
IN_BAND_REACHES: dict[Kind, int] = {
    "second": REACH,
    "near": PYRAMID_REACH,
    "pyramid": PYRAMID_REACH,
}


def _view_restored(luma: LumaView, restored: Future[Planes]) -> KeyView:
    """Wait for a frame's first pass and return its view; no QP says how fine it is by now."""
    y, cb, cr = restored.result()
    return KeyView(LumaView(y, luma.bit_depth, luma.pts), cb, cr)


def _pad_planes(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pad planes [N, h, w] to `size` (height, width) by repeating their last row and column."""
    if planes.shape[1:] == size:
        return planes
    return np.stack([pad_plane(plane, size) for plane in planes])
