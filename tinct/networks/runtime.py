"""OpenVINO on the processor: what graphs are made with, and one compiled, to be run from several threads at once."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tinct.errors import CodecError

if TYPE_CHECKING:
    import openvino


def load_openvino() -> Any:
    """OpenVINO without its telemetry, which would tell a server of each import: it takes its own stub where that is missing.

    Raises CodecError where it does not load.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = cast(
            "Any", None
        )  # Python's way to say that there is no such module
        try:
            import openvino
        except (
            ImportError
        ) as error:  # of a broken installation, and where memory for its libraries is missing
            raise CodecError(
                f'expected OpenVINO to load, found "{error}"; free memory, or install tinct again'
            ) from error
        finally:
            del sys.modules["openvino_telemetry"]
    import openvino
    import openvino.opset13

    return openvino


def const(value: object) -> Any:
    """A constant of float32 in a graph."""
    return load_openvino().opset13.constant(np.asarray(value, np.float32))


def whole(*values: int) -> Any:
    """A constant of integers in a graph: axes, lengths or a shape."""
    return load_openvino().opset13.constant(np.asarray(values, np.int64))


def conv(x: Any, kernel: np.ndarray, bias: np.ndarray | None = None) -> Any:
    """A convolution that keeps the size."""
    op = load_openvino().opset13
    pads = [kernel.shape[-1] // 2] * 2
    x = op.convolution(x, const(kernel), [1, 1], pads, pads, [1, 1])
    return x if bias is None else op.add(x, const(bias[None, :, None, None]))


def patches(x: Any, kernel: np.ndarray, bias: np.ndarray | None = None) -> Any:
    """A convolution of integers over patches side by side, as large as the kernel."""
    op = load_openvino().opset13
    x = op.convolution(
        op.convert(x, "f32"), const(kernel), list(kernel.shape[2:]), [0, 0], [0, 0], [1, 1]
    )
    return x if bias is None else op.add(x, const(bias[None, :, None, None]))


class Compiled:
    """A graph compiled, which threads run side by side, `at_once` of them at most; the others wait."""

    def __init__(self, model: "openvino.Model", at_once: int) -> None:
        threads = os.cpu_count() or 1
        streams = min(threads, at_once)
        options = {
            "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # several processes would pin theirs to the same cores
        }  # fmt: skip
        self._turn = threading.Semaphore(streams)
        with memory_errors():
            self._compiled = load_openvino().Core().compile_model(model, "CPU", options)
        self._requests = threading.local()

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for these inputs, in the graph's order: good until the same thread calls again. Raises MemoryError."""
        with self._turn, memory_errors():
            if not hasattr(self._requests, "own"):
                self._requests.own = self._compiled.create_infer_request()
            found = self._requests.own.infer(dict(enumerate(inputs)), share_inputs=True)
        return [found[i] for i in range(len(found))]


@contextmanager
def memory_errors() -> Iterator[None]:
    """Errors of OpenVINO and of PyTorch where memory runs out, as Python's own."""
    try:
        yield
    except RuntimeError as error:  # neither has a type of its own for it on the processor
        if "alloc" in str(error) or "failed to map" in str(
            error
        ):  # a picture's memory, or a library's
            raise MemoryError from error
        raise
