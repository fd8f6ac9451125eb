"""Key frames: at cuts, at fixed or chosen distances, and at the ends of shots.

Only one group of frames is held.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import read_track_packets
from synthetic import Planes, cut_view, draw_clip, draw_texture, make_frames, make_info, write_video

import tinct
from tinct.encoder.keyframes import AUTO_LENGTHS, Group, Spacing, cut_groups
from tinct.frames import Frame
from tinct.limits import MAX_GROUP
from tinct.motion.shots import scan_frames

WIDTH, HEIGHT = 128, 96
ABOUT = make_info(WIDTH, HEIGHT)
SHOTS = (13, 9, 1, 20)  # lengths in frames


def draw_shot(number: int, count: int) -> list[Planes]:
    """Return planes of a texture that moves by 2 pixels a frame.

    Texture and flat colour depend on the number of the shot.
    """
    world = draw_texture(HEIGHT, WIDTH + 2 * count, 10 + number)
    levels = (60 + 40 * number, 200 - 40 * number)
    cb, cr = (np.full((HEIGHT // 2, WIDTH // 2), level, np.uint8) for level in levels)
    return [(np.ascontiguousarray(world[:, 2 * n : 2 * n + WIDTH]), cb, cr) for n in range(count)]


MONTAGE = [planes for number, count in enumerate(SHOTS) for planes in draw_shot(number, count)]
STARTS = [sum(SHOTS[:n]) for n in range(len(SHOTS))]
PRICED = Spacing(group="auto", slope=1e-4, key_bits=2000)


def group_frames(planes: list[Planes], spacing: Spacing) -> list[Group]:
    """Return the groups that the encoder makes of these planes."""
    return list(cut_groups(scan_frames(make_frames(planes, ABOUT)), spacing))


def first_pts(group: Group) -> int:
    """Return the time of the key frame of a group."""
    return group.frames[0].pts


@pytest.mark.parametrize(
    "spacing",
    [
        Spacing(group=6),
        Spacing(group=96),
        PRICED,
        Spacing(group=1),
        Spacing(group=6, end_keys=False),
    ],
    ids=str,
)
def test_groups_hold_every_frame_once_and_split_at_cuts(spacing: Spacing) -> None:
    """Groups hold each frame once and begin at cuts; a group is open at the end of a shot."""
    found = group_frames(MONTAGE, spacing)
    assert [f.pts for group in found for f in group.frames] == list(range(len(MONTAGE)))
    starts = [first_pts(group) for group in found]
    assert set(STARTS) <= set(starts)
    for group, following in zip(found, [*found[1:], None], strict=True):
        assert group.closed == (following is not None and first_pts(following) not in STARTS)


def test_one_shot_has_no_cut() -> None:
    found = group_frames(draw_shot(0, 30), Spacing(group=96, end_keys=False))
    assert [len(group.frames) for group in found] == [30]


def test_a_fixed_distance_is_kept_within_a_shot() -> None:
    spacing = Spacing(group=6, end_keys=False)
    one_shot = group_frames(draw_shot(0, 20), spacing)
    assert [first_pts(group) for group in one_shot] == [0, 6, 12, 18]
    montage = group_frames(MONTAGE, spacing)
    assert [first_pts(group) for group in montage] == [0, 6, 12, 13, 19, 22, 23, 29, 35, 41]


def test_a_shot_ends_with_a_key_frame_where_that_pays() -> None:
    """The last frame of a shot is a key frame where that costs less than the errors without it."""
    rng = np.random.default_rng(0)
    moving = [cut_view(2 * n)[0] for n in range(12)]
    # The colour of each pixel changes over the shot: one key frame cannot give that of its end.
    planes = [
        (y, *rng.integers(100, 110, (2, 48, 64), np.uint8) + np.uint8(8 * n))
        for n, y in enumerate(moving)
    ]
    cheap = group_frames(planes, Spacing(group=24, slope=1e-9, key_bits=100))
    dear = group_frames(planes, Spacing(group=24, slope=1e3, key_bits=1e6))
    assert [len(g.frames) for g in cheap] == [11, 1]
    assert [g.closed for g in cheap] == [True, False]
    assert [len(g.frames) for g in dear] == [12]


def test_auto_spaces_by_the_price_of_a_key() -> None:
    """Automatic distances grow with the bits of a key frame."""
    rng = np.random.default_rng(0)
    planes = [
        (cut_view(2 * (n % 20))[0], *rng.integers(90, 160, (2, 48, 64), np.uint8))
        for n in range(20)
    ]
    dear, cheap = (Spacing(group="auto", slope=1e-4, key_bits=bits) for bits in (1e9, 1))
    assert len(group_frames(planes, dear)) < 4
    # Random colour cannot be propagated, so every frame is a key frame.
    assert len(group_frames(planes, cheap)) == 20


def test_what_enters_the_picture_gets_its_colour() -> None:
    """A coloured square in two frames makes them a group, and what comes after it another.

    It is too small for a mean of the frame to tell of it.
    """
    frames = [(y.copy(), cb.copy(), cr) for y, cb, cr in draw_shot(0, 1) * 16]
    for y, cb, _ in frames[7:9]:
        y[40:56, 60:76] = 250
        cb[20:28, 30:38] += 60
    dear = Spacing(group="auto", slope=1.0, key_bits=1e9, block_bound=200.0)
    assert [len(group.frames) for group in group_frames(frames, dear)] == [7, 2, 7]
    assert len(group_frames(frames, replace(dear, block_bound=math.inf))) == 1
    faint = [(y, cb // 8, cr) for y, cb, cr in frames]
    assert len(group_frames(faint, dear)) == 1


@pytest.mark.parametrize(
    "spacing", [Spacing(group=4), Spacing(group=17), PRICED, Spacing(group=MAX_GROUP)], ids=str
)
def test_only_one_group_is_held(spacing: Spacing) -> None:
    """Not more than the reach of one group is read ahead."""
    read = 0

    def endless() -> Iterator[Frame]:
        nonlocal read
        planes = draw_clip(8, 32, 32)
        while read < 400:
            yield Frame(*planes[0], read, make_info(32, 32))
            read += 1

    given = 0
    for group in cut_groups(scan_frames(endless()), spacing):
        assert read - given <= spacing.reach + 1
        given += len(group.frames)
    assert given == 400
    assert spacing.reach <= max(MAX_GROUP, AUTO_LENGTHS[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"colour": "track", "adapt": "20steps"}, marks=pytest.mark.nightly),
        {"colour": "track", "group": 50, "adapt": "off"},
        {"colour": "track", "key_form": "full", "group": 50},
    ],
    ids=str,
)
@pytest.mark.parametrize("structure", ["intra", "random-access"])
def test_colour_of_one_shot_never_enters_another(
    tmp_path: Path, structure: str, options: dict[str, object]
) -> None:
    if structure != "intra":
        if "key_form" in options:
            pytest.skip("key form full needs structure intra")
        options = {**options, "adapt": "off"}
    write_video(tmp_path / "a.mkv", MONTAGE, ABOUT)
    config = tinct.preset("default", structure=structure, qp=22, **options)
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    keys = {round(p.pts * 25 / 1000) for p in read_track_packets(tmp_path / "b.mkv", "colour")}
    assert set(STARTS) <= keys
    for frame, (_, cb, cr) in zip(tinct.open(str(tmp_path / "b.mkv")), MONTAGE, strict=True):
        assert np.abs(frame.cb.astype(int) - cb).max() <= 3, frame.pts
        assert np.abs(frame.cr.astype(int) - cr).max() <= 3, frame.pts
