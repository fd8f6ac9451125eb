"""The loss that `compact` learns by: crops to batches, and the error of a batch.

Shared by `compact_update`, which learns on one video, and `tinct.training.compact`.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tinct.adapt.crops import Crop, stack_crops
from tinct.networks.compact_config import CELL
from tinct.networks.trainable.compact import Batch, unshuffle
from tinct.psnr import PLANE_WEIGHTS

DECIBELS = 10 / math.log(10)  # in one unit of the natural logarithm


def make_batch(crops: Sequence[Crop], peak: int, device: torch.device | str = "cpu") -> Batch:
    """Stack crops of samples in 0 to `peak`, as cells of 0 to 1 on `device`."""
    stacked = stack_crops(crops)
    luma, chroma = (
        unshuffle(torch.from_numpy(np.ascontiguousarray(part)).to(device).float() / peak, side)
        for part, side in ((stacked.luma, CELL), (stacked.chroma, CELL // 2))
    )
    return luma, chroma, torch.from_numpy(stacked.conditions).to(device)


def log_error(errors: Tensor, floor: float) -> Tensor:
    """Return the mean logarithm of a crop's errors, weighted 6:1:1 over the planes: [B, 3] -> [B].

    `floor` is a squared error in 8-bit levels: reducing errors much below it gains little.
    """
    return ((errors + floor).log() * errors.new_tensor(PLANE_WEIGHTS)).sum(1)
