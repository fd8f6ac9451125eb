"""A generator as a file carries it: its folded weights to bytes and back, its pictures to planes.

The bytes are those of `weights`; which tensors they are follows from the generator's configuration alone.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from threading import Semaphore

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tinct.colour import from_rgb, subsample_chroma
from tinct.colouriser import Colouriser
from tinct.colouriser.gan import Generator
from tinct.colouriser.rivals import rival
from tinct.config import GanConfig, Output
from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.limits import MAX_ATTENTION_MACS, MAX_GENERATOR_BYTES, MAX_WEIGHTS, attention_macs, generated_at_once
from tinct.planes import Planes
from tinct.propagate import KeyView, LumaView
from tinct.weights import decode_weights

FAR = 1e6  # beyond any sample, and what comes of it still a number


def new_generator(config: GanConfig, *, norm: bool) -> nn.Module:
    """A generator of any kind before training; with `norm` off as it is sent (see `fold`)."""
    return Generator(config, norm=norm) if config.kind == "multiresunet" else rival(config)


def shapes(config: GanConfig) -> dict[str, tuple[int, ...]]:
    """Of the tensors that are sent, by name, without one of them being made. Raises CodecError where they are too many."""
    with torch.device("meta"):
        found = {name: tuple(tensor.shape) for name, tensor in new_generator(config, norm=False).state_dict().items()}
    count = sum(int(np.prod(shape)) for shape in found.values())
    if count > MAX_WEIGHTS:
        raise CodecError(f"expected a generator of at most {MAX_WEIGHTS:,} weights, found {count:,}; encode with fewer --channels")
    return found


def generator_of(config: GanConfig, data: bytes) -> nn.Module:
    """The generator of an `update.bin`, for decoding. Raises CodecError where the bytes are not of such a generator."""
    return with_weights(config, decode_weights(data, shapes(config)))


def with_weights(config: GanConfig, weights: dict[str, np.ndarray]) -> nn.Module:
    """A folded generator of given weights."""
    generator = new_generator(config, norm=False)
    generator.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    return generator.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's own types


def check_size(config: GanConfig, info: VideoInfo) -> None:
    """Refuse a generator that takes more memory for one picture than any file may ask for."""
    if not generated_at_once(info.width, info.height, config.channels):
        raise CodecError(
            f"expected a network that takes at most {MAX_GENERATOR_BYTES >> 30} GiB for a picture, "
            f"found {config.channels} channels at {info.width}x{info.height}; encode with fewer --channels, or scale the video down"
        )
    levels = config.attention if config.kind == "multiresunet" else ()
    if (found := attention_macs(info.width, info.height, config.channels, levels)) > MAX_ATTENTION_MACS:
        raise CodecError(
            f"expected self-attention of at most {MAX_ATTENTION_MACS:.1e} multiply-accumulates for a picture, found {found:.1e} at "
            f"{info.width}x{info.height}; encode with --attention 4, or none"
        )


def gan(generator: nn.Module, config: GanConfig, info: VideoInfo) -> Colouriser:
    """The colouriser of a video's own generator: each frame from its luma alone, whatever the key frames' colours are.

    Raises CodecError where the pictures are too large for it.
    """
    check_size(config, info)
    turn = Semaphore(generated_at_once(info.width, info.height, config.channels))

    def finished(view: LumaView) -> Planes:
        with turn:
            return generated(generator, config.output, view.y, info)

    def begin(luma: Sequence[LumaView], keys: Sequence[KeyView], pool: Executor) -> list[Future[Planes]]:
        return [pool.submit(finished, view) for view in luma]

    return begin


def generated(generator: nn.Module, output: Output, y: np.ndarray, info: VideoInfo) -> Planes:
    """What a generator makes of decoded luma [H, W]: Y, Cb and Cr of a video. Raises MemoryError where that runs out."""
    luma = torch.from_numpy(y.astype(np.float32))[None, None] * (2 / ((1 << info.bit_depth) - 1)) - 1
    with memory_errors(), torch.inference_mode():
        picture = generator(luma.contiguous(memory_format=torch.channels_last))[0]
    return to_planes(picture, output, info)


@contextmanager
def memory_errors() -> Iterator[None]:
    """PyTorch's errors where memory runs out, as Python's own."""
    try:
        yield
    except RuntimeError as error:  # it has a type of its own on a GPU alone
        if isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error):
            raise MemoryError from error
        raise


def to_planes(picture: Tensor, output: Output, info: VideoInfo) -> Planes:
    """A picture [3, H, W] in [-1, 1] as 4:2:0 integers."""
    picture = picture.nan_to_num(0.0, FAR, -FAR)  # hostile weights overflow; what becomes of that is any picture, but a picture
    values = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    if output == "rgb":
        y, chroma = from_rgb((values + 1) * 127.5, info)
    else:
        in_levels = (values + 1) * (((1 << info.bit_depth) - 1) / 2 / (1 << (info.bit_depth - 8)))
        y, chroma = in_levels[..., 0], subsample_chroma(np.ascontiguousarray(in_levels[..., 1:]) - np.float32(128))
    cb, cr = cv2.split(chroma)
    return _integers(y, info), _integers(cb + 128, info), _integers(cr + 128, info)


def _integers(levels: np.ndarray, info: VideoInfo) -> np.ndarray:
    """8-bit levels as codes of the video's depth."""
    peak = (1 << info.bit_depth) - 1
    codes = np.clip(np.rint(levels * (1 << (info.bit_depth - 8))), 0, peak)
    return np.ascontiguousarray(codes.astype(np.uint8 if info.bit_depth == 8 else np.uint16))
