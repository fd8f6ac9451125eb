"""What every training needs: checkpoints that are whole or not there, a gradient that processes share, threads in bounds."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, distributed, nn

from tinct.adapt.torchrun import torchrun_started
from tinct.errors import CodecError
from tinct.files import Growing


def save_checkpoint(path: Path, fingerprint: str, state: dict[str, Any]) -> None:
    """Write all that the next step depends on. Raises CodecError where that cannot be; what was there before stays."""
    try:
        with Growing(path) as growing:
            torch.save({**state, "fingerprint": fingerprint}, growing.path)
            growing.publish()
    except (
        OSError,
        RuntimeError,
    ) as error:  # PyTorch's own writer raises the latter on a full disk
        raise CodecError(
            f"expected to write the checkpoint {path}, found: {str(error).splitlines()[0]}"
        ) from error


def load_checkpoint(
    path: Path, fingerprint: str, device: torch.device | str = "cpu", *, by: str = "fingerprint"
) -> dict[str, Any]:
    """The state that was saved. Raises CodecError for another file, and where its entry `by` is not `fingerprint`."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        found = state[by]
    except torch.OutOfMemoryError:
        raise
    except OSError as error:
        raise CodecError(
            f"expected to read the checkpoint {path}, found {error.strerror or error}"
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, UnpicklingError) as error:
        if "alloc" in str(error):  # what PyTorch says where memory runs out
            raise
        raise CodecError(
            f"expected a checkpoint of this training in {path}, found another file; name a new one"
        ) from error
    if found != fingerprint:
        raise CodecError(
            f"expected a checkpoint of this training, its data and options in {path}, found another's; name a new one"
        )
    return state


def join_processes(device: str) -> None:
    """Where torchrun started this process, meet the others, whose networks are on this device too."""
    if not torchrun_started() or distributed.is_initialized():
        return
    try:
        distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    except (ValueError, RuntimeError) as error:
        raise CodecError(
            f"expected to meet torchrun's other processes, found: {str(error).splitlines()[0]}"
        ) from error


def leads() -> bool:
    """Whether this process is the one of several that writes."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def share(tensors: Iterable[Tensor]) -> None:
    """Where there are several processes (torchrun), each tensor becomes the mean over all."""
    if not distributed.is_initialized():
        return
    for tensor in tensors:
        distributed.all_reduce(tensor)
        tensor /= distributed.get_world_size()


def share_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """The same of gradients."""
    share(parameter.grad for parameter in parameters if parameter.grad is not None)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """For small crops, on which PyTorch's threads only wait for one another, and for what must not hang on the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
