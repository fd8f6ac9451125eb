"""A results folder: what was asked for, the points measured, and the points refused.

It holds `sweep.json` (the setup), `points.jsonl` and `failures.jsonl` (a line each), `clips/` (the
sources, cut and lossless) and `files/` (what the codecs wrote). `sweeps` fills it.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from tinct.errors import CodecError
from tinct.evaluation.clips import name_clip
from tinct.evaluation.codecs import EVERY, STRUCTURES, find_missing, parse_codec
from tinct.evaluation.metrics import METRIC_SETS
from tinct.evaluation.points import RDPoint, note_damage, read_external_points, read_points

SWEEP, POINTS, FAILURES = "sweep.json", "points.jsonl", "failures.jsonl"
CLIPS, FILES = "clips", "files"
WORK = "work"  # scratch space, there while a sweep runs
FRAMES = 96  # of each clip, unless told otherwise
ANCHOR_FAMILY = "x265"  # where it is measured, all others are compared with it


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a sweep was asked for.

    `frames` of each clip are measured, None for all, at `jobs` points at a time. `external` are
    files of points measured elsewhere. `anchors` are sets of codecs; others are compared with the
    strongest of each set. `metrics` is a row of METRIC_SETS. `square` cuts clips to their middle.
    """

    clips: list[str]
    codecs: list[str]
    qps: list[int]
    frames: int | None = FRAMES
    external: list[str] = field(default_factory=list)
    jobs: int = 1
    anchors: list[list[str]] = field(default_factory=list)
    metrics: str = "all"
    square: bool = False


@dataclass(frozen=True)
class Failure:
    """A point that was refused, and why; the next run tries it again."""

    clip: str
    codec: str
    qp: int
    reason: str

    def __str__(self) -> str:
        return f"{self.clip}, {self.codec} at QP {self.qp}: {self.reason}"


@dataclass(frozen=True)
class Outcome:
    """All that a results folder holds.

    `skipped` gives, by codec, what this machine lacks to run it. `notes` name damaged lines and
    points that do not compare with the others.
    """

    setup: Setup
    points: list[RDPoint]
    failures: list[Failure]
    skipped: dict[str, str]
    notes: list[str]

    def anchor_of(self, codec: str) -> str:
        """Return what a codec is compared with, of those with points.

        That is x265 if it is there, of the same structure if possible, with every frame sent if
        possible, without options if possible.
        """
        measured = [parse_codec(name) for name in self.setup.codecs if name in self.codecs]
        if not measured:
            return codec
        structure = self._structure_of(codec)
        return max(
            measured,
            key=lambda c: (
                *(c.family == ANCHOR_FAMILY, c.structure == structure),
                *(EVERY not in c.options, not c.options),
            ),
        ).name

    @property
    def intra_anchor(self) -> str | None:
        """Name of the plainest x265 all-intra with points and with every frame; None without."""
        codecs = [parse_codec(name) for name in self.setup.codecs if name in self.codecs]
        found = [
            codec
            for codec in codecs
            if (codec.family, codec.structure) == (ANCHOR_FAMILY, "intra")
            and EVERY not in codec.options
        ]
        return min(found, key=lambda codec: len(codec.options)).name if found else None

    def _structure_of(self, codec: str) -> str | None:
        """Return a codec's structure; of one measured elsewhere, what its name or command says."""
        if codec in self.setup.codecs:
            return parse_codec(codec).structure
        words = "".join(f"{p.codec} {p.command}" for p in self.points if p.codec == codec).lower()
        plain = words.replace("-", "").replace("_", "").replace(" ", "")
        found = (structure for structure in STRUCTURES if structure.replace("-", "") in plain)
        return next(found, None)

    def of(self, clip: str, codec: str) -> list[RDPoint]:
        """Return one codec's points on one clip, finest QP first."""
        points = [p for p in self.points if (p.clip, p.codec) == (clip, codec)]
        return sorted(points, key=lambda p: p.qp)

    @property
    def clips(self) -> list[str]:
        """Names of the clips with points."""
        return list(dict.fromkeys(point.clip for point in self.points))

    @property
    def codecs(self) -> list[str]:
        """Names of the codecs with points, those measured elsewhere among them."""
        return list(dict.fromkeys(point.codec for point in self.points))


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def load(folder: Path) -> Outcome:
    """Return what a results folder holds, points measured elsewhere among it.

    Raise CodecError for a folder without a readable `sweep.json`.
    """
    setup = _read_setup(folder)
    points, notes = read_points(folder / POINTS) if (folder / POINTS).exists() else ([], [])
    failures, damage = _read_failures(folder / FAILURES)
    points, odd = _leave_out_odd_material(points)
    notes += damage + odd
    names = [*map(name_clip, setup.clips), *setup.codecs]
    order = {name: number for number, name in enumerate(names)}
    points.sort(key=lambda p: (order.get(p.clip, -1), order.get(p.codec, -1), p.qp))
    measured = {point.clip: point for point in points}
    for path in setup.external:
        others, left_out = read_external_points(Path(path), measured)
        points, notes = points + others, notes + left_out
    missing = {codec: find_missing(parse_codec(codec)) for codec in setup.codecs}
    skipped = {codec: reason for codec, reason in missing.items() if reason is not None}
    return Outcome(
        setup=setup,
        points=points,
        failures=failures,
        skipped=skipped,
        notes=notes + _note_equal_points(points),
    )


