"""A video's own network at the decoder: weights from `update.bin`, frames from luma.

The bytes are those of `weights`; which tensors they are follows from the generator's configuration alone. The paper's generator
runs as a graph, without PyTorch; the others, for the lab, with it.
"""

from collections.abc import Callable, Sequence
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
    attention_macs,
    generated_at_once,
)
from tinct.media.planes import Planes
from tinct.motion.views import KeyView, LumaView
from tinct.networks.gan_config import GanConfig, Output
from tinct.networks.gan_graph import Weights, build, generator_shapes
from tinct.networks.interface import Colouriser
from tinct.networks.runtime import Compiled, memory_errors
from tinct.networks.weights import decode_weights

FAR = 1e6  # beyond any sample, and what comes of it still a number
Generates = Callable[
    [np.ndarray], np.ndarray
]  # luma [H, W] as decoded to a picture [3, H, W] in [-1, 1]; on any thread


def shapes(config: GanConfig) -> dict[str, tuple[int, ...]]:
    """Of the tensors that are sent, by name, without one of them being made. Raises CodecError where they are too many."""
    if config.kind == "multiresunet":
        found = generator_shapes(config)
    else:
        from tinct.networks.trainable.baselines import rival_shapes

        found = rival_shapes(config)
    count = sum(int(np.prod(shape)) for shape in found.values())
    if count > MAX_WEIGHTS:
        raise CodecError(
            f"expected a generator of at most {MAX_WEIGHTS:,} weights, found {count:,}; encode with fewer --channels"
        )
    return found


def weights_of(config: GanConfig, data: bytes) -> Weights:
    """What an `update.bin` holds. Raises CodecError where the bytes are not of such a generator."""
    return decode_weights(data, shapes(config))


def check_size(config: GanConfig, info: VideoInfo) -> None:
    """Refuse a generator that takes more memory for one picture than any file may ask for."""
    if not generated_at_once(info.width, info.height, config.channels):
        raise CodecError(
            f"expected a network that takes at most {MAX_GENERATOR_BYTES >> 30} GiB for a picture, "
            f"found {config.channels} channels at {info.width}x{info.height}; encode with fewer --channels, or scale the video down"
        )
    levels = config.attention if config.kind == "multiresunet" else ()
    if (
        found := attention_macs(info.width, info.height, config.channels, levels)
    ) > MAX_ATTENTION_MACS:
        raise CodecError(
            f"expected self-attention of at most {MAX_ATTENTION_MACS:.1e} multiply-accumulates for a picture, found {found:.1e} at "
            f"{info.width}x{info.height}; encode with --attention 4, or none"
        )


def gan(config: GanConfig, weights: Weights, info: VideoInfo) -> Colouriser:
    """The colouriser of a video's own generator: each frame from its luma alone, whatever the key frames' colours are.

    Raises CodecError where the pictures are too large for it.
    """
    check_size(config, info)
    generates = generator(config, weights, info)

    def begin(
        luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor
    ) -> list[Future[Planes]]:
        return [
            pool.submit(lambda y: to_planes(generates(y), config.output, info), view.y)
            for view in luma
        ]

    return begin


def generator(config: GanConfig, weights: Weights, info: VideoInfo) -> Generates:
    """A generator of given weights, for pictures of a video. It raises MemoryError where that runs out."""
    at_once = generated_at_once(info.width, info.height, config.channels)
    if config.kind == "multiresunet":
        compiled = Compiled(
            build(config, weights, (info.height, info.width), info.bit_depth), at_once
        )
        return lambda y: compiled([y[None, None]])[0][0]
    from tinct.networks.trainable.baselines import rival_of

    run, turn = rival_of(config, weights), Semaphore(at_once)

    def generates(y: np.ndarray) -> np.ndarray:
        with turn, memory_errors():
            return run(y.astype(np.float32) * (2 / ((1 << info.bit_depth) - 1)) - 1)

    return generates


def to_planes(picture: np.ndarray, output: Output, info: VideoInfo) -> Planes:
    """A picture [3, H, W] in [-1, 1] as 4:2:0 integers."""
    picture = np.nan_to_num(
        picture, nan=0.0, posinf=FAR, neginf=-FAR
    )  # hostile weights overflow: any picture, but a picture
    values = np.ascontiguousarray(picture.transpose(1, 2, 0))
    if output == "rgb":
        y, chroma = from_rgb((values + 1) * 127.5, info)
    else:
        in_levels = (values + 1) * (((1 << info.bit_depth) - 1) / 2 / (1 << (info.bit_depth - 8)))
        y, chroma = (
            in_levels[..., 0],
            subsample_chroma(np.ascontiguousarray(in_levels[..., 1:]) - np.float32(128)),
        )
    cb, cr = cv2.split(chroma)
    return _integers(y, info), _integers(cb + 128, info), _integers(cr + 128, info)


def _integers(levels: np.ndarray, info: VideoInfo) -> np.ndarray:
    """8-bit levels as codes of the video's depth."""
    peak = (1 << info.bit_depth) - 1
    codes = np.clip(np.rint(levels * (1 << (info.bit_depth - 8))), 0, peak)
    return np.ascontiguousarray(codes.astype(np.uint8 if info.bit_depth == 8 else np.uint16))
