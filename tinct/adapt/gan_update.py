"""A video's own network: its key frames gathered while they are coded, its training, and `update.bin` with the bits chosen by cost.

`adapt` trains; `weights` has the bytes; `encoder` calls it between its two passes.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tinct.adapt.bits import Allocation, allocate
from tinct.adapt.budget import Budget, Step
from tinct.adapt.checkpoint import join_processes, load_checkpoint
from tinct.adapt.gan import Samples, Training, asked_for
from tinct.adapt.objectives import RECIPES, Recipe, objective_of
from tinct.adapt.rounding import relearn
from tinct.adapt.vgg19 import Vgg19, find_vgg19
from tinct.colour import unit_matrix
from tinct.config import EncodeConfig, default_losses, gan_config
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.networks.gan import shapes
from tinct.networks.gan_config import GanConfig
from tinct.networks.runtime import memory_errors
from tinct.networks.weights import encode_weights

MAX_SAMPLE_BYTES = 1 << 29  # of key frames; beyond it every second one is dropped
JUDGED_SIDE = 512  # of what is held out and weighed: whole frames where they are no larger
MIN_BITS, MAX_BITS, VECTOR_BITS = (
    4,
    8,
    8,
)  # of weights; of tensors of one dimension, which hardly cost anything
MAX_WORSE = 10**0.01  # that fewer bits may make squared error, whatever they save: 0.1 dB
UNDONE = (8, 3, 1)  # by how many times learning the rounding lessens what it does: hoped for first
RELEARNING_STEPS = 100
WEIGHED_CROPS = 3


@dataclass(frozen=True)
class Update:
    """What was trained: the generator's configuration, its bytes, and its weights as a decoder will have them."""

    config: GanConfig
    data: bytes
    weights: Mapping[str, np.ndarray]
    loss_db: float  # of R'G'B' PSNR on key frames, that the fewer bits of its weights cost


class KeyFrames:
    """Key frames as the decoder sees them, beside the original, spread over the video; and one frame between them."""

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._every, self._seen, self._between = 1, 0, 0
        self._held_out: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, original: Frame, decoded_y: np.ndarray, *, key: bool) -> None:
        if not key:
            self._between += 1
            if (
                self._between & (self._between - 1) == 0
            ):  # ends up in the second half, however long the video
                window = _middle(decoded_y.shape)
                self._held_out = decoded_y[window], original.rgb()[window]
            return
        if self._seen % self._every == 0:
            self._kept.append((decoded_y, original.rgb()))
            if len(self._kept) * 4 * decoded_y.size > MAX_SAMPLE_BYTES and len(self._kept) > 1:
                self._kept, self._every = self._kept[::2], 2 * self._every
        self._seen += 1

    def samples(self) -> Samples:
        assert self._held_out is not None, "every frame is a key frame"
        luma, rgb = (np.stack(part) for part in zip(*self._kept, strict=True))
        held_luma, held_rgb = self._held_out
        return Samples(
            _planes(luma), torch.from_numpy(rgb).permute(0, 3, 1, 2).contiguous(), _planes(held_luma[None]),
            torch.from_numpy(held_rgb.copy()).permute(2, 0, 1)[None].contiguous(), torch.from_numpy(unit_matrix(self._info)),
            (1 << self._info.bit_depth) - 1,
        )  # fmt: skip


@dataclass(frozen=True)
class Tuition:
    """All that a training needs but its samples, found and checked before there is any work to lose."""

    config: GanConfig
    recipe: Recipe
    content: Vgg19 | None
    budget: str
    device: str
    checkpoint: Path | None


def prepare(config: EncodeConfig) -> Tuition:
    """Raises CodecError where weights of VGG-19 or a GPU are asked for and not there."""
    terms = config.losses.split("+") if config.losses is not None else default_losses(config.recipe)
    recipe = replace(RECIPES[config.recipe].with_only(set(terms)), conditional=config.conditional)
    shapes(gan_config(config))
    device = (
        config.device
        if config.device != "auto"
        else ("cuda" if torch.cuda.is_available() else "cpu")
    )
    if device == "cuda" and not torch.cuda.is_available():
        raise CodecError(
            "--device: expected a GPU that PyTorch can use, found none; use --device cpu"
        )
    join_processes(device)
    checkpoint = Path(config.checkpoint) if config.checkpoint else None
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(checkpoint, asked_for(gan_config(config), recipe), by="asked_for")
    wants_vgg = (
        recipe.content > 0 and config.generator == "multiresunet"
    )  # the others' losses are their own
    content = find_vgg19(Path(config.vgg19) if config.vgg19 else None) if wants_vgg else None
    return Tuition(gan_config(config), recipe, content, config.adapt, device, checkpoint)


