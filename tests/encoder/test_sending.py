"""Which frames of a group are sent, and which are sent after all."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import draw_clip, make_frames, make_info

from tinct.encoder.keyframes import Group, Spacing, cut_groups
from tinct.encoder.late import find_late
from tinct.encoder.sending import SEND_ALL, Sending, choose_sent
from tinct.frames import Frame
from tinct.motion.interpolation import interpolate_frame
from tinct.motion.shots import scan_frames
from tinct.motion.views import KeyView, LumaView


def first_group(frames: list[Frame], length: int) -> Group:
    return next(cut_groups(scan_frames(frames), Spacing(group=length)))


@pytest.fixture
def moving() -> Group:
    """A closed group of 8 frames in which a disc and a bar move over a drifting texture."""
    return first_group(make_frames(draw_clip(12, 128, 96), make_info(128, 96)), 8)


@pytest.mark.parametrize(
    ("step", "sent"),
    [(1, {0, 1, 2, 3, 4, 5, 6, 7}), (2, {0, 2, 4, 6}), (3, {0, 3, 6}), (8, {0}), (96, {0})],
)
def test_every_step_th_frame_of_a_closed_group(moving: Group, step: int, sent: set[int]) -> None:
    assert moving.closed
    assert choose_sent(moving, Sending(step=step)) == sent


def test_an_open_group_sends_its_last_frame() -> None:
    scanned = scan_frames(make_frames(draw_clip(6, 128, 96), make_info(128, 96)))
    group = next(cut_groups(scanned, Spacing(group=8, end_keys=False)))
    assert not group.closed
    assert choose_sent(group, Sending(step=4)) == {0, 4, 5}
    assert choose_sent(group, Sending(step=None, price=1e9)) == {0, 5}
    assert choose_sent(group, SEND_ALL) == {*range(6)}


def test_the_price_decides_how_many(moving: Group) -> None:
    counts = [
        len(choose_sent(moving, Sending(step=None, price=price))) for price in (0, 1, 30, 1e9)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 8
    assert counts[-1] == 1


def test_what_moves_at_once_is_sent_and_stillness_is_not() -> None:
    """A square jumps at frame 5 of 8: halves that end beside it are sent, no others."""
    about = make_info(128, 96)
    texture = np.random.default_rng(0).integers(60, 160, (96, 128)).astype(np.uint8)
    frames = []
    for number in range(9):
        y = texture.copy()
        column = 50 if number < 5 else 66
        y[30:42, column : column + 12] = 230
        grey = np.full((48, 64), 128, np.uint8)
        frames.append(Frame(y, grey, grey, pts=number, info=about))
    group = first_group(frames, 8)
    assert choose_sent(group, Sending(step=None, price=20.0)) == {0, 4, 5, 6}


@pytest.mark.parametrize("step", [None, 8])
def test_a_bound_sends_what_a_price_would_not(moving: Group, step: int | None) -> None:
    free = Sending(step=step, price=1e9)
    assert choose_sent(moving, free) == {0}
    counts = [len(choose_sent(moving, replace(free, bound=bound))) for bound in (0, 15, 1e9)]
    assert counts[0] == 8
    assert 1 < counts[1] < 8
    assert counts[2] == 1


def find_late_square(level: int) -> list[int]:
    """Return which of three frames are late where one shows a square that is not in the source.

    All have an error of 3 levels, the square of 16 samples in frame 2 `level` more.
    """
    grey = np.full((64, 64), 128, np.uint8)
    about = make_info(128, 128)
    originals = {
        pts: Frame(np.full((128, 128), 100, np.uint8), grey, grey, pts=pts, info=about)
        for pts in range(5)
    }
    made = [np.full((128, 128), 103, np.uint8) for _ in originals]
    made[2][40:56, 40:56] += level
    return find_late(
        [KeyView(LumaView(y, 8, pts), grey, grey) for pts, y in enumerate(made)],
        [1, 2, 3],
        keys=(),
        originals=originals,
        usual_db=30.0,
        interpolate=interpolate_frame,
    )


def test_a_ghost_in_one_block_is_sent_though_the_frame_is_good() -> None:
    """Twice the error of 3 levels is 6 dB; the frame's PSNR falls by 0.2 dB and less."""
    assert find_late_square(2) == []
    assert find_late_square(4) == [2]


def shown(levels: dict[int, int]) -> list[KeyView]:
    grey = np.full((8, 8), 128, np.uint8)
    return [
        KeyView(LumaView(np.full((16, 16), level, np.uint8), 8, pts), grey, grey)
        for pts, level in levels.items()
    ]


def original(pts: int) -> Frame:
    grey = np.full((8, 8), 128, np.uint8)
    return Frame(np.full((16, 16), 100, np.uint8), grey, grey, pts=pts, info=make_info(16, 16))


@pytest.mark.parametrize(("level", "late"), [(104, []), (113, [2])])
def test_between_two_key_frames_the_usual_quality_counts(level: int, late: list[int]) -> None:
    """Both key frames have an error of 1 level, usual are 3; that of the first is gone by then."""
    found = find_late(
        shown({0: 101, 1: 103, 2: level, 3: 103, 4: 101}),
        [1, 2, 3],
        keys={0, 4},
        originals={pts: original(pts) for pts in range(1, 5)},
        usual_db=float(10 * np.log10(255**2 / 3**2)),
        interpolate=interpolate_frame,
    )
    assert found == late


@pytest.mark.parametrize(
    ("levels", "late"),
    [
        ({0: 100, 1: 103, 2: 103, 3: 103, 4: 103}, []),
        # The worst of its run alone: the others follow from its original.
        ({0: 100, 1: 103, 2: 108, 3: 109, 4: 103}, [3]),
        ({0: 100, 1: 109, 2: 103, 3: 109, 4: 103}, [1, 3]),  # one of each run
    ],
)
def test_an_ugly_frame_is_sent_after_all(levels: dict[int, int], late: list[int]) -> None:
    """Key frame 0 stands for the usual quality, an error of 3 levels; frame 4 is sent, 2 too."""
    sent = {0, 4} | ({2} if late == [1, 3] else set())
    times = [pts for pts in levels if pts not in sent]
    originals = {pts: original(pts) for pts in levels if pts}
    usual_db = 10 * np.log10(255**2 / 3**2)
    found = find_late(
        shown(levels),
        times,
        keys={0},
        originals=originals,
        usual_db=float(usual_db),
        interpolate=interpolate_frame,
    )
    assert found == late
