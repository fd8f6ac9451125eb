"""Training `compact` on cached crops: its steps, its checkpoints, and the files beside the weights.

`samples` makes the crops. Every random choice of a step follows from the seed, the step and the
process alone: a run that was killed continues to the same weights, bit for bit, on one machine.
Several processes (torchrun) share the work of each step.
"""

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from tinct.adapt.checkpoint import load_checkpoint, save_checkpoint
from tinct.adapt.compact_loss import DECIBELS, log_error, make_batch
from tinct.adapt.crops import Crop
from tinct.adapt.optimisation import (
    average_weights,
    check_loss,
    cosine_decay,
    descend,
    set_learning_rate,
)
from tinct.adapt.processes import get_rank_and_count, is_leader, join_processes
from tinct.config import TaskName
from tinct.errors import CodecError
from tinct.files import check_output
from tinct.networks.compact_config import (
    CELL,
    CONDITIONS,
    CompactConfig,
    read_weights,
    write_weights,
)
from tinct.networks.trainable.compact import Batch, Compact, mean_squared_error, plane_errors
from tinct.phases import tell
from tinct.training.samples import PreparedSamples, Samples, prepare_samples
from tinct.training.shots import CROP
from tinct.training.stretches import HELD_OUT, TASKS

CHECKPOINT_SECONDS = 60.0
LOG_STEPS = 500
WARM_UP_STEPS = 200
MAX_GRADIENT_NORM = 5.0
VALIDATION_CROPS, VALIDATION_BATCH = 512, 16
ADVICE = "the checkpoint before is kept: lower the learning rate"  # after a loss that is not finite


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The constants of a training. Names, order and values are hashed in checkpoints.

    `floor` is a squared error in 8-bit levels, see `log_error`.
    """

    config: CompactConfig = field(default_factory=CompactConfig)
    steps: int = 30_000
    learning_rate: float = 2e-3
    batch: int = 16  # crops a step, over all processes
    crop: int = 128  # luma samples a side
    floor: float = 0.5
    averaging: float = 0.998  # decay of the running mean of the weights
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One line of the log: mean loss since the last one, and PSNR in dB of held-out crops.

    `before_db` is luma's PSNR before the network.
    """

    step: int
    seconds: float
    loss: float
    before_db: float
    psnr_y_db: float
    psnr_u_db: float
    psnr_v_db: float


