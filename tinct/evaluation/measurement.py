"""The measurement of one point: encode, decode and compare, each side a process of its own.

`sweeps` says which points are measured; `clips` gives the frames, `metrics` compares them.
"""

import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import av

from tinct.bitstream.programs import run_program
from tinct.decoder.inspection import info as read_info
from tinct.errors import CodecError
from tinct.evaluation import usage
from tinct.evaluation.aggregates import average_series
from tinct.evaluation.clips import Clip, read_decoded, write_input
from tinct.evaluation.codecs import (
    DECODED,
    FAMILIES,
    OUTPUT,
    Codec,
    has_training,
    make_decode_command,
    place_network,
)
from tinct.evaluation.keyframes import find_key_frames
from tinct.evaluation.metrics import METRIC_SETS, limit_library_threads, measure
from tinct.evaluation.points import RAW, RDPoint
from tinct.evaluation.results import FILES, WORK
from tinct.media.source import open_source

DIGITS = 4  # to which values of a series are rounded
MATROSKA = ".mkv"
ENCODER_LIBRARIES = ("libx265", "libx264", "libSvtAv1Enc")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One point to measure, in the results folder `folder`, with `jobs` measured at a time.

    `metrics` is a row of METRIC_SETS.
    """

    clip: Clip
    codec: Codec
    qp: int
    folder: str
    jobs: int
    metrics: str

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies the point in a sweep, as `RDPoint.key`."""
        return self.clip.name, self.codec.name, self.qp

    @property
    def file(self) -> Path:
        """Where the encoded file stays, relative to the results folder."""
        name = "".join(c if c.isalnum() or c in "-+." else "_" for c in self.codec.name)
        suffix = FAMILIES[self.codec.family].writes
        return Path(FILES) / f"{self.clip.name}_{name}_{self.qp}{suffix}"

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the training behind the file; it stays while there is no point."""
        return (Path(self.folder) / self.file).with_suffix(".ckpt")


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def measure_point(task: Task) -> RDPoint:
    """Encode, decode from disk and compare with the source. Raise CodecError where that fails."""
    limit_library_threads()
    try:
        with tempfile.TemporaryDirectory(dir=Path(task.folder) / WORK) as work:
            return _measure_in(Path(work), task)
    except OSError as error:
        raise CodecError(
            f"expected to write into {task.folder}, found {error.strerror}; the point is refused"
        ) from error


def _measure_in(work: Path, task: Task) -> RDPoint:
    clip, codec = task.clip, task.codec
    family = FAMILIES[codec.family]
    command = family.make_command(codec, task.qp, clip.info)
    decode_command = make_decode_command(codec)
    write_input(clip, work, family.reads)
    checkpoint = task.checkpoint if has_training(codec) else None
    encoding, is_whole = run_encode(command, work, checkpoint)
    decoding = run_command(decode_command, work)
    coded = work / (OUTPUT + family.writes)
    parts = _count_parts(coded)
    series = _measure_series(task, work / DECODED)
    frames = len(series["psnr_y"])
    point = RDPoint(
        clip=clip.name,
        codec=codec.name,
        qp=task.qp,
        width=clip.info.width,
        height=clip.info.height,
        frames=frames,
        seconds=float(frames / clip.info.mean_rate),
        size_bytes=sum(parts.values()),
        means=average_series(series),
        parts=parts,
        series=series,
        keys=find_key_frames(str(coded)),
        encode_seconds=round(encoding.seconds, 3) if is_whole else None,
        encode_cpu_seconds=round(encoding.cpu_seconds, 3) if is_whole else None,
        encode_peak_megabytes=round(encoding.peak_megabytes, 1),
        decode_seconds=round(decoding.seconds, 3),
        decode_cpu_seconds=round(decoding.cpu_seconds, 3),
        decode_peak_megabytes=round(decoding.peak_megabytes, 1),
        command=format_command(command),
        decode_command=format_command(decode_command),
        versions=_read_versions(),
        file=str(task.file),
        date=date.today().isoformat(),
        machine=_describe_machine(),
        jobs=task.jobs,
        note="" if family.writes == MATROSKA else RAW,
    )
    target = Path(task.folder) / task.file
    if place_network(coded).exists():
        os.replace(place_network(coded), place_network(target))
    os.replace(coded, target)
    return point


def _measure_series(task: Task, decoded: Path) -> dict[str, list[float | None]]:
    """Return the metrics of the decoded frames, rounded; None where a value is undefined."""
    threads = max((os.cpu_count() or 1) // task.jobs, 1)
    source, frames = open_source(task.clip.path), read_decoded(decoded, task.clip.info)
    series = measure(source, frames, METRIC_SETS[task.metrics], threads=threads)
    return {
        name: [None if v != v else round(v, DIGITS) for v in values]
        for name, values in series.items()
    }


def run_encode(
    command: Sequence[str], work: Path, checkpoint: Path | None = None
) -> tuple[Cost, bool]:
    """Run an encode in the folder `work`; return its cost, and whether that is of the whole encode.

    A training goes on from its checkpoint where an interrupted run left one, and then takes only
    the rest of its time. A checkpoint of another training is removed, so that the next try begins
    anew. Raise CodecError where the encode fails.
    """
    if checkpoint is None:
        return run_command(command, work), True
    is_whole = not checkpoint.exists()
    try:
        cost = run_command([*command, f"--checkpoint={checkpoint.absolute()}"], work)
    except CodecError as error:
        if "a checkpoint of this training" in str(error):  # one that another version wrote, say
            checkpoint.unlink()
        raise
    return cost, is_whole


def run_command(command: Sequence[str], work: Path) -> Cost:
    """Run a command in a folder and return its cost.

    Raise CodecError with the last line of its errors where it fails.
    """
    program = [sys.executable, "-I", "-S", str(usage.__file__), *command]
    outcome = run_program(program, folder=work)
    if outcome.code:
        raise CodecError(f"{format_command(command)} failed: {outcome.complaint()}")
    return Cost(**json.loads(outcome.output))


def format_command(command: Sequence[str]) -> str:
    """Return a command line as it is kept in results: this Python is called `python`."""
    return shlex.join(["python" if word == sys.executable else word for word in command])


def _count_parts(coded: Path) -> dict[str, int]:
    """Return bytes by part; a raw bitstream is all video, a network beside a file an update."""
    if coded.suffix != MATROSKA:
        return {"video": coded.stat().st_size}
    parts, network = dict(read_info(str(coded)).bytes_by_part), place_network(coded)
    return parts | ({"update": network.stat().st_size} if network.exists() else {})


def _describe_machine() -> str:
    """Return processor, cores and Python, for whoever reads the times."""
    model = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _read_versions() -> dict[str, str]:
    """Return the versions that a result depends on, of packages and of the encoders inside PyAV."""
    names = ("tinct", "av", "numpy", "opencv-python-headless", "scikit-image")
    packages = {name: version(name) for name in names}
    folder = Path(av.__file__).parent.parent / "av.libs"
    libraries = {
        file.name.split("-")[0]: file.name.split(".so.")[-1]
        for file in folder.glob("lib*")
        if file.name.startswith(ENCODER_LIBRARIES)
    }
    return {**packages, "ffmpeg": str(av.ffmpeg_version_info), **dict(sorted(libraries.items()))}
