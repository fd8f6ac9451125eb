"""Clips and encodes that several test files read; each is made once for a test run."""

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import write_clip

import tinct


def pytest_configure() -> None:
    """Hear Ctrl-C: a shell starts background jobs with it ignored, and processes inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Fixtures that take seconds to make: tests that stand on one are slow.
EXPENSIVE = {
    *("results", "gan_path", "coded", "tinct_file", "whole_file", "plain_file"),
    *("work", "adapted", "network_path", "page"),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use an expensive fixture as slow, before marks choose what runs."""
    for item in items:
        if EXPENSIVE & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


Make = Callable[[Path], None]
MakeOnce = Callable[[str, Make], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """Return a function that fills a folder once for all worker processes of a test run.

    The first worker that asks makes it; the others wait for that. Nobody may write in it later.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def fill(name: str, make: Make) -> Path:
        folder, done = shared / f"once-{name}", shared / f"once-{name}.done"
        with open(shared / f"once-{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return fill


@pytest.fixture(scope="session")
def clip_path(make_once: MakeOnce) -> Path:
    """A lossless clip: 40 frames of 64x48 at 25 frames/s."""
    return make_once("clip", lambda folder: write_clip(folder / "clip.mkv", frames=40)) / "clip.mkv"


@pytest.fixture(scope="session")
def tinct_path(clip_path: Path, make_once: MakeOnce) -> Path:
    """The clip in layout `chroma`, with a key frame every 8 frames and without a network."""
    config = tinct.EncodeConfig(colour="track", group=8, colouriser="none")

    def make(folder: Path) -> None:
        tinct.encode(str(clip_path), str(folder / "tinct.mkv"), config)

    return make_once("tinct", make) / "tinct.mkv"


@pytest.fixture(scope="session")
def plain_path(clip_path: Path, make_once: MakeOnce) -> Path:
    """The clip as plain HEVC, without a byte of Tinct."""
    config = tinct.EncodeConfig(base="hevc", colouriser="none")

    def make(folder: Path) -> None:
        tinct.encode(str(clip_path), str(folder / "plain.mkv"), config)

    return make_once("plain", make) / "plain.mkv"


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of VGG-19's names and shapes, and one tensor of the classifier, unused."""
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


# Numbers of the convolutions in torchvision's `features`.
VGG_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
