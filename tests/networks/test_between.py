"""A network for frames that were not sent: none ships yet, a row of the table is enough for one."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import draw_clip, draw_scene, make_info, write_video

import tinct
from tinct.bitstream.container import read_file_manifest
from tinct.decoder import video
from tinct.motion.interpolation import (
    Place,
    gather_between_references,
    interpolate_frame,
    match,
)
from tinct.motion.views import KeyView, LumaView
from tinct.networks import compact_config
from tinct.networks.compact import load_network, make_interpolator
from tinct.networks.compact_config import (
    FAST_NETWORK,
    SHIPPED_NETWORKS,
    CompactConfig,
    find_weights,
    write_weights,
)

CONFIG = CompactConfig(width=4, depth=1, kind="between")
OPTIONS = tinct.EncodeConfig(
    colour="track",
    colouriser="compact",
    network="fast",
    adapt="off",
    group=6,
    interpolate=3,
    qp=36,
    x265_preset="ultrafast",
)
Weights = dict[str, np.ndarray]
Install = Callable[[Weights], None]


def zero_weights() -> Weights:
    return {name: np.zeros(shape, np.float32) for name, shape in CONFIG.shapes.items()}


def mix_weights() -> Weights:
    """Return weights that take the first source alone, which is the mix without a network."""
    weights = zero_weights()
    luma, correction, chroma, _ = np.split(
        weights["leave.bias"], np.cumsum(CONFIG.output_split)[:-1]
    )
    assert len(correction) == 16
    luma.reshape(CONFIG.luma_sources, -1)[0] = chroma[0] = 100
    return weights


def random_weights() -> Weights:
    """Return the same with noise that is visible and no more."""
    random, weights = np.random.default_rng(7), mix_weights()
    for name, values in weights.items():
        noise = random.normal(0, 0.1, values.shape).astype(np.float32)
        weights[name] = values / 50 + noise
    return weights


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """A function that makes `fast` a network with these weights for frames that were not sent."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    for file in FAST_NETWORK.passes:
        shutil.copy(find_weights(file), folder)
    monkeypatch.setattr(compact_config, "SHIPPED_FOLDER", folder)
    monkeypatch.setitem(SHIPPED_NETWORKS, "fast", replace(FAST_NETWORK, between="between"))

    def write(weights: Weights) -> None:
        write_weights(folder / "between.safetensors", CONFIG, weights)
        load_network.cache_clear()

    yield write
    load_network.cache_clear()


def write_source(folder: Path) -> Path:
    write_video(folder / "a.mkv", draw_clip(13), make_info())
    return folder / "a.mkv"


def read_planes(path: Path) -> list[tuple[bytes, ...]]:
    frames = tinct.open(str(path))
    return [tuple(plane.tobytes() for plane in (f.y, f.cb, f.cr)) for f in frames]


def read_interpolated(path: Path) -> set[int]:
    manifest = read_file_manifest(str(path))
    assert manifest is not None
    return set(manifest.interpolated)


def test_the_decoder_runs_the_network_of_the_encoder(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the encoder measured is what is shown, and without the network it is another picture."""
    install(random_weights())
    source, coded = write_source(tmp_path), tmp_path / "b.mkv"
    report = tinct.encode(str(source), str(coded), OPTIONS)
    times = read_interpolated(coded)
    assert times
    check = tinct.verify(str(coded), str(source))
    assert check.whole
    assert check.psnr == report.psnr
    shown = read_planes(coded)
    monkeypatch.setattr(video, "start_interpolator", lambda manifest, info: interpolate_frame)
    mixed = read_planes(coded)
    assert {n for n in range(13) if shown[n] != mixed[n]} == times


def test_a_network_that_takes_the_mix_changes_nothing(tmp_path: Path, install: Install) -> None:
    source = write_source(tmp_path)
    coded = [tmp_path / name for name in ("b.mkv", "c.mkv")]
    install(mix_weights())
    tinct.encode(str(source), str(coded[0]), OPTIONS)
    shown = read_planes(coded[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SHIPPED_NETWORKS, "fast", FAST_NETWORK)
        load_network.cache_clear()
        tinct.encode(str(source), str(coded[1]), OPTIONS)
        assert read_planes(coded[1]) == shown
        assert read_interpolated(coded[1]) == read_interpolated(coded[0]) != set()
        with pytest.raises(tinct.CodecError, match="decode it with the version that encoded it"):
            tinct.open(str(coded[0]))
    load_network.cache_clear()


@pytest.mark.parametrize("depth", [8, 10])
def test_without_a_last_layer_the_sources_count_alike(depth: int, install: Install) -> None:
    install(zero_weights())
    ends = []
    for time in (0, 4):
        y, cb, cr = draw_scene(time, 64, 48, depth)
        ends.append(KeyView(LumaView(y, depth, time), cb, cr))
    before, after = ends
    motion, place = match(before, after), Place(share=0.25, distances=(1, 3))
    planes = make_interpolator(load_network("fast"), (48, 64), depth)(
        before, after, motion=motion, place=place
    )
    sources = gather_between_references(before, after, motion=motion, place=place)
    means = (sources.luma.mean(0), *sources.chroma.mean(0))
    for found, mean in zip(planes, means, strict=True):
        assert found.dtype == before.luma.y.dtype
        assert np.abs(found - mean).max() < 0.51
    mixed = interpolate_frame(before, after, motion=motion, place=place)
    assert not np.array_equal(planes[0], mixed[0])
