"""Clips and encodes that several tests look at; each is made once for a test run."""

import signal
from pathlib import Path

import pytest
from synthetic import write_clip

import tinct


def pytest_configure() -> None:
    """A shell starts what runs in the background with Ctrl-C ignored, and every process of the tests would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 lossless frames, 64x48, 25 a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    write_clip(path, frames=40)
    return path


@pytest.fixture(scope="session")
def tinct_path(clip_path: Path) -> Path:
    """The clip in layout `chroma`, key frames 8 apart, without a network."""
    path = clip_path.with_name("tinct.mkv")
    tinct.encode(
        str(clip_path), str(path), tinct.EncodeConfig(colour="track", group=8, colouriser="none")
    )
    return path


@pytest.fixture(scope="session")
def plain_path(clip_path: Path) -> Path:
    """The clip as plain HEVC, without a byte of Tinct."""
    path = clip_path.with_name("plain.mkv")
    tinct.encode(str(clip_path), str(path), tinct.EncodeConfig(colour="in-band"))
    return path


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of VGG-19's names and shapes, and a part of the classifier, which is not wanted."""
    torch = pytest.importorskip("torch")
    random = torch.Generator().manual_seed(6)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512]
    state = {"classifier.6.bias": torch.zeros(1000)}
    for number, i, o in zip(VGG_CONVOLUTIONS, widths, widths[1:], strict=False):
        state[f"features.{number}.weight"] = (
            torch.randn(o, i, 3, 3, generator=random) * (2 / (9 * i)) ** 0.5
        )
        state[f"features.{number}.bias"] = torch.randn(o, generator=random) * 0.1
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state, path)
    return path


LAB_CODEC = "tinct:intra,colour=track,group=6,colouriser=none"
LAB_QPS = [27, 32, 37]
VGG_CONVOLUTIONS = (
    0,
    2,
    5,
    7,
    10,
    12,
    14,
    16,
    19,
    21,
    23,
    25,
    28,
    30,
    32,
    34,
)  # torchvision's numbers


@pytest.fixture(scope="session")
def results(clip_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of the lab: 12 frames of the clip through Tinct and the anchor."""
    from tinct.evaluation import Setup, start

    folder = tmp_path_factory.mktemp("lab") / "results"
    start(Setup([str(clip_path)], [LAB_CODEC, "x265:intra"], LAB_QPS, 12), folder)
    return folder
