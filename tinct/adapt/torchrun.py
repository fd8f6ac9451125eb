"""Environment variables of torchrun, read without PyTorch; `processes` does the joint training."""

import os


def is_under_torchrun() -> bool:
    """Return whether torchrun started this process; RANK alone may mean something else."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


def is_first_process() -> bool:
    """Return whether this is torchrun's process 0, or was started without torchrun."""
    return not is_under_torchrun() or int(os.environ["RANK"]) == 0
