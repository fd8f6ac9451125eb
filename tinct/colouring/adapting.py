"""A small network that corrects the mixed colour of one video, taught by its own references before colouring (`--adapt`).

A lesson is a reference and what the others make of its frame. One lesson is held back: where the network does not help there, it is
not used. The one file of this package that needs PyTorch.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tinct.adapt.budget import Budget
from tinct.colouring.mixing import Mix, Reference
from tinct.motion.views import LumaView

CHANNELS = 24
DILATIONS = (1, 2, 4)  # of the 3x3 convolutions: it sees 17 x 17 chroma samples
CROP = 64  # chroma samples a side
BATCH = 8
RATE = 2e-3  # of Adam, falling to nothing over the budget
SCALE = 32.0  # 8-bit levels of chroma that the network sees as 1
HOLES = 6  # blobs a side of a crop
NEEDED_GAIN = 0.02  # share of the squared error held back that has to go


@dataclass(frozen=True)
class Lesson:
    """A reference, and its frame as the other references colour it."""

    target: Reference
    made: Mix


@dataclass(frozen=True)
class Adapted:
    """`network` is None where it did not help; squared errors of chroma on what was held back, in 8-bit levels."""

    network: nn.Module | None
    error_before: float
    error_after: float
    steps: int

    def text(self) -> str:
        kept = "kept" if self.network is not None else "not used"
        change = f"{self.error_before:.2f} to {self.error_after:.2f}"
        return f"adapted in {self.steps} steps: squared error of colour held back {change}, {kept}"


def adapt(lessons: Sequence[Lesson], budget: Budget) -> Adapted:
    """Train on lessons, several: the middle one is held back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _adapted(lessons, budget)


def _adapted(lessons: Sequence[Lesson], budget: Budget) -> Adapted:
    began = time.monotonic()
    middle = len(lessons) // 2
    apart = _Sample.of(lessons[middle])
    taught = [_Sample.of(lesson) for i, lesson in enumerate(lessons) if i != middle]
    # a reference's own colour has to stay as it is, and to be found again where it is missing
    whole = [
        _Sample.of(Lesson(one.target, Mix(one.target.colour, one.target.weight)))
        for i, one in enumerate(lessons)
        if i != middle
    ]
    network = _network()
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    steps = 0
    while (spent := budget.spent(steps, time.monotonic() - began)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - spent)
        inputs, target, weight = (
            torch.stack(parts) for parts in zip(*_batch(taught, whole), strict=True)
        )
        error = _changed(network, inputs) - target
        loss = (weight * torch.sqrt(error * error + 1e-4)).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        steps += 1
    before, after = _errors(network, apart)
    return Adapted(network if after <= before * (1 - NEEDED_GAIN) else None, before, after, steps)


def corrected(network: nn.Module, luma: LumaView, mixed: Mix) -> Mix:
    """The mix with the network's correction."""
    with torch.inference_mode():
        colour = _changed(network, _inputs(luma, mixed)[None])[0].permute(
            1, 2, 0
        ).numpy() * np.float32(SCALE)
    return Mix(colour, mixed.trust)


@dataclass(frozen=True)
class _Sample:
    """A lesson as tensors: `inputs` [7, h, w], `target` [2, h, w], `weight` [1, h, w]."""

    inputs: Tensor
    target: Tensor
    weight: Tensor

    @classmethod
    def of(cls, lesson: Lesson) -> "_Sample":
        target = torch.from_numpy(lesson.target.colour / np.float32(SCALE)).permute(2, 0, 1)
        weight = torch.from_numpy(lesson.target.weight)[None]
        return cls(_inputs(lesson.target.luma, lesson.made), target, weight)


def _network() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 7
    for dilation in DILATIONS:
        layers += [nn.Conv2d(channels, CHANNELS, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        channels = CHANNELS
    last = nn.Conv2d(CHANNELS, 2, 3, padding=1)
    nn.init.zeros_(last.weight)  # it begins by changing nothing
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers, last)


def _changed(network: nn.Module, inputs: Tensor) -> Tensor:
    """Corrected colour, [n, 7, h, w] -> [n, 2, h, w]: full correction where there is no trust, none where it is whole."""
    return inputs[:, 4:6] + (1 - inputs[:, 6:7]) * network(inputs)


def _inputs(luma: LumaView, mixed: Mix) -> Tensor:
    """Luma's four phases, mixed colour and trust at chroma resolution, [7, h, w]."""
    height, width = mixed.trust.shape
    y = np.pad(
        luma.full,
        ((0, 2 * height - luma.full.shape[0]), (0, 2 * width - luma.full.shape[1])),
        mode="edge",
    )
    phases = [
        y[row::2, column::2].astype(np.float32) / 255 - np.float32(0.5)
        for row in (0, 1)
        for column in (0, 1)
    ]
    colour = mixed.colour / np.float32(SCALE)
    return torch.from_numpy(np.stack([*phases, colour[..., 0], colour[..., 1], mixed.trust]))


def _batch(taught: Sequence[_Sample], whole: Sequence[_Sample]) -> list[list[Tensor]]:
    """Half of what others made, half of references with holes."""
    made = [_crop(taught) for _ in range(BATCH // 2)]
    return made + [_with_holes(_crop(whole)) for _ in range(BATCH // 2)]


def _crop(samples: Sequence[_Sample]) -> list[Tensor]:
    """A random part of a random sample, mirrored half of the time: inputs, target, weight."""
    sample = samples[int(torch.randint(len(samples), ()))]
    height, width = sample.weight.shape[1:]
    top, left = (int(torch.randint(max(1, side - CROP + 1), ())) for side in (height, width))
    place = (slice(None), slice(top, top + CROP), slice(left, left + CROP))
    parts = [sample.inputs[place], sample.target[place], sample.weight[place]]
    return [part.flip(2) for part in parts] if torch.rand(()) < 0.5 else parts


def _with_holes(parts: list[Tensor]) -> list[Tensor]:
    """Colour and trust taken away in some blobs, smoothly, as `mixing` does where nothing matches."""
    inputs, target, weight = parts
    noise = torch.rand(1, 1, HOLES, HOLES)
    there = (
        nn.functional.interpolate(noise, size=inputs.shape[1:], mode="bicubic")[0]
        .mul(4)
        .sub(1)
        .clamp(0, 1)
    )
    return [torch.cat((inputs[:4], inputs[4:] * there)), target, weight]


def _errors(network: nn.Module, sample: _Sample) -> tuple[float, float]:
    """Mean squared error of a sample's chroma in 8-bit levels, without and with the network."""
    with torch.inference_mode():
        colours = (sample.inputs[4:6], _changed(network, sample.inputs[None])[0])
        errors = [colour - sample.target for colour in colours]
        means = [
            float((sample.weight * error * error).sum() / (2 * sample.weight.sum() + 1e-9))
            * SCALE**2
            for error in errors
        ]
    return means[0], means[1]
