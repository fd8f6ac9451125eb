"""Network weights to bytes and back: quantised per output channel, range-coded; nothing in the bytes names, sizes or runs anything.

The network's configuration gives each tensor's name and shape on both sides; the bytes, in the order of the names, are

    for each tensor    u8      bits of its integers, 2 to 12, plus 16 where their distribution is Gaussian and not Laplacian
                       u16     the distribution's ratio, in 1/65536
                       u8 x n  a step of each output channel: 2 ^ (value / 8 - 24); n is 1 for a tensor of one dimension
    then               u32...  the integers of all tensors, range-coded, 32-bit words

all little-endian. A weight is integer times step, so no bytes make a weight that is not finite. Probabilities come from products of
IEEE doubles alone, which are the same everywhere: a power or an exponential would not be.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tinct.errors import CodecError
from tinct.limits import MAX_WEIGHTS, MAX_WEIGHTS_PER_BYTE

MIN_BITS, MAX_BITS = 2, 12
GAUSSIAN = 16  # flag beside the bits
RATIO_UNIT = 1 << 16
STEPS_PER_OCTAVE = 8  # of a channel's step: at most 9 % too coarse for its largest weight
FINEST_STEP_LOG2 = -24
CLIPPED_STEPS = (
    12  # how far below the step that holds a channel's largest weight a better one is looked for
)
HASH_DIGITS = 16  # of a SHA-256, by which a file names weights
_HEAD = struct.Struct("<BH")


@dataclass(frozen=True)
class Quantised:
    """A tensor as integers [n, rest], within +-(2 ** (bits - 1) - 1), and the byte of each channel's step [n]."""

    integers: np.ndarray
    steps: np.ndarray
    bits: int

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        """What a decoder has of it: float32 of `shape`."""
        step = 2.0 ** (self.steps / STEPS_PER_OCTAVE + FINEST_STEP_LOG2)
        return (self.integers * step[:, None]).astype(np.float32).reshape(shape)


def hash_of(data: bytes) -> str:
    """What a file says of weights that it names: the first digits of their SHA-256."""
    return hashlib.sha256(data).hexdigest()[:HASH_DIGITS]


def quantise(tensor: np.ndarray, bits: int) -> Quantised:
    """Each channel with the step of least squared error: outliers may be clipped."""
    assert MIN_BITS <= bits <= MAX_BITS
    rows = _rows(tensor).astype(np.float64)
    limit = _limit(bits)
    largest = np.abs(rows).max(axis=1)
    exact = np.log2(np.maximum(largest / limit, 2.0**FINEST_STEP_LOG2)) - FINEST_STEP_LOG2
    widest = np.minimum(np.ceil(exact * STEPS_PER_OCTAVE), 255).astype(np.int64)
    best_error = np.full(len(rows), np.inf)
    integers, steps = np.zeros(rows.shape, np.int32), widest.astype(np.uint8)
    for finer in range(CLIPPED_STEPS):
        candidate = np.maximum(widest - finer, 0)
        step = (2.0 ** (candidate / STEPS_PER_OCTAVE + FINEST_STEP_LOG2))[:, None]
        found = np.clip(np.round(rows / step), -limit, limit)
        error = ((found * step - rows) ** 2).sum(axis=1)
        better = error < best_error
        integers[better], steps[better], best_error[better] = (
            found[better],
            candidate[better],
            error[better],
        )
    return Quantised(integers, steps, bits)


def encode_weights(tensors: Mapping[str, Quantised]) -> bytes:
    """The bytes of quantised tensors."""
    import constriction

    head, coder = b"", constriction.stream.queue.RangeEncoder()
    for tensor in tensors.values():
        symbols = (tensor.integers.ravel() + _limit(tensor.bits)).astype(np.int32)
        gaussian, ratio = _fitted(symbols, tensor.bits)
        head += _HEAD.pack(tensor.bits + GAUSSIAN * gaussian, ratio) + tensor.steps.tobytes()
        coder.encode(symbols, _model(_probabilities(tensor.bits, gaussian, ratio)))
    data = head + coder.get_compressed().astype("<u4").tobytes()
    assert sum(tensor.integers.size for tensor in tensors.values()) <= MAX_WEIGHTS_PER_BYTE * len(
        data
    ), "no decoder takes it"
    return data


