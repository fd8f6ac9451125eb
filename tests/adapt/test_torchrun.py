"""Which process of torchrun this is."""

import pytest

from tinct.adapt.torchrun import is_first_process, is_under_torchrun


@pytest.mark.parametrize(("rank", "is_first"), [("0", True), ("1", False)])
def test_torchrun_numbers_its_processes(
    rank: str, is_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("RANK", rank)
    assert is_under_torchrun()
    assert is_first_process() == is_first


def test_a_rank_alone_is_not_torchruns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("RANK", "1")
    assert not is_under_torchrun()
    assert is_first_process()
