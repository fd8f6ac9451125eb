"""What is sampled of large pictures: a window that is like the whole, and bits that are those of the whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import frames, info

from tinct.bitstream.base import BaseSettings
from tinct.encoder.samples import MAX_WINDOW_SAMPLES, WINDOW_STEP, Samples, sample
from tinct.frames import Frame
from tinct.media.sink import open_sink
from tinct.media.source import open_source

SIZE = (802, 602)  # not whole blocks


def halves() -> list[Frame]:
    """Flat on the left, noise on the right."""
    random = np.random.default_rng(0)
    about = info(width=SIZE[0], height=SIZE[1])
    planes = []
    for _ in range(4):
        y = np.full((SIZE[1], SIZE[0]), 128, np.uint8)
        y[:, SIZE[0] // 2 :] = random.integers(64, 192, (SIZE[1], SIZE[0] - SIZE[0] // 2))
        chroma = np.tile(
            np.arange(about.chroma_shape[1], dtype=np.uint8) // 2, (about.chroma_shape[0], 1)
        )
        planes.append((y, chroma, chroma))
    return frames(planes, about)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "large.mkv"
    made = halves()
    with open_sink(str(path), replace(made[0].info, frame_count=len(made))) as sink:
        for frame in made:
            sink.write(frame)
    return path


def test_a_window_of_large_pictures_is_like_the_whole(large: Path) -> None:
    samples, everything = sample(open_source(str(large)), restores=True)
    window = samples.info
    assert len(list(everything)) == 4
    assert samples.whole
    assert 0.8 * MAX_WINDOW_SAMPLES < window.width * window.height <= MAX_WINDOW_SAMPLES
    assert (window.width % WINDOW_STEP, window.height % WINDOW_STEP) == (0, 0)
    assert samples.scale == pytest.approx(SIZE[0] * SIZE[1] / (window.width * window.height))
    for frame in samples.stretches[0]:
        assert (frame.y.shape, frame.cb.shape) == (
            (window.height, window.width),
            window.chroma_shape,
        )
        assert np.mean(frame.y != 128) == pytest.approx(0.5, abs=0.1)
        first = np.flatnonzero((frame.y != 128).any(0))[0]  # where noise begins
        assert frame.cb[0, first // 2] == pytest.approx(SIZE[0] // 8, abs=1), (
            "luma and chroma are of the same place"
        )


def test_its_bits_are_those_of_whole_pictures(large: Path) -> None:
    source = open_source(str(large))
    samples, _ = sample(source, restores=True)
    whole = Samples([list(source)], source.info)
    bits = [
        np.mean(
            [
                b
                for b, _ in some.code(
                    [(f.y,) for f in some.stretches[0]],
                    BaseSettings(structure="intra", info=some.info, qp=32),
                    grey=True,
                )
            ]
        )
        for some in (samples, whole)
    ]
    assert bits[0] == pytest.approx(bits[1], rel=0.15)
