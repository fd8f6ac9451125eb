"""Where key frames stand: at cuts, at fixed distances, at ends; and how little of the video is held."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import track_packets
from synthetic import Planes, clip, frames, info, texture, view

import tinct
from tinct.encoder.keyframes import AUTO_LENGTHS, Group, Spacing, cut_groups
from tinct.frames import Frame
from tinct.limits import MAX_GROUP
from tinct.media.sink import open_sink
from tinct.motion.shots import scan_frames

WIDTH, HEIGHT = 128, 96
ABOUT = info(WIDTH, HEIGHT)
SHOTS = (13, 9, 1, 20)  # frames


def shot(number: int, count: int) -> list[Planes]:
    """A texture of its own that moves by 2 pixels a frame; its colour is flat and tells the shot."""
    world = texture(HEIGHT, WIDTH + 2 * count, 10 + number)
    cb, cr = (
        (np.full((HEIGHT // 2, WIDTH // 2), level, np.uint8))
        for level in (60 + 40 * number, 200 - 40 * number)
    )
    return [(np.ascontiguousarray(world[:, 2 * n : 2 * n + WIDTH]), cb, cr) for n in range(count)]


MONTAGE = [planes for number, count in enumerate(SHOTS) for planes in shot(number, count)]
STARTS = [sum(SHOTS[:n]) for n in range(len(SHOTS))]
PRICED = Spacing(group="auto", slope=1e-4, key_bits=2000)


def cut(planes: list[Planes], spacing: Spacing) -> list[Group]:
    return list(cut_groups(scan_frames(frames(planes, ABOUT)), spacing))


def first(group: Group) -> int:
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
    found = cut(MONTAGE, spacing)
    assert [f.pts for group in found for f in group.frames] == list(range(len(MONTAGE)))
    starts = [first(group) for group in found]
    assert set(STARTS) <= set(starts)
    for group, following in zip(found, [*found[1:], None], strict=True):
        assert group.closed == (following is not None and first(following) not in STARTS)


def test_one_shot_has_no_cut() -> None:
    found = cut(shot(0, 30), Spacing(group=96, end_keys=False))
    assert [len(group.frames) for group in found] == [30]


def test_a_fixed_distance_is_kept_within_a_shot() -> None:
    starts = [first(group) for group in cut(shot(0, 20), Spacing(group=6, end_keys=False))]
    assert starts == [0, 6, 12, 18]
    starts = [first(group) for group in cut(MONTAGE, Spacing(group=6, end_keys=False))]
    assert starts == [0, 6, 12, 13, 19, 22, 23, 29, 35, 41]


def test_a_shot_ends_with_a_key_frame_where_that_pays() -> None:
    rng = np.random.default_rng(0)
    moving = [view(2 * n)[0] for n in range(12)]
    # colour that changes under the same luma: no single key tells the end
    planes = [
        (y, *rng.integers(100, 110, (2, 48, 64), np.uint8) + np.uint8(8 * n))
        for n, y in enumerate(moving)
    ]
    cheap = cut(planes, Spacing(group=24, slope=1e-9, key_bits=100))
    dear = cut(planes, Spacing(group=24, slope=1e3, key_bits=1e6))
    assert [len(g.frames) for g in cheap] == [11, 1]
    assert [g.closed for g in cheap] == [True, False]
    assert [len(g.frames) for g in dear] == [12]


def test_auto_spaces_by_the_price_of_a_key() -> None:
    rng = np.random.default_rng(0)
    planes = [
        (view(2 * (n % 20))[0], *rng.integers(90, 160, (2, 48, 64), np.uint8)) for n in range(20)
    ]
    dear, cheap = (
        len(cut(planes, Spacing(group="auto", slope=1e-4, key_bits=bits))) for bits in (1e9, 1)
    )
    assert dear < 4
    assert cheap == 20  # random colour cannot be propagated: every frame sends its own


@pytest.mark.parametrize(
    "spacing", [Spacing(group=4), Spacing(group=17), PRICED, Spacing(group=MAX_GROUP)], ids=str
)
def test_only_one_group_is_held(spacing: Spacing) -> None:
    read = 0

    def endless() -> Iterator[Frame]:
        nonlocal read
        planes = clip(8, 32, 32)
        while read < 400:
            yield Frame(*planes[0], read, info(32, 32))
            read += 1

    given = 0
    for group in cut_groups(scan_frames(endless()), spacing):
        assert read - given <= spacing.reach + 1
        given += len(group.frames)
    assert given == 400
    assert spacing.reach <= max(MAX_GROUP, AUTO_LENGTHS[-1])


@pytest.mark.parametrize(
    "options",
    [
        {"colour": "track", "adapt": "20steps"},
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
            pytest.skip("full is for intra")
        options = {**options, "adapt": "off"}
    with open_sink(str(tmp_path / "a.mkv"), ABOUT) as sink:
        for frame in frames(MONTAGE, ABOUT):
            sink.write(frame)
    tinct.encode(
        str(tmp_path / "a.mkv"),
        str(tmp_path / "b.mkv"),
        tinct.preset("default", structure=structure, qp=22, **options),
    )
    keys = {round(p.pts * 25 / 1000) for p in track_packets(tmp_path / "b.mkv", "colour")}
    assert set(STARTS) <= keys
    for frame, (_, cb, cr) in zip(tinct.open(str(tmp_path / "b.mkv")), MONTAGE, strict=True):
        assert np.abs(frame.cb.astype(int) - cb).max() <= 3, frame.pts
        assert np.abs(frame.cr.astype(int) - cr).max() <= 3, frame.pts
