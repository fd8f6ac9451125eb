"""What counts for and against a choice of key boost, key frames and colour."""

from pathlib import Path

import pytest
from helpers import sample_clip

import tinct
from tinct.encoder import search_network as choices
from tinct.encoder.cost import Cost
from tinct.encoder.search_network import FREE_SPREAD_DB, SPREAD_COST, spread_penalty


def test_key_frames_that_stand_out_count_against_a_choice() -> None:
    """Nothing up to what is free, nor where key frames are the worse ones; from there on by the square."""
    error = (1.0, 1.0, 1.0)
    assert (
        spread_penalty(Cost(1000, error, FREE_SPREAD_DB))
        == spread_penalty(Cost(1000, error, -9.0))
        == 0.0
    )
    two, four = (spread_penalty(Cost(1000, error, FREE_SPREAD_DB + over)) for over in (2, 4))
    assert four == pytest.approx(4 * two)
    assert four == pytest.approx(0.16)  # that much of the logarithm of bits


@pytest.mark.slow
def test_an_encode_is_steadier_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same second of video with the price and without: its key frames stand out less."""
    source = tmp_path / "source.mkv"
    tinct.decode(str(sample_clip("carphone_pristine.mp4")), str(source), duration_seconds=1.0)
    spreads_db = []
    for cost in (SPREAD_COST, 0.0):
        monkeypatch.setattr(choices, "SPREAD_COST", cost)
        report = tinct.encode(
            str(source), str(tmp_path / f"{cost}.mkv"), tinct.EncodeConfig(qp=32, adapt="off")
        )
        assert report.plan.track is not None
        spreads_db.append(report.plan.track.spread_db)
    steady_db, pulsing_db = spreads_db
    assert steady_db < pulsing_db - 2
