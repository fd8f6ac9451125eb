"""Clips that several tests of this folder read; each is made once for a test run."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from grey_footage import COUNT, SIZE, write_grey
from synthetic import draw_clip, draw_scene, make_frames, make_info

from tinct.colour import from_rgb
from tinct.frames import Frame


@pytest.fixture(scope="session")
def truth() -> list[Frame]:
    """The coloured frames of `grey`."""
    return make_frames(draw_clip(COUNT, *SIZE), make_info(*SIZE))


@pytest.fixture(scope="session")
def grey(truth: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey clip of one shot."""
    return write_grey(tmp_path_factory.mktemp("grey") / "grey.mkv", truth)


@pytest.fixture(scope="session")
def two_shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 20 frames, then its mirror image upside down, 14 frames; grey."""
    first = draw_clip(20, *SIZE)
    second = [
        tuple(p[::-1, ::-1].copy() for p in draw_scene(200 + 3 * n, *SIZE)) for n in range(14)
    ]
    pictures = make_frames(first + second, make_info(*SIZE))  # type: ignore[operator]
    return write_grey(tmp_path_factory.mktemp("shots") / "shots.mkv", pictures)


@pytest.fixture(scope="session")
def photo() -> Frame:
    """A frame with corners of many kinds: 320x240 of random discs, in colour."""
    random, size = np.random.default_rng(3), (320, 240)
    rgb = np.full((size[1], size[0], 3), 120, np.uint8)
    for _ in range(260):
        place = tuple(int(random.integers(side)) for side in size)
        colour = random.integers(30, 225, 3).tolist()
        cv2.circle(rgb, place, int(random.integers(4, 22)), colour, -1, cv2.LINE_AA)
    about = make_info(*size)
    y, chroma = from_rgb(rgb, about)
    floats = (y, chroma[..., 0] + 128, chroma[..., 1] + 128)
    y, cb, cr = (np.rint(plane).clip(1, 254).astype(np.uint8) for plane in floats)
    return Frame(y, cb, cr, pts=0, info=about)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for outputs."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"
