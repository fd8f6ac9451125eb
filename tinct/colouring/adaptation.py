"""A small network that corrects the blended colour of one video, trained on its own references.

This is what `--adapt` does. A lesson is a reference and the colour that the other references give
its frame. One lesson is held out: where the network does not lower its error, it is not used. The
only module of this package that needs PyTorch; `lessons` collects what it learns from.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tinct.adapt.budget import Budget
from tinct.colouring.blending import BlendedColour, Reference
from tinct.motion.views import LumaView
from tinct.phases import tell

CHANNELS = 24
DILATIONS = (1, 2, 4)  # of the 3x3 convolutions: the receptive field is 17 x 17 chroma samples
CROP = 64  # chroma samples a side
BATCH = 8
RATE = 2e-3  # learning rate of Adam, falling linearly to 0 over the budget
SCALE = 32.0  # 8-bit levels of chroma that are 1 for the network
HOLES = 6  # blobs a side of a crop
NEEDED_GAIN = 0.02  # share by which the squared error of the held-out lesson has to fall


@dataclass(frozen=True)
class Lesson:
    """A reference as the target, and the colour that the other references give its frame."""

    target: Reference
    blended: BlendedColour


@dataclass(frozen=True)
class AdaptationResult:
    """The trained network, None where it did not help, and its effect on the held-out lesson.

    Errors are mean squared errors of chroma in 8-bit levels, without and with the network.
    """

    network: nn.Module | None
    error_before: float
    error_after: float
    steps: int

    def describe(self) -> str:
        """Return the result as a note for users."""
        outcome = "kept" if self.network is not None else "not used"
        change = f"{self.error_before:.2f} to {self.error_after:.2f}"
        return (
            f"adapted in {self.steps} steps: squared error of colour held back {change}, {outcome}"
        )


def train_correction(lessons: Sequence[Lesson], budget: Budget) -> AdaptationResult:
    """Train on all lessons but the middle one, which is held out. There have to be at least two."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _train(lessons, budget)


def correct_colour(network: nn.Module, luma: LumaView, blended: BlendedColour) -> BlendedColour:
    """Return the blended colour with the network's correction; trust stays."""
    with torch.inference_mode():
        corrected = _correct(network, _stack_inputs(luma, blended)[None])[0]
        colour = corrected.permute(1, 2, 0).numpy() * np.float32(SCALE)
    return BlendedColour(colour, blended.trust)


@dataclass(frozen=True)
class _Sample:
    """A lesson as tensors: `inputs` [7, h, w], `target` [2, h, w], `weight` [1, h, w]."""

    inputs: Tensor
    target: Tensor
    weight: Tensor

    @classmethod
    def from_lesson(cls, lesson: Lesson) -> "_Sample":
        target = torch.from_numpy(lesson.target.colour / np.float32(SCALE)).permute(2, 0, 1)
        weight = torch.from_numpy(lesson.target.weight)[None]
        return cls(_stack_inputs(lesson.target.luma, lesson.blended), target, weight)


def _train(lessons: Sequence[Lesson], budget: Budget) -> AdaptationResult:
    began = time.monotonic()
    middle = len(lessons) // 2
    held_out = _Sample.from_lesson(lessons[middle])
    taught = [lesson for i, lesson in enumerate(lessons) if i != middle]
    blended = [_Sample.from_lesson(lesson) for lesson in taught]
    # A reference's own colour has to stay as it is, and to be filled in where it is missing.
    own = [
        _Sample.from_lesson(Lesson(one, BlendedColour(one.colour, one.weight)))
        for one in (lesson.target for lesson in taught)
    ]
    network = _make_network()
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    steps = 0
    while (spent := budget.spent(steps, time.monotonic() - began)) < 1:
        tell("training", spent, 1.0, note=f"step {steps}")
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - spent)
        crops = zip(*_draw_batch(blended, own), strict=True)
        inputs, target, weight = (torch.stack(parts) for parts in crops)
        error = _correct(network, inputs) - target
        loss = (weight * torch.sqrt(error * error + 1e-4)).mean()  # Charbonnier
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        steps += 1
    before, after = _measure_errors(network, held_out)
    helps = after <= before * (1 - NEEDED_GAIN)
    return AdaptationResult(
        network if helps else None, error_before=before, error_after=after, steps=steps
    )


def _make_network() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 7
    for dilation in DILATIONS:
        layers += [nn.Conv2d(channels, CHANNELS, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        channels = CHANNELS
    last = nn.Conv2d(CHANNELS, 2, 3, padding=1)
    nn.init.zeros_(last.weight)  # the untrained network corrects nothing
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers, last)


def _correct(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return corrected colour, [n, 7, h, w] -> [n, 2, h, w].

    The correction is added in full where trust is 0, not at all where trust is 1.
    """
    return inputs[:, 4:6] + (1 - inputs[:, 6:7]) * network(inputs)


def _stack_inputs(luma: LumaView, blended: BlendedColour) -> Tensor:
    """Return luma's four phases, blended colour and trust at chroma resolution, [7, h, w]."""
    height, width = blended.trust.shape
    full = luma.full
    missing = ((0, 2 * height - full.shape[0]), (0, 2 * width - full.shape[1]))
    y = np.pad(full, missing, mode="edge")
    offsets = ((0, 0), (0, 1), (1, 0), (1, 1))  # row and column of each phase
    phases = [
        y[row::2, column::2].astype(np.float32) / 255 - np.float32(0.5) for row, column in offsets
    ]
    colour = blended.colour / np.float32(SCALE)
    return torch.from_numpy(np.stack([*phases, colour[..., 0], colour[..., 1], blended.trust]))


def _draw_batch(blended: Sequence[_Sample], own: Sequence[_Sample]) -> list[list[Tensor]]:
    """Return crops: half of what other references give, half of references with holes."""
    crops = [_crop(blended) for _ in range(BATCH // 2)]
    return crops + [_cut_holes(_crop(own)) for _ in range(BATCH // 2)]


def _crop(samples: Sequence[_Sample]) -> list[Tensor]:
    """Return a random part of a random sample: inputs, target, weight. Half are mirrored."""
    sample = samples[int(torch.randint(len(samples), ()))]
    height, width = sample.weight.shape[1:]
    top, left = (int(torch.randint(max(1, side - CROP + 1), ())) for side in (height, width))
    place = (slice(None), slice(top, top + CROP), slice(left, left + CROP))
    parts = [sample.inputs[place], sample.target[place], sample.weight[place]]
    return [part.flip(2) for part in parts] if torch.rand(()) < 0.5 else parts


def _cut_holes(parts: list[Tensor]) -> list[Tensor]:
    """Fade colour and trust out in some blobs, as `blending` does where nothing matches."""
    inputs, target, weight = parts
    noise = torch.rand(1, 1, HOLES, HOLES)
    blobs = nn.functional.interpolate(noise, size=inputs.shape[1:], mode="bicubic")[0]
    present = blobs.mul(4).sub(1).clamp(0, 1)
    return [torch.cat((inputs[:4], inputs[4:] * present)), target, weight]


def _measure_errors(network: nn.Module, sample: _Sample) -> tuple[float, float]:
    """Return a sample's mean squared error of chroma in 8-bit levels, without and with network."""
    with torch.inference_mode():
        colours = (sample.inputs[4:6], _correct(network, sample.inputs[None])[0])
        errors = [colour - sample.target for colour in colours]
        samples = 2 * sample.weight.sum() + 1e-9
        means = [
            float((sample.weight * error * error).sum() / samples) * SCALE**2 for error in errors
        ]
    return means[0], means[1]
