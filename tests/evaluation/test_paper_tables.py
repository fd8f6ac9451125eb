"""The paper's tables as Markdown: means, spreads, averages, and what is left empty."""

from dataclasses import dataclass

import pytest

from tinct.evaluation.paper_tables import Column, format_lines, format_payback
from tinct.evaluation.payback import Payback


@dataclass(frozen=True)
class Line:
    """A row with one number."""

    clip: str
    qp: int
    variant: str
    seed: int | None
    value: float | None


COLUMNS = (Column("dB", 1, lambda row: row.value),)


def cells_of(*rows: Line) -> dict[str, str]:
    """Return the number of each line, by what stands before it."""
    lines = format_lines(("clip", "QP"), rows, COLUMNS)
    assert lines[:2] == ["| clip | QP | variant | dB |", "|---|---|---|---|"]
    split = [line.strip("| ").split(" | ") for line in lines[2:]]
    return {" ".join(words[:3]): " ".join(words[3:]) for words in split}


def test_one_training_is_its_own_number_and_has_no_average() -> None:
    assert cells_of(Line("a", 37, "x", 0, 30.04)) == {"a 37 x": "30.0"}


def test_seeds_are_a_mean_with_its_standard_deviation() -> None:
    rows = [Line("a", 37, "x", seed, value) for seed, value in enumerate((30.0, 31.0, 32.0))]
    assert cells_of(*rows) == {"a 37 x": "31.0 ± 1.0"}


def test_an_average_is_over_places_and_its_spread_is_that_of_seeds() -> None:
    """Clips that differ by ten dB do not count as spread."""
    rows = [
        Line(clip, 37, "x", seed, base + seed)
        for seed in (0, 2)
        for clip, base in (("a", 30.0), ("b", 40.0))
    ]
    assert cells_of(*rows)["Average  x"] == "36.0 ± 1.4"


@pytest.mark.parametrize(
    "rows",
    [
        [Line("a", 37, "x", 0, 30.0), Line("b", 37, "x", 0, None)],
        [Line("a", 37, "x", 0, 30.0), Line("b", 37, "y", 0, 30.0)],
    ],
    ids=["no number", "no row"],
)
def test_an_average_of_a_part_is_left_empty(rows: list[Line]) -> None:
    assert cells_of(*rows)["Average  x"].strip() == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(59.94, "59.9 s"), (90.0, "1.5 min"), (5400.0, "1.5 h"), ("never", "never")],
)
def test_lengths_are_in_the_unit_that_one_reads(value: Payback, text: str) -> None:
    assert format_payback(value) == text
