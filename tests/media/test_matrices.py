"""Colour matrices that swscale does not know: coded with their tag, shown by their own formula."""

from pathlib import Path

import numpy as np
import pytest
from helpers import read_message, run
from synthetic import make_info, write_clip

import tinct
from tinct.colour import NO_RGB, to_rgb, unit_matrix
from tinct.errors import CodecError
from tinct.frames import ColourTags, Frame
from tinct.media.source import open_source

PIXELS = ("yuv420p", "yuv422p10le", "yuv444p", "gray", "yuva444p")
FAST = tinct.EncodeConfig(colour="in-band", x265_preset="ultrafast")


@pytest.mark.parametrize("matrix", range(1, 18))
@pytest.mark.parametrize("pix_fmt", PIXELS)
def test_sampling_is_converted_under_any_matrix(tmp_path: Path, pix_fmt: str, matrix: int) -> None:
    """The samples are those of the same file without tags, and the tag is kept."""
    for code, name in ((matrix, "a.mkv"), (2, "plain.mkv")):
        tags = ColourTags(matrix=code)
        write_clip(tmp_path / name, frames=1, pix_fmt=pix_fmt, colour=tags)
    (frame,) = open_source(str(tmp_path / "a.mkv"))
    (plain,) = open_source(str(tmp_path / "plain.mkv"))
    for a, b in zip((frame.y, frame.cb, frame.cr), (plain.y, plain.cb, plain.cr), strict=True):
        assert np.array_equal(a, b)
    kept = 2 if matrix == 3 else matrix  # 3 is reserved
    assert frame.info.colour.matrix in (matrix, kept)


@pytest.mark.parametrize("matrix", [8, 9, 10, 12, 14])
def test_every_output_keeps_the_tag(tmp_path: Path, matrix: int) -> None:
    tags = ColourTags(primaries=9, transfer=16, matrix=matrix, full_range=False)
    write_clip(tmp_path / "a.mkv", frames=2, pix_fmt="yuv444p10le", colour=tags)
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), FAST)
    outputs = ["b.mkv"]
    for name in ("c.mkv", "c.mp4", "c.y4m"):
        tinct.decode(str(tmp_path / "a.mkv"), str(tmp_path / name))
        outputs += [name] if name != "c.y4m" else []
    assert {open_source(str(tmp_path / n)).info.colour.matrix for n in outputs} == {matrix}


def make_colours(matrix: int, primaries: int = 1) -> Frame:
    """Return a full-range frame of 2x2 pixels whose Y, Cb and Cr are 150, 100 and 170."""
    tags = ColourTags(primaries=primaries, matrix=matrix, full_range=True)
    about = make_info(2, 2, colour=tags)
    planes = (np.full((2, 2), 150), np.full((1, 1), 100), np.full((1, 1), 170))
    return Frame(*(plane.astype(np.uint8) for plane in planes), pts=0, info=about)


def test_ycgco_is_shown_by_its_own_formula() -> None:
    """H.273: G = Y + Cg, R = Y - Cg + Co, B = Y - Cg - Co."""
    shown = to_rgb(make_colours(8))[0, 0]
    assert list(shown) == [150 + 28 + 42, 150 - 28, 150 + 28 - 42]


def test_a_matrix_from_primaries_is_that_of_their_standard() -> None:
    for primaries, matrix in ((1, 1), (9, 9)):
        derived = unit_matrix(make_colours(12, primaries).info)
        assert derived == pytest.approx(unit_matrix(make_colours(matrix).info), abs=1e-3)


@pytest.mark.parametrize("matrix", NO_RGB)
def test_what_no_matrix_shows_is_refused_with_the_reason(matrix: int) -> None:
    with pytest.raises(CodecError, match=f"found {NO_RGB[matrix]}; an output in .mkv"):
        to_rgb(make_colours(matrix))


def test_pictures_of_such_a_matrix_are_refused_in_one_line(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=1, colour=ColourTags(matrix=14))
    said = read_message(run("decode", tmp_path / "a.mkv", tmp_path / "pictures/"), 2)
    assert "found ICtCp" in said
    assert not (tmp_path / "pictures").exists()
