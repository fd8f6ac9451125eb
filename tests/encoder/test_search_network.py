"""The price of key frames that are better than the frames between them."""

import math
from pathlib import Path

import pytest
from helpers import find_sample_clip

import tinct
from tinct.encoder import search_network
from tinct.encoder.cost import Cost
from tinct.encoder.defaults import BLOCK_ERROR, BLOCK_TIMES
from tinct.encoder.search_network import (
    BLOCK_COST,
    FREE_SPREAD_DB,
    FREE_STRAY_DB,
    SPREAD_COST,
    STRAY_COST,
    block_penalty,
    gain,
    spread_penalty,
    stray_penalty,
)


def test_key_frames_that_stand_out_count_against_a_choice() -> None:
    """The penalty is zero up to FREE_SPREAD_DB and grows by the square beyond."""
    error = (1.0, 1.0, 1.0)
    for free_db in (FREE_SPREAD_DB, -9.0):
        assert spread_penalty(Cost(1000, error, free_db)) == 0.0
    two, four = (spread_penalty(Cost(1000, error, FREE_SPREAD_DB + over)) for over in (2, 4))
    assert four == pytest.approx(4 * two)
    assert four == pytest.approx(0.16)  # added to the logarithm of bits


def test_straying_from_what_a_qp_promises_counts_against_a_choice() -> None:
    """Where bits and error cancel, the penalty is left: a square beyond what is free."""
    plain = Cost(1000, (10.0, 2.0, 2.0))
    for over_db, penalty in ((0, 0), (2, STRAY_COST * 4), (-2, STRAY_COST * 4)):
        stray_db = math.copysign(FREE_STRAY_DB, over_db) + over_db
        times = 10 ** (stray_db / 10)
        strayed = Cost(1000 / times**0.5, (10.0 * times, 2.0 * times, 2.0 * times))
        assert gain(strayed, plain, 0.5) == pytest.approx(0)
        assert stray_penalty(strayed, plain) == pytest.approx(penalty)


@pytest.mark.nightly
def test_an_encode_is_steadier_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the penalty, key frames of the same video are closer to other frames by over 2 dB."""
    source = tmp_path / "source.mkv"
    tinct.decode(str(find_sample_clip("carphone_pristine.mp4")), str(source), duration_seconds=1.0)
    spreads_db = []
    for cost in (SPREAD_COST, 0.0):
        monkeypatch.setattr(search_network, "SPREAD_COST", cost)
        report = tinct.encode(
            str(source),
            str(tmp_path / f"{cost}.mkv"),
            tinct.EncodeConfig(structure="intra", qp=32, interpolate="off"),
        )
        assert report.plan.track is not None
        spreads_db.append(report.plan.track.spread_db)
    steady_db, pulsing_db = spreads_db
    assert steady_db < pulsing_db - 2


def test_wrong_colour_in_the_worst_blocks_counts_beyond_what_is_usual() -> None:
    plain = Cost(1000, (10.0, 2.0, 3.0))
    usual = BLOCK_ERROR + BLOCK_TIMES * 5.0
    for times, penalty in (
        (0.1, 0.0),
        (1.0, 0.0),
        (math.e, BLOCK_COST),
        (math.e**2, 2 * BLOCK_COST),
    ):
        track = Cost(1000, (10.0, 2.0, 3.0), block_error=times * usual)
        assert block_penalty(track, plain) == pytest.approx(penalty)


def test_key_frames_at_fixed_distances_are_tried_where_every_frame_is_sent() -> None:
    """Their luma helps the frames between, of which the small copies know nothing."""
    plain = Cost(1000, (10.0, 2.0, 3.0))
    resolved = tinct.EncodeConfig(colour="track", interpolate="off")
    axes = search_network._list_axes(resolved, plain, 32)
    at = list(axes.start(32))
    assert axes.choice(tuple(at)).spacing.group == "auto"
    found = []
    for index in range(axes.length(search_network.LENGTH_AXIS)):
        at[search_network.LENGTH_AXIS] = index
        found.append(axes.choice(tuple(at)).spacing.group)
    assert found == list(search_network.LENGTHS)
    usual = search_network._list_axes(tinct.EncodeConfig(colour="track"), plain, 32)
    assert usual.length(search_network.LENGTH_AXIS) == 1
