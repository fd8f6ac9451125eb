"""Which frames are worth colouring, from shots and novelty alone."""

import numpy as np
import pytest

from tinct.colouring.analysis import VideoAnalysis, choose_keyframes, format_shots, spread_frames
from tinct.colouring.report import choose_helpful_frames


def analyse(*shots: tuple[int, float]) -> VideoAnalysis:
    """Return an analysis of shots with the given lengths and novelty in each frame."""
    lengths = [length for length, _ in shots]
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    novelty = np.concatenate([np.full(length, value) for length, value in shots])
    novelty[starts] = 0
    return VideoAnalysis(np.arange(sum(lengths)), tuple(starts), novelty)


def test_shots_end_where_the_next_one_starts() -> None:
    analysis = analyse((20, 0.1), (14, 0.1), (6, 0.1))
    assert analysis.shots == [range(20), range(20, 34), range(34, 40)]
    assert analysis.find_shot(33) == range(20, 34)
    assert analysis.find_shots_without([3, 39]) == [range(20, 34)]
    assert format_shots(analysis.shots) == "0-19, 20-33, 34-39"


def test_fewer_keyframes_than_shots_go_to_the_longest() -> None:
    numbers = choose_keyframes(analyse((10, 0.1), (30, 0.1), (20, 0.1)), 2)
    assert [number // 10 for number in numbers] == [2, 5]  # the middles of shots two and three


def test_more_keyframes_go_where_most_changes() -> None:
    still, busy = range(30), range(30, 60)
    numbers = choose_keyframes(analyse((30, 0.001), (30, 0.2)), 5)
    assert len(numbers) == 5
    assert [sum(number in shot for number in numbers) for shot in (still, busy)] == [1, 4]


def test_auto_adds_keyframes_until_novelty_between_them_is_small() -> None:
    """30 frames of novelty 0.2 sum up to 5.8; one key frame serves 1 on each side."""
    assert len(choose_keyframes(analyse((30, 0.01)))) == 1
    assert len(choose_keyframes(analyse((30, 0.2)))) == 3


@pytest.mark.parametrize("count", [1, 3, 9, 10])
def test_frames_of_a_still_shot_are_spread_by_time(count: int) -> None:
    numbers = spread_frames(analyse((5, 0.1), (10, 0.0)), range(5, 15), count)
    assert len(set(numbers)) == count
    assert numbers == sorted(numbers)
    assert 5 <= numbers[0] <= numbers[-1] < 15
    assert abs((numbers[0] - 5) - (14 - numbers[-1])) <= 1


def test_frames_next_to_a_cut_are_not_chosen() -> None:
    analysis = analyse((5, 0.1), (10, 0.0), (5, 0.1))
    analysis.novelty[14] = 5.0  # most of the change is at the end of the middle shot
    assert spread_frames(analysis, range(5, 15)) == [12]


def test_grey_shots_help_most_then_frames_of_least_trust() -> None:
    analysis = analyse((100, 0.1), (20, 0.1), (40, 0.1))
    trust = np.full(160, 0.95)
    trust[50], trust[55], trust[10] = 0.2, 0.3, 0.4  # 50 and 55 are too near for both
    grey = [range(100, 120), range(120, 160)]
    numbers = choose_helpful_frames(analysis, grey, trust)
    assert numbers[0] in grey[1]
    assert numbers[1] in grey[0]
    assert numbers[2:] == [50, 10]
