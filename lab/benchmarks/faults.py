"""kill -9 at random moments of encodes, with training and without, of decodes and of sweeps.

    python -m lab.benchmarks.faults --kills 200

Each run is killed once, at a moment drawn evenly over the time that an uninterrupted run takes, and
then done again by the same call in the same folder. It is clean if the destination held nothing or
a whole file after the kill, and if the second run left the same bytes as one that was never killed,
and no other file. Prints JSON.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import tinct
from tests.synthetic import write_clip

RUN = "import sys; from tinct.cli.app import main; main(sys.argv[1:])"
# Checkpoints are written often enough that some kills fall between two.
TRAIN = f"import tinct.adapt.gan; tinct.adapt.gan.CHECKPOINT_SECONDS = 0.05; {RUN}"

NO_NETWORK = ("--colour", "track", "--colouriser", "none")
GAN = ("--preset", "paper", "--recipe", "cpu", "--channels", "6", "--adapt", "20steps")
# A fine QP makes the file large enough for an update to pay.
COMPACT = (
    *("--colour", "track", "--colouriser", "compact"),
    *("--qp", "12", "--group", "8", "--adapt", "40steps"),
)
SWEEP = (
    *("--codec", "x265:intra", "tinct:intra,colour=track,colouriser=none"),
    *("--qp", "37", "--frames", "4"),
)
# Fields of points that differ between two runs; the date, where midnight lies between.
VARYING = {
    *("encode_seconds", "encode_cpu_seconds", "encode_peak_megabytes"),
    *("decode_seconds", "decode_cpu_seconds", "decode_peak_megabytes"),
    "date",
}


def _encode_args(work: Path, out: Path) -> list[str]:
    return ["encode", str(work / "clip.mkv"), str(out / "a.mkv"), *NO_NETWORK]


def _tune_args(work: Path, out: Path) -> list[str]:
    """Encode with an update of the colouriser `compact`, trained on the video."""
    return ["encode", str(work / "middle.mkv"), str(out / "a.mkv"), *COMPACT]


def _adapt_args(work: Path, out: Path) -> list[str]:
    """Encode with a network of the video's own."""
    checkpoint = ("--checkpoint", str(out / "run.ckpt"))
    return ["encode", str(work / "short.mkv"), str(out / "a.mkv"), *GAN, *checkpoint]


def _decode_args(work: Path, out: Path) -> list[str]:
    return ["decode", str(work / "tinct.mkv"), str(out / "a.mkv")]


def _sweep_args(work: Path, out: Path) -> list[str]:
    if (out / "r" / "sweep.json").exists():
        return ["evaluate", "--resume", str(out / "r")]
    return ["evaluate", str(work / "short.mkv"), *SWEEP, "--out", str(out / "r")]


@dataclass(frozen=True)
class Kind:
    """What is run; `share` of the kills, fewer where a run takes long; `program` as Python code."""

    make_args: Callable[[Path, Path], list[str]]
    share: float
    program: str = RUN


KINDS = {
    "encode": Kind(_encode_args, 0.4),
    "tune": Kind(_tune_args, 0.06),
    "adapt": Kind(_adapt_args, 0.06, TRAIN),
    "decode": Kind(_decode_args, 0.4),
    "sweep": Kind(_sweep_args, 0.08),
}


@dataclass(kw_only=True)
class Outcome:
    """Of one kind: kills that hit a run at work, how many were clean, what was wrong with others.

    `seconds` is the time of an uninterrupted run. `left_something` counts kills after which the
    next run had something to remove or to go on from.
    """

    kind: str
    seconds: float
    kills: int = 0
    clean: int = 0
    left_something: int = 0
    wrong: list[str] = field(default_factory=list)


def prepare(work: Path) -> None:
    """Write the files that the runs read."""
    write_clip(work / "clip.mkv", frames=90, size=(128, 96))
    write_clip(work / "middle.mkv", frames=24, size=(128, 96))
    write_clip(work / "short.mkv", frames=13)
    config = tinct.EncodeConfig(colour="track", colouriser="none")
    tinct.encode(str(work / "clip.mkv"), str(work / "tinct.mkv"), config)


def start_run(kind: str, work: Path, out: Path) -> "subprocess.Popen[bytes]":
    """Start a run of `kind` into the folder `out`."""
    arguments = [*KINDS[kind].make_args(work, out), "--quiet"]
    if (out / "a.mkv").exists():  # the run before was killed after its output was whole
        arguments.append("--overwrite")
    command = [sys.executable, "-c", KINDS[kind].program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def run_whole(kind: str, work: Path, out: Path) -> dict[str, object]:
    """Run to the end and return what lies in `out`."""
    process = start_run(kind, work, out)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    return read_result(out)


def read_result(out: Path) -> dict[str, object]:
    """Return every file below a folder with its content; of points, all but VARYING."""
    found: dict[str, object] = {}
    for path in sorted(out.rglob("*")):
        if path.name == "points.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found["points"] = sorted(map(_dump_without_varying, lines))
        elif path.name == "sweep.json" or path.is_dir():
            found[str(path.relative_to(out))] = "there"
        elif path.suffix != ".ckpt":  # a checkpoint holds times
            found[str(path.relative_to(out))] = path.read_bytes()
    return found


def _dump_without_varying(point: dict[str, object]) -> str:
    return json.dumps({name: value for name, value in point.items() if name not in VARYING})


def kill_and_repeat(
    work: Path, moment_seconds: float, expected: dict[str, object], *, outcome: Outcome
) -> None:
    """Kill a run, look, run again, look, and count it in `outcome` unless it ended before."""
    with TemporaryDirectory(dir=work) as folder:
        out = Path(folder)
        process = start_run(outcome.kind, work, out)
        time.sleep(moment_seconds)
        has_ended = process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if has_ended:
            return
        left = list(out.rglob("*"))
        outcome.kills += 1
        outcome.left_something += bool(left)
        wrong = [p.name for p in left if p.name == "a.mkv" and p.read_bytes() != expected["a.mkv"]]
        found = run_whole(outcome.kind, work, out)
        names = expected.keys() | found.keys()
        wrong += [str(name) for name in names if expected.get(name) != found.get(name)]
        if wrong:
            outcome.wrong.append(f"at {moment_seconds:.3f} s: {', '.join(sorted(wrong))}")
        outcome.clean += not wrong


def measure(kind: str, kills: int, work: Path, *, seed: int = 0) -> Outcome:
    """Kill runs of one kind until `kills` of them were hit at work; some moments come too late."""
    random = Random(f"{kind}{seed}")
    with TemporaryDirectory(dir=work) as folder:
        began = time.monotonic()
        expected = run_whole(kind, work, Path(folder))
        outcome = Outcome(kind=kind, seconds=round(time.monotonic() - began, 2))
    with suppress(KeyboardInterrupt):  # what there is by then is worth printing
        for _ in range(3 * kills):
            if outcome.kills < kills:
                moment_seconds = random.uniform(0, outcome.seconds)
                kill_and_repeat(work, moment_seconds, expected, outcome=outcome)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--kind", choices=KINDS, action="append")
    options = parser.parse_args()
    kinds = options.kind or list(KINDS)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(work)
        whole = sum(KINDS[kind].share for kind in kinds)
        counts = {kind: round(options.kills * KINDS[kind].share / whole) for kind in kinds}
        outcomes = [measure(kind, count, work) for kind, count in counts.items()]
    print(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    sys.exit(any(outcome.clean < outcome.kills or not outcome.kills for outcome in outcomes))


if __name__ == "__main__":
    main()
