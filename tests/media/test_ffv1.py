"""FFV1 in Matroska: every size can be written, and the checksums of the file hold."""

from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import FFmpegError
from media_files import read_frames
from synthetic import draw_clip, make_info, write_video

from tinct.frames import Hdr
from tinct.media.ebml import count_broken_checksums
from tinct.media.movie_codecs import choose_ffv1_slices
from tinct.media.planes import pixel_format


def opens(size: tuple[int, int], bit_depth: int, slices: int) -> bool:
    """Return whether FFmpeg's FFV1 version 3 takes `slices` for pictures of `size`."""
    context = av.CodecContext.create("ffv1", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt, context.time_base = pixel_format(bit_depth), Fraction(1, 25)
    context.options = {"level": "3", "slices": str(slices), "slicecrc": "1"}
    try:
        context.open()
    except FFmpegError:
        return False
    return True


# 410x30 has no grid of one slice; 2x605 and 359x5 have none at all.
@pytest.mark.parametrize("size", [(410, 30), (30, 410), (403, 291), (2, 605), (359, 5), (1, 1)])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_frames_come_back_at_sizes_without_the_usual_slices(
    tmp_path: Path, size: tuple[int, int], bit_depth: int
) -> None:
    planes = draw_clip(2, *size, bit_depth)
    write_video(tmp_path / "a.mkv", planes, make_info(*size, bit_depth=bit_depth))
    found = read_frames(tmp_path / "a.mkv")
    assert len(found) == len(planes)
    for frame, given in zip(found, planes, strict=True):
        for plane, other in zip((frame.y, frame.cb, frame.cr), given, strict=True):
            assert np.array_equal(plane, other)


@pytest.mark.parametrize(
    ("size", "bit_depth", "slices"),
    [
        ((64, 48), 8, 1),
        ((1920, 1080), 8, 4),
        ((1919, 1079), 8, 49),
        ((410, 30), 8, 4),
        ((8192, 4352), 8, 8),  # four slices of more than 128 Mbit
        ((2, 605), 8, 0),
    ],
)
def test_slices_are_what_ffmpeg_takes(size: tuple[int, int], bit_depth: int, slices: int) -> None:
    assert choose_ffv1_slices(*size, bit_depth=bit_depth) == slices
    assert slices == 0 or opens(size, bit_depth, slices)


@pytest.mark.nightly
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_every_small_and_every_narrow_size_opens(bit_depth: int) -> None:
    sizes = set(product(range(1, 65), repeat=2))
    for side, other in product(range(1, 601), (1, 2, 3, 4, 5, 17, 30, 64)):
        sizes |= {(side, other), (other, side)}
    refused = []
    for width, height in sizes:
        slices = choose_ffv1_slices(width, height, bit_depth=bit_depth)
        if slices and not opens((width, height), bit_depth, slices):
            refused.append((width, height, slices))
        if not slices and any(opens((width, height), bit_depth, count) for count in range(1, 33)):
            refused.append((width, height, slices))
    assert refused == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_aspect_ratio": Fraction(4, 3)},
        {"hdr": Hdr(max_cll="1000,400"), "bit_depth": 10},
        {},
    ],
)
def test_checksums_hold_where_the_track_entry_was_completed(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    about = make_info(**changes)
    write_video(tmp_path / "a.mkv", draw_clip(2, bit_depth=about.bit_depth), about)
    with (tmp_path / "a.mkv").open("rb") as file:
        assert count_broken_checksums(file) == 0
