"""A video's own generator: its key frames are gathered, it is trained, and coded as `update.bin`.

`gan` trains; `bits` and `rounding` choose what is sent; `networks.weights` codes it. The encoder
calls this module between its two passes.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tinct.adapt.bits import BIT_PRICES, Allocation, BitSearch
from tinct.adapt.budget import Budget, Limit, Step
from tinct.adapt.checkpoint import load_checkpoint
from tinct.adapt.gan import Samples, Training, hash_options, scale_luma, scale_rgb
from tinct.adapt.objectives import BASELINES, build_objective
from tinct.adapt.processes import average, join_processes
from tinct.adapt.recipes import RECIPES, Recipe
from tinct.adapt.rounding import learn_rounding
from tinct.adapt.vgg19 import Vgg19, find_vgg19
from tinct.colour import unit_matrix
from tinct.config import EncodeConfig
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.limits import MAX_WEIGHTS
from tinct.networks.gan import list_shapes
from tinct.networks.gan_config import GanConfig
from tinct.networks.runtime import raise_memory_errors
from tinct.networks.weights import encode_weights

MAX_SAMPLE_BYTES = 1 << 29  # of key frames; beyond it every second one is dropped
MAX_SIDE = 512  # of the crops that are held out, measured, or given while rounding is learnt
MEASURED_CROPS = 3
WEIGHT_BITS, VECTOR_BITS = range(4, 9), range(8, 9)  # tensors of one dimension hardly cost any
MAX_WORSE = 10**0.01  # growth of squared error by quantisation: 0.1 dB
ROUNDING_STEPS = 100
# How many times smaller learnt rounding is expected to make the quantisation loss, optimistic
# first. It was 12 times (0.25 to 0.02 dB, 0.69 to 0.06).
ROUNDING_GAIN = (8, 3, 1)
ROUNDING_MEASUREMENTS = 130  # that take as long as learnt rounding, about


@dataclass(frozen=True)
class GanUpdate:
    """A coded generator, and its weights as a decoder has them."""

    config: GanConfig
    data: bytes
    weights: Mapping[str, np.ndarray]
    loss_db: float  # of R'G'B' PSNR on key frames, by quantisation


class KeyFrameCollector:
    """Key frames as decoded, beside the originals, spread over the video; and a frame between two.

    Beyond MAX_SAMPLE_BYTES every second key frame is dropped, again and again.
    """

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []  # decoded luma, original R'G'B'
        self._every, self._keys = 1, 0  # every how many of the key frames one is kept
        self._others = 0
        self._held_out: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, original: Frame, decoded_y: np.ndarray, *, key: bool) -> None:
        """Take the next frame: a key frame to learn from, or another as the one held out."""
        if key:
            self._add_key(original, decoded_y)
            return
        self._others += 1
        # The last power of two lies in the second half of the video, however long it is.
        if self._others & (self._others - 1) == 0:
            window = _centre_window(decoded_y.shape)
            self._held_out = decoded_y[window], original.rgb()[window]

    def _add_key(self, original: Frame, decoded_y: np.ndarray) -> None:
        if self._keys % self._every == 0:
            self._kept.append((decoded_y, original.rgb()))
            size_bytes = len(self._kept) * 4 * decoded_y.size
            if size_bytes > MAX_SAMPLE_BYTES and len(self._kept) > 1:
                self._kept, self._every = self._kept[::2], 2 * self._every
        self._keys += 1

    def build_samples(self) -> Samples:
        """Return what was gathered; there has to be a frame that is no key frame."""
        assert self._held_out is not None, "every frame is a key frame"
        luma, rgb = (np.stack(part) for part in zip(*self._kept, strict=True))
        held_luma, held_rgb = self._held_out
        return Samples(
            luma=_luma_tensor(luma),
            rgb=_rgb_tensor(rgb),
            held_luma=_luma_tensor(held_luma[None]),
            held_rgb=_rgb_tensor(held_rgb.copy()[None]),
            to_rgb=torch.from_numpy(unit_matrix(self._info)),
            peak=(1 << self._info.bit_depth) - 1,
        )


def _luma_tensor(luma: np.ndarray) -> torch.Tensor:
    """[N, H, W] -> [N, 1, H, W]; 16 bits become signed, since PyTorch hardly supports unsigned."""
    signed = luma if luma.dtype == np.uint8 else luma.astype(np.int16)
    return torch.from_numpy(signed.copy())[:, None]


def _rgb_tensor(rgb: np.ndarray) -> torch.Tensor:
    """[N, H, W, 3] -> [N, 3, H, W]."""
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """What a training needs besides samples, found and checked before any work."""

    config: GanConfig
    recipe: Recipe
    content: Vgg19 | None
    budget: str  # as --adapt
    device: str  # "cpu" or "cuda"
    checkpoint: Path | None


def prepare_training(config: EncodeConfig, most_weights: int = MAX_WEIGHTS) -> TrainingSetup:
    """Find all that a training needs.

    Raises CodecError for a generator that is too large, a GPU or weights of VGG-19 that are
    missing, and the checkpoint of other options.
    """
    generator = config.generator_config()
    recipe = RECIPES[config.recipe].with_only(set(config.loss_terms))
    recipe = replace(recipe, conditional=config.conditional, seed=config.seed)
    list_shapes(generator, most_weights)  # raises if it is too large
    device = _choose_device(config.device)
    join_processes(device)
    checkpoint = Path(config.checkpoint) if config.checkpoint else None
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(checkpoint, hash_options(generator, recipe), by="asked_for")
    has_content = recipe.content > 0 and generator.kind not in BASELINES
    assert config.adapt is not None, "not resolved"
    return TrainingSetup(
        config=generator,
        recipe=recipe,
        content=find_vgg19(Path(config.vgg19) if config.vgg19 else None) if has_content else None,
        budget=config.adapt,
        device=device,
        checkpoint=checkpoint,
    )


def _choose_device(name: str) -> str:
    """Return "cpu" or "cuda" for --device. Raises CodecError for a GPU that is missing."""
    has_gpu = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if has_gpu else "cpu"
    if name == "cuda" and not has_gpu:
        raise CodecError(
            "--device: expected a GPU that PyTorch can use, found none; use --device cpu"
        )
    return name


def train_generator(
    setup: TrainingSetup, samples: Samples, progress: Callable[[Step], None] | None
) -> tuple[nn.Module, int, Budget]:
    """Return the trained generator, batch norm folded, its steps, and what is left to code it.

    Raises CodecError where memory runs out.
    """
    try:
        with raise_memory_errors():
            budget, left = _split_budget(setup, samples)
            training = Training(
                samples, setup.config, setup.recipe, content=setup.content, device=setup.device
            )
            generator = training.run(budget, checkpoint=setup.checkpoint, progress=progress)
            return generator, training.steps, left
    except MemoryError as error:
        raise CodecError(
            f"expected memory enough to train with --channels {setup.config.channels}, "
            "found none left; use fewer; a checkpoint stays as it is"
        ) from error


def _split_budget(setup: TrainingSetup, samples: Samples) -> tuple[Budget, Budget]:
    """Return the budgets of the training, and of the search for bits with learnt rounding."""
    budget = Budget.parse(setup.budget, len(samples.luma))
    if budget.seconds is None:
        return budget.split(0.0)
    crops = _MeasuredCrops(setup.config, samples)
    mean = torch.tensor(crops.time_measurement(), dtype=torch.float64, device=setup.device)
    average([mean])  # so that all processes train equally long
    measurements = 1 + crops.tensor_count + len(BIT_PRICES) + ROUNDING_MEASUREMENTS
    return budget.split(float(mean) * measurements)


@raise_memory_errors()
def encode_generator(
    generator: nn.Module,
    config: GanConfig,
    samples: Samples,
    *,
    error_per_bit: float,
    steps: int,
    budget: Budget | None = None,
    device: str = "cpu",
) -> GanUpdate:
    """Code a generator that was trained for `steps`, the bits of each tensor at the least cost.

    `error_per_bit` as in `bits.allocate`. Bits are chosen as if they did only a part of their harm
    (see ROUNDING_GAIN); if learnt rounding then fails to undo the rest, more bits are chosen.
    Rounding is learnt for at most as many steps as the weights. `budget` bounds all of it.
    """
    tensors = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    crops = _MeasuredCrops(config, samples)
    exact = crops.error(tensors)
    teacher = copy.deepcopy(generator).to(device)
    inputs = partial(_draw_input, samples, device)
    limit = Limit(budget)
    search = BitSearch(tensors, _allowed_bits, crops.error, limit=limit)
    for gain in ROUNDING_GAIN:
        plain = search.choose(error_per_bit=gain * error_per_bit, most_ratio=MAX_WORSE**gain)
        rounded = learn_rounding(
            teacher, plain.tensors, inputs, steps=min(ROUNDING_STEPS, steps), limit=limit
        )
        learnt = Allocation(rounded, 1.0)
        learnt = replace(learnt, ratio=crops.error(learnt.dequantise(tensors)) / exact)
        best = min(plain, learnt, key=lambda allocation: allocation.ratio)
        if best.ratio <= MAX_WORSE or not limit.allows():
            break
    return GanUpdate(
        config=config,
        data=encode_weights(best.tensors),
        weights=best.dequantise(tensors),
        loss_db=10 * math.log10(best.ratio),
    )


def _allowed_bits(tensor: np.ndarray) -> range:
    return WEIGHT_BITS if tensor.ndim > 1 else VECTOR_BITS


def _draw_input(samples: Samples, device: str, step: int) -> torch.Tensor:
    """Return luma of a random sample, or a random square of it, in [-1, 1]."""
    random = np.random.default_rng(step)
    count, _, *shape = samples.luma.shape
    number = int(random.integers(count))
    firsts = [int(random.integers(0, max(1, side - MAX_SIDE + 1))) for side in shape]
    rows, columns = (slice(first, first + MAX_SIDE) for first in firsts)
    return scale_luma(samples.luma[number : number + 1, :, rows, columns], samples.peak).to(device)


def _centre_window(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the square of MAX_SIDE in the middle of a plane, or all of a smaller one."""
    firsts = (max(0, (side - MAX_SIDE) // 2) for side in shape)
    return tuple(slice(first, first + MAX_SIDE) for first in firsts)


class _MeasuredCrops:
    """Crops of a few key frames, on which the squared error of a generator is measured."""

    def __init__(self, config: GanConfig, samples: Samples) -> None:
        recipe = Recipe(content=0.0, norm=False)
        objective = build_objective(config, recipe, to_rgb=samples.to_rgb, content=None)
        self._objective = objective.eval()
        count = len(samples.luma)
        numbers = np.linspace(0, count - 1, min(MEASURED_CROPS, count)).round().astype(int)
        window = _centre_window(samples.luma.shape[2:])
        self._pairs = [
            (
                scale_luma(samples.luma[i : i + 1, :, *window], samples.peak),
                scale_rgb(samples.rgb[i : i + 1, :, *window]),
            )
            for i in numbers
        ]

    @property
    def tensor_count(self) -> int:
        """Return how many tensors a generator has, those that are sent."""
        return len(self._objective.generator.state_dict())

    @torch.no_grad()
    def time_measurement(self) -> float:
        """Return the seconds that one measurement takes."""
        began = time.monotonic()
        for luma, _ in self._pairs:
            self._objective.colourise(luma)
        return time.monotonic() - began

    @torch.no_grad()
    def error(self, weights: Mapping[str, np.ndarray]) -> float:
        """Return the mean squared error of R'G'B' in [-1, 1] with these weights."""
        tensors = {name: torch.from_numpy(weight) for name, weight in weights.items()}
        self._objective.generator.load_state_dict(tensors)
        errors = [
            float((self._objective.colourise(luma).clamp(-1, 1) - rgb).square().mean())
            for luma, rgb in self._pairs
        ]
        return max(float(np.mean(errors)), 1e-9)
