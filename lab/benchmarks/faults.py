"""kill -9 at random moments of encodes, with training and without, decodes and sweeps:
`python -m lab.benchmarks.faults --kills 200`.

Each run is killed once, at a moment drawn evenly over the time that an uninterrupted run takes, and then done again by the same
call in the same folder. It is clean when what stood at the destination after the kill was nothing or whole, and when the second
run left the same bytes as one that was never killed, and no file that should not be there. Prints JSON.
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

TINCT = "import sys; from tinct.cli.app import main; main(sys.argv[1:])"
# checkpoints often enough that some kills fall between two
TRAINING = "import sys, tinct.adapt.gan; tinct.adapt.gan.CHECKPOINT_SECONDS = 0.05; from tinct.cli.app import main; main(sys.argv[1:])"
ADAPT = ("--preset", "paper", "--recipe", "cpu", "--channels", "6", "--adapt", "20steps")
TUNE = (
    "--colour",
    "track",
    "--colouriser",
    "compact",
    "--qp",
    "12",
    "--group",
    "8",
    "--adapt",
    "40steps",
)
SWEEP = (
    "--codec",
    "x265:intra",
    "tinct:intra,colour=track,colouriser=none",
    "--qp",
    "37",
    "--frames",
    "4",
)


def _encode(work: Path, out: Path) -> list[str]:
    return [
        "encode",
        str(work / "clip.mkv"),
        str(out / "a.mkv"),
        "--colour",
        "track",
        "--colouriser",
        "none",
        "--quiet",
    ]


def _adapt(work: Path, out: Path) -> list[str]:
    return [
        "encode",
        str(work / "short.mkv"),
        str(out / "a.mkv"),
        *ADAPT,
        "--checkpoint",
        str(out / "run.ckpt"),
        "--quiet",
    ]


def _tune(work: Path, out: Path) -> list[str]:
    """`compact`, which learns from the video; a fine QP makes the file large enough to bear an update."""
    return ["encode", str(work / "middle.mkv"), str(out / "a.mkv"), *TUNE, "--quiet"]


def _decode(work: Path, out: Path) -> list[str]:
    return ["decode", str(work / "tinct.mkv"), str(out / "a.mkv"), "--quiet"]


def _sweep(work: Path, out: Path) -> list[str]:
    if (out / "r" / "sweep.json").exists():
        return ["evaluate", "--resume", str(out / "r"), "--quiet"]
    return ["evaluate", str(work / "short.mkv"), *SWEEP, "--out", str(out / "r"), "--quiet"]


SHARES = {
    "encode": 0.4,
    "tune": 0.06,
    "adapt": 0.06,
    "decode": 0.4,
    "sweep": 0.08,
}  # of the kills: the slow ones get fewer
KINDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "encode": _encode,
    "tune": _tune,
    "adapt": _adapt,
    "decode": _decode,
    "sweep": _sweep,
}
# of points: two runs differ in them, in the day too where midnight lies between
VARYING = {
    "encode_seconds",
    "decode_seconds",
    "encode_peak_megabytes",
    "decode_peak_megabytes",
    "date",
}


@dataclass
class Outcome:
    """Of one kind: kills that hit a run at work, how many of them were clean, what was wrong with the others."""

    kind: str
    seconds: float  # of an uninterrupted run
    kills: int = 0
    clean: int = 0
    left_something: int = (
        0  # kills after which the next run had something to remove or to go on from
    )
    wrong: list[str] = field(default_factory=list)


def prepare(work: Path) -> None:
    """What the runs read."""
    write_clip(work / "clip.mkv", frames=90, size=(128, 96))
    write_clip(work / "middle.mkv", frames=24, size=(128, 96))
    write_clip(work / "short.mkv", frames=13)
    config = tinct.EncodeConfig(colour="track", colouriser="none")
    tinct.encode(str(work / "clip.mkv"), str(work / "tinct.mkv"), config)


def begin(kind: str, work: Path, out: Path) -> "subprocess.Popen[bytes]":
    arguments = KINDS[kind](work, out) + (
        ["--overwrite"] if (out / "a.mkv").exists() else []
    )  # killed when it was whole already
    command = [sys.executable, "-c", TRAINING if kind == "adapt" else TINCT, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def result_of(out: Path) -> dict[str, object]:
    """Every file below a folder with what is in it; of a sweep's points all but what they took and the day."""
    found: dict[str, object] = {}
    for path in sorted(out.rglob("*")):
        if path.name == "points.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found["points"] = sorted(
                json.dumps({k: v for k, v in line.items() if k not in VARYING}) for line in lines
            )
        elif path.name == "sweep.json" or path.is_dir():
            found[str(path.relative_to(out))] = "there"
        elif path.suffix != ".ckpt":  # holds times
            found[str(path.relative_to(out))] = path.read_bytes()
    return found


def finish(kind: str, work: Path, out: Path) -> dict[str, object]:
    process = begin(kind, work, out)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()
    return result_of(out)


def killed(
    kind: str, work: Path, moment_seconds: float, expected: dict[str, object], outcome: Outcome
) -> bool:
    """Kill a run, look, run again, look; False where the run had ended before."""
    with TemporaryDirectory(dir=work) as folder:
        out = Path(folder)
        process = begin(kind, work, out)
        time.sleep(moment_seconds)
        ended = process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if ended:
            return False
        left = list(out.rglob("*"))
        outcome.kills += 1
        outcome.left_something += bool(left)
        wrong = [p.name for p in left if p.name == "a.mkv" and p.read_bytes() != expected["a.mkv"]]
        found = finish(kind, work, out)
        wrong += [
            str(name)
            for name in expected.keys() | found.keys()
            if expected.get(name) != found.get(name)
        ]
        if wrong:
            outcome.wrong.append(f"at {moment_seconds:.3f} s: {', '.join(sorted(wrong))}")
        outcome.clean += not wrong
    return True


def measure(kind: str, kills: int, work: Path, seed: int = 0) -> Outcome:
    random = Random(f"{kind}{seed}")
    with TemporaryDirectory(dir=work) as folder:
        began = time.monotonic()
        expected = finish(kind, work, Path(folder))
        outcome = Outcome(kind, round(time.monotonic() - began, 2))
    with suppress(KeyboardInterrupt):  # what there is by then is worth printing
        for _ in range(3 * kills):  # some come too late
            if outcome.kills < kills:
                killed(kind, work, random.uniform(0, outcome.seconds), expected, outcome)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--kind", choices=KINDS, action="append")
    options = parser.parse_args()
    kinds = options.kind or list(KINDS)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with TemporaryDirectory() as folder:
        prepare(Path(folder))
        whole = sum(SHARES[kind] for kind in kinds)
        outcomes = [
            measure(kind, round(options.kills * SHARES[kind] / whole), Path(folder))
            for kind in kinds
        ]
    print(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    sys.exit(any(outcome.clean < outcome.kills or not outcome.kills for outcome in outcomes))


if __name__ == "__main__":
    main()
