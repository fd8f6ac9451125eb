"""The 2019 paper's printed numbers, and what follows from them: its BD-rates computed again, its averages added up again.

The three CSV files in `paper/` hold what its tables 2, 3, 4, 6 and 7 print.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from importlib import resources

import numpy as np

from tinct.evaluation.bd import Curve, Delta, quality_delta, rate_delta

TOLERANCE_PERCENT = 0.02  # of BD-rate: what rounding the printed numbers can do
TOLERANCE_DB = 0.006  # of BD-PSNR and averages
MEAN_ROW = "Average (printed)"


@dataclass(frozen=True)
class Sequence:
    """One row of Table 2: what is printed, and what its four points give (cubic, as VCEG-M33).

    `saved_bits` is the BD-rate that the saved bits alone are worth: the codec's rates at the anchor's PSNR.
    """

    name: str
    printed_rate_percent: float
    printed_psnr_db: float
    rate: Delta
    psnr: Delta
    saved_bits: Delta

    @property
    def rate_holds(self) -> bool:
        return (
            self.rate.value is not None
            and abs(self.rate.value - self.printed_rate_percent) <= TOLERANCE_PERCENT
        )

    @property
    def psnr_holds(self) -> bool:
        return (
            self.psnr.value is not None
            and abs(self.psnr.value - self.printed_psnr_db) <= TOLERANCE_DB
        )


@dataclass(frozen=True)
class Mean:
    """An average that a table prints, beside the mean of its rows."""

    table: int
    variant: str
    printed_db: float
    recomputed_db: float
    rows: int

    @property
    def holds(self) -> bool:
        return abs(self.printed_db - self.recomputed_db) <= TOLERANCE_DB


def sequences() -> list[Sequence]:
    """Table 2, row by row."""
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for row in _table("table2"):
        rows[row.pop("sequence")].append({name: float(text) for name, text in row.items()})
    return [_sequence(name, points) for name, points in rows.items()]


def means() -> list[Mean]:
    """The averages of tables 3 and 4 whose rows are printed too."""
    rows: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
    for row in _table("ablations"):
        rows[int(row["table"]), row["variant"]][row["sequence"]] = float(row["psnr_db"])
    found = []
    for (table, variant), values in rows.items():
        printed = values.pop(MEAN_ROW, None)
        if printed is not None and values:
            found.append(
                Mean(table, variant, printed, float(np.mean(list(values.values()))), len(values))
            )
    return found


def printed(
    table: str, clip: str, qp: int, variant: str
) -> tuple[float | None, float | None, float | None]:
    """PSNR in dB, SSIM and kbit/s that a table prints for the sequence that a clip is called after; None where it prints none.

    A size or a rate may stand behind the name. "With SA" of Table 4 is the proposed codec of Table 3: their averages are one.
    """
    if (table, variant) == ("table4", "with SA"):
        table, variant = "table3", "proposed RC"
    for row in _table(
        "table7" if table == "table7" else "table2" if table == "table2" else "ablations"
    ):
        if (
            not _plain(clip).startswith(_plain(row["sequence"]))
            or int(row["qp"]) != qp
            or row.get("table", table[-1]) != table[-1]
        ):
            continue
        if table == "table2":
            column = {"HEVC 4:2:0": "hm", "proposed": "proposed"}.get(variant)
            return (
                (float(row[f"{column}_psnr_db"]), None, float(row[f"{column}_kbps"]))
                if column
                else (None, None, None)
            )
        if row.get("variant", row.get("model")) == variant:
            return float(row["psnr_db"]), float(row["ssim"]), None
    return None, None, None


def _plain(name: str) -> str:
    """Mother-daughter and mother_daughter are one."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _table(name: str) -> list[dict[str, str]]:
    text = (resources.files("tinct.evaluation") / "paper" / f"{name}.csv").read_text()
    return list(csv.DictReader(text.splitlines()))


def _sequence(name: str, rows: list[dict[str, float]]) -> Sequence:
    anchor = Curve.of([(row["hm_kbps"], row["hm_psnr_db"]) for row in rows])
    proposed = Curve.of([(row["proposed_kbps"], row["proposed_psnr_db"]) for row in rows])
    saved = Curve.of([(row["proposed_kbps"], row["hm_psnr_db"]) for row in rows])
    return Sequence(
        name, rows[0]["printed_bd_rate_percent"], rows[0]["printed_bd_psnr_db"], rate_delta(anchor, proposed, "cubic"),
        quality_delta(anchor, proposed, "cubic"), rate_delta(anchor, saved, "cubic"),
    )  # fmt: skip
