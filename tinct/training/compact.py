"""Training `compact` on cached crops: the loss, the loop, its checkpoints, and the files that it writes beside the weights.

Every random choice of a step comes from the seed, the step and the process alone, so a run that was killed goes on to the same
weights, bit for bit, on one machine. Several processes (torchrun) share the work of each step.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from tinct.adapt.checkpoint import (
    join_processes,
    leads,
    load_checkpoint,
    save_checkpoint,
    share_gradients,
)
from tinct.errors import CodecError
from tinct.files import check_output
from tinct.networks.compact_config import (
    CELL,
    CONDITIONS,
    CompactConfig,
    read_weights,
    write_weights,
)
from tinct.networks.trainable.compact import Batch, Compact, cells, plane_errors, squared
from tinct.psnr import PLANE_WEIGHTS
from tinct.training.samples import CROP, HELD_OUT, Crop, Prepared, Samples, prepare

CHECKPOINT_SECONDS = 60.0
LOG_STEPS = 500
WARM_UP_STEPS = 200
LONGEST_GRADIENT = 5.0
VALIDATION_CROPS = 512
DECIBELS = 10 / math.log(10)


@dataclass(frozen=True)
class Recipe:
    """The constants of a training. `floor` is the squared error, in 8-bit levels, below which less is worth little."""

    config: CompactConfig = field(default_factory=CompactConfig)
    steps: int = 30_000
    learning_rate: float = 2e-3
    batch: int = 16  # crops a step, over all processes
    crop: int = 128
    floor: float = 0.5
    averaging: float = 0.998
    seed: int = 0


@dataclass(frozen=True)
class Point:
    """What is logged of a step: mean loss since the last one, and PSNR in dB of held-out crops before and after the network."""

    step: int
    seconds: float
    loss: float
    before_db: float
    psnr_y_db: float
    psnr_u_db: float
    psnr_v_db: float


class Training:
    """A network in training on `samples`, watched on `held_out`."""

    def __init__(self, samples: Samples, held_out: Samples, recipe: Recipe) -> None:
        self._samples, self._held_out, self.recipe = samples, held_out, recipe
        self._fingerprint = hashlib.sha256(
            repr((asdict(recipe), samples.identity)).encode()
        ).hexdigest()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self._network = Compact(recipe.config)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.Adam(
            self._network.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99)
        )
        self._mean = {name: value.clone() for name, value in self._network.state_dict().items()}
        self.steps, self.seconds = 0, 0.0
        self.points: list[Point] = []

    def run(
        self,
        *,
        checkpoint: Path | None = None,
        progress: Callable[[Point], None] | None = None,
        stop_at: int | None = None,
    ) -> None:
        """Train to the end, or to step `stop_at`, on from `checkpoint` where that exists.

        Raises CodecError for another training's checkpoint, and for a loss that is no number.
        """
        end = self.recipe.steps if stop_at is None else stop_at
        if checkpoint is not None and checkpoint.exists():
            self._load(checkpoint)
        saved, losses = self.seconds, []
        with ThreadPoolExecutor(1) as reader:  # the next batch is read while this one is learnt
            following = reader.submit(self._batch, self.steps)
            while self.steps < end:
                began = time.monotonic()
                batch, following = following.result(), reader.submit(self._batch, self.steps + 1)
                losses.append(self._step(batch))
                self.steps += 1
                self.seconds += time.monotonic() - began
                if self.steps % LOG_STEPS == 0 or self.steps == self.recipe.steps:
                    self.points.append(self._validated(float(np.mean(losses))))
                    losses = []
                    if progress is not None:
                        progress(self.points[-1])
                if checkpoint is not None and self.seconds - saved > CHECKPOINT_SECONDS:
                    self._save(checkpoint)
                    saved = self.seconds
        if checkpoint is not None:
            self._save(checkpoint)

    def weights(self) -> dict[str, np.ndarray]:
        """Averaged over the last steps."""
        return {name: value.cpu().contiguous().numpy() for name, value in self._mean.items()}

    def _step(self, batch: Batch) -> float:
        recipe = self.recipe
        along = self.steps / recipe.steps
        for group in self._optimiser.param_groups:
            group["lr"] = (
                recipe.learning_rate
                * min(1, (self.steps + 1) / WARM_UP_STEPS)
                * (0.5 + 0.5 * math.cos(math.pi * along))
            )
        errors = plane_errors(self._network, batch)
        loss = (
            DECIBELS
            * ((errors + recipe.floor).log() * errors.new_tensor(PLANE_WEIGHTS)).sum(1).mean()
        )
        found = float(loss.detach())
        if not math.isfinite(found):
            raise CodecError(
                f"expected a finite loss in training, found {found} at step {self.steps}; the checkpoint before is kept: "
                "lower the learning rate"
            )
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        share_gradients(self._network.parameters())
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), LONGEST_GRADIENT)
        self._optimiser.step()
        keep = min(recipe.averaging, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for name, value in self._network.state_dict().items():
                self._mean[name].lerp_(value, 1 - keep)
        return found

    def _batch(self, step: int) -> Batch:
        """Crops of this process's share of a step, turned and mirrored, the two key frames exchanged at random."""
        rank, world = (
            (distributed.get_rank(), distributed.get_world_size())
            if distributed.is_initialized()
            else (0, 1)
        )
        random = np.random.default_rng([self.recipe.seed, step, rank])
        count = self.recipe.batch // world
        return self._tensors(
            [
                _varied(self._samples[int(i)], self.recipe, random)
                for i in random.integers(len(self._samples), size=count)
            ]
        )

    def _tensors(self, crops: list[Crop]) -> Batch:
        luma, chroma, conditions = (np.stack(part) for part in zip(*crops, strict=True))
        values = (
            torch.from_numpy(np.ascontiguousarray(part)).to(self._device) for part in (luma, chroma)
        )
        luma_cells, chroma_cells = (
            cells(value.float() / 255, side)
            for value, side in zip(values, (CELL, CELL // 2), strict=True)
        )
        return luma_cells, chroma_cells, torch.from_numpy(conditions).to(self._device)

    @torch.no_grad()
    def _validated(self, loss: float) -> Point:
        network = Compact(self.recipe.config).to(self._device)
        network.load_state_dict(self._mean)
        chosen = np.random.default_rng(0).permutation(len(self._held_out))[:VALIDATION_CROPS]
        before, after = [], []
        for first in range(0, len(chosen), 16):
            batch = self._tensors([self._held_out[int(i)] for i in chosen[first : first + 16]])
            after.append(plane_errors(network, batch))
            before.append(squared(batch[0][:, 0], batch[0][:, -1], (1, 2, 3)))
        y, u, v = (_mean_psnr(torch.cat(after)[:, plane]) for plane in range(3))
        return Point(
            self.steps,
            round(self.seconds, 1),
            round(loss, 4),
            _mean_psnr(torch.cat(before)),
            y,
            u,
            v,
        )

    def _save(self, path: Path) -> None:
        if not leads():
            return
        state = {
            "steps": self.steps, "seconds": self.seconds, "mean": self._mean, "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(), "points": [asdict(point) for point in self.points],
        }  # fmt: skip
        save_checkpoint(path, self._fingerprint, state)

    def _load(self, path: Path) -> None:
        state = load_checkpoint(path, self._fingerprint, self._device)
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._mean, self.steps, self.seconds = state["mean"], state["steps"], state["seconds"]
        self.points = [Point(**point) for point in state["points"]]


def train(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    first: Path | None = None,
    in_band: bool = False,
    stretches: int = 20,
    cache: Path | None = None,
    prepared: Callable[[int, int], None] | None = None,
    progress: Callable[[Point], None] | None = None,
) -> Prepared:
    """Train on every video of the folder `data` and write the weights `out`, with recipe, log and plot beside them.

    `first` is the weights whose results a second pass starts from; `in_band` is for one that starts from pictures coded with their
    colour. A run that was interrupted goes on where it was, from
    `OUT.ckpt` and from the samples in `cache` (beside `out` unless given). Under torchrun the processes share each step.
    Raises CodecError where there is nothing to learn from, or no place to write to.
    """
    if not data.is_dir():
        raise CodecError(f"expected a folder of videos for --data, found {data}")
    if out.suffix != ".safetensors":
        raise CodecError(f"expected an output name ending in .safetensors, found {out}")
    check_output(str(out), "-", overwrite=True)
    if out.is_dir():
        raise CodecError(f"expected a file name for the weights, found a folder at {out}")
    if stretches < HELD_OUT:
        raise CodecError(
            f"--stretches: expected {HELD_OUT} or more, every {HELD_OUT}th is held out; found {stretches}"
        )
    if first is not None and in_band:
        raise CodecError(
            "expected weights of a first pass or --in-band, found both; in-band there is no first pass"
        )
    if (first is not None or in_band) != recipe.config.second:
        raise CodecError(
            "expected weights of a first pass, or --in-band, with a second pass, and only then"
        )
    if first is not None and read_weights(first)[0].second:
        raise CodecError(
            f"expected weights of a first pass in {first}, found those of a second one"
        )
    clips = sorted(path for path in data.iterdir() if path.is_file())
    if not clips:
        raise CodecError(f"expected videos in {data}, found no file")
    join_processes("cuda" if torch.cuda.is_available() else "cpu")
    if not leads():
        distributed.barrier()  # the first process makes the samples
    try:
        made = prepare(
            clips, cache or out.with_suffix(".cache"), stretches=stretches, seed=recipe.seed, first=first, in_band=in_band,
            progress=prepared,
        )  # fmt: skip
    finally:
        if leads() and distributed.is_initialized():
            distributed.barrier()
    training = Training(made.samples, made.held_out, recipe)
    training.run(checkpoint=out.with_suffix(".ckpt"), progress=progress)
    if leads():
        about = {
            "clips": made.clips,
            "left_out": made.failed,
            "stretches": stretches,
            "crops": len(made.samples),
        }
        about |= {
            "first": first and hashlib.sha256(first.read_bytes()).hexdigest(),
            "in_band": in_band,
        }
        save(training, out, about)
    return made


def save(training: Training, path: Path, about: dict[str, Any]) -> None:
    """The weights, and beside them the recipe (`.json`), the log (`.jsonl`) and its plot (`.png`)."""
    write_weights(path, training.recipe.config, training.weights())
    recipe = {
        **about,
        "recipe": asdict(training.recipe),
        "steps": training.steps,
        "seconds": round(training.seconds),
    }
    recipe |= {"torch": torch.__version__, "last": asdict(training.points[-1])}
    path.with_suffix(".json").write_text(json.dumps(recipe, indent=1) + "\n")
    path.with_suffix(".jsonl").write_text(
        "".join(json.dumps(asdict(point)) + "\n" for point in training.points)
    )
    plot(training.points, path.with_suffix(".png"))


def plot(points: list[Point], path: Path) -> None:
    """PSNR of held-out crops over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="PSNR-Y of held-out crops, dB")
    axes.plot([p.step for p in points], [p.psnr_y_db for p in points], label="after the network")
    axes.plot([p.step for p in points], [p.before_db for p in points], label="before")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=80)


def _varied(crop: Crop, recipe: Recipe, random: np.random.Generator) -> Crop:
    luma, chroma, conditions = crop
    side, config = recipe.crop, recipe.config
    top, left = (int(random.integers(0, (CROP - side) // CELL + 1)) * CELL for _ in range(2))
    luma = luma[:, top : top + side, left : left + side]
    chroma = chroma[:, :, top // 2 : (top + side) // 2, left // 2 : (left + side) // 2]
    if random.random() < 0.5:
        luma, chroma = luma[..., ::-1], chroma[..., ::-1]
    if random.random() < 0.5:
        luma, chroma = luma[..., ::-1, :], chroma[..., ::-1, :]
    if random.random() < 0.5:
        luma, chroma = luma.swapaxes(-1, -2), chroma.swapaxes(-1, -2)
    if random.random() < 0.5:
        luma, chroma = _exchanged(luma, config.own_luma), _exchanged(chroma, config.own_chroma)
        conditions = conditions[[1, 0, *range(2, CONDITIONS)]]
    return luma, chroma, conditions


def _exchanged(sources: np.ndarray, own: int) -> np.ndarray:
    """Sources and the original, with what comes from before and from behind exchanged; the first `own` are of the frame itself."""
    pairs = np.arange(own, len(sources) - 1).reshape(-1, 2)[:, ::-1].ravel()
    return sources[[*range(own), *pairs, len(sources) - 1]]


def _mean_psnr(errors: Tensor) -> float:
    return round(float((10 * torch.log10(255**2 / (errors + 0.1))).mean()), 4)
