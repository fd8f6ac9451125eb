"""Timestamps are judged as a rate, converted to ticks, and trimmed."""

from fractions import Fraction

import numpy as np
import pytest
from media_files import NTSC
from synthetic import make_info

from tinct.errors import CodecError
from tinct.media.timing import (
    Timing,
    describe_moved,
    find_constant_rate,
    guess_rate,
    make_pipe_timing,
    trim_info,
    trim_ticks,
)

MILLISECOND = Fraction(1, 1000)


def ntsc_stamps(count: int) -> np.ndarray:
    """Return timestamps of 29.97 frames a second, rounded to milliseconds."""
    return np.rint(np.arange(count) * 1001 / 30).astype(np.int64)


def timing(rate: Fraction | None, ticks: list[int], *, last_seconds: float = 0.0) -> Timing:
    return Timing(
        stream_base=MILLISECOND,
        rate=rate,
        zero=Fraction(1),
        delay=ticks[0],
        ticks=np.array(ticks),
        timed=True,
        last_seconds=last_seconds,
    )


def test_constant_rate_refuses_a_gap() -> None:
    even = ntsc_stamps(300)
    assert find_constant_rate(even, MILLISECOND, [Fraction(2997, 100)]) == NTSC
    assert find_constant_rate(np.delete(even, 150), MILLISECOND, [NTSC]) is None


@pytest.mark.parametrize("missing", [[1], [6], range(4, 50, 6), range(1, 50, 3)])
def test_frames_missing_on_a_clock_of_frames_are_gaps(missing: list[int]) -> None:
    """Nor do those that are left count as a lower rate, however evenly the gaps lie."""
    clock, stamps = Fraction(1, 25), np.delete(np.arange(50), missing)
    named = [Fraction(25), Fraction(len(stamps), 2)]
    assert find_constant_rate(stamps, clock, named) is None
    assert find_constant_rate(np.arange(0, 50, 2), clock, named) == Fraction(25, 2)


def test_one_step_that_is_odd_is_no_missing_frame() -> None:
    """FFmpeg gives the last frame of H.264 in AVI, on a clock of half frames, a tick too few."""
    stamps = np.array([*range(0, 98, 2), 97])
    assert find_constant_rate(stamps, Fraction(1, 50), [Fraction(50), Fraction(25)]) == 25


def test_a_rate_of_which_a_clock_rounds_the_times_is_constant() -> None:
    """GIF counts in hundredths of a second."""
    stamps = np.rint(np.arange(60) * 100 / 30).astype(np.int64)
    assert find_constant_rate(stamps, Fraction(1, 100), [Fraction(30)]) == 30


def test_a_rate_is_measured_where_the_file_names_none_or_a_wrong_one() -> None:
    assert find_constant_rate(ntsc_stamps(300), MILLISECOND, []) == NTSC
    assert find_constant_rate(ntsc_stamps(300), MILLISECOND, [Fraction(50)]) == NTSC


def test_one_frame_takes_the_files_rate_or_25() -> None:
    one = np.array([7])
    assert find_constant_rate(one, MILLISECOND, [Fraction(2997, 100)]) == NTSC
    assert find_constant_rate(one, MILLISECOND, []) == 25


MICROSECOND = Fraction(1, 1_000_000)


@pytest.mark.parametrize(
    ("microseconds", "rate"),
    [
        pytest.param(1_000_000_000, Fraction(1, 1000), id="the slowest rate of the format"),
        pytest.param(1_001_000_000, None, id="slower: a variable rate"),
        pytest.param(2000, Fraction(500), id="fast"),
        pytest.param(1000, None, id="beyond the format, a millisecond apart: a variable rate"),
        pytest.param(500, Fraction(2000), id="frames share milliseconds: the rate is told"),
    ],
)
def test_a_rate_beyond_the_format_counts_as_variable(
    microseconds: int, rate: Fraction | None
) -> None:
    stamps = np.arange(24) * microseconds
    assert find_constant_rate(stamps, MICROSECOND, []) == rate


def test_a_guess_beyond_the_format_counts_as_none() -> None:
    """FFmpeg guesses 1000 frames a second for a WebM of one frame that names no rate."""
    for guess in (Fraction(1000), Fraction(90000), Fraction(1, 2000)):
        assert find_constant_rate(np.array([0]), MILLISECOND, [guess]) == 25
        assert guess_rate([guess]) == 25


