"""A budget bounds all that it causes: the training, the choice of bits, viewing again."""

import numpy as np
import pytest

from tinct.adapt.bits import BIT_PRICES, BitSearch
from tinct.adapt.budget import LEAST_MEASUREMENTS, Budget, Limit

TENSORS = {f"{n}": np.random.default_rng(n).normal(0, 1, (2, 20)).astype("f4") for n in range(60)}


def test_seconds_are_split_and_a_part_is_kept_for_viewing() -> None:
    training, search = Budget(seconds=100).split(20)
    assert (training.seconds, search.seconds) == (pytest.approx(65), pytest.approx(20))
    training, search = Budget(seconds=100).split(1000)
    assert (training.seconds, search.seconds) == (pytest.approx(50), pytest.approx(35))


def test_steps_allow_as_many_measurements() -> None:
    assert Budget(steps=2).split(99) == (Budget(steps=2), Budget(steps=LEAST_MEASUREMENTS))
    assert Budget(steps=900).split(99) == (Budget(steps=900), Budget(steps=900))


@pytest.mark.parametrize("text", ["300", "300s", "00:05:00"])
def test_seconds_may_be_a_time(text: str) -> None:
    assert Budget.parse(text, 1) == Budget(seconds=300)


def test_a_search_ends_with_its_limit_and_still_gives_every_tensor() -> None:
    calls = 0

    def error(weights: object) -> float:
        nonlocal calls
        calls += 1
        return 1e-3

    limit = Limit(Budget(steps=LEAST_MEASUREMENTS))
    search = BitSearch(TENSORS, lambda _: range(4, 9), error, limit=limit)
    found = search.choose(error_per_bit=1e-9, most_ratio=2.0)
    assert set(found.tensors) == set(TENSORS)
    assert calls == limit.count <= LEAST_MEASUREMENTS


def test_without_a_limit_each_tensor_is_measured() -> None:
    limit = Limit()
    BitSearch(TENSORS, lambda _: range(4, 9), lambda _: 1e-3, limit=limit)
    assert limit.count == 1 + len(TENSORS)
    assert limit.allows(len(BIT_PRICES))


def test_time_that_is_over_allows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tinct.adapt.budget.time.monotonic", lambda: now[0])
    limit = Limit(Budget(seconds=10))
    limit.count = 5
    now[0] = 6.0
    assert limit.allows(3)  # of 1.2 s each
    assert not limit.allows(4)
    now[0] = 11.0
    assert limit.is_late
    assert not limit.allows()