def trained(
    tuition: Tuition, samples: Samples, progress: Callable[[Step], None] | None
) -> tuple[nn.Module, int]:
    """The generator, folded, and the steps that made it."""
    budget = Budget.parse(tuition.budget, len(samples.luma))
    try:
        with memory_errors():
            training = Training(
                samples,
                tuition.config,
                tuition.recipe,
                content=tuition.content,
                device=tuition.device,
            )
            return training.run(
                budget, checkpoint=tuition.checkpoint, progress=progress
            ), training.steps
    except MemoryError as error:
        raise CodecError(
            f"expected memory enough to train with --channels {tuition.config.channels}, found none left; use fewer; "
            "a checkpoint stays as it is"
        ) from error


@memory_errors()
def coded(
    generator: nn.Module,
    config: GanConfig,
    samples: Samples,
    *,
    error_per_bit: float,
    steps: int,
    device: str = "cpu",
) -> Update:
    """The generator, trained for `steps`, with the bits of each tensor at the least cost; `error_per_bit` as `allocate` has it.

    Bits are chosen as if they did a part of their harm only, since learning the rounding undoes most (0.25 dB became 0.02, 0.69 dB
    0.06); where it does not, by more of it. Learning the rounding never takes longer than learning the weights did.
    """
    tensors = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    weigh = _Scales(config, samples)
    exact = weigh.error(tensors)
    teacher = copy.deepcopy(generator).to(device)
    steps = min(RELEARNING_STEPS, steps)
    for undone in UNDONE:
        sent = allocate(
            tensors,
            _bits,
            weigh.error,
            error_per_bit=undone * error_per_bit,
            most_ratio=MAX_WORSE**undone,
        )
        learnt = Allocation(
            relearn(teacher, sent.tensors, partial(_part, samples, device), steps=steps), 1.0
        )
        learnt = replace(learnt, ratio=weigh.error(learnt.values(tensors)) / exact)
        best = min(sent, learnt, key=lambda some: some.ratio)
        if best.ratio <= MAX_WORSE:
            break
    return Update(
        config, encode_weights(best.tensors), best.values(tensors), 10 * math.log10(best.ratio)
    )


def _part(samples: Samples, device: str, step: int) -> torch.Tensor:
    """Luma of one of the samples, or a square of it, in [-1, 1]."""
    random = np.random.default_rng(step)
    count, _, *shape = samples.luma.shape
    number = int(random.integers(count))
    firsts = [int(random.integers(0, max(1, side - JUDGED_SIDE + 1))) for side in shape]
    rows, columns = (slice(first, first + JUDGED_SIDE) for first in firsts)
    return (
        samples.luma[number : number + 1, :, rows, columns].float() * (2 / samples.peak) - 1
    ).to(device)


class _Scales:
    """Squared error of a generator's R'G'B' on crops of key frames."""

    def __init__(self, config: GanConfig, samples: Samples) -> None:
        self._objective = objective_of(
            config, Recipe(content=0.0, norm=False), samples.to_rgb, None
        ).eval()
        count = len(samples.luma)
        chosen = np.linspace(0, count - 1, min(WEIGHED_CROPS, count)).round().astype(int)
        window = _middle(samples.luma.shape[2:])
        self._pairs = [
            (
                samples.luma[i : i + 1, :, *window].float() * (2 / samples.peak) - 1,
                samples.rgb[i : i + 1, :, *window].float() / 127.5 - 1,
            )
            for i in chosen
        ]

    @torch.no_grad()
    def error(self, weights: Mapping[str, np.ndarray]) -> float:
        self._objective.maker.load_state_dict(
            {name: torch.from_numpy(weight) for name, weight in weights.items()}
        )
        errors = [
            float((self._objective.picture(luma).clamp(-1, 1) - rgb).square().mean())
            for luma, rgb in self._pairs
        ]
        return max(float(np.mean(errors)), 1e-9)


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The square of JUDGED_SIDE in the middle of a plane, or all of a smaller one."""
    firsts = (max(0, (side - JUDGED_SIDE) // 2) for side in shape)
    return tuple(slice(first, first + JUDGED_SIDE) for first in firsts)


def _bits(tensor: np.ndarray) -> range:
    return range(MIN_BITS, MAX_BITS + 1) if tensor.ndim > 1 else range(VECTOR_BITS, VECTOR_BITS + 1)


def _planes(luma: np.ndarray) -> torch.Tensor:
    """[N, H, W] as [N, 1, H, W]; PyTorch does little with unsigned 16 bit."""
    return torch.from_numpy((luma if luma.dtype == np.uint8 else luma.astype(np.int16)).copy())[
        :, None
    ]
