"""The paper's generator as a graph: the pictures of the one that was trained, on any size, in memory that stays small."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import one_line, run
from synthetic import write_clip

from tinct.networks.gan_config import GanConfig
from tinct.networks.gan_graph import build, generator_shapes
from tinct.networks.runtime import Compiled

CONFIGS = [
    GanConfig(16),
    GanConfig(8, attention=(), output="ycbcr"),
    GanConfig(7, attention=(1, 2, 3, 4), residual="original"),
]


def drawn(config: GanConfig) -> dict[str, np.ndarray]:
    """Weights that keep numbers as large as they are, and attention that counts."""
    random = np.random.default_rng(3)
    spread = {
        name: 1 / max(1, np.prod(shape[1:])) ** 0.5
        for name, shape in generator_shapes(config).items()
    }
    return {
        name: random.normal(0, spread[name], shape).astype(np.float32)
        for name, shape in generator_shapes(config).items()
    }


def pictures(config: GanConfig, luma: np.ndarray, depth: int = 8) -> np.ndarray:
    return Compiled(build(config, drawn(config), luma.shape, depth), 1)([luma[None, None]])[0][
        0
    ].copy()


@pytest.mark.parametrize("size", [(48, 64), (47, 61), (5, 9), (1, 1)], ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=["paper", "plain", "all-levels"])
def test_the_graph_makes_the_pictures_of_the_network_that_was_trained(
    config: GanConfig, size: tuple[int, int]
) -> None:
    torch = pytest.importorskip("torch")
    from tinct.networks.trainable.gan import Generator

    network = Generator(config, norm=False).eval()
    network.load_state_dict(
        {name: torch.from_numpy(weight) for name, weight in drawn(config).items()}
    )
    for depth, kind in ((8, np.uint8), (10, np.uint16)):
        luma = np.random.default_rng(4).integers(0, 1 << depth, size).astype(kind)
        with torch.inference_mode():
            expected = network(
                torch.from_numpy(luma.astype(np.float32))[None, None] * (2 / ((1 << depth) - 1)) - 1
            )[0].numpy()
        assert expected.std() > 0.01 or luma.size == 1
        assert np.abs(pictures(config, luma, depth) - expected).max() < 1e-5


def test_attention_by_parts_is_attention_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = GanConfig(8, attention=(1, 3))
    luma = np.random.default_rng(5).integers(0, 256, (37, 51)).astype(np.uint8)
    at_once = pictures(config, luma)
    monkeypatch.setattr(
        "tinct.networks.gan_graph.MAX_SCORES", 10_000
    )  # 20 of 2,240 positions a time: the last part is not whole
    assert np.abs(pictures(config, luma) - at_once).max() < 1e-5


def test_attention_takes_memory_for_a_part_of_the_picture_alone() -> None:
    """All scores of 176x144 positions together would be 640 MB."""
    code = (
        "import resource, sys; sys.path[:0] = ['tests', 'tests/networks']\n"
        "from test_gan_graph import *\n"
        "pictures(GanConfig(8, attention=(1,) if sys.argv[1] == 'with' else ()), np.zeros((144, 176), np.uint8))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    root = Path(__file__).parent.parent.parent
    plain, attending = (
        int(
            subprocess.run(
                [sys.executable, "-c", code, which], capture_output=True, check=True, cwd=root
            ).stdout
        )
        / 1024
        for which in ("without", "with")
    )
    assert attending - plain < 200


def test_an_openvino_that_does_not_load_is_one_line(tmp_path: Path) -> None:
    """As where no memory is left for its libraries."""
    (tmp_path / "openvino.py").write_text(
        "raise ImportError('failed to map segment from shared object')"
    )
    write_clip(tmp_path / "a.mkv", frames=4)
    options = ["--colour", "track", "--colouriser", "compact", "--adapt", "off"]
    done = run(
        "encode",
        tmp_path / "a.mkv",
        tmp_path / "b.mkv",
        *options,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert (
        'expected OpenVINO to load, found "failed to map segment from shared object"; free memory'
        in one_line(done, 2)
    )
    assert not (tmp_path / "b.mkv").exists()
