"""What counts for and against a choice of key boost, key frames and colour."""

import pytest

from tinct.choices import FREE_SPREAD_DB, unsteadiness
from tinct.rehearsal import Cost


def test_key_frames_that_stand_out_count_against_a_choice() -> None:
    """Nothing within what nobody sees, nor where key frames are the worse ones; from there on by the square."""
    error = (1.0, 1.0, 1.0)
    assert unsteadiness(Cost(1000, error, FREE_SPREAD_DB)) == unsteadiness(Cost(1000, error, -9.0)) == 0.0
    two, four = (unsteadiness(Cost(1000, error, FREE_SPREAD_DB + over)) for over in (2, 4))
    assert four == pytest.approx(4 * two)
    assert four == pytest.approx(0.16)  # that much of the logarithm of bits
