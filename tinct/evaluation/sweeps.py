"""A sweep: every clip through every codec at every QP, as real files; finished points are kept and a killed sweep goes on.

A results folder holds `sweep.json` (what was asked), `points.jsonl` and `failures.jsonl` (a line each), `clips/` (the sources,
cut and lossless), `files/` (what the codecs wrote). Where tasks run on several machines, all of them must see that folder.
"""

import json
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from itertools import islice, product
from pathlib import Path
from typing import Any

import av

from tinct.bitstream.container import read_file_manifest, video_tracks
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.decoder.inspection import info as file_info
from tinct.errors import CodecError
from tinct.evaluation import codecs, usage
from tinct.evaluation.codecs import (
    DECODED,
    FAMILIES,
    INPUT,
    OUTPUT,
    STRUCTURES,
    Codec,
    at_home,
    decode,
    missing,
    parse,
    versions,
)
from tinct.evaluation.metrics import leave_threads_to_us, measure
from tinct.evaluation.points import RAW, RDPoint, external_points, means, read_points, to_line
from tinct.files import alone_in
from tinct.frames import Frame, VideoInfo
from tinct.media.sink import open_sink
from tinct.media.source import open_source
from tinct.workers import Engine, run

logger = logging.getLogger(__name__)
FRAMES = 96  # of each clip, unless told otherwise
QPS = (27, 32, 37, 42)  # of JVET's common test conditions, each 5 coarser
DIGITS = 4  # of the series
SWEEP, POINTS, FAILURES, CLIPS, FILES, WORK = (
    "sweep.json",
    "points.jsonl",
    "failures.jsonl",
    "clips",
    "files",
    "work",
)


@dataclass(frozen=True)
class Clip:
    """A source cut to its first frames, lossless, inside the results folder."""

    name: str
    path: str
    info: VideoInfo


@dataclass(frozen=True)
class Setup:
    """What was asked for. `external` are files of points measured elsewhere; `jobs` points are measured at a time."""

    clips: list[str]
    codecs: list[str]
    qps: list[int]
    frames: int | None = FRAMES
    external: list[str] = field(default_factory=list)
    jobs: int = 1


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

    `skipped` names codecs that this machine lacks, `notes` lines that did not read and points that do not fit.
    """

    setup: Setup
    points: list[RDPoint]
    failures: list[Failure]
    skipped: dict[str, str]
    notes: list[str]

    def anchor_of(self, codec: str) -> str:
        """What a codec is compared with, of those with points: x265 if there is one, of the same structure, without options."""
        measured = [parse(name) for name in self.setup.codecs if name in self.codecs]
        if not measured:
            return codec
        structure = self._structure_of(codec)
        return max(
            measured, key=lambda c: (c.family == "x265", c.structure == structure, not c.options)
        ).name

    def _structure_of(self, codec: str) -> str | None:
        """Of a codec measured elsewhere it is what its name or its configuration's says."""
        if codec in self.setup.codecs:
            return parse(codec).structure
        words = "".join(f"{p.codec} {p.command}" for p in self.points if p.codec == codec).lower()
        plain = words.replace("-", "").replace("_", "").replace(" ", "")
        return next(
            (structure for structure in STRUCTURES if structure.replace("-", "") in plain), None
        )

    def of(self, clip: str, codec: str) -> list[RDPoint]:
        """One codec's points on one clip, finest QP first."""
        return sorted(
            (p for p in self.points if (p.clip, p.codec) == (clip, codec)), key=lambda p: p.qp
        )

    @property
    def clips(self) -> list[str]:
        return list(dict.fromkeys(point.clip for point in self.points))

    @property
    def codecs(self) -> list[str]:
        """Those with points, points measured elsewhere among them."""
        return list(dict.fromkeys(point.codec for point in self.points))


