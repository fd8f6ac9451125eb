"""`--adapt` with `compact`: the gain on a real clip, the decoder's network, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from helpers import (
    assert_same_frames,
    change_manifest,
    find_sample_clip,
    measure_psnr,
    read_attachments,
    read_message,
    run,
)

pytest.importorskip("torch")

import torch

import tinct
from tinct.adapt import compact_update
from tinct.adapt.budget import Budget
from tinct.adapt.compact_loss import make_batch
from tinct.adapt.compact_update import CompactUpdate, choose_rank, parse_budget, train_update
from tinct.adapt.crops import Crop, CropCollector
from tinct.encoder import colourisers
from tinct.errors import CodecError
from tinct.motion.references import References
from tinct.networks.compact import Network, load_network
from tinct.networks.compact_update import apply_update, decode_update, list_update_shapes
from tinct.networks.trainable.compact import Compact, plane_errors

CONFIG = tinct.EncodeConfig(
    interpolate="off",
    colour="track",
    colouriser="compact",
    key_boost=20,
    group=16,
    qp=29,  # luma is coded at about 27: such key frames cost the others quality
    adapt="240steps",
)


@pytest.fixture(scope="module")
def source(make_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """49 frames of a real clip."""

    def make(folder: Path) -> None:
        clip = find_sample_clip("carphone_pristine.mp4")
        tinct.decode(str(clip), str(folder / "source.mkv"), duration_seconds=1.63)

    return make_once("update-source", make) / "source.mkv"


@pytest.fixture(scope="module")
def adapted(source: Path, make_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The clip encoded with an update."""

    def make(folder: Path) -> None:
        tinct.encode(str(source), str(folder / "adapted.mkv"), CONFIG)

    return make_once("adapted", make) / "adapted.mkv"


@pytest.mark.slow
def test_an_update_pays_and_decodes_elsewhere(source: Path, adapted: Path, tmp_path: Path) -> None:
    off = tinct.encode(str(source), str(tmp_path / "off.mkv"), replace(CONFIG, adapt="off"))
    again = tinct.encode(str(source), str(tmp_path / "again.mkv"), CONFIG)
    assert (tmp_path / "again.mkv").read_bytes() == adapted.read_bytes(), (
        "steps, not seconds, were asked for"
    )
    assert (again.luma_bytes, again.colour_bytes) == (off.luma_bytes, off.colour_bytes)
    assert (
        300
        < again.update_bytes
        == len(read_attachments(adapted)["update.bin"])
        < 0.06 * off.size_bytes
    )
    assert run("decode", adapted, tmp_path / "out.mkv").returncode == 0
    here, there = list(tinct.open(str(adapted))), list(tinct.open(str(tmp_path / "out.mkv")))
    assert_same_frames([replace(f, info=here[0].info) for f in there], here)
    originals = list(tinct.open(str(source)))
    shown = np.mean([measure_psnr(a.y, b.y) for a, b in zip(here, originals, strict=True)])
    assert shown == pytest.approx(again.psnr[0].mean_db, abs=0.01)
    assert 0.15 < again.psnr[0].mean_db - off.psnr[0].mean_db < 2


