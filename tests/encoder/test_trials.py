"""The search for the QP of a bitrate: which trial follows, where it ends, what users are told."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from synthetic import make_info

from tinct.config import EncodeConfig
from tinct.encoder.coder import Coder
from tinct.encoder.plan import Plan
from tinct.encoder.refusals import resolve
from tinct.encoder.trials import (
    CLOSE,
    MAX_TRIALS,
    RateSearch,
    Trial,
    choose_next,
    describe_miss,
    find_scale,
)

KBPS = 100.0
INFO = replace(make_info(), frame_count=50)
START = Plan(layout="in-band", qp=30)


@dataclass
class CodedVideo:
    """A coder that is done: 50 frames at 25 a second, of so many kbit/s."""

    kbps: float
    frames: int = 50

    @property
    def size_bytes(self) -> int:
        return round(self.kbps * 1000 / 8 * self.frames / 25)


def make_config(**options: Any) -> EncodeConfig:
    return resolve(EncodeConfig(**{"bitrate_kbps": KBPS, **options}))


def search(config: EncodeConfig, rate_of: Callable[[float], float]) -> list[float]:
    """Return the QP of each trial, where a video takes `rate_of` kbit/s at a QP."""
    rates, plan = RateSearch(config, INFO), RateSearch(config, INFO).start(START)
    qps = []
    following: Plan | None = plan
    while following is not None:
        plan = following
        assert plan.rate_qp is not None
        qps.append(plan.rate_qp)
        following = rates.correct(plan, cast("Coder", CodedVideo(rate_of(plan.rate_qp))))
    return qps


@pytest.mark.parametrize(
    ("trials", "qp"),
    [
        ([Trial(30, 0.26)], 32),  # at 0.13 for a QP step
        ([Trial(30, 0.4), Trial(32, 0.2)], 34),
        ([Trial(30, 0.0)], 30),
        ([Trial(30, 0.3), Trial(32, -0.1)], 31.5),
        ([Trial(30, 1.0), Trial(40, -0.1), Trial(41, -0.11)], 38),  # a flat line, not too far
        ([Trial(30, 0.001), Trial(30.1, -0.5)], 30.05),  # one that would leave those around it
    ],
)
def test_the_next_trial_lies_on_a_line_through_the_nearest(trials: list[Trial], qp: float) -> None:
    assert choose_next(trials) == pytest.approx(qp, abs=0.05)


@pytest.mark.parametrize("options", [{"base": "hevc"}, {"base": "avc"}, {"structure": "intra"}])
@pytest.mark.parametrize("fall", [0.06, 0.13, 0.25])
@pytest.mark.parametrize("qp", [18, 29, 41])
def test_a_bitrate_is_found_in_few_trials(options: dict[str, Any], fall: float, qp: float) -> None:
    """Bits fall evenly, or the faster the coarser pictures are."""
    for bend in (0.0, 0.002):

        def rate_of(at: float, bend: float = bend) -> float:
            steps = at - qp
            return KBPS * math.exp(-fall * steps - bend * steps * abs(steps))

        qps = search(make_config(**options), rate_of)
        assert abs(math.log(rate_of(qps[-1]) / KBPS)) < CLOSE
        assert len(qps) <= MAX_TRIALS


def test_the_nearest_trial_is_coded_again_where_it_was_not_the_last() -> None:
    """A video whose rate jumps cannot be met between: the smaller error is taken."""
    qps = search(make_config(base="hevc"), lambda qp: 110.0 if qp < 30.8 else 80.0)
    assert qps[-1] < 30.8
    assert len(qps) <= MAX_TRIALS + 1


@pytest.mark.parametrize("base", ["hevc", "avc", "av1"])
@pytest.mark.parametrize(("kbps", "end"), [(1e6, 1), (10, 0)])
def test_a_bitrate_that_cannot_be_reached_ends_at_the_scale(
    base: str, kbps: float, end: int
) -> None:
    config = make_config(base=base)
    qps = search(config, lambda qp: kbps * math.exp(-0.1 * qp))
    assert qps[-1] == find_scale(config)[end]
    note = describe_miss(kbps, replace(START, rate_qp=qps[-1]), config)
    assert [("worst", "best")[1 - end] in line for line in note] == [True]


@pytest.mark.parametrize(
    ("options", "info"),
    [
        ({"bitrate_kbps": None, "qp": 30}, INFO),
        ({"search": "off"}, INFO),
        ({}, replace(INFO, frame_count=None)),
    ],
    ids=["no bitrate", "blind", "pipe"],
)
def test_what_is_read_once_is_coded_once(options: dict[str, Any], info: Any) -> None:
    rates = RateSearch(make_config(**options), info)
    assert rates.start(START) == START
    assert rates.correct(START, cast("Coder", CodedVideo(5.0))) is None


def test_users_are_told_of_a_bitrate_that_was_missed() -> None:
    config = make_config()
    assert describe_miss(104.0, START, config) == []
    assert describe_miss(120.0, START, config) == [
        "--bitrate 100 is not met: the video takes 120.0 kbit/s; it was coded as it came, "
        "a file is coded again until it is met"
    ]
