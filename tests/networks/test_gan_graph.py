"""The paper's generator as a graph: the pictures of PyTorch, of any size, in little memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import read_message, run
from synthetic import write_clip

from tinct.networks.gan_config import GanConfig
from tinct.networks.gan_graph import build_gan_graph, list_paper_shapes
from tinct.networks.runtime import CompiledGraph

CONFIGS = [
    GanConfig(16),
    GanConfig(8, attention=(), output="ycbcr"),
    GanConfig(7, attention=(1, 2, 3, 4), residual="original"),
]


def draw_weights(config: GanConfig) -> dict[str, np.ndarray]:
    """Random weights that keep the scale of what passes them, with attention that counts."""
    random = np.random.default_rng(3)
    weights = {}
    for name, shape in list_paper_shapes(config).items():
        spread = 1 / max(1, np.prod(shape[1:])) ** 0.5
        weights[name] = random.normal(0, spread, shape).astype(np.float32)
    return weights


def make_picture(config: GanConfig, luma: np.ndarray, bit_depth: int = 8) -> np.ndarray:
    """Run the graph on luma [H, W]: a picture [3, H, W]."""
    model = build_gan_graph(config, draw_weights(config), size=luma.shape, bit_depth=bit_depth)
    return CompiledGraph(model, 1)([luma[None, None]])[0][0].copy()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(48, 64), (47, 61), (5, 9), (1, 1)], ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=["paper", "plain", "all-levels"])
def test_the_graph_makes_the_pictures_of_the_trained_network(
    config: GanConfig, size: tuple[int, int]
) -> None:
    torch = pytest.importorskip("torch")
    from tinct.networks.trainable.gan import Generator

    network = Generator(config, norm=False).eval()
    weights = draw_weights(config)
    network.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    for depth, kind in ((8, np.uint8), (10, np.uint16)):
        luma = np.random.default_rng(4).integers(0, 1 << depth, size).astype(kind)
        samples = torch.from_numpy(luma.astype(np.float32))[None, None]
        with torch.inference_mode():
            expected = network(samples * (2 / ((1 << depth) - 1)) - 1)[0].numpy()
        assert expected.std() > 0.01 or luma.size == 1
        assert np.abs(make_picture(config, luma, depth) - expected).max() < 1e-5


@pytest.mark.slow
def test_attention_in_parts_equals_attention_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = GanConfig(8, attention=(1, 3))
    luma = np.random.default_rng(5).integers(0, 256, (37, 51)).astype(np.uint8)
    at_once = make_picture(config, luma)
    # 20 of 2,240 positions at a time: the last part is not whole
    monkeypatch.setattr("tinct.networks.gan_graph.MAX_SCORES", 10_000)
    assert np.abs(make_picture(config, luma) - at_once).max() < 1e-5


@pytest.mark.slow
def test_attention_takes_memory_for_one_part_at_a_time() -> None:
    """All scores of 176x144 positions together would be 640 MB."""
    code = (
        "import resource, sys; sys.path[:0] = ['tests', 'tests/networks']\n"
        "from test_gan_graph import *\n"
        "attention = (1,) if sys.argv[1] == 'with' else ()\n"
        "make_picture(GanConfig(8, attention=attention), np.zeros((144, 176), np.uint8))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    root = Path(__file__).parent.parent.parent

    def measure_megabytes(which: str) -> float:
        command = [sys.executable, "-c", code, which]
        done = subprocess.run(command, capture_output=True, check=True, cwd=root)
        return int(done.stdout) / 1024

    assert measure_megabytes("with") - measure_megabytes("without") < 200


@pytest.mark.slow
def test_an_openvino_that_does_not_load_is_one_line(tmp_path: Path) -> None:
    """It does not load where no memory is left for its libraries."""
    (tmp_path / "openvino.py").write_text(
        "raise ImportError('failed to map segment from shared object')"
    )
    write_clip(tmp_path / "a.mkv", frames=4)
    options = ["--colour", "track", "--colouriser", "compact", "--adapt", "off"]
    command = ["encode", tmp_path / "a.mkv", tmp_path / "b.mkv", *options]
    said = read_message(run(*command, env={"PYTHONPATH": str(tmp_path)}), 2)
    wanted = 'expected OpenVINO to load, found "failed to map segment from shared object"'
    assert f"{wanted}; free memory" in said
    assert not (tmp_path / "b.mkv").exists()