def sweep(
    clips: Sequence[str | Path],
    codecs: Sequence[str],
    qps: Sequence[int] = QPS,
    *,
    out: str | Path | None = None,
    frames: int | None = FRAMES,
    jobs: int = 1,
    engine: Engine = "local",
) -> list[RDPoint]:
    """Points of every clip, codec and QP. Results are kept in the new folder `out`, or nowhere.

    Points that are refused are logged as errors. Raises CodecError before any work for a clip or codec that cannot be.
    """
    setup = Setup([str(clip) for clip in clips], list(codecs), list(qps), frames, jobs=jobs)
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            found = start(setup, Path(folder) / "results", engine=engine).points
        return [replace(point, file=None) for point in found]
    return start(setup, Path(out), engine=engine).points


def in_full(setup: Setup) -> Setup:
    """The same with every path in full, as a results folder keeps it."""
    clips, external = (
        [str(Path(name).absolute()) for name in names] for names in (setup.clips, setup.external)
    )
    return replace(
        setup, clips=clips, codecs=[at_home(codec) for codec in setup.codecs], external=external
    )


def start(
    setup: Setup,
    folder: Path,
    *,
    engine: Engine = "local",
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """A new sweep into a new or empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CodecError(
            f"expected a new or an empty folder for results, found {folder}; go on with --resume {folder}, or name another"
        )
    setup = in_full(setup)
    _check(setup)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SWEEP).write_text(json.dumps(asdict(setup), indent=1) + "\n")
    except OSError as error:
        raise CodecError(
            f"expected to make the folder {folder}, found {error.strerror}; name another with --out"
        ) from error
    return resume(folder, engine=engine, progress=progress)


def resume(
    folder: Path,
    *,
    jobs: int | None = None,
    engine: Engine = "local",
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Measure what a results folder still lacks. `progress` hears of points done and points in all."""
    folder = folder.absolute()  # workers may stand elsewhere
    load(folder)  # refuses what is no results folder
    with alone_in(folder):
        return _resumed(folder, jobs, engine, progress)


def _resumed(
    folder: Path, jobs: int | None, engine: Engine, progress: Callable[[int, int], None] | None
) -> Outcome:
    outcome = load(folder)
    setup = outcome.setup if jobs is None else replace(outcome.setup, jobs=jobs)
    _check(setup)
    shutil.rmtree(folder / WORK, ignore_errors=True)  # of a run that was killed
    try:
        for name in (CLIPS, FILES, WORK):
            (folder / name).mkdir(exist_ok=True)
    except OSError as error:
        raise CodecError(f"expected to write into {folder}, found {error.strerror}") from error
    clips = _cut_all(setup, folder, engine)
    codecs = [codec for codec in map(parse, setup.codecs) if codec.name not in outcome.skipped]
    done = {point.key for point in outcome.points}
    wanted = [(clip, codec, qp) for clip, codec, qp in product(clips, codecs, setup.qps)]
    tasks = [
        (clip, codec, qp, str(folder), setup.jobs)
        for clip, codec, qp in wanted
        if (clip.name, codec.name, qp) not in done
    ]
    failures = []
    with _appending(folder / POINTS) as append:
        for number, result in run(measure_point, tasks, jobs=setup.jobs, engine=engine):
            clip, codec, qp, *_ = tasks[number]
            if isinstance(result, CodecError):
                failures.append(Failure(clip.name, codec.name, qp, str(result)))
                logger.error("refused: %s", failures[-1])
            else:
                append(to_line(result))
                done.add(result.key)
                _checkpoint(folder, _kept(clip.name, codec, qp)).unlink(missing_ok=True)
            if progress is not None:
                progress(
                    len(wanted) - len(tasks) + len(failures) + len(done) - len(outcome.points),
                    len(wanted),
                )
    lines = folder / (FAILURES + ".new")
    lines.write_text("".join(json.dumps(asdict(failure)) + "\n" for failure in failures))
    lines.replace(folder / FAILURES)
    shutil.rmtree(folder / WORK)
    return load(folder)


def load(folder: Path) -> Outcome:
    """What a results folder holds, points measured elsewhere among it."""
    setup = _read_setup(folder)
    points, notes = read_points(folder / POINTS) if (folder / POINTS).exists() else ([], [])
    failures, wrong = (
        _read_failures(folder / FAILURES) if (folder / FAILURES).exists() else ([], [])
    )
    points, odd = _of_one_material(points)
    notes += wrong + odd
    order = {name: number for number, name in enumerate([*map(_name, setup.clips), *setup.codecs])}
    points.sort(key=lambda p: (order.get(p.clip, -1), order.get(p.codec, -1), p.qp))
    measured = {point.clip: point for point in points}
    for path in setup.external:
        others, left_out = external_points(Path(path), measured)
        points, notes = points + others, notes + left_out
    skipped = {
        codec.name: reason
        for codec in map(parse, setup.codecs)
        if (reason := missing(codec)) is not None
    }
    return Outcome(setup, points, failures, skipped, notes + _same_files(points))


def _read_setup(folder: Path) -> Setup:
    try:
        fields_read = json.loads((folder / SWEEP).read_text())
        known = {f.name for f in fields(Setup)}
        setup = Setup(**{name: value for name, value in fields_read.items() if name in known})
        names = [*setup.clips, *setup.codecs, *setup.external]
        counts = [*setup.qps, setup.jobs, setup.frames or 1]
        if not all(isinstance(name, str) for name in names) or not all(
            type(n) is int for n in counts
        ):
            raise ValueError("values of another kind")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CodecError(
            f"expected a results folder with {SWEEP}, found {error} in {folder}; make one with --out"
        ) from error
    return setup


def _read_failures(path: Path) -> tuple[list[Failure], list[str]]:
    found, wrong = [], []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        try:
            found.append(Failure(**json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            wrong.append(f"{path}, line {number}, is damaged and left out: {error}")
    return found, wrong


def _of_one_material(points: list[RDPoint]) -> tuple[list[RDPoint], list[str]]:
    """The points whose size and number of frames are those that most points of their clip have, and a sentence on each other."""
    common = {}
    for clip in {point.clip for point in points}:
        materials = [point.material for point in points if point.clip == clip]
        common[clip] = max(materials, key=materials.count)
    notes = [
        f"{p.codec} at QP {p.qp} is left out: {p.material}, the others are {common[p.clip]}"
        for p in points if p.material != common[p.clip]
    ]  # fmt: skip
    return [point for point in points if point.material == common[point.clip]], notes


def _same_files(points: list[RDPoint]) -> list[str]:
    """A sentence where a codec knows no other setting for two QPs: a curve has that point once."""
    seen: dict[tuple[str, str, int, str], RDPoint] = {}
    notes = []
    for point in points:
        first = seen.setdefault(
            (point.clip, point.codec, point.size_bytes, json.dumps(point.means)), point
        )
        if first is not point:
            notes.append(
                f"{point.codec} on {point.clip} is the same at QP {first.qp} and {point.qp}"
            )
    return notes


def cut_clip(path: str, target: str, frames: int | None) -> Clip:
    """The first frames of a video as lossless Matroska without sound; made once."""
    if not Path(target).exists():
        source = open_source(path)
        with open_sink(target, replace(source.info, frame_count=frames)) as sink:
            for frame in islice(source, frames):
                sink.write(frame)
    return Clip(_name(path), target, open_source(target).info)


def measure_point(clip: Clip, codec: Codec, qp: int, folder: str, jobs: int) -> RDPoint:
    """Code, decode, compare: each side a process of its own, the file from disk in between. Raises CodecError on failure."""
    try:
        return _measured(clip, codec, qp, folder, jobs)
    except OSError as error:
        raise CodecError(
            f"expected to write into {folder}, found {error.strerror}; the point is refused"
        ) from error


def _measured(clip: Clip, codec: Codec, qp: int, folder: str, jobs: int) -> RDPoint:
    leave_threads_to_us()
    family = FAMILIES[codec.family]
    command, decode_command = family.encode(codec, qp, clip.info), decode(codec)
    with tempfile.TemporaryDirectory(dir=Path(folder) / WORK) as work:
        _give_input(clip, Path(work), family.reads)
        kept = _kept(clip.name, codec, qp)
        encoding, resumed = _encoded(
            command, work, _checkpoint(Path(folder), kept) if codecs.trains(codec) else None
        )
        decoding = _spent(decode_command, work)
        coded = Path(work) / (OUTPUT + family.writes)
        threads = max((os.cpu_count() or 1) // jobs, 1)
        series = measure(
            open_source(clip.path), _decoded(Path(work) / DECODED, clip.info), threads=threads
        )
        rounded = {
            name: [None if v != v else round(v, DIGITS) for v in values]
            for name, values in series.items()
        }
        frames = len(rounded["psnr_y"])
        point = RDPoint(
            clip=clip.name, codec=codec.name, qp=qp, width=clip.info.width, height=clip.info.height, frames=frames,
            seconds=float(frames / clip.info.mean_rate), size_bytes=coded.stat().st_size, means=means(rounded),
            parts=_parts(coded), series=rounded, keys=key_frames(str(coded)),
            encode_seconds=None if resumed else round(encoding["seconds"], 3),
            encode_peak_megabytes=round(encoding["peak_megabytes"], 1),
            decode_seconds=round(decoding["seconds"], 3), decode_peak_megabytes=round(decoding["peak_megabytes"], 1),
            command=_shown(command), decode_command=_shown(decode_command), versions=versions(), file=str(kept),
            date=date.today().isoformat(), machine=_machine(), jobs=jobs, note="" if family.writes == ".mkv" else RAW,
        )  # fmt: skip
        os.replace(coded, Path(folder) / kept)
    return point


def _check(setup: Setup) -> None:
    """Refuse what cannot be measured before any work is done."""
    for option, values in (("clip", setup.clips), ("--codec", setup.codecs), ("--qp", setup.qps)):
        if not values:
            raise CodecError(f"expected at least one {option}, found none")
    given = {
        "clips of different names": [_name(clip) for clip in setup.clips],
        "every codec once": setup.codecs,
    }
    for kind, values in {**given, "every QP once": [str(qp) for qp in setup.qps]}.items():
        if twice := {value for value in values if values.count(value) > 1}:
            raise CodecError(f"expected {kind}, found {', '.join(sorted(twice))} more than once")
    for qp in setup.qps:
        if not 0 <= qp <= 51:
            raise CodecError(f"--qp: expected 0 to 51, found {qp}")
    if setup.jobs < 1:
        raise CodecError(f"--jobs: expected 1 or more, found {setup.jobs}")
    if setup.frames is not None and setup.frames < 1:
        raise CodecError(f"--frames: expected 1 or more, found {setup.frames}")
    for codec in setup.codecs:
        parse(codec)
    for clip in setup.clips:
        open_source(clip)
    for path in setup.external:
        external_points(Path(path), {})


def _cut_all(setup: Setup, folder: Path, engine: Engine) -> list[Clip]:
    tasks = [
        (path, str(folder / CLIPS / f"{_name(path)}.mkv"), setup.frames) for path in setup.clips
    ]
    clips = dict(run(cut_clip, tasks, jobs=setup.jobs, engine=engine))
    for result in clips.values():
        if isinstance(result, CodecError):
            raise result
    return [clip for number in sorted(clips) if isinstance(clip := clips[number], Clip)]


@dataclass
class _appending:  # noqa: N801
    """Lines at the end of a file, each on disk before the next; a last line that was cut off stays by itself."""

    path: Path

    def __enter__(self) -> Callable[[str], None]:
        self._file = self.path.open("ab+")
        self._file.seek(max(0, self._file.seek(0, os.SEEK_END) - 1))
        if self._file.read() not in (b"", b"\n"):
            self._file.write(b"\n")
        return self._append

    def _append(self, line: str) -> None:
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _give_input(clip: Clip, work: Path, suffix: str) -> None:
    """The clip in the work folder, in the form that the codec reads."""
    target = work / f"{INPUT}{suffix}"
    if suffix == ".mkv":
        target.symlink_to(Path(clip.path).absolute())
    elif suffix == ".y4m":
        with open_sink(str(target), clip.info) as sink:
            for frame in open_source(clip.path):
                sink.write(frame)
    else:
        with target.open("wb") as file:
            for frame in open_source(clip.path):
                for plane in (frame.y, frame.cb, frame.cr):
                    file.write(plane.tobytes())


def _kept(clip: str, codec: Codec, qp: int) -> Path:
    """Where a point's file stays, in the folder of results."""
    return Path(FILES) / f"{clip}_{_file_name(codec.name)}_{qp}{FAMILIES[codec.family].writes}"


def _checkpoint(folder: Path, kept: Path) -> Path:
    """Of the training behind a file, while its point is not there yet."""
    return (folder / kept).with_suffix(".ckpt")


def _encoded(
    command: list[str], work: str, checkpoint: Path | None
) -> tuple[dict[str, float], bool]:
    """What an encode took, and whether that is but the end of it: a training that was killed goes on from its checkpoint."""
    if checkpoint is None:
        return _spent(command, work), False
    resumed = checkpoint.exists()
    try:
        return _spent([*command, f"--checkpoint={checkpoint.absolute()}"], work), resumed
    except CodecError as error:
        if "a checkpoint of this training" in str(
            error
        ):  # of other versions, say: the next try begins anew
            checkpoint.unlink()
        raise


def _spent(command: list[str], work: str) -> dict[str, float]:
    """Seconds and peak megabytes of a command; CodecError with its last words where it fails."""
    between = [sys.executable, "-I", "-S", str(usage.__file__)]
    done = subprocess.run(
        [*between, *command], cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode} and no word"]
        raise CodecError(f"{_shown(command)} failed: {words[-1]}")
    return json.loads(done.stdout)


def _decoded(path: Path, info: VideoInfo) -> Iterator[Frame]:
    """The decoder's frames, as long as they are those of the source: same number, depth and size (but for padding)."""
    source = open_source(str(path))
    found = source.info
    if found.frame_count != info.frame_count:
        raise CodecError(
            f"expected {info.frame_count} decoded frames, found {found.frame_count}; the point is refused"
        )
    if (
        found.bit_depth != info.bit_depth
        or found.width - info.width not in (0, 1)
        or found.height - info.height not in (0, 1)
    ):
        text = "{0.width}x{0.height} of {0.bit_depth} bit".format
        raise CodecError(
            f"expected decoded frames of {text(info)}, found {text(found)}; the point is refused"
        )
    height, width = info.chroma_shape
    for frame in source:
        y, cb, cr = (
            frame.y[: info.height, : info.width],
            frame.cb[:height, :width],
            frame.cr[:height, :width],
        )
        yield Frame(y, cb, cr, frame.pts, info)  # y4m names no matrix: the source's is shown


def _parts(coded: Path) -> dict[str, int]:
    """Bytes by part; a raw bitstream is all video."""
    return (
        file_info(str(coded)).bytes_by_part
        if coded.suffix == ".mkv"
        else {"video": coded.stat().st_size}
    )


def key_frames(path: str) -> list[int]:
    """Numbers of the frames whose colour was sent by itself; none without a colour track."""
    manifest = read_file_manifest(path) if path.endswith(".mkv") else None
    if manifest is None or manifest.layout == "in-band":
        return []
    times = track_times(path)
    every = {pts: number for number, pts in enumerate(sorted(times[LUMA] | times[COLOUR]))}
    return sorted(every[pts] for pts in times[COLOUR])


def track_times(path: str) -> dict[str, set[int]]:
    """Milliseconds of the packets of each video track of a Tinct file."""
    manifest = read_file_manifest(path)
    assert manifest is not None
    with av.open(path) as container:
        tracks = video_tracks(container, manifest)
        found: dict[str, set[int]] = {name: set() for name in tracks}
        for packet in container.demux(list(tracks.values())):
            if packet.size and packet.pts is not None:
                name = next(
                    name for name, stream in tracks.items() if stream.index == packet.stream.index
                )
                found[name].add(packet.pts)
    return found


def _name(path: str | Path) -> str:
    return Path(path).stem


def _file_name(codec: str) -> str:
    return "".join(c if c.isalnum() or c in "-+." else "_" for c in codec)


def _shown(command: list[str]) -> str:
    return shlex.join(["python" if word == sys.executable else word for word in command])


def _machine() -> str:
    """Processor and cores, for whoever reads the times."""
    model: Any = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
            model,
        )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"
