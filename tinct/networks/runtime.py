"""OpenVINO on the processor: the operations that graphs are built from, and a compiled graph.

`compact_graph` and `gan_graph` build graphs with these.
"""

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


# Modules that `import openvino` would load: a telemetry that tells a server of each import, and a
# converter of models, which takes half of the time. OpenVINO does without where they are missing.
_UNWANTED = ("openvino_telemetry", "openvino.tools.ovc")


def load_openvino() -> Any:
    """Return the OpenVINO module, loaded without the modules of _UNWANTED.

    Raise CodecError where it does not load.
    """
    if "openvino" not in sys.modules:
        # None is Python's way to say that there is no such module
        sys.modules.update(dict.fromkeys(_UNWANTED, cast("Any", None)))
        try:
            import openvino
        except ImportError as error:  # a broken installation, or no memory for its libraries
            raise CodecError(
                f'expected OpenVINO to load, found "{error}"; free memory, or install tinct again'
            ) from error
        finally:
            for name in _UNWANTED:
                del sys.modules[name]
        openvino.convert_model = _convert_model  # as a program finds it that uses OpenVINO itself
    import openvino
    import openvino.opset13

    return openvino


def _convert_model(*arguments: Any, **options: Any) -> Any:
    """Load OpenVINO's converter of models and call it."""
    from openvino.tools.ovc import convert_model

    return convert_model(*arguments, **options)


# ── building graphs ──


def make_floats(value: object) -> Any:
    """Return a float32 constant of the graph."""
    return load_openvino().opset13.constant(np.asarray(value, np.float32))


def make_integers(values: Sequence[int]) -> Any:
    """Return an int64 constant of the graph: axes, lengths or a shape."""
    return load_openvino().opset13.constant(np.asarray(values, np.int64))


def convolve(x: Any, kernel: np.ndarray, bias: np.ndarray | None = None) -> Any:
    """Convolve [1, C, H, W] with a kernel [N, C, k, k], zero-padded: [1, N, H, W]."""
    op = load_openvino().opset13
    pads = [kernel.shape[-1] // 2] * 2
    x = op.convolution(x, make_floats(kernel), [1, 1], pads, pads, [1, 1])
    return x if bias is None else add_bias(x, bias)


def convolve_cells(x: Any, kernel: np.ndarray, bias: np.ndarray | None = None) -> Any:
    """Convolve integers [1, C, H, W] cell by cell: a kernel [N, C, k, k] gives [1, N, H/k, W/k]."""
    op = load_openvino().opset13
    side = list(kernel.shape[2:])
    x = op.convolution(op.convert(x, "f32"), make_floats(kernel), side, [0, 0], [0, 0], [1, 1])
    return x if bias is None else add_bias(x, bias)


def add_bias(x: Any, bias: np.ndarray) -> Any:
    """Add a bias [C] to [1, C, H, W]."""
    return load_openvino().opset13.add(x, make_floats(bias[None, :, None, None]))


# ── running graphs ──


class CompiledGraph:
    """A compiled graph, which at most `at_once` threads run side by side; the others wait."""

    def __init__(self, model: "openvino.Model", at_once: int) -> None:
        threads = os.cpu_count() or 1
        streams = min(threads, at_once)
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # several processes would pin theirs to the same cores
        }
        self._turn = threading.Semaphore(streams)
        with raise_memory_errors():
            self._compiled = load_openvino().Core().compile_model(model, "CPU", options)
        self._requests = threading.local()

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for these inputs, in the graph's order.

        The arrays are overwritten when the same thread calls again. Raise MemoryError where memory
        runs out.
        """
        with self._turn, raise_memory_errors():
            if not hasattr(self._requests, "own"):
                self._requests.own = self._compiled.create_infer_request()
            outputs = self._requests.own.infer(dict(enumerate(inputs)), share_inputs=True)
        return [outputs[number] for number in range(len(outputs))]


@contextmanager
def raise_memory_errors() -> Iterator[None]:
    """Raise MemoryError for the errors of OpenVINO and PyTorch that say that memory ran out."""
    try:
        yield
    except RuntimeError as error:  # on the processor neither has a type of its own for it
        message = str(error)
        if "alloc" in message or "failed to map" in message:  # for a picture, or for a library
            raise MemoryError from error
        raise