class Training:
    """A network in training on `samples`, validated on `held_out`."""

    def __init__(self, samples: Samples, held_out: Samples, recipe: Recipe) -> None:
        self._samples, self._held_out, self.recipe = samples, held_out, recipe
        identity = repr((asdict(recipe), samples.identity))
        self._fingerprint = hashlib.sha256(identity.encode()).hexdigest()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self._network = Compact(recipe.config)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # PyTorch's types lack `memory_format`.
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
        """Train to the end, or to step `stop_at`, from `checkpoint` on where that exists.

        Raises CodecError for another training's checkpoint, and for a loss that is not finite.
        """
        end = self.recipe.steps if stop_at is None else stop_at
        if checkpoint is not None and checkpoint.exists():
            self._load(checkpoint)
        saved, losses = self.seconds, []
        with ThreadPoolExecutor(1) as reader:  # the next batch is read during a step
            following = reader.submit(self._draw_batch, self.steps)
            while self.steps < end:
                began = time.monotonic()
                batch = following.result()
                following = reader.submit(self._draw_batch, self.steps + 1)
                losses.append(self._take_step(batch))
                self.steps += 1
                tell("training", self.steps, end, unit="steps")
                self.seconds += time.monotonic() - began
                if self.steps % LOG_STEPS == 0 or self.steps == self.recipe.steps:
                    self.points.append(self._validate(float(np.mean(losses))))
                    losses = []
                    if progress is not None:
                        progress(self.points[-1])
                if checkpoint is not None and self.seconds - saved > CHECKPOINT_SECONDS:
                    self._save(checkpoint)
                    saved = self.seconds
        if checkpoint is not None:
            self._save(checkpoint)

    def export_weights(self) -> dict[str, np.ndarray]:
        """Return the running mean of the weights."""
        return {name: value.cpu().contiguous().numpy() for name, value in self._mean.items()}

    def _take_step(self, batch: Batch) -> float:
        """Train on one batch, and return its loss in dB."""
        recipe = self.recipe
        warm_up = min(1, (self.steps + 1) / WARM_UP_STEPS)
        decay = cosine_decay(self.steps / recipe.steps)
        set_learning_rate(self._optimiser, recipe.learning_rate * warm_up * decay)
        loss = DECIBELS * log_error(plane_errors(self._network, batch), recipe.floor).mean()
        found = check_loss(loss, self.steps, advice=ADVICE)
        descend(
            loss,
            self._optimiser,
            self._network.parameters(),
            max_gradient_norm=MAX_GRADIENT_NORM,
        )
        average_weights(self._mean, self._network, recipe.averaging, step=self.steps)
        return found

    def _draw_batch(self, step: int) -> Batch:
        """Return this process's share of the crops of a step, augmented at random."""
        rank, processes = get_rank_and_count()
        random = np.random.default_rng([self.recipe.seed, step, rank])
        count = self.recipe.batch // processes
        numbers = random.integers(len(self._samples), size=count)
        crops = [
            augment(select_sources(self._samples[int(i)], self.recipe.config), self.recipe, random)
            for i in numbers
        ]
        return make_batch(crops, 255, self._device)

    @torch.no_grad()
    def _validate(self, loss: float) -> Point:
        """Measure the mean of the weights on held-out crops."""
        network = Compact(self.recipe.config).to(self._device)
        network.load_state_dict(self._mean)
        chosen = np.random.default_rng(0).permutation(len(self._held_out))[:VALIDATION_CROPS]
        before, after = [], []
        for first in range(0, len(chosen), VALIDATION_BATCH):
            crops = [
                select_sources(self._held_out[int(i)], self.recipe.config)
                for i in chosen[first : first + VALIDATION_BATCH]
            ]
            batch = make_batch(crops, 255, self._device)
            after.append(plane_errors(network, batch))
            luma, _, _ = batch
            before.append(mean_squared_error(luma[:, 0], luma[:, -1], (1, 2, 3)))
        y, u, v = (_mean_psnr_db(errors) for errors in torch.cat(after).unbind(1))
        return Point(
            step=self.steps,
            seconds=round(self.seconds, 1),
            loss=round(loss, 4),
            before_db=_mean_psnr_db(torch.cat(before)),
            psnr_y_db=y,
            psnr_u_db=u,
            psnr_v_db=v,
        )

    def _save(self, path: Path) -> None:
        if not is_leader():
            return
        state = {
            "steps": self.steps,
            "seconds": self.seconds,
            "mean": self._mean,
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "points": [asdict(point) for point in self.points],
        }
        save_checkpoint(path, self._fingerprint, state)

    def _load(self, path: Path) -> None:
        state = load_checkpoint(path, self._fingerprint, self._device)
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._mean, self.steps, self.seconds = state["mean"], state["steps"], state["seconds"]
        self.points = [Point(**point) for point in state["points"]]


def augment(crop: Crop, recipe: Recipe, random: np.random.Generator) -> Crop:
    """Return a random square of `recipe.crop` luma samples of a crop.

    It is mirrored, transposed, and reversed in time (its key frames swapped), each half of the
    time.
    """
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
        luma = swap_key_frames(luma, config.own_luma)
        chroma = swap_key_frames(chroma, config.own_chroma)
        conditions = conditions[[1, 0, *range(2, CONDITIONS)]]
    return Crop(luma, chroma, conditions)


def select_sources(crop: Crop, config: CompactConfig) -> Crop:
    """Return a crop with the sources of a network: the first ones, and the original."""
    luma, chroma = (
        np.concatenate((part[:count], part[-1:]))
        for part, count in (
            (crop.luma, config.luma_sources),
            (crop.chroma, config.chroma_sources),
        )
    )
    return crop._replace(luma=luma, chroma=chroma)


def swap_key_frames(sources: np.ndarray, own: int) -> np.ndarray:
    """Return the sources of a crop with those from before and from after the frame swapped.

    The first `own` sources are of the frame itself and the last is the original; those between
    come in pairs.
    """
    pairs = np.arange(own, len(sources) - 1).reshape(-1, 2)[:, ::-1].ravel()
    return sources[[*range(own), *pairs, len(sources) - 1]]


def _mean_psnr_db(errors: Tensor) -> float:
    """Return the mean PSNR of squared errors in 8-bit levels, rounded as the log has it."""
    return round(float((10 * torch.log10(255**2 / (errors + 0.1))).mean()), 4)


