"""What is counted where packets are lost: every frame that is not as it was, once, and no other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import read_track_packets, remux
from synthetic import draw_clip, make_info, write_video

import tinct
from tinct.decoder.damage import Damage
from tinct.decoder.filling import Gaps
from tinct.decoder.losses import LossLog
from tinct.motion.references import REACH

GROUP, FRAMES, CUT = 5, 21, 13
NO_GAPS = Gaps([])
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {"colouriser": "none", "interpolate": "off"},
    "interpolated": {"colouriser": "none", "interpolate": 3},
    "full": {"colouriser": "none", "interpolate": "off", "key_form": "full"},
    "compact": {"colouriser": "compact", "network": "fast", "interpolate": "off"},
}
Times = set[int]


class Files:
    """Encodes of one clip with a cut, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, tuple[Path, list[tinct.Frame]]] = {}
        bright = [(255 - y, cb[::-1].copy(), cr) for y, cb, cr in draw_clip(FRAMES - CUT)]
        write_video(folder / "clip.mkv", draw_clip(CUT) + bright, make_info())

    def make(self, name: str) -> tuple[Path, list[tinct.Frame]]:
        """Return a file and its frames."""
        if name not in self._made:
            path = self._folder / f"{name}.mkv"
            options = {"colour": "track", "group": GROUP, "adapt": "off", "qp": 30}
            speed = {"x265_preset": "ultrafast"}
            config = tinct.EncodeConfig(**options, **speed, **OPTIONS[name])  # type: ignore[arg-type]
            tinct.encode(str(self._folder / "clip.mkv"), str(path), config)
            self._made[name] = (path, list(tinct.open(str(path))))
        return self._made[name]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("losses"))


def read_times(path: Path, track: str) -> list[int]:
    """Return the frame number of each packet of a track."""
    packets = read_track_packets(path, track)
    return [round(float(packet.pts * packet.time_base) * 25) for packet in packets]


def is_same(one: tinct.Frame, other: tinct.Frame) -> bool:
    return all(
        np.array_equal(getattr(one, plane), getattr(other, plane)) for plane in ("y", "cb", "cr")
    )


def lose(
    files: Files, name: str, target: Path, *, track: str, pts: int
) -> tuple[Times, Times, Damage]:
    """Decode a file without the packet of a frame; return frames that differ, that count, damage.

    Those that count are touched frames and those that are not restored.
    """
    path, whole = files.make(name)
    number = read_times(path, track).index(pts)
    remux(path, target, packet=lambda t, n, data: None if (t, n) == (track, number) else data)
    counted: Times = set()
    pop_touched = LossLog.pop_touched

    def spy(log: LossLog, pts: int) -> bool:
        restored.add(pts)
        is_touched = pop_touched(log, pts)
        if is_touched:
            counted.add(pts)
        return is_touched

    restored: Times = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LossLog, "pop_touched", spy)
        video = tinct.open(str(target))
        found = {frame.pts: frame for frame in video}
    differ = {
        frame.pts
        for frame in whole
        if frame.pts not in found or not is_same(found[frame.pts], frame)
    }
    return differ, counted | (set(range(FRAMES)) - restored), video.damage


def count(damage: Damage) -> int:
    return damage.concealed_frames + damage.missing_frames


@pytest.mark.parametrize("name", ["none", "interpolated", "full"])
def test_every_frame_that_changes_is_counted_once(files: Files, tmp_path: Path, name: str) -> None:
    """Each packet of luma is lost in turn; at most both groups of a key frame change."""
    for pts in read_times(files.make(name)[0], "luma"):
        differ, counted, damage = lose(files, name, tmp_path / "a.mkv", track="luma", pts=pts)
        assert pts in differ <= counted, pts
        assert len(counted) == count(damage) <= 2 * GROUP - 1, pts


@pytest.mark.parametrize(
    ("name", "pts", "expected"),
    [
        ("none", 0, range(GROUP)),
        ("none", 5, range(1, 10)),
        ("none", 7, [7]),
        ("none", 20, [19, 20]),
        ("interpolated", 3, range(1, 5)),
        ("interpolated", 5, range(1, 10)),
        ("full", 7, [7]),
        ("compact", 5, range(1, 10)),
        ("compact", 7, range(6, 10)),
        ("compact", CUT - 1, range(11, CUT)),
        ("compact", 20, [19, 20]),
    ],
)
def test_a_lost_frame_changes_what_is_restored_from_it(
    files: Files, tmp_path: Path, name: str, pts: int, expected: Sequence[int]
) -> None:
    """A key frame's luma: both groups it bounds. Another's: a network's group, or itself alone."""
    differ, counted, damage = lose(files, name, tmp_path / "a.mkv", track="luma", pts=pts)
    assert differ == counted == set(expected)
    assert count(damage) == len(expected)


