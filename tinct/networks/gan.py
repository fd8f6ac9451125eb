"""The colouriser `gan`: a video's own generator, its weights from `update.bin`, run on luma alone.

Which tensors the bytes hold follows from the generator's configuration. The paper's generator runs
as a graph (`gan_graph`), without PyTorch; those of the lab run in PyTorch (`trainable.baselines`).
`weights` decodes the bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from threading import Semaphore

import cv2
import numpy as np

from tinct.colour import from_rgb, subsample_chroma
from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.limits import (
    MAX_ATTENTION_MACS,
    MAX_GENERATOR_BYTES,
    MAX_WEIGHTS,
    count_attention_macs,
    max_gan_frames,
)
from tinct.media.planes import Planes
from tinct.motion.views import KeyView, LumaView
from tinct.networks.gan_config import GanConfig, Output
from tinct.networks.gan_graph import Weights, build_gan_graph, list_paper_shapes
from tinct.networks.interface import Colouriser
from tinct.networks.runtime import CompiledGraph, raise_memory_errors
from tinct.networks.weights import decode_weights

LARGEST_OUTPUT = 1e6  # stands for infinity: beyond any sample, and finite in what follows

# Takes decoded luma [H, W] and returns a picture [3, H, W] in [-1, 1]; on any thread.
Generate = Callable[[np.ndarray], np.ndarray]


def list_shapes(config: GanConfig, most: int = MAX_WEIGHTS) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that is sent, by name, without making any of them.

    Raise CodecError where they hold more than `most` weights: a file has MAX_WEIGHTS.
    """
    shapes = _list_all_shapes(config)
    count = _count(shapes)
    if count > most:
        raise CodecError(
            f"expected a generator of at most {most:,} weights, found {count:,}; "
            "encode with fewer --channels"
        )
    return shapes


def count_weights(config: GanConfig) -> int:
    """Return how many weights a generator has, without making any of them."""
    return _count(_list_all_shapes(config))


def _list_all_shapes(config: GanConfig) -> dict[str, tuple[int, ...]]:
    if config.is_paper:
        return list_paper_shapes(config)
    from tinct.networks.trainable.baselines import list_baseline_shapes

    return list_baseline_shapes(config)


def _count(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values())


def decode_generator(config: GanConfig, data: bytes, most: int = MAX_WEIGHTS) -> Weights:
    """Decode the weights in an `update.bin`. Raise CodecError for bytes of another generator."""
    return decode_weights(data, list_shapes(config, most))


def check_size(config: GanConfig, info: VideoInfo) -> None:
    """Raise CodecError for a generator that one picture of this size would cost too much.

    The bounds are of memory and of self-attention's multiply-accumulates.
    """
    size = f"{info.width}x{info.height}"
    if not max_gan_frames(info.width, info.height, config.channels):
        raise CodecError(
            f"expected a network that takes at most {MAX_GENERATOR_BYTES >> 30} GiB for a picture, "
            f"found {config.channels} channels at {size}; "
            "encode with fewer --channels, or scale the video down"
        )
    levels = config.attention if config.is_paper else ()
    macs = count_attention_macs(info.width, info.height, channels=config.channels, levels=levels)
    if macs > MAX_ATTENTION_MACS:
        raise CodecError(
            f"expected self-attention of at most {MAX_ATTENTION_MACS:.1e} multiply-accumulates "
            f"for a picture, found {macs:.1e} at {size}; encode with --attention 4, or none"
        )


def make_gan_colouriser(config: GanConfig, weights: Weights, info: VideoInfo) -> Colouriser:
    """Return the colouriser of a video's own generator: it makes each frame from its luma alone.

    Raise CodecError where the pictures are too large for it.
    """
    check_size(config, info)
    generate = load_generator(config, weights, info)

    def generate_planes(y: np.ndarray) -> Planes:
        return to_planes(generate(y), config.output, info)

    def colourise(
        luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor, *, wanted: range
    ) -> Iterable[Future[Planes]]:
        return (pool.submit(generate_planes, luma[index].y) for index in wanted)

    return colourise


def load_generator(config: GanConfig, weights: Weights, info: VideoInfo) -> Generate:
    """Return a generator with these weights, for pictures of one video.

    It raises MemoryError where memory runs out.
    """
    at_once = max_gan_frames(info.width, info.height, config.channels)
    if config.is_paper:
        size = (info.height, info.width)
        model = build_gan_graph(config, weights, size=size, bit_depth=info.bit_depth)
        graph = CompiledGraph(model, at_once)
        return lambda y: graph([y[None, None]])[0][0]
    from tinct.networks.trainable.baselines import load_baseline

    run, turn = load_baseline(config, weights), Semaphore(at_once)

    def generate(y: np.ndarray) -> np.ndarray:
        with turn, raise_memory_errors():
            return run(y.astype(np.float32) * (2 / ((1 << info.bit_depth) - 1)) - 1)

    return generate


def to_planes(picture: np.ndarray, output: Output, info: VideoInfo) -> Planes:
    """Convert a picture [3, H, W] in [-1, 1], R'G'B' or Y'CbCr, to 4:2:0 integers."""
    # hostile weights overflow: the picture may be any, but it must be one
    picture = np.nan_to_num(picture, nan=0.0, posinf=LARGEST_OUTPUT, neginf=-LARGEST_OUTPUT)
    values = np.ascontiguousarray(picture.transpose(1, 2, 0))
    if output == "rgb":
        y, chroma = from_rgb((values + 1) * 127.5, info)
    else:
        levels = (values + 1) * (((1 << info.bit_depth) - 1) / 2 / (1 << (info.bit_depth - 8)))
        y = levels[..., 0]
        chroma = subsample_chroma(np.ascontiguousarray(levels[..., 1:]) - np.float32(128))
    cb, cr = cv2.split(chroma)
    return _round_levels(y, info), _round_levels(cb + 128, info), _round_levels(cr + 128, info)


def _round_levels(levels: np.ndarray, info: VideoInfo) -> np.ndarray:
    """Convert 8-bit levels, as floats, to integers of the video's bit depth."""
    peak = (1 << info.bit_depth) - 1
    samples = np.clip(np.rint(levels * (1 << (info.bit_depth - 8))), 0, peak)
    return np.ascontiguousarray(samples.astype(np.uint8 if info.bit_depth == 8 else np.uint16))
