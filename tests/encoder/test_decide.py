"""Decisions with a base codec whose costs are given: which way is taken, and at which QP."""

from dataclasses import replace
from typing import Any

import pytest
from synthetic import make_info

from tinct.bitstream.codecs import BaseSettings
from tinct.config import EncodeConfig
from tinct.encoder import decide
from tinct.encoder.cost import Cost
from tinct.encoder.decide import make_plan, needs_samples
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Choice, Plan
from tinct.encoder.refusals import resolve
from tinct.encoder.samples import Samples

SAMPLES = Samples([], make_info())


def cost_at(samples: Samples, settings: BaseSettings) -> Cost:
    """Return a curve on which bits halve and errors double every 6 QP; random access is cheap."""
    assert settings.qp is not None
    share = 0.2 if settings.structure == "random-access" else 1.0
    error = 2 ** ((settings.qp - 32) / 6)
    return Cost(share * 12_000 * 2 ** ((32 - settings.qp) / 6), (4 * error, error, error))


@pytest.fixture(autouse=True)
def given_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs by `cost_at` in place of those of a base codec."""
    monkeypatch.setattr(decide, "plain_cost", cost_at)


def make_config(**options: Any) -> EncodeConfig:
    return resolve(EncodeConfig(**options))


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"structure": "intra"}, True),
        ({}, False),
        ({"colour": "in-band"}, False),
        ({"bitrate_kbps": 100.0}, True),
        ({"structure": "random-access"}, False),
        ({"base": "hevc", "network": "best"}, False),
    ],
    ids=str,
)
def test_samples_are_taken_only_where_they_decide(options: dict[str, Any], needed: bool) -> None:
    assert needs_samples(make_config(**options)) == needed


@pytest.mark.parametrize(("kbps", "qp"), [(300, 32), (150, 38), (600, 26), (1, 51), (90_000, 0)])
def test_a_bitrate_starts_at_the_qp_that_gives_it(kbps: float, qp: int) -> None:
    """A bitrate starts at the QP that gives it on samples.

    Here 12,000 bits a frame at QP 32 and 25 frames/s are 300 kbit/s.
    """
    plan = make_plan(
        SAMPLES, make_config(structure="intra", colour="in-band", bitrate_kbps=float(kbps))
    )
    assert (plan.layout, plan.qp) == ("in-band", qp)


@pytest.mark.parametrize(
    ("bits", "colour", "layout"),
    [(9_000, None, "chroma"), (15_000, None, "in-band"), (15_000, "track", "chroma")],
)
def test_a_colour_track_is_taken_where_it_costs_less_or_is_asked_for(
    bits: float, colour: str | None, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(samples: Samples, config: EncodeConfig, measured: Plan) -> Plan:
        return replace(measured, layout="chroma", track=Cost(bits, (4.0, 1.0, 1.0)))

    monkeypatch.setattr(decide, "search_plain", search)
    plan = make_plan(SAMPLES, make_config(structure="intra", colouriser="none", colour=colour))
    assert (plan.layout, plan.colouriser, plan.network) == (layout, "none", None)
    assert plan.track == Cost(bits, (4.0, 1.0, 1.0))
    assert plan.plain == Cost(12_000, (4.0, 1.0, 1.0))
    assert plan.random_access == Cost(2_400, (4.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("bits", "colouriser", "taken"),
    [(9_000, "auto", True), (12_500, "auto", False), (12_500, "compact", True)],
)
def test_a_network_is_taken_where_it_gains_or_is_asked_for(
    bits: float, colouriser: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = Choice(qp=30, boost=16, spacing=Spacing(group=8), colour_qp=20)

    def search(*_: Any, **__: Any) -> tuple[Choice, Cost]:
        return choice, Cost(bits, (4.0, 1.0, 1.0))

    def search_plain(samples: Samples, config: EncodeConfig, measured: Plan) -> Plan:
        return replace(measured, layout="chroma", track=Cost(20_000, (4.0, 1.0, 1.0)))

    monkeypatch.setattr(decide, "search_network", search)
    monkeypatch.setattr(decide, "search_plain", search_plain)
    plan = make_plan(SAMPLES, make_config(structure="intra", colouriser=colouriser))
    restored = ("chroma", "compact", "fast", 30, 16, 20)
    expected = restored if taken else ("in-band", "none", None, 32, 0, 0)
    found = (plan.layout, plan.colouriser, plan.network, plan.qp, plan.key_boost, plan.colour_qp)
    assert found == expected


def test_a_bitrate_moves_a_plan_with_a_network_by_what_its_samples_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The QP of a plan with a network is corrected by the bits that its samples take.

    For 300 kbit/s, the network is searched at QP 26, where plain HEVC takes 600. Samples take 6,000
    bits a frame there, not 12,000: at 0.13 of the logarithm a QP, that is 5 QP, and another search.
    This one is as good as right: at 21, 10,000 bits are 1 QP too few.
    """
    bits = {26: 6_000.0, 21: 10_000.0}
    found: list[int] = []

    def search(*_: Any, qp: int, **__: Any) -> tuple[Choice, Cost]:
        found.append(qp)
        choice = Choice(qp=qp, boost=16, spacing=Spacing(group=8), colour_qp=qp - 6)
        return choice, Cost(bits[qp], (4.0, 1.0, 1.0))

    monkeypatch.setattr(decide, "search_network", search)
    plan = make_plan(
        SAMPLES, make_config(colouriser="compact", structure="intra", bitrate_kbps=300.0)
    )
    assert found == [26, 21]
    assert (plan.qp, plan.colour_qp) == (20, 14)


def test_whole_key_frames_are_planned_as_asked_for() -> None:
    plan = make_plan(SAMPLES, make_config(key_form="full", group=6, qp=30))
    assert (plan.layout, plan.qp, plan.spacing) == ("full", 30, Spacing(group=6, end_keys=False))
    assert plan.slope > 0
