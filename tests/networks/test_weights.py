"""Weights to bytes and back: what is lost, how many bytes they take, and bytes from strangers."""

import numpy as np
import pytest

pytest.importorskip("constriction")

from tinct.errors import CodecError
from tinct.networks.weights import MAX_BITS, MIN_BITS, decode_weights, encode_weights, quantise

SHAPES = {"conv.weight": (12, 5, 3, 3), "conv.bias": (12,), "gain": (1,)}


def network(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.normal(size=shape) * 0.1).astype(np.float32) for name, shape in SHAPES.items()
    }


def encode(tensors: dict[str, np.ndarray], bits: int) -> bytes:
    return encode_weights({name: quantise(tensor, bits) for name, tensor in tensors.items()})


@pytest.mark.parametrize("bits", range(MIN_BITS, MAX_BITS + 1))
def test_what_is_decoded_is_what_was_quantised(bits: int) -> None:
    tensors = network()
    quantised = {name: quantise(tensor, bits) for name, tensor in tensors.items()}
    decoded = decode_weights(encode_weights(quantised), SHAPES)
    assert list(decoded) == list(SHAPES)
    for name, shape in SHAPES.items():
        assert decoded[name].dtype == np.float32
        assert np.array_equal(decoded[name], quantised[name].dequantise(shape))


@pytest.mark.parametrize(("bits", "low_db", "high_db"), [(4, 16, 22), (6, 28, 36), (8, 40, 50)])
def test_quantisation_noise(bits: int, low_db: float, high_db: float) -> None:
    """About 6 dB a bit; a Gaussian clipped at the largest of 45 weights loses some."""
    tensor = network(1)["conv.weight"]
    noise = quantise(tensor, bits).dequantise(tensor.shape) - tensor
    assert low_db < 10 * np.log10((tensor**2).mean() / (noise**2).mean()) < high_db


def test_each_channel_has_its_own_step() -> None:
    """Channels a thousand times apart are equally exact."""
    tensor = network(2)["conv.weight"] * np.geomspace(1, 1000, 12)[:, None, None, None].astype(
        np.float32
    )
    noise = quantise(tensor, 6).dequantise(tensor.shape) - tensor
    snr_db = 10 * np.log10((tensor**2).mean(axis=(1, 2, 3)) / (noise**2).mean(axis=(1, 2, 3)))
    assert snr_db.min() > 26


@pytest.mark.parametrize("draw", ["normal", "laplace"])
def test_the_coder_comes_near_the_entropy(draw: str) -> None:
    """30,000 integers of either distribution take up to 2 % more than their order-0 entropy."""
    rng = np.random.default_rng(3)
    tensor = getattr(rng, draw)(size=(30, 1000)).astype(np.float32)
    quantised = quantise(tensor, 6)
    _, counts = np.unique(quantised.integers, return_counts=True)
    entropy_bytes = -(counts * np.log2(counts / counts.sum())).sum() / 8
    found = len(encode_weights({"w": quantised})) - 33
    assert 0.999 * entropy_bytes < found < 1.02 * entropy_bytes


@pytest.mark.parametrize("value", [0.0, 1e-30, -1e30, 300.0])
def test_extreme_tensors_come_back_finite(value: float) -> None:
    tensor = np.full((2, 3), value, np.float32)
    decoded = decode_weights(encode({"w": tensor}, 8), {"w": (2, 3)})["w"]
    assert np.isfinite(decoded).all()
    assert np.abs(decoded).max() <= 127 * 2.0 ** (255 / 8 - 24)
    assert np.allclose(decoded, value, rtol=0.01) or abs(value) in (1e-30, 1e30)


def test_golden_bytes() -> None:
    """The format: what one version writes, all later ones read."""
    tensors = {
        "w": np.array([[0.5, -0.25, 0.125, 0.0], [3.0, -1.0, 2.0, 1.0]], np.float32),
        "b": np.array([0.1, -0.2], np.float32),
    }
    data = encode(tensors, 4)
    assert data.hex() == "146fffa1b6146fff97e511cdf394b5e54a"
    assert np.array_equal(
        decode_weights(data, {"w": (2, 4), "b": (2,)})["w"],
        quantise(tensors["w"], 4).dequantise((2, 4)),
    )


def test_bytes_of_anything_else_are_refused_or_give_finite_weights() -> None:
    data = encode(network(), 5)
    with pytest.raises(CodecError, match="get the file again"):
        decode_weights(b"", SHAPES)
    with pytest.raises(CodecError, match="get the file again"):
        decode_weights(data[:-1], SHAPES)
    with pytest.raises(CodecError, match="get the file again"):
        decode_weights(data + b"\x01\x02\x03\x04" * 8, SHAPES)
    rng = np.random.default_rng(4)
    for _ in range(300):
        broken = bytearray(data)
        broken[rng.integers(len(data))] = rng.integers(256)
        try:
            decoded = decode_weights(bytes(broken), SHAPES)
        except CodecError:
            continue
        assert all(
            np.isfinite(tensor).all() and tensor.shape == SHAPES[name]
            for name, tensor in decoded.items()
        )
