"""The nominal QP of a CRF of AV1's: what a network is told where the user gave a CRF."""

import pytest

from tinct.bitstream.av1 import CRFS, NOMINAL_QPS, find_nominal_qp


@pytest.mark.parametrize("structure", CRFS)
def test_the_table_is_read_backwards(structure: str) -> None:
    assert [find_nominal_qp(crf, structure) for crf in CRFS[structure]] == list(NOMINAL_QPS)


@pytest.mark.parametrize(("crf", "qp"), [(1, 22), (41.5, 24), (54.25, 30), (70, 42)])
def test_golden_qps_between_and_beyond_its_rows(crf: float, qp: int) -> None:
    assert find_nominal_qp(crf, "random-access") == qp
