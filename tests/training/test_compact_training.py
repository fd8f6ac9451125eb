"""Training `compact`: it learns, resumes to the same bits, shares steps, refuses bad input."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import TEST_PATH, read_message, run, spoil_packet
from synthetic import write_clip

torch = pytest.importorskip("torch")

from tinct.adapt.crops import Crop
from tinct.errors import CodecError
from tinct.networks.compact_config import SHIPPED_FOLDER, CompactConfig, Kind, read_weights
from tinct.training import compact
from tinct.training.samples import Samples, prepare_samples, save_crops
from tinct.training.shots import CROP

SECOND = SHIPPED_FOLDER / "second.safetensors"
SMALL = compact.Recipe(config=CompactConfig(width=8, depth=1), steps=40, batch=4, crop=32)


def samples(folder: Path, *, kind: Kind = "first") -> Samples:
    """Return crops of noise, but for the moved earlier key frame, which equals the original."""
    random = np.random.default_rng(0)
    config = CompactConfig(kind=kind)
    shape = (6, config.luma_sources + 1, CROP, CROP)
    chroma_shape = (6, config.chroma_sources + 1, 2, CROP // 2, CROP // 2)
    luma = random.integers(0, 256, shape).astype(np.uint8)
    chroma = random.integers(0, 256, chroma_shape).astype(np.uint8)
    luma[:, -1], chroma[:, -1] = luma[:, config.own_luma + 2], chroma[:, config.own_chroma + 2]
    conditions = np.tile(np.float32([0.1, 0.2, 0.3, 0.4]), (6, 1))
    save_crops(Crop(luma, chroma, conditions), folder / "a")
    return Samples([folder / "a"], "noise")


@pytest.mark.slow
def test_it_learns_which_source_to_take(tmp_path: Path) -> None:
    """PSNR rises, but not far: half of the crops have swapped key frames, and noise has no clue."""
    given = samples(tmp_path)
    training = compact.Training(given, given, replace(SMALL, steps=120))
    training.run()
    first, last = training.points[0], training.points[-1]
    assert last.step == 120
    assert first.before_db < 9
    assert 10 < last.psnr_y_db < 25


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    given = samples(tmp_path)
    whole = compact.Training(given, given, SMALL)
    whole.run()
    part = compact.Training(given, given, SMALL)
    part.run(stop_at=15, checkpoint=tmp_path / "a.ckpt")
    again = compact.Training(given, given, SMALL)
    again.run(checkpoint=tmp_path / "a.ckpt")
    assert again.steps == 40
    for name, value in whole.export_weights().items():
        assert np.array_equal(value, again.export_weights()[name]), name


def test_a_checkpoint_of_another_recipe_or_no_checkpoint_is_refused(tmp_path: Path) -> None:
    given, path = samples(tmp_path), tmp_path / "a.ckpt"
    compact.Training(given, given, replace(SMALL, steps=2)).run(checkpoint=path)
    kept = path.read_bytes()
    with pytest.raises(CodecError, match="found another's"):
        compact.Training(given, given, SMALL).run(checkpoint=path)
    assert path.read_bytes() == kept
    path.write_bytes(b"nothing")
    with pytest.raises(CodecError, match="found another file"):
        compact.Training(given, given, SMALL).run(checkpoint=path)


def test_a_loss_that_is_no_number_stops_before_it_moves_a_weight(tmp_path: Path) -> None:
    given = samples(tmp_path)
    training = compact.Training(given, given, replace(SMALL, floor=float("nan")))
    before = training.export_weights()
    with pytest.raises(CodecError, match="found nan at step 0"):
        training.run()
    assert all(
        np.array_equal(value, before[name]) for name, value in training.export_weights().items()
    )


def test_key_frames_are_swapped_in_pairs() -> None:
    first = np.arange(6)  # own, two that stand, two that moved, the original
    assert compact.swap_key_frames(first, 1).tolist() == [0, 2, 1, 4, 3, 5]
    second = np.arange(9)
    assert compact.swap_key_frames(second, 2).tolist() == [0, 1, 3, 2, 5, 4, 7, 6, 8]


def test_with_the_key_frames_only_their_distances_are_swapped(tmp_path: Path) -> None:
    crop = samples(tmp_path)[0]
    random = np.random.default_rng(0)
    crops = [compact.augment(crop, SMALL, random) for _ in range(20)]
    found = {tuple(np.round(crop.conditions.tolist(), 3)) for crop in crops}
    assert found == {(0.1, 0.2, 0.3, 0.4), (0.2, 0.1, 0.3, 0.4)}


@pytest.mark.nightly
def test_two_processes_share_each_step(tmp_path: Path) -> None:
    """Both end with the same weights, which are not those of one process alone."""
    samples(tmp_path)
    program = """
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from test_compact_training import SMALL
from torch import distributed

from tinct.training import compact, samples

