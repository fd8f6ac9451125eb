"""Training the GAN on one video: it learns, resumes to the same bits, refuses other checkpoints."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import synthetic
from helpers import TEST_PATH, leave_to_nightly

from tinct.adapt import gan
from tinct.adapt.budget import Budget, Step
from tinct.adapt.gan import Samples, Training
from tinct.adapt.recipes import PAPER, Recipe
from tinct.cli.app import raise_interrupt
from tinct.colour import unit_matrix
from tinct.errors import CodecError
from tinct.networks.gan_config import GanConfig, GeneratorKind

SMALL = GanConfig(8, attention=(4,))
RECIPE = replace(PAPER, content=0.0, crop=32)


def samples(count: int = 3) -> Samples:
    about = synthetic.make_info()
    rgb = np.stack(
        [frame.rgb() for frame in synthetic.make_frames(synthetic.draw_clip(count), about)]
    )
    luma = torch.from_numpy(np.stack([planes[0] for planes in synthetic.draw_clip(count)])[:, None])
    colours = torch.from_numpy(rgb).permute(0, 3, 1, 2).contiguous()
    return Samples(
        luma=luma,
        rgb=colours,
        held_luma=luma[:1, :, :24, :32],
        held_rgb=colours[:1, :, :24, :32],
        to_rgb=torch.from_numpy(unit_matrix(about)),
    )


def train(recipe: Recipe, steps: int, checkpoint: Path | None = None) -> dict[str, torch.Tensor]:
    training = Training(samples(), SMALL, recipe)
    return training.run(Budget(steps=steps), checkpoint=checkpoint).state_dict()


def are_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_defaults_are_the_papers() -> None:
    found = (
        PAPER.learning_rate,
        PAPER.beta1,
        PAPER.crop,
        PAPER.gan,
        PAPER.mse,
        PAPER.content,
        PAPER.colour,
    )
    assert found == (2e-4, 0.5, 256, 1, 100, 1000, 100)
    assert (PAPER.decay, PAPER.averaging, PAPER.judge_every, PAPER.norm) == (False, 0, 1, True)


@pytest.mark.slow
def test_it_learns_the_colours_of_a_clip() -> None:
    """On the samples themselves, PSNR rises from that of a new network to well above it."""
    recipe = replace(
        RECIPE, learning_rate=3e-3, decay=True, averaging=0.9, judge_every=4, crop=64, seed=1
    )
    training = Training(samples(), SMALL, recipe)
    told: list[Step] = []
    before = psnr(training.export())
    after = psnr(training.run(Budget(steps=120), progress=told.append))
    assert before < 15
    assert 19 < after < 40
    assert [step.number for step in told] == list(range(1, 121))
    assert all(set(step.terms) == {"gan", "mse", "colour", "discriminator"} for step in told)
    gan, mse = ([step.terms[name] for step in told[:5]] for name in ("gan", "mse"))
    assert len(set(mse)) == 5
    assert gan[0] == gan[1] == gan[3] != gan[4], (
        "only every fourth step has a GAN loss; the others report the last one again"
    )
    assert told[-1].terms["mse"] < 0.3 * told[0].terms["mse"]


def psnr(generator: torch.nn.Module) -> float:
    held = samples()
    with torch.no_grad():
        output = generator(held.luma.float() / 127.5 - 1)
    return float(10 * torch.log10(4 / ((output - (held.rgb.float() / 127.5 - 1)) ** 2).mean()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe", [RECIPE, replace(RECIPE, decay=True, averaging=0.99)], ids=["paper", "decay"]
)
def test_a_run_that_goes_on_ends_as_one_that_was_not_stopped(
    tmp_path: Path, recipe: Recipe
) -> None:
    whole = train(recipe, 6)
    training = Training(samples(), SMALL, recipe)

    def stop(step: Step) -> None:
        if step.number == 4:
            training.save(tmp_path / "run.ckpt")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.run(Budget(steps=6), progress=stop)
    assert are_equal(train(recipe, 6, tmp_path / "run.ckpt"), whole)
    assert not are_equal(train(recipe, 4), whole)
    assert os.listdir(tmp_path) == ["run.ckpt"]


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(tmp_path: Path) -> None:
    """kill -9 in a process of its own, at any time after the first checkpoint."""
    checkpoint = tmp_path / "run.ckpt"
    code = (
        "import tinct.adapt.gan, test_gan_training as t; tinct.adapt.gan.CHECKPOINT_SECONDS = 0.2\n"
        f"from pathlib import Path; t.train(t.RECIPE, 60, Path({str(checkpoint)!r}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": TEST_PATH}
    )
    end = time.monotonic() + 60
    while not checkpoint.exists():
        time.sleep(0.01)
        assert process.poll() is None
        assert time.monotonic() < end
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < torch.load(checkpoint, weights_only=True)["steps"] < 60
    assert are_equal(train(RECIPE, 60, checkpoint), train(RECIPE, 60))


@pytest.mark.slow
def test_checkpoints_of_anything_else_are_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    train(RECIPE, 1, path)
    kept = path.read_bytes()
    for other in (
        Training(samples(2), SMALL, RECIPE),
        Training(samples(), SMALL, replace(RECIPE, mse=99.0)),
    ):
        with pytest.raises(CodecError, match="found another's; name a new one"):
            other.run(Budget(steps=2), checkpoint=path)
    assert path.read_bytes() == kept
    path.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(CodecError, match="found another file; name a new one"):
        train(RECIPE, 2, path)
    assert path.read_bytes() == kept[: len(kept) // 2]


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_with_the_last_good_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    wild = replace(RECIPE, learning_rate=1e30)
    train(wild, 1, path)
    kept = path.read_bytes()
    with pytest.raises(
        CodecError, match="expected a finite loss in training, found nan in its term gan at step 1"
    ):
        train(wild, 20, path)
    assert path.read_bytes() == kept


def test_weights_that_are_no_numbers_are_neither_saved_nor_given(tmp_path: Path) -> None:
    """The last step may leave them, and no loss follows that would show them."""
    path = tmp_path / "run.ckpt"
    training = Training(samples(), SMALL, RECIPE)
    training.run(Budget(steps=1), checkpoint=path)
    kept = path.read_bytes()
    with torch.no_grad():
        next(training.objective.generator_parameters()).fill_(math.nan)
    for finish in (lambda: training.save(path), training.export):
        with pytest.raises(
            CodecError, match="expected finite weights in training, found others after step 1"
        ):
            finish()
    assert path.read_bytes() == kept


@pytest.mark.slow
@pytest.mark.parametrize("terms", [{"gan"}, {"mse"}, {"colour"}, {"gan", "colour"}])
def test_any_terms_of_the_loss_train_alone_even_where_the_discriminator_has_its_turns(
    terms: set[str],
) -> None:
    told: list[Step] = []
    recipe = replace(RECIPE, judge_every=4).with_only(terms)
    Training(samples(), SMALL, recipe).run(Budget(steps=2), progress=told.append)
    assert all(set(step.terms) & terms for step in told)


@pytest.mark.slow
def test_the_held_out_crop_is_judged_as_a_decoder_would_show_it() -> None:
    training = Training(samples(), SMALL, RECIPE)
    generator = training.run(Budget(steps=4))
    held = samples()
    with torch.no_grad():
        shown = generator(held.held_luma.float() / 127.5 - 1)
    error = ((shown - (held.held_rgb.float() / 127.5 - 1)) ** 2).mean()
    assert training.measure_held_out_db() == pytest.approx(
        float(10 * torch.log10(4 / error)), abs=0.01
    )


@pytest.mark.slow
def test_looking_at_the_held_out_crop_changes_nothing() -> None:
    looked = Training(samples(), SMALL, RECIPE)
    looked.run(Budget(steps=4), progress=lambda _: (looked.measure_held_out_db(), None)[1])
    assert are_equal(looked.export().state_dict(), train(RECIPE, 4))


def held_out_db(training: Training) -> float:
    """Return a PSNR that is the best after the second step."""
    return {1: 10.0, 2: 30.0, 3: 20.0, 4: 25.0}[training.steps]


@pytest.mark.slow
def test_the_weights_are_kept_with_which_the_held_out_frame_was_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are those of the second of four steps; without `keeps_best` those of the last."""
    monkeypatch.setattr("tinct.adapt.gan.HELD_OUT_STEPS", 1)
    monkeypatch.setattr(Training, "measure_held_out_db", held_out_db)
    recipe = replace(RECIPE, keeps_best=True)
    assert are_equal(train(recipe, 4), train(RECIPE, 2))
    assert not are_equal(train(RECIPE, 4), train(RECIPE, 2))


