"""Several processes that train one network (torchrun), and the threads of one of them.

`torchrun` answers what can be known without PyTorch.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from tinct.adapt.torchrun import is_under_torchrun
from tinct.errors import CodecError


def join_processes(device: str) -> None:
    """Connect to torchrun's other processes, whose networks are on `device` ("cpu", "cuda") too.

    Does nothing without torchrun. Raises CodecError where the others cannot be reached.
    """
    if not is_under_torchrun() or distributed.is_initialized():
        return
    try:
        distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    except (ValueError, RuntimeError) as error:
        raise CodecError(
            f"expected to meet torchrun's other processes, found: {str(error).splitlines()[0]}"
        ) from error


def get_rank_and_count() -> tuple[int, int]:
    """Return this process's rank and the number of processes: (0, 1) for one alone."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def is_leader() -> bool:
    """Return whether this is the process that writes files and reports."""
    return get_rank_and_count()[0] == 0


def average(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in place."""
    if not distributed.is_initialized():
        return
    for tensor in tensors:
        distributed.all_reduce(tensor)
        tensor /= distributed.get_world_size()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradient of each parameter by its mean over all processes."""
    average(parameter.grad for parameter in parameters if parameter.grad is not None)


@contextmanager
def use_one_thread() -> Iterator[None]:
    """Run PyTorch on one thread: faster on small crops, and independent of the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
