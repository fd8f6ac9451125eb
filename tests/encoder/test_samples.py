"""Samples of large pictures: a window stands for the whole, and its bits are scaled."""

from pathlib import Path

import numpy as np
import pytest
from synthetic import Planes, make_info, write_video

from tinct.bitstream.codecs import BaseSettings
from tinct.encoder.samples import MAX_WINDOW_SAMPLES, WINDOW_STEP, Samples, sample
from tinct.media.source import open_source

SIZE = (802, 602)  # no multiple of the block size


def draw_halves() -> list[Planes]:
    """Return four frames that are flat on the left and noise on the right."""
    random = np.random.default_rng(0)
    about = make_info(*SIZE)
    planes = []
    for _ in range(4):
        y = np.full((SIZE[1], SIZE[0]), 128, np.uint8)
        y[:, SIZE[0] // 2 :] = random.integers(64, 192, (SIZE[1], SIZE[0] - SIZE[0] // 2))
        height, width = about.chroma_shape
        chroma = np.tile(np.arange(width, dtype=np.uint8) // 2, (height, 1))
        planes.append((y, chroma, chroma))
    return planes


@pytest.fixture(scope="module")
def large_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lossless file of these frames."""
    path = tmp_path_factory.mktemp("samples") / "large.mkv"
    planes = draw_halves()
    write_video(path, planes, make_info(*SIZE, frame_count=len(planes)))
    return path


def test_a_window_of_large_pictures_is_like_the_whole(large_path: Path) -> None:
    """The window has half flat samples and half noise, and chroma of the same place as luma."""
    samples, everything = sample(open_source(str(large_path)), restores=True)
    window = samples.info
    assert len(list(everything)) == 4
    assert samples.whole
    assert 0.8 * MAX_WINDOW_SAMPLES < window.width * window.height <= MAX_WINDOW_SAMPLES
    assert (window.width % WINDOW_STEP, window.height % WINDOW_STEP) == (0, 0)
    assert samples.scale == pytest.approx(SIZE[0] * SIZE[1] / (window.width * window.height))
    for frame in samples.stretches[0]:
        assert frame.y.shape == (window.height, window.width)
        assert frame.cb.shape == window.chroma_shape
        assert np.mean(frame.y != 128) == pytest.approx(0.5, abs=0.1)
        first_noise = np.flatnonzero((frame.y != 128).any(0))[0]
        assert frame.cb[0, first_noise // 2] == pytest.approx(SIZE[0] // 8, abs=1)


def measure_bits(samples: Samples) -> float:
    """Return the mean bits of a luma picture, as scaled to whole pictures."""
    settings = BaseSettings(structure="intra", info=samples.info, qp=32)
    pictures = [(frame.y,) for frame in samples.stretches[0]]
    return float(np.mean([bits for bits, _ in samples.code(pictures, settings, grey=True)]))


@pytest.mark.slow
def test_its_bits_are_those_of_whole_pictures(large_path: Path) -> None:
    """Bits of the window, scaled, are within 15 % of those of whole pictures."""
    source = open_source(str(large_path))
    samples, _ = sample(source, restores=True)
    whole = Samples([list(source)], source.info)
    assert measure_bits(samples) == pytest.approx(measure_bits(whole), rel=0.15)