# ── from a folder of videos to weights ────────────────────────────────────────────────────────────


def train(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    task: TaskName = "first",
    first: Path | None = None,
    stretches: int = 20,
    cache: Path | None = None,
    prepared: Callable[[int, int], None] | None = None,
    progress: Callable[[Point], None] | None = None,
) -> PreparedSamples:
    """Train on every video of the folder `data`; write the weights `out` and the files beside them.

    `task` is a row of `stretches.TASKS`, `first` the weights of a first pass where it needs them.
    An interrupted run continues from `OUT.ckpt` and from the samples in `cache` (beside `out`
    unless given). Under torchrun the processes share each step. Raises CodecError where there is
    nothing to learn from, or no place to write to.
    """
    _check_paths(data, out)
    if stretches < HELD_OUT:
        raise CodecError(
            f"--stretches: expected {HELD_OUT} or more, every {HELD_OUT}th is held out; "
            f"found {stretches}"
        )
    _check_task(recipe, task, first)
    clips = sorted(path for path in data.iterdir() if path.is_file())
    if not clips:
        raise CodecError(f"expected videos in {data}, found no file")
    join_processes("cuda" if torch.cuda.is_available() else "cpu")
    if not is_leader():
        distributed.barrier()  # the first process makes the samples
    try:
        made = prepare_samples(
            clips,
            cache or out.with_suffix(".cache"),
            stretches=stretches,
            seed=recipe.seed,
            task=task,
            first=first,
            progress=prepared,
        )
    finally:
        if is_leader() and distributed.is_initialized():
            distributed.barrier()
    training = Training(made.samples, made.held_out, recipe)
    training.run(checkpoint=out.with_suffix(".ckpt"), progress=progress)
    if is_leader():
        about = {
            "clips": made.clips,
            "left_out": made.failed,
            "stretches": stretches,
            "crops": len(made.samples),
            "first": first and hashlib.sha256(first.read_bytes()).hexdigest(),
            "task": task,
        }
        save_training(training, out, about)
    return made


def _check_paths(data: Path, out: Path) -> None:
    """Raise CodecError where there is no folder of videos, or the weights cannot be written."""
    if not data.is_dir():
        raise CodecError(f"expected a folder of videos for --data, found {data}")
    if out.suffix != ".safetensors":
        raise CodecError(f"expected an output name ending in .safetensors, found {out}")
    check_output(str(out), "-", overwrite=True)
    if out.is_dir():
        raise CodecError(f"expected a file name for the weights, found a folder at {out}")


def _check_task(recipe: Recipe, task: TaskName, first: Path | None) -> None:
    """Raise CodecError where `first` is missing, is not needed or is no first pass."""
    assert recipe.config.kind == TASKS[task].kind
    if TASKS[task].needs_first and first is None:
        raise CodecError(f"--task {task} needs the weights of a first pass: --first FILE")
    if first is None:
        return
    if not TASKS[task].needs_first:
        raise CodecError(f"--task {task} needs no weights of a first pass; leave --first out")
    if (found := read_weights(first)[0].kind) != "first":
        raise CodecError(
            f"expected weights of a first pass in {first}, found those of the kind {found}"
        )


def save_training(training: Training, path: Path, about: dict[str, Any]) -> None:
    """Write the weights, and beside them the recipe (`.json`), the log (`.jsonl`), a plot (`.png`).

    `about` says what the training learnt from; it comes first in the recipe.
    """
    write_weights(path, training.recipe.config, training.export_weights())
    recipe = {
        **about,
        "recipe": asdict(training.recipe),
        "steps": training.steps,
        "seconds": round(training.seconds),
        "torch": torch.__version__,
        "last": asdict(training.points[-1]),
    }
    path.with_suffix(".json").write_text(json.dumps(recipe, indent=1) + "\n")
    lines = [json.dumps(asdict(point)) + "\n" for point in training.points]
    path.with_suffix(".jsonl").write_text("".join(lines))
    plot_points(training.points, path.with_suffix(".png"))


def plot_points(points: list[Point], path: Path) -> None:
    """Plot the PSNR of held-out crops over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="PSNR-Y of held-out crops, dB")
    axes.plot([p.step for p in points], [p.psnr_y_db for p in points], label="after the network")
    axes.plot([p.step for p in points], [p.before_db for p in points], label="before")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=80)
