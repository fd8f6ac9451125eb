"""Weights of a network to bytes and back: quantised per output channel, then range-coded.

The network's configuration gives each tensor's name and shape on both sides, so nothing in the
bytes names, sizes or runs anything. In the order of the tensors' names they are

    for each tensor    u8      bits of its integers, 2 to 12; plus 16 for a Gaussian distribution,
                               0 for a Laplacian one
                       u16     the distribution's ratio, in 1/65536
                       u8 x n  step of each output channel: 2 ^ (value / 8 - 24); n is 1 for a
                               tensor of one dimension
    then               u32...  the integers of all tensors, range-coded, in 32-bit words

all little-endian. A weight is integer times step, so every weight is finite, whatever the bytes.
Probabilities come from products of IEEE doubles alone, which are the same on every machine: a power
or an exponential is not. `adapt.bits` and `adapt.rounding` choose bits and integers.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tinct.errors import CodecError
from tinct.limits import MAX_WEIGHTS_PER_BYTE

MIN_BITS, MAX_BITS = 2, 12
GAUSSIAN = 16  # flag beside the bits
RATIO_UNIT = 1 << 16
STEPS_PER_OCTAVE = 8  # of a channel's step: at most 9 % too coarse for its largest weight
FINEST_STEP_LOG2 = -24
# Steps that are tried below the one that holds a channel's largest weight; they clip outliers.
CLIPPED_STEPS = 12
SPREADS = 96  # mean distances from 0 that are tried for a distribution
HASH_DIGITS = 16  # of a SHA-256, by which a file names weights
_HEAD = struct.Struct("<BH")


@dataclass(frozen=True)
class QuantisedTensor:
    """A tensor as `integers` [n, rest] and the byte `steps` [n] of each channel's step.

    The integers are within +-(2 ** (bits - 1) - 1).
    """

    integers: np.ndarray
    steps: np.ndarray
    bits: int

    def dequantise(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the tensor that a decoder has, float32 of `shape`."""
        step = 2.0 ** (self.steps / STEPS_PER_OCTAVE + FINEST_STEP_LOG2)
        return (self.integers * step[:, None]).astype(np.float32).reshape(shape)


def hash_weights(data: bytes) -> str:
    """Return the name that a file gives to weights: the first digits of their SHA-256."""
    return hashlib.sha256(data).hexdigest()[:HASH_DIGITS]


def quantise(tensor: np.ndarray, bits: int) -> QuantisedTensor:
    """Quantise each channel with the step of least squared error, which may clip outliers."""
    assert MIN_BITS <= bits <= MAX_BITS
    rows = tensor.reshape(_count_channels(tensor.shape), -1).astype(np.float64)
    limit = _largest_integer(bits)
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
        integers[better], steps[better] = found[better], candidate[better]
        best_error[better] = error[better]
    return QuantisedTensor(integers, steps, bits)


def encode_weights(tensors: Mapping[str, QuantisedTensor]) -> bytes:
    """Return the bytes of quantised tensors, which are in the order of their names."""
    import constriction

    head, coder = b"", constriction.stream.queue.RangeEncoder()
    for tensor in tensors.values():
        symbols = (tensor.integers.ravel() + _largest_integer(tensor.bits)).astype(np.int32)
        is_gaussian, ratio = _fit_distribution(symbols, tensor.bits)
        head += _HEAD.pack(tensor.bits + GAUSSIAN * is_gaussian, ratio) + tensor.steps.tobytes()
        coder.encode(symbols, _make_model(tensor.bits, ratio, is_gaussian=is_gaussian))
    data = head + coder.get_compressed().astype("<u4").tobytes()
    count = sum(tensor.integers.size for tensor in tensors.values())
    assert count <= MAX_WEIGHTS_PER_BYTE * len(data), "no decoder takes it"
    return data


@dataclass(frozen=True)
class _Head:
    """What the bytes say of one tensor before the integers."""

    bits: int
    is_gaussian: bool
    ratio: int
    steps: np.ndarray  # uint8 [n]


