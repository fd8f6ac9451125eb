"""Which of several processes this is, where torchrun started it to train with others."""

import os


def torchrun_started() -> bool:
    """Whether this is one of torchrun's processes; a RANK alone means something else."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


def process_number() -> int:
    """Which of torchrun's processes this one is; 0 alone."""
    return int(os.environ["RANK"]) if torchrun_started() else 0