@pytest.mark.parametrize(
    ("ticks", "frames"),
    [
        ([0, 1, 40, 41], None),
        ([0, 0, 40], "1 frame is"),
        ([0, 0, 0, 1, 40, 40, 80], "4 frames are"),
    ],
)
def test_frames_that_share_a_tick_are_named(ticks: list[int], frames: str | None) -> None:
    note = f"frames closer than a millisecond are spread out: {frames} shown later"
    assert describe_moved(np.array(ticks)) == ([note] if frames else [])


def test_a_pipe_beyond_the_format_has_milliseconds() -> None:
    assert make_pipe_timing(NTSC).rate == NTSC
    slow = make_pipe_timing(Fraction(1, 2000))
    assert (slow.rate, slow.to_tick(3, index=3)) == (None, 6_000_000)
    assert make_pipe_timing(Fraction(2000)).rate == 2000


def test_frames_at_one_time_have_no_rate() -> None:
    assert find_constant_rate(np.array([5, 5]), MILLISECOND, [Fraction(25)]) is None


def test_ticks_and_timestamps_are_inverse() -> None:
    times = timing(NTSC, [3, 4, 5])
    for tick in range(3, 60):
        assert times.to_tick(times.to_pts(tick), index=0) == tick
    assert times.to_pts(3) == 1000  # `zero` is where the delayed first frame stands
    assert times.to_tick(None, index=2) == 5


@pytest.mark.parametrize(
    ("start", "duration", "ticks"),
    [
        (0.0, None, (0, None)),
        (0.04, 0.08, (1, 3)),
        (0.041, 0.08, (2, 4)),  # frames that start within
        (0.0400001, 0.0799999, (1, 3)),  # within a microsecond of frame 1
    ],
)
def test_a_frame_belongs_to_the_time_in_which_it_starts(
    start: float, duration: float | None, ticks: tuple[int, int | None]
) -> None:
    assert trim_ticks(Fraction(1, 25), start, duration) == ticks


@pytest.mark.parametrize(
    ("start", "duration"), [(-0.1, None), (0.0, 0.0), (1e13, None), (0.0, 1e13), (float("nan"), 1)]
)
def test_impossible_times_are_refused(start: float, duration: float | None) -> None:
    with pytest.raises(CodecError, match="expected a start from 0 and a duration above 0"):
        trim_ticks(Fraction(1, 25), start, duration)


def test_the_duration_counts_the_last_frame() -> None:
    constant = trim_info(make_info(), timing(Fraction(25), [0, 1, 2, 3]), start=1, end=3)
    assert (constant.frame_count, constant.duration_seconds) == (2, pytest.approx(0.08))
    variable = timing(None, [0, 100, 400], last_seconds=0.25)
    found = trim_info(make_info(frame_rate=None), variable, start=100, end=None)
    assert (found.frame_count, found.duration_seconds) == (2, pytest.approx(0.55))


@pytest.mark.parametrize(("end", "seconds"), [(350, 0.35), (450, 0.45), (900, 0.65)])
def test_the_last_frame_of_a_cut_is_shown_to_its_end(end: int, seconds: float) -> None:
    variable = timing(None, [0, 100, 400], last_seconds=0.25)
    found = trim_info(make_info(frame_rate=None), variable, start=0, end=end)
    assert found.duration_seconds == pytest.approx(seconds)


def test_a_time_without_a_frame_is_refused() -> None:
    variable = timing(None, [0, 100, 400])
    with pytest.raises(CodecError, match=r"before the last frame at 0\.400 s, found 0\.500 s"):
        trim_info(make_info(frame_rate=None), variable, start=500, end=None)
    with pytest.raises(CodecError, match="ask for a longer duration"):
        trim_info(make_info(frame_rate=None), variable, start=101, end=399)


@pytest.mark.parametrize("base", [MILLISECOND, Fraction(1, 25)])
def test_a_missing_frame_makes_the_rate_variable_on_any_clock(base: Fraction) -> None:
    """One slot of a clock as coarse as the frames is a whole frame, not a tolerance."""
    stamps = np.delete(np.arange(40) * int(1 / (25 * base)), 17)
    assert find_constant_rate(stamps, base, [Fraction(25)]) is None


@pytest.mark.parametrize("rate", [Fraction(1000), Fraction(1, 1001)])
def test_a_rate_that_a_file_may_not_have_is_variable(rate: Fraction) -> None:
    stamps = np.arange(10) * int(1000 / rate)
    assert find_constant_rate(stamps, MILLISECOND, [rate]) is None
    assert find_constant_rate(stamps[:1], MILLISECOND, [Fraction(1000)]) == 25