@pytest.mark.slow
def test_the_best_weights_survive_a_kill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tinct.adapt.gan.HELD_OUT_STEPS", 1)
    monkeypatch.setattr(Training, "measure_held_out_db", held_out_db)
    recipe = replace(RECIPE, keeps_best=True)
    train(recipe, 3, tmp_path / "run.ckpt")
    assert are_equal(train(recipe, 4, tmp_path / "run.ckpt"), train(RECIPE, 2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", get_args(GeneratorKind))
@pytest.mark.parametrize("size", [(2, 2), (8, 8), (16, 16), (34, 18)])
def test_the_smallest_pictures_train_too(kind: GeneratorKind, size: tuple[int, int]) -> None:
    """The generator's picture has their size, not a multiple of what its levels halve."""
    whole, (width, height) = samples(1), size
    small = Samples(
        luma=whole.luma[..., :height, :width],
        rgb=whole.rgb[..., :height, :width],
        held_luma=whole.held_luma[..., :height, :width],
        held_rgb=whole.held_rgb[..., :height, :width],
        to_rgb=whole.to_rgb,
    )
    training = Training(small, GanConfig(6, kind), RECIPE)
    generator = training.run(Budget(steps=1))
    assert math.isfinite(training.measure_held_out_db())
    with torch.no_grad():
        assert generator(small.luma.float() / 127.5 - 1).shape == (1, 3, height, width)


def interrupt_training(number: int, path: Path) -> None:
    """Train with a signal in the third of six steps, as the command line hears signals."""
    signal.signal(number, raise_interrupt)
    # A checkpoint after every step: a torn one could replace a whole one.
    gan.CHECKPOINT_SECONDS = 0.0
    take_step = Training.take_step

    def interrupt_third(training: Training, spent: float) -> dict[str, float]:
        if training.steps == 2:
            os.kill(os.getpid(), number)
        return take_step(training, spent)

    Training.take_step = interrupt_third  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, 6, path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", leave_to_nightly([signal.SIGINT, signal.SIGTERM], but=[signal.SIGINT])
)
def test_ctrl_c_in_training_is_heard_after_the_step_and_saves_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    """The interrupted training is a process of its own: a signal too many would end the tests."""
    path = tmp_path / "run.ckpt"
    code = (
        "import sys; from pathlib import Path; import test_gan_training as t\n"
        "t.interrupt_training(int(sys.argv[1]), Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(int(number)), str(path)],
        env={**os.environ, "PYTHONPATH": TEST_PATH},
        check=True,
        timeout=120,
    )
    assert torch.load(path, weights_only=True)["steps"] == 3
    assert are_equal(train(RECIPE, 6, path), train(RECIPE, 6))


def test_what_the_held_out_frame_is_belongs_to_a_training(tmp_path: Path) -> None:
    """It decides which weights are kept, so another one needs another checkpoint."""
    train(RECIPE, 1, tmp_path / "run.ckpt")
    other = samples()
    other.held_rgb[0, 0, 0, 0] ^= 1
    with pytest.raises(CodecError, match="found another's"):
        Training(other, SMALL, RECIPE).run(Budget(steps=2), checkpoint=tmp_path / "run.ckpt")


def test_terms_can_be_left_out() -> None:
    told: list[Step] = []
    recipe = replace(RECIPE, gan=0.0, colour=0.0)
    Training(samples(), SMALL, recipe).run(Budget(steps=1), progress=told.append)
    assert set(told[0].terms) == {"mse"}


@pytest.mark.slow
def test_a_budget_of_seconds_ends() -> None:
    training = Training(samples(), SMALL, RECIPE)
    training.run(Budget(seconds=0.3))
    assert training.steps >= 1
    assert 0.3 <= training.seconds < 10


def join(rank: int, address: str, out: str) -> None:
    """Train as one of two processes, once without a stop and once resumed from a checkpoint."""
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    torch.save(train(RECIPE, 3), f"{out}/{rank}.pth")
    train(RECIPE, 2, Path(out) / "run.ckpt")
    torch.distributed.barrier()
    torch.save(train(RECIPE, 3, Path(out) / "run.ckpt"), f"{out}/again{rank}.pth")
    torch.distributed.destroy_process_group()


@pytest.mark.nightly
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Each takes its own crops and the mean of both gradients, so both have the same network."""
    torch.multiprocessing.spawn(join, (f"file://{tmp_path}/meet", str(tmp_path)), nprocs=2)
    first, *others = (
        torch.load(tmp_path / f"{name}.pth", weights_only=True)
        for name in ("0", "1", "again0", "again1")
    )
    assert all(are_equal(first, other) for other in others)
    assert not are_equal(first, train(RECIPE, 3))
    with pytest.raises(CodecError, match="found another's"):
        train(RECIPE, 3, tmp_path / "run.ckpt")  # alone
