"""Mutated files through `info` or `decode`, each under limits of time and memory: `python -m fuzz.campaign info --cases 200000`.

A case is its number: corpus and number give the file, `--keep FOLDER` writes those that failed. Cases run one after another in a
process of their own; one that dies or hangs is replaced and goes on with the next case.
"""

import argparse
import collections
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from fuzz.corpus import write_corpus
from fuzz.mutate import mutated
from fuzz.targets import RUNS
from tinct.errors import CodecError

MAX_MEGABYTES = 1500
MAX_SECONDS = 20.0  # of a case; a whole seed takes 0.03
START_SECONDS = 60.0
MEMORY_DISK = (
    "/dev/shm" if Path("/dev/shm").is_dir() else None
)  # a file written over and over waits for a real disk
ADDRESS_BYTES = (
    16 << 30
)  # of address space: beyond it a case fails at once instead of taking the machine's memory


@dataclass
class Findings:
    """What came of a campaign. `failures` are cases with what was wrong: another exception, death, a hang, too much memory."""

    target: str
    cases: int
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    slowest_case: int = -1
    peak_megabytes: float = 0.0
    peak_case: int = -1
    seconds: float = 0.0

    def take(self, number: int, outcome: str, seconds: float, megabytes: float) -> None:
        kind = outcome.partition(": ")[0]
        self.outcomes[kind] = self.outcomes.get(kind, 0) + 1
        if kind not in ("whole", "damaged", "refused"):
            self.failures[number] = outcome
        if seconds > self.slowest_seconds:
            self.slowest_seconds, self.slowest_case = round(seconds, 3), number
        if megabytes > self.peak_megabytes:
            self.peak_megabytes, self.peak_case = round(megabytes, 1), number
        if megabytes > MAX_MEGABYTES:
            self.failures[number] = f"{megabytes:.0f} MB"


def file_of(corpus: list[bytes], number: int) -> bytes:
    """The mutated file of a case."""
    random = Random(number)
    return mutated(corpus[number % len(corpus)], random)


def campaign(target: str, cases: int, first: int, corpus: Path, keep: Path | None) -> Findings:
    findings = Findings(target, cases)
    began, number = time.monotonic(), first
    with contextlib.suppress(KeyboardInterrupt):  # what there is by then is worth printing
        while number < first + cases:
            number = _watched(findings, target, number, first + cases, corpus)
    findings.cases = sum(findings.outcomes.values())
    findings.seconds = round(time.monotonic() - began, 1)
    if keep is not None and findings.failures:
        keep.mkdir(parents=True, exist_ok=True)
        seeds = _seeds(corpus)
        for failed in findings.failures:
            (keep / f"{target}-{failed}.mkv").write_bytes(file_of(seeds, failed))
    return findings


def _watched(findings: Findings, target: str, first: int, end: int, corpus: Path) -> int:
    """Run cases in a process until it has done all or is lost; the number to go on with."""
    command = [
        sys.executable,
        "-m",
        "fuzz.campaign",
        "--serve",
        target,
        str(first),
        str(end),
        str(corpus),
    ]
    number = first
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            signal.setitimer(signal.ITIMER_REAL, START_SECONDS)
            for line in process.stdout:
                findings.take(number, *json.loads(line))
                number += 1
                signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
            if number < end:
                findings.take(number, f"died: exit code {process.wait()}", 0.0, 0.0)
        except TimeoutError:
            findings.take(number, f"hung: {MAX_SECONDS:.0f} s", MAX_SECONDS, 0.0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            process.kill()
    return min(number + 1, end)


def serve(target: str, first: int, end: int, corpus: Path) -> None:
    """Cases `first` to `end`: a line of JSON each, with outcome, seconds and megabytes."""
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seeds = _seeds(corpus)
    with TemporaryDirectory(dir=MEMORY_DISK) as folder:
        path = Path(folder) / "case.mkv"
        for number in range(first, end):
            path.write_bytes(file_of(seeds, number))
            Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
            began = time.monotonic()
            outcome = outcome_of(target, path)
            results.write(json.dumps([outcome, time.monotonic() - began, _peak_megabytes()]) + "\n")


def outcome_of(target: str, path: Path) -> str:
    """whole, damaged, refused; or anything else, which is a failure."""
    try:
        return "damaged" if RUNS[target](path) else "whole"
    except CodecError as error:
        text = str(error)
        return "refused" if "\n" not in text and len(text) < 1000 else f"no line: {text[:500]}"
    except Exception as error:  # noqa: BLE001  this is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"raised: {type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error)[:200]}"


def _seeds(corpus: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((corpus / "file").iterdir())]


def _peak_megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _alarm(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    if sys.argv[1] == "--serve":
        serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(RUNS))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--corpus", type=Path, help="made anew unless given")
    parser.add_argument("--keep", type=Path, help="a folder for the files that failed")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, _alarm)
    with TemporaryDirectory() as folder:
        if options.corpus is None:
            write_corpus(Path(folder))
        found = campaign(
            options.target,
            options.cases,
            options.first,
            options.corpus or Path(folder),
            options.keep,
        )
    print(json.dumps(asdict(found), indent=1))
    common = collections.Counter(found.failures.values()).most_common(20)
    for failure, count in common:
        print(f"{count:6} {failure}", file=sys.stderr)
    sys.exit(1 if found.failures else 0)


if __name__ == "__main__":
    main()