def _read_setup(folder: Path) -> Setup:
    try:
        entry = json.loads((folder / SWEEP).read_text())
        known = {f.name for f in fields(Setup)}
        setup = Setup(**{name: value for name, value in entry.items() if name in known})
        are_sets = all(isinstance(members, list) and members for members in setup.anchors)
        anchors = [name for members in setup.anchors for name in members]
        names = [*setup.clips, *setup.codecs, *setup.external, *anchors]
        counts = [*setup.qps, setup.jobs, setup.frames or 1]
        are_names = all(isinstance(name, str) for name in names)
        are_counts = all(type(n) is int for n in counts)
        are_known = setup.metrics in METRIC_SETS and isinstance(setup.square, bool)
        if not (are_names and are_sets and are_counts and are_known):
            raise ValueError("values of another kind")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CodecError(
            f"expected a results folder with {SWEEP}, found {error} in {folder}; "
            "make one with --out"
        ) from error
    return setup


def _read_failures(path: Path) -> tuple[list[Failure], list[str]]:
    """Return the refused points, and a note on each damaged line."""
    found: list[Failure] = []
    notes: list[str] = []
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Failure(**json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            notes.append(note_damage(path, number, error))
    return found, notes


def _leave_out_odd_material(points: list[RDPoint]) -> tuple[list[RDPoint], list[str]]:
    """Return the points of the size and length that most of their clip have; note the others."""
    common = {}
    for clip in {point.clip for point in points}:
        materials = [point.material for point in points if point.clip == clip]
        common[clip] = max(materials, key=materials.count)
    odd = [point for point in points if point.material != common[point.clip]]
    notes = [
        f"{p.codec} at QP {p.qp} is left out: {p.material}, the others are {common[p.clip]}"
        for p in odd
    ]
    return [point for point in points if point.material == common[point.clip]], notes


def _note_equal_points(points: list[RDPoint]) -> list[str]:
    """Return a note where a codec has one setting for two QPs: a curve has that point once."""
    seen: dict[tuple[str, str, int, str], RDPoint] = {}
    notes = []
    for point in points:
        key = (point.clip, point.codec, point.size_bytes, json.dumps(point.means))
        first = seen.setdefault(key, point)
        if first is not point:
            both = f"{first.qp} and {point.qp}"
            notes.append(f"{point.codec} on {point.clip} is the same at QP {both}")
    return notes


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def create(folder: Path, setup: Setup) -> None:
    """Make the folder of a new sweep. Raise CodecError where it cannot be, or holds anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CodecError(
            f"expected a new or an empty folder for results, found {folder}; "
            f"go on with --resume {folder}, or name another"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SWEEP).write_text(json.dumps(asdict(setup), indent=1) + "\n")
    except OSError as error:
        raise CodecError(
            f"expected to make the folder {folder}, found {error.strerror}; name another with --out"
        ) from error


@contextmanager
def open_for_appending(path: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that appends a line to a file, on disk before it returns.

    A last line that was cut off before stays a line of its own.
    """
    with path.open("ab+") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        if file.read() not in (b"", b"\n"):
            file.write(b"\n")

        def append(line: str) -> None:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

        yield append


def write_failures(folder: Path, failures: Sequence[Failure]) -> None:
    """Replace the list of refused points, whole or not at all."""
    lines = folder / (FAILURES + ".new")
    lines.write_text("".join(json.dumps(asdict(failure)) + "\n" for failure in failures))
    lines.replace(folder / FAILURES)