distributed.init_process_group("gloo")
folder = Path(sys.argv[1])
given = samples.Samples([folder / "a"], "noise")
training = compact.Training(given, given, replace(SMALL, steps=5))
training.run()
np.savez(folder / f"{distributed.get_rank()}.npz", **training.export_weights())
"""
    port = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(29500 + os.getpid() % 1000),
        "WORLD_SIZE": "2",
    }
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            env={**os.environ, **port, "RANK": str(rank), "PYTHONPATH": TEST_PATH},
        )
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=100) for process in runs] == [0, 0]
    here, there = np.load(tmp_path / "0.npz"), np.load(tmp_path / "1.npz")
    given = Samples([tmp_path / "a"], "noise")
    alone = compact.Training(given, given, replace(SMALL, steps=5))
    alone.run()
    assert all(np.array_equal(here[name], there[name]) for name in here)
    assert not np.array_equal(here["leave.bias"], alone.export_weights()["leave.bias"])


@pytest.mark.nightly
def test_the_recipe_runs_from_clips_to_weights(tmp_path: Path) -> None:
    """By the command line, every task; what is no video is left out; a repeat has no work."""
    data = tmp_path / "clips"
    data.mkdir()
    write_clip(data / "a.mkv", frames=10, size=(192, 176))
    (data / "b.mp4").write_bytes(b"no video")
    options = [
        "--data",
        data,
        "--steps",
        3,
        "--width",
        4,
        "--depth",
        1,
        "--stretches",
        10,
        "--cache",
        tmp_path / "cache",
    ]
    first = run("train", *options, "--out", tmp_path / "first.safetensors")
    assert first.returncode == 0, first.stderr
    assert b"b.mp4 is left out" in first.stderr
    config, _ = read_weights(tmp_path / "first.safetensors")
    assert config == CompactConfig(4, 1)
    recipe = json.loads((tmp_path / "first.json").read_text())
    assert recipe["clips"] == ["a.mkv"]
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    again = run("train", *options, "--out", tmp_path / "first.safetensors", "--quiet")
    assert again.returncode == 0, again.stderr
    for task in ("second", "between"):
        out, after = tmp_path / f"{task}.safetensors", tmp_path / "first.safetensors"
        done = run("train", *options, "--task", task, "--first", after, "--out", out)
        assert done.returncode == 0, done.stderr
        assert read_weights(out)[0].kind == task
    for task, kind in (("in-band", "second"), ("near-hevc", "near"), ("pyramid-av1", "pyramid")):
        out = tmp_path / f"{task}.safetensors"
        done = run("train", *options, "--task", task, "--out", out)
        assert done.returncode == 0, done.stderr
        assert read_weights(out)[0].kind == kind
        assert json.loads(out.with_suffix(".json").read_text())["crops"] == 9 * 10 * 3


@pytest.mark.slow
def test_a_clip_that_is_damaged_in_the_middle_is_left_out(tmp_path: Path) -> None:
    """Frames near a lost packet decode without an error; they are no originals to learn from."""
    write_clip(
        tmp_path / "a.mkv",
        frames=10,
        size=(192, 176),
        codec="libx264",
        codec_options={"g": "1", "qp": "10"},
    )
    spoil_packet(tmp_path / "a.mkv", tmp_path / "b.mkv", number=5)
    made = prepare_samples(
        [tmp_path / "a.mkv", tmp_path / "b.mkv"],
        tmp_path / "cache",
        stretches=10,
        seed=0,
        task="first",
    )
    assert made.clips == ["a.mkv"]
    assert "found packets that are lost or do not" in made.failed[str(tmp_path / "b.mkv")]


@pytest.mark.slow
def test_clips_too_small_or_too_short_to_learn_from_are_left_out(tmp_path: Path) -> None:
    data = tmp_path / "clips"
    data.mkdir()
    write_clip(data / "short.mkv", frames=2, size=(192, 176))
    write_clip(data / "small.mkv", frames=10, size=(96, 96))
    said = read_message(
        run("train", "--data", data, "--stretches", 10, "--out", tmp_path / "a.safetensors"), 2
    )
    assert (
        "found none that serve; of small.mkv: expected at least 160x160 pixels, found 96x96" in said
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--data", "nowhere", "--out", "a.safetensors"], "a folder of videos for --data"),
        (["--data", ".", "--out", "a.pt"], "ending in .safetensors"),
        (
            ["--data", ".", "--out", "a.safetensors", "--first", "b.safetensors"],
            "--task first needs no weights of a first pass",
        ),
        (["--data", "empty", "--out", "a.safetensors"], "expected videos in empty, found no file"),
        (
            ["--data", "none", "--out", "a.safetensors"],
            "clips of 160 pixels a side or more and 10 stretches of each, found none that",
        ),
        (
            ["--data", "none", "--out", "a.safetensors", "--stretches", "9"],
            "--stretches: expected 10 or more",
        ),
        (["--data", "none", "--out", "none"], "ending in .safetensors"),
        (
            ["--data", ".", "--out", "a.safetensors", "--task", "between"],
            "--task between needs the weights of a first pass: --first FILE",
        ),
        (
            ["--data", "none", "--out", "a.safetensors", "--task", "second", "--first", "b"],
            "weights of `compact` in b, found no such file",
        ),
        (["--data", "none", "--out", "a.safetensors"], "serve; of a.mp4: expected a video"),
        (["--data", "none", "--out", "away/a.safetensors"], "away to exist; make it first"),
        (
            [
                *("--data", "none", "--out", "a.safetensors"),
                *("--task", "second", "--first", "none/a.mp4"),
            ],
            "weights of `compact` in none/a.mp4, found another",
        ),
        (
            ["--data", "none", "--out", "a.safetensors", "--task", "between", "--first", SECOND],
            "found those of the kind second",
        ),
    ],
)
def test_nothing_to_learn_from_is_one_line(
    tmp_path: Path, options: list[str], expected: str
) -> None:
    for folder in ("empty", "none"):
        (tmp_path / folder).mkdir()
    (tmp_path / "none" / "a.mp4").write_bytes(b"no video")
    assert expected in read_message(run("train", *options, cwd=tmp_path), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "none"]