def decode_weights(data: bytes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """float32 tensors of these names and shapes. Raises CodecError where `data` is not of such a network."""
    import constriction

    count = sum(int(np.prod(shape)) for shape in shapes.values())
    assert count <= MAX_WEIGHTS
    if count > MAX_WEIGHTS_PER_BYTE * len(
        data
    ):  # a few bytes would become much memory and many seconds of range decoding
        raise _damaged()
    at, heads = 0, []
    for shape in shapes.values():
        channels = _channels(shape)
        if len(data) < at + _HEAD.size + channels:
            raise _damaged()
        flags, ratio = _HEAD.unpack_from(data, at)
        bits, gaussian = flags % GAUSSIAN, flags // GAUSSIAN
        if not (MIN_BITS <= bits <= MAX_BITS and gaussian <= 1 and ratio > 0):
            raise _damaged()
        at += _HEAD.size
        heads.append((bits, bool(gaussian), ratio, np.frombuffer(data, np.uint8, channels, at)))
        at += channels
    if (len(data) - at) % 4:
        raise _damaged()
    coder = constriction.stream.queue.RangeDecoder(
        np.frombuffer(data, "<u4", offset=at).astype(np.uint32)
    )
    decoded = {}
    for (name, shape), (bits, gaussian, ratio, steps) in zip(shapes.items(), heads, strict=True):
        count = int(np.prod(shape))
        try:
            symbols = coder.decode(_model(_probabilities(bits, gaussian, ratio)), count)
        except (
            AssertionError
        ) as error:  # what the library raises on bytes that it cannot have written
            raise _damaged() from error
        integers = symbols.reshape(len(steps), -1) - _limit(bits)
        decoded[name] = Quantised(integers, steps, bits).values(shape)
    if not coder.maybe_exhausted():
        raise _damaged()
    return decoded


def _fitted(symbols: np.ndarray, bits: int) -> tuple[bool, int]:
    """The distribution that takes the fewest bits: whether Gaussian, and its ratio."""
    counts = np.bincount(symbols, minlength=2 * _limit(bits) + 1)
    k = np.abs(np.arange(-_limit(bits), _limit(bits) + 1))
    best = (np.inf, False, 1)
    for gaussian in (False, True):
        for spread in np.geomspace(
            0.05, 2 * _limit(bits) + 1, 96
        ):  # about the mean distance from 0
            ratio = np.exp(-1 / (2 * spread**2)) if gaussian else np.exp(-1 / spread)
            ratio = min(max(round(ratio * RATIO_UNIT), 1), RATIO_UNIT - 1)
            weight = (ratio / RATIO_UNIT) ** (
                k * k if gaussian else k
            )  # about: the exact ones take a while
            cost = -(counts * np.log2(np.maximum(weight / weight.sum(), 2.0**-24))).sum()
            best = min(best, (cost, gaussian, ratio))
    return best[1], best[2]


def _probabilities(bits: int, gaussian: bool, ratio: int) -> np.ndarray:
    """Of the integers from -limit to limit: ratio ** |k|, or ratio ** (k * k), by products alone."""
    weight = np.ones(_limit(bits) + 1)
    factor = ratio / RATIO_UNIT
    square = factor * factor
    for k in range(1, len(weight)):
        weight[k] = weight[k - 1] * factor
        factor = factor * square if gaussian else factor
    both = np.concatenate([weight[:0:-1], weight])
    total = 0.0
    for (
        value
    ) in both:  # one after another: NumPy's own sum adds in an order that depends on the machine
        total += float(value)
    return both / total


def _model(probabilities: np.ndarray) -> object:
    import constriction

    return constriction.stream.model.Categorical(probabilities, perfect=False)


def _limit(bits: int) -> int:
    return (1 << (bits - 1)) - 1


def _channels(shape: tuple[int, ...]) -> int:
    return 1 if len(shape) == 1 else shape[0]


def _rows(tensor: np.ndarray) -> np.ndarray:
    return tensor.reshape(_channels(tensor.shape), -1)


def _damaged() -> CodecError:
    return CodecError(
        "expected the coded weights of the network that the file names, found other bytes; get the file again"
    )