@pytest.mark.parametrize("name", ["none", "interpolated"])
def test_lost_colour_changes_the_groups_on_both_sides(
    files: Files, tmp_path: Path, name: str
) -> None:
    """Later key frames are predicted from it. The last one's loss shows nowhere but in a number."""
    *earlier, last = read_times(files.make(name)[0], "colour")
    for pts in earlier:
        differ, counted, damage = lose(files, name, tmp_path / "a.mkv", track="colour", pts=pts)
        assert pts in differ <= counted, pts
        assert len(counted) == count(damage), pts
        assert min(counted) >= pts - GROUP, pts
    differ, _, damage = lose(files, name, tmp_path / "a.mkv", track="colour", pts=last)
    assert {last} <= differ
    assert len(differ) <= count(damage) < GROUP


def test_a_lost_whole_key_frame_changes_the_groups_on_both_sides(
    files: Files, tmp_path: Path
) -> None:
    for pts in read_times(files.make("full")[0], "colour"):
        differ, _, damage = lose(files, "full", tmp_path / "a.mkv", track="colour", pts=pts)
        assert pts in differ
        assert len(differ) <= count(damage) < 2 * GROUP


@pytest.mark.parametrize(("first", "expected"), [(8, 2), (10, 0)])
def test_a_cut_counts_its_own_frames(
    files: Files, tmp_path: Path, first: int, expected: int
) -> None:
    """Frames 1 to 9 are touched; frame 5, which is lost, lies before both cuts."""
    lose(files, "none", tmp_path / "a.mkv", track="luma", pts=5)
    video = tinct.open(str(tmp_path / "a.mkv"), start_seconds=first / 25, duration_seconds=4 / 25)
    assert len(list(video)) == 4
    assert count(video.damage) == expected


# ── the log ──────────────────────────────────────────────────────────────────────────────────────


def test_key_frames_that_do_not_decode_are_known_by_their_times() -> None:
    log = LossLog(range(10))
    for pts, is_decoded in ((0, True), (3, False), (2, False), (5, True), (8, False)):
        log.add_key(pts, is_decoded=is_decoded)
    assert log.key_count == 5
    assert log.lost_keys == [3, 8]  # one that is not later than those before it is dropped
    assert [pts for pts in range(10) if log.has_lost_key(pts)] == [3, 8]


def test_a_frame_of_a_whole_group_is_not_touched() -> None:
    log = LossLog(range(10), [2, 7], follows_group=True)
    log.add_group(0, [1, 3], 4, gaps=Gaps([2]))
    log.add_group(4, [5, 6, 8, 9], None, gaps=Gaps([7]))
    assert not any(log.pop_touched(pts) for pts in range(10))
    assert log.count_unlocated(0) == 0


def test_a_touched_frame_is_told_once() -> None:
    log = LossLog(range(10), follows_group=True)
    log.add_group(0, [1, 3], 4, gaps=NO_GAPS)
    assert [pts for pts in range(10) if log.pop_touched(pts)] == [1, 3]
    assert not log.pop_touched(1)


def test_where_the_network_is_left_out_a_frame_needs_no_others() -> None:
    log = LossLog(range(10), follows_group=True)
    log.add_group(0, [1, 3], 4, gaps=NO_GAPS, is_plain=True)
    assert not any(log.pop_touched(pts) for pts in range(10))


def test_at_a_variable_rate_nothing_tells_which_frames_did_not_arrive() -> None:
    log = LossLog(None, follows_group=True)
    log.add_group(0, [40, 120], 160, gaps=NO_GAPS)
    log.add_group(160, [200], None, gaps=NO_GAPS, is_merged=True)
    assert [pts for pts in range(300) if log.pop_touched(pts)] == [200]
    assert not log.fills_gaps


def test_key_frames_of_unknown_place_lie_in_the_largest_groups_or_behind_the_end() -> None:
    def make(end: int) -> LossLog:
        log = LossLog(range(end))
        for key, stop in ((0, 4), (4, 12)):
            log.add_key(key, is_decoded=True)
            log.add_group(key, range(key + 1, stop), stop, gaps=NO_GAPS)
        log.add_key(12, is_decoded=True)
        log.add_group(12, range(13, 15), None, gaps=NO_GAPS)
        return log

    for end in (15, 16):  # the last frame alone may be lost as any other
        assert [make(end).count_unlocated(keys) for keys in (3, 4, 5)] == [0, 7, 7 + 3]
    assert [make(20).count_unlocated(keys) for keys in (3, 4, 5)] == [0, 2, 2]


def test_lost_luma_of_a_key_frame_explains_no_colour_that_is_missing() -> None:
    log = LossLog(range(10))
    for key in (0, 4):
        log.add_key(key, is_decoded=True)
    log.add_group(None, [1, 2, 3], 4, gaps=NO_GAPS, is_merged=True)
    log.add_group(4, range(5, 10), None, gaps=NO_GAPS)
    assert [pts for pts in range(10) if log.pop_touched(pts)] == [1, 2, 3]
    assert [log.count_unlocated(keys) for keys in (2, 3)] == [0, 5]


def test_an_in_band_frame_is_restored_from_those_around_it() -> None:
    log = LossLog(range(3, 12))
    times = [3, 4, 5, 7, 8, 9, 10, 11]
    for place, pts in enumerate(times):
        log.add_window(pts, times[max(place - REACH, 0) : place + REACH + 1], REACH)
    assert [pts for pts in range(20) if log.pop_touched(pts)] == [4, 5, 7, 8]
