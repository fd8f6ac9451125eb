"""The printed numbers of the 2019 paper, and what follows from them.

Its BD-rates are computed again from its rate points, its averages from its rows. The CSV files in
`paper/` hold what its tables 2, 3, 4, 6 and 7 and its figure 5 print, whose caption of Johnny is
that of FourPeople. `reproduce` repeats the experiments.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

import numpy as np

from tinct.evaluation.bd import Curve, Delta, quality_delta, rate_delta

TOLERANCE_PERCENT = 0.02  # of BD-rate: the effect of rounding the printed numbers
TOLERANCE_DB = 0.006  # of BD-PSNR and averages
MEAN_ROW = "Average (printed)"
# The column of Table 2 that has a variant's numbers.
TABLE_2_COLUMNS = {"HEVC 4:2:0": "hm", "proposed": "proposed"}


@dataclass(frozen=True, kw_only=True)
class PrintedSequence:
    """One row of Table 2: what is printed, and what its four points give (cubic, as VCEG-M33).

    `saved_bits` is the BD-rate of the saved bits alone: the codec's rates at the anchor's PSNR.
    """

    name: str
    printed_rate_percent: float
    printed_psnr_db: float
    rate: Delta
    psnr: Delta
    saved_bits: Delta

    @property
    def rate_holds(self) -> bool:
        """Whether the printed BD-rate follows from the printed points."""
        return _is_close(self.rate.value, self.printed_rate_percent, TOLERANCE_PERCENT)

    @property
    def psnr_holds(self) -> bool:
        """Whether the printed BD-PSNR follows from the printed points."""
        return _is_close(self.psnr.value, self.printed_psnr_db, TOLERANCE_DB)


@dataclass(frozen=True)
class PrintedMean:
    """An average that a table prints, beside the mean of its rows."""

    table: int
    variant: str
    printed_db: float
    recomputed_db: float
    rows: int

    @property
    def holds(self) -> bool:
        """Whether the printed average is that of the rows."""
        return _is_close(self.recomputed_db, self.printed_db, TOLERANCE_DB)


class Printed(NamedTuple):
    """What a table prints for one sequence, QP and variant; None where it prints nothing."""

    psnr_db: float | None = None
    ssim: float | None = None
    kbps: float | None = None


class PrintedDeltas(NamedTuple):
    """What Table 2 prints of a sequence against HM: of one QP (Equation 11), and of all four."""

    rate_percent: float | None = None
    psnr_db: float | None = None
    bd_rate_percent: float | None = None
    bd_psnr_db: float | None = None


def read_sequences() -> list[PrintedSequence]:
    """Return Table 2, row by row."""
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for row in _read_table("table2"):
        rows[row.pop("sequence")].append({name: float(text) for name, text in row.items()})
    return [_make_sequence(name, points) for name, points in rows.items()]


def read_means() -> list[PrintedMean]:
    """Return the averages of tables 3 and 4 whose rows are printed too."""
    rows: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
    for row in _read_table("ablations"):
        rows[int(row["table"]), row["variant"]][row["sequence"]] = float(row["psnr_db"])
    found = []
    for (table, variant), values in rows.items():
        average = values.pop(MEAN_ROW, None)
        if average is not None and values:
            found.append(
                PrintedMean(
                    table=table,
                    variant=variant,
                    printed_db=average,
                    recomputed_db=float(np.mean(list(values.values()))),
                    rows=len(values),
                )
            )
    return found


def find_printed(table: str, clip: str, *, qp: int, variant: str) -> Printed:
    """Return what a table prints for the sequence whose name a clip's name begins with.

    "With SA" of Table 4 is the proposed codec of Table 3: both have the same average.
    """
    if (table, variant) == ("table4", "with SA"):
        table, variant = "table3", "proposed RC"
    files = {name: name for name in ("table2", "table7", "figure5")}
    for row in _read_table(files.get(table, "ablations")):
        is_clip = _simplify(clip).startswith(_simplify(row["sequence"]))
        is_table = row.get("table", table[-1]) == table[-1]
        if not is_clip or not is_table or int(row["qp"]) != qp:
            continue
        if table == "table2":
            column = TABLE_2_COLUMNS.get(variant)
            if column is None:
                return Printed()
            return Printed(float(row[f"{column}_psnr_db"]), kbps=float(row[f"{column}_kbps"]))
        if row.get("variant", row.get("model")) == variant:
            return Printed(float(row["psnr_db"]), float(row["ssim"]))
    return Printed()


def find_printed_deltas(clip: str, qp: int) -> PrintedDeltas:
    """Return what Table 2 prints of the proposed codec for a clip, whose name begins so."""
    for row in _read_table("table2"):
        if _simplify(clip).startswith(_simplify(row["sequence"])) and int(row["qp"]) == qp:
            names = ("delta_rate_percent", "delta_psnr_db", "bd_rate_percent", "bd_psnr_db")
            return PrintedDeltas(*(float(row[f"printed_{name}"]) for name in names))
    return PrintedDeltas()


def _is_close(computed: float | None, printed: float, tolerance: float) -> bool:
    return computed is not None and abs(computed - printed) <= tolerance


def _simplify(name: str) -> str:
    """Return letters and digits alone, in lower case: mother_daughter is Mother-daughter."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _read_table(name: str) -> list[dict[str, str]]:
    text = (resources.files("tinct.evaluation") / "paper" / f"{name}.csv").read_text()
    return list(csv.DictReader(text.splitlines()))


def _make_sequence(name: str, rows: list[dict[str, float]]) -> PrintedSequence:
    anchor = Curve.of([(row["hm_kbps"], row["hm_psnr_db"]) for row in rows])
    proposed = Curve.of([(row["proposed_kbps"], row["proposed_psnr_db"]) for row in rows])
    saved = Curve.of([(row["proposed_kbps"], row["hm_psnr_db"]) for row in rows])
    return PrintedSequence(
        name=name,
        printed_rate_percent=rows[0]["printed_bd_rate_percent"],
        printed_psnr_db=rows[0]["printed_bd_psnr_db"],
        rate=rate_delta(anchor, proposed, "cubic"),
        psnr=quality_delta(anchor, proposed, "cubic"),
        saved_bits=rate_delta(anchor, saved, "cubic"),
    )