@pytest.mark.nightly
def test_an_update_that_does_not_pay_is_not_sent(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it makes everything worse, the file is byte for byte the one without it."""

    def halve(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: value * 0.5 for name, value in weights.items()}

    def train_harmful(*given: object, **options: object) -> CompactUpdate:
        found = train_update(*given, **options)  # type: ignore[arg-type]
        passes = tuple((config, halve(weights)) for config, weights in found.network.passes)
        return replace(found, network=replace(found.network, passes=passes))

    monkeypatch.setattr(compact_update, "train_update", train_harmful)
    config = replace(CONFIG, adapt="2steps")
    report = tinct.encode(str(source), str(tmp_path / "worse.mkv"), config)
    off = tinct.encode(str(source), str(tmp_path / "off.mkv"), replace(config, adapt="off"))
    assert (tmp_path / "worse.mkv").read_bytes() == (tmp_path / "off.mkv").read_bytes()
    assert (report.psnr, report.update_bytes) == (off.psnr, 0)


Change = Callable[[dict[str, Any]], dict[str, Any]]


def leave_out(name: str) -> Change:
    """Return the change of a manifest that removes a key."""
    return lambda manifest: {key: value for key, value in manifest.items() if key != name}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda m: m | {"rank": m["rank"] + 1},
            "expected the coded weights of the network that the file names, found other bytes",
        ),
        (lambda m: m | {"rank": 9}, "damaged tinct.json: 'rank'"),
        (lambda m: m | {"rank": True}, "damaged tinct.json: 'rank'"),
        (leave_out("rank"), "damaged tinct.json: 'update'"),
        (leave_out("update"), "damaged tinct.json: 'update'"),
        (
            lambda m: m | {"update": "0123456789abcdef"},
            "damaged update.bin: expected 0123456789abcdef",
        ),
    ],
    ids=["another rank", "no such rank", "no number", "no rank", "no hash", "another hash"],
)
def test_lies_about_an_update_are_refused(
    adapted: Path, tmp_path: Path, change: Change, said: str
) -> None:
    bad = change_manifest(adapted, tmp_path / "bad.mkv", change)
    assert said in read_message(run("decode", bad, tmp_path / "out.mkv"), 2)
    assert not (tmp_path / "out.mkv").exists()


def test_a_network_with_nothing_added_is_itself() -> None:
    network = load_network("fast")
    config, weights = network.passes[-1]
    nothing = {
        name: np.zeros(shape, np.float32) for name, shape in list_update_shapes(config, 2).items()
    }
    for name, value in apply_update(network, nothing).passes[-1][1].items():
        assert np.array_equal(value, weights[name]), name


def crops(count: int = 6) -> list[Crop]:
    """Return crops of a clip whose references are noisy copies of the originals."""
    random = np.random.default_rng(0)
    info = synthetic.make_info()
    collector = CropCollector()
    for n, frame in enumerate(synthetic.make_frames(synthetic.draw_clip(count), info)):
        noisy = np.clip(frame.y + random.normal(0, 4, (5, *frame.y.shape)), 0, 255).astype(np.uint8)
        chroma = np.broadcast_to(np.stack((frame.cb, frame.cr)), (4, 2, *frame.cb.shape))
        collector.cut(frame, References(noisy, chroma, (n + 1, count - n), (26, 38)))
        collector.keep(frame.pts)
    return collector.list_crops()


def compact(network: Network) -> Compact:
    config, weights = network.passes[-1]
    model = Compact(config)
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    return model


@pytest.mark.slow
def test_what_is_learnt_is_what_is_sent() -> None:
    network = load_network("fast")
    found = train_update(network, crops(), 255, rank=2, budget=Budget(steps=30), error_per_bit=1e-9)
    before, after = (
        plane_errors(compact(some), make_batch(crops(), 255)).mean(0)[0]
        for some in (network, found.network)
    )
    assert after < 0.98 * before
    sent = decode_update(network, found.data, 2)
    for name, value in sent.passes[-1][1].items():
        assert np.array_equal(value, found.network.passes[-1][1][name]), name


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact_update, "FLOOR", float("nan"))
    network = load_network("fast")
    with pytest.raises(
        CodecError,
        match="expected a finite loss in training, found nan at step 0; encode with --adapt off",
    ):
        train_update(network, crops(), 255, rank=1, budget=Budget(steps=3), error_per_bit=1e-9)


def test_crops_of_a_long_video_are_spread_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12 frames the 1st, 5th and 9th are kept, and dropping others left their crops whole."""
    monkeypatch.setattr("tinct.adapt.crops.MAX_FRAMES", 4)
    of_first_frame = crops(6)[:4]
    found = crops(12)
    distances = [round(2 ** (4 * crop.conditions[0])) for crop in found]
    assert distances == [1] * 4 + [5] * 4 + [9] * 4
    for expected, crop in zip(of_first_frame, found[:4], strict=True):
        assert np.array_equal(crop.luma, expected.luma)
        assert np.array_equal(crop.chroma, expected.chroma)


@pytest.mark.parametrize(
    ("size_bytes", "shape", "rank"),
    [
        (10_000, (640, 360), 0),
        (60_000, (640, 360), 2),
        (10**7, (640, 360), 8),
        (10**7, (640, 24), 0),
    ],
)
def test_the_rank_is_what_a_file_can_bear(
    size_bytes: int, shape: tuple[int, int], rank: int
) -> None:
    assert choose_rank(size_bytes, shape) == rank


def test_auto_is_counted_in_steps() -> None:
    assert parse_budget("auto", 100, 400) == Budget(steps=400)
    assert parse_budget("auto", 10_000, 400) == Budget(steps=2000)
    assert parse_budget("3epochs", 100, 400) == Budget(steps=150)
    assert parse_budget("9", 100, 400) == Budget(seconds=9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--adapt", "9", "--structure", "low-delay"],
            "contradictory options: --adapt needs --structure intra",
        ),
        (
            ["--adapt", "9", "--colour", "in-band"],
            "contradictory options: --adapt needs --colour track",
        ),
        (["--adapt", "soon"], "--adapt: expected off, auto, a time"),
    ],
)
def test_bad_options_are_refused(
    source: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    assert said in read_message(run("encode", source, tmp_path / "a.mkv", *options), 2)
    assert not (tmp_path / "a.mkv").exists()


@pytest.mark.slow
def test_a_pipe_is_not_read_twice(source: Path, tmp_path: Path) -> None:
    tinct.decode(str(source), str(tmp_path / "a.y4m"))
    done = run(
        "encode", "-", tmp_path / "a.mkv", "--adapt", "9", given=(tmp_path / "a.y4m").read_bytes()
    )
    assert read_message(done, 2) == (
        "expected a file with --adapt 9, which reads the video twice; found a pipe: save it first"
    )


@pytest.mark.slow
def test_without_pytorch_nothing_is_learnt_unasked(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colourisers, "find_spec", lambda name: None)
    assert (
        tinct.encode(
            str(source), str(tmp_path / "a.mkv"), replace(CONFIG, adapt="auto")
        ).update_bytes
        == 0
    )
    with pytest.raises(
        CodecError, match=r"--adapt needs torch, which is not installed; get all of it: pip install"
    ):
        tinct.encode(str(source), str(tmp_path / "b.mkv"), CONFIG)
