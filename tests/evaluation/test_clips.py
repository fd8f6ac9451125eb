"""The clips of a sweep, cut to their first frames and to a square."""

from pathlib import Path

import numpy as np
import pytest
from synthetic import write_clip

from tinct.evaluation.clips import cut_clip
from tinct.media.source import open_source


@pytest.mark.parametrize(("size", "left", "top"), [((64, 48), 8, 0), ((50, 66), 0, 8)])
def test_a_square_is_the_middle_at_even_places(
    size: tuple[int, int], left: int, top: int, tmp_path: Path
) -> None:
    planes = write_clip(tmp_path / "a.mkv", frames=3, size=size)
    clip = cut_clip(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), 2, square=True)
    side = min(size)
    assert (clip.info.width, clip.info.height) == (side, side)
    frames = list(open_source(clip.path))
    assert len(frames) == 2
    for frame, (y, cb, cr) in zip(frames, planes, strict=False):
        assert np.array_equal(frame.y, y[top : top + side, left : left + side])
        rows, columns = (slice(n // 2, (n + side) // 2) for n in (top, left))
        assert np.array_equal(frame.cb, cb[rows, columns])
        assert np.array_equal(frame.cr, cr[rows, columns])