def decode_weights(data: bytes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return float32 tensors of these names and shapes, in this order.

    The caller bounds what the shapes hold. Raise CodecError where `data` is not of such tensors.
    """
    import constriction

    count = sum(int(np.prod(shape)) for shape in shapes.values())
    # a few bytes would become much memory and many seconds of range decoding
    if count > MAX_WEIGHTS_PER_BYTE * len(data):
        raise _damage_error()
    heads, position = _read_heads(data, shapes)
    if (len(data) - position) % 4:
        raise _damage_error()
    words = np.frombuffer(data, "<u4", offset=position).astype(np.uint32)
    coder = constriction.stream.queue.RangeDecoder(words)
    decoded = {}
    for (name, shape), head in zip(shapes.items(), heads, strict=True):
        model = _make_model(head.bits, head.ratio, is_gaussian=head.is_gaussian)
        try:
            symbols = coder.decode(model, int(np.prod(shape)))
        except AssertionError as error:  # the library's, for bytes that it cannot have written
            raise _damage_error() from error
        integers = symbols.reshape(len(head.steps), -1) - _largest_integer(head.bits)
        decoded[name] = QuantisedTensor(integers, head.steps, head.bits).dequantise(shape)
    if not coder.maybe_exhausted():
        raise _damage_error()
    return decoded


def _read_heads(data: bytes, shapes: Mapping[str, tuple[int, ...]]) -> tuple[list[_Head], int]:
    """Return the head of each tensor, and where the integers begin. Raise CodecError."""
    heads, position = [], 0
    for shape in shapes.values():
        channels = _count_channels(shape)
        if len(data) < position + _HEAD.size + channels:
            raise _damage_error()
        flags, ratio = _HEAD.unpack_from(data, position)
        bits, gaussian = flags % GAUSSIAN, flags // GAUSSIAN
        if not (MIN_BITS <= bits <= MAX_BITS and gaussian <= 1 and ratio > 0):
            raise _damage_error()
        position += _HEAD.size
        steps = np.frombuffer(data, np.uint8, channels, position)
        heads.append(_Head(bits, bool(gaussian), ratio, steps=steps))
        position += channels
    return heads, position


def _fit_distribution(symbols: np.ndarray, bits: int) -> tuple[bool, int]:
    """Return the distribution that takes the fewest bits: whether it is Gaussian, and its ratio."""
    limit = _largest_integer(bits)
    counts = np.bincount(symbols, minlength=2 * limit + 1)
    k = np.abs(np.arange(-limit, limit + 1))
    best = (np.inf, False, 1)
    for is_gaussian in (False, True):
        for spread in np.geomspace(0.05, 2 * limit + 1, SPREADS):
            ratio = np.exp(-1 / (2 * spread**2)) if is_gaussian else np.exp(-1 / spread)
            ratio = min(max(round(ratio * RATIO_UNIT), 1), RATIO_UNIT - 1)
            # powers come near the exact products, which take longer
            weight = (ratio / RATIO_UNIT) ** (k * k if is_gaussian else k)
            cost = -(counts * np.log2(np.maximum(weight / weight.sum(), 2.0**-24))).sum()
            best = min(best, (cost, is_gaussian, ratio))
    return best[1], best[2]


def _make_model(bits: int, ratio: int, *, is_gaussian: bool) -> object:
    """Return the range coder's model of the integers from -limit to limit."""
    import constriction

    probabilities = _tabulate_probabilities(bits, ratio, is_gaussian=is_gaussian)
    return constriction.stream.model.Categorical(probabilities, perfect=False)


def _tabulate_probabilities(bits: int, ratio: int, *, is_gaussian: bool) -> np.ndarray:
    """Return the probabilities of the integers k from -limit to limit, float64.

    They are as ratio ** |k|, or as ratio ** (k * k) where Gaussian, by products alone.
    """
    weight = np.ones(_largest_integer(bits) + 1)
    factor = ratio / RATIO_UNIT
    square = factor * factor
    for k in range(1, len(weight)):
        weight[k] = weight[k - 1] * factor
        factor = factor * square if is_gaussian else factor
    both = np.concatenate([weight[:0:-1], weight])
    total = 0.0
    for value in both:  # NumPy's own sum adds in an order that depends on the machine
        total += float(value)
    return both / total


def _largest_integer(bits: int) -> int:
    return (1 << (bits - 1)) - 1


def _count_channels(shape: tuple[int, ...]) -> int:
    return 1 if len(shape) == 1 else shape[0]


def _damage_error() -> CodecError:
    return CodecError(
        "expected the coded weights of the network that the file names, found other bytes; "
        "get the file again"
    )
