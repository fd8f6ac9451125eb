"""Rate control: the QP of each frame for given sizes of packets, and what x265 is told."""

from dataclasses import replace
from itertools import accumulate, pairwise

import pytest
from synthetic import make_info

import tinct
from tinct.bitstream.codecs import BaseSettings
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Plan
from tinct.encoder.rate import MIN_LUMA_SHARE, RateControl, with_own_rate
from tinct.encoder.sending import Sending

KBPS = 100.0  # 500 bytes a frame at 25 frames/s
# Bytes of 24 frames: expensive first, then cheap, then as wanted.
SIZES = [900] * 8 + [250] * 8 + [500] * 8


def list_qps(sizes: list[int], config: tinct.EncodeConfig, plan: Plan) -> list[int]:
    """Return the QPs of frames whose packets have these sizes in bytes, whatever the QP."""
    spent = [0, *accumulate(sizes)]
    coded = 0
    rate = RateControl(config, plan, make_info(), spent_bytes=lambda: spent[coded])
    qps = []
    for coded in range(len(sizes)):
        qps.append(rate.qp(coded + 1))
    return qps


def plan_at(qp: int, **changes: object) -> Plan:
    """Return a plan with a colour track at this QP."""
    return Plan(layout="chroma", qp=qp, **changes)  # type: ignore[arg-type]


def test_a_bitrate_moves_the_qp_by_these_steps() -> None:
    """The steps follow from the QP of each past frame and the bits that it took."""
    config = tinct.EncodeConfig(structure="intra", bitrate_kbps=KBPS)
    expected = [30, 30, 30, 30, 31, 32, 33, 34, 35, 36, 36, 36]
    expected += [36, 35, 35, 34, 34, 33, 33, 32, 32, 32, 32, 32]
    assert list_qps(SIZES, config, plan_at(30)) == expected


def test_key_frames_that_are_finer_lengthen_the_memory() -> None:
    """With a key boost, the rate is averaged over more frames."""
    config = tinct.EncodeConfig(structure="intra", bitrate_kbps=KBPS)
    plan = plan_at(30, key_boost=8, spacing=Spacing(group=12))
    expected = [30, 30, 30, 30, 31, 32, 33, 34, 35, 36, 36, 36]
    expected += [36, 36, 35, 35, 35, 35, 35, 35, 35, 35, 35, 35]
    assert list_qps(SIZES, config, plan) == expected


def test_frames_that_are_left_out_lengthen_the_memory() -> None:
    """Of those that are sent every 12th, the QP follows the mean, not each burst."""
    config = tinct.EncodeConfig(structure="intra", bitrate_kbps=KBPS)
    plan = plan_at(30, spacing=Spacing(group=24), sending=Sending(step=12))
    sizes = ([6000] + [0] * 11) * 6
    assert max(list_qps(sizes, config, plan)) - min(list_qps(sizes, config, plan)) <= 12


@pytest.mark.parametrize("step", [1, 2, 3, 8])
@pytest.mark.parametrize("qp", [30.0, 30.25, 30.5, 30.9])
def test_a_qp_in_fractions_is_met_by_whole_ones(qp: float, step: int) -> None:
    """It is that of the frames together, whether each of them is sent or every n-th."""
    config = tinct.EncodeConfig(structure="intra", bitrate_kbps=KBPS)
    rate = RateControl(config, plan_at(25, rate_qp=qp), make_info(), spent_bytes=lambda: 0)
    qps = [rate.qp(number) for number in range(1, 400, step)]
    assert set(qps) <= {30, 31}
    assert sum(qps) / len(qps) == pytest.approx(qp, abs=0.06)


@pytest.mark.parametrize(("size", "limit"), [(100_000, 51), (1, 0)])
def test_a_bitrate_that_cannot_be_met_ends_at_the_last_qp(size: int, limit: int) -> None:
    config = tinct.EncodeConfig(structure="intra", bitrate_kbps=KBPS)
    qps = list_qps([size] * 60, config, plan_at(30))
    assert qps[:4] == [30] * 4
    assert qps[-1] == limit
    assert max(abs(b - a) for a, b in pairwise(qps)) == 1


@pytest.mark.parametrize(
    "config",
    [
        tinct.EncodeConfig(structure="intra", qp=30),
        tinct.EncodeConfig(structure="low-delay", bitrate_kbps=KBPS),
    ],
    ids=["qp", "x265's own rate control"],
)
def test_the_qp_is_constant_where_it_is_not_steered(config: tinct.EncodeConfig) -> None:
    assert list_qps(SIZES, config, plan_at(30)) == [30] * len(SIZES)


SETTINGS = BaseSettings(structure="random-access", info=make_info(), qp=30)


def test_a_crf_takes_the_place_of_the_qp() -> None:
    config = tinct.EncodeConfig(structure="random-access", crf=23)
    settings = with_own_rate(SETTINGS, config, plan_at(30))
    assert (settings.qp, settings.crf, settings.bitrate_kbps) == (None, 23, None)


@pytest.mark.parametrize(("base", "crf"), [("hevc", 27.5), ("avc", 29.5), ("av1", 50.5)])
def test_the_qp_of_a_trial_becomes_a_crf(base: str, crf: float) -> None:
    config = tinct.EncodeConfig(structure="random-access", bitrate_kbps=KBPS)
    settings = with_own_rate(replace(SETTINGS, base=base), config, plan_at(30, rate_qp=27.5))
    assert (settings.qp, settings.crf, settings.bitrate_kbps) == (None, crf, None)


def test_without_crf_and_bitrate_the_settings_stay() -> None:
    config = tinct.EncodeConfig(structure="random-access", qp=30)
    assert with_own_rate(SETTINGS, config, plan_at(30)) == SETTINGS


@pytest.mark.parametrize(
    ("colour_bits", "luma_kbps"),
    [(0, KBPS), (1000, KBPS - 25), (4000, MIN_LUMA_SHARE * KBPS)],
)
def test_luma_gets_the_bitrate_that_colour_leaves(colour_bits: float, luma_kbps: float) -> None:
    config = tinct.EncodeConfig(structure="random-access", bitrate_kbps=KBPS)
    settings = with_own_rate(SETTINGS, config, plan_at(30, colour_bits=colour_bits))
    assert (settings.qp, settings.crf, settings.bitrate_kbps) == (None, None, luma_kbps)
