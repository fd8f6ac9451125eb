"""A campaign: mutated files through a target, each under limits of time and memory.

    python -m fuzz.campaign info --cases 200000

Corpus and number of a case give its file; `--keep FOLDER` writes those that failed. Cases run one
after another in a process of their own; one that dies or hangs is replaced.
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
from fuzz.mutators import MUTATORS
from fuzz.run import TARGETS
from fuzz.targets import RUNS
from tinct.errors import CodecError

MAX_MEGABYTES = 1500
MAX_SECONDS = 20.0  # of a case; a whole seed takes 0.03
START_SECONDS = 60.0
# A file that is written over and over would wait for a real disk.
MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
# Address space: beyond it a case fails at once instead of taking the machine's memory.
ADDRESS_BYTES = 16 << 30


@dataclass
class Findings:
    """What came of a campaign.

    `failures` gives by case what was wrong: an exception that is no refusal, the death of the
    process, a hang, or too much memory.
    """

    target: str
    cases: int
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    slowest_case: int = -1
    peak_megabytes: float = 0.0
    peak_case: int = -1
    seconds: float = 0.0

    def take(self, number: int, outcome: str, *, seconds: float, megabytes: float) -> None:
        """Count the outcome of a case."""
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


def make_case(target: str, corpus: list[bytes], number: int) -> bytes:
    """Return the mutated file of a case."""
    mutate = MUTATORS[TARGETS[target]]
    return mutate(corpus[number % len(corpus)], Random(number))


def run_campaign(
    target: str, cases: int, *, first: int, corpus: Path, keep: Path | None
) -> Findings:
    """Run `cases` cases from number `first` on; write those that failed to `keep`."""
    findings = Findings(target, cases)
    began, number = time.monotonic(), first
    with contextlib.suppress(KeyboardInterrupt):  # what there is by then is worth printing
        while number < first + cases:
            number = _watch(findings, first=number, end=first + cases, corpus=corpus)
    findings.cases = sum(findings.outcomes.values())
    findings.seconds = round(time.monotonic() - began, 1)
    if keep is not None and findings.failures:
        keep.mkdir(parents=True, exist_ok=True)
        seeds = _read_seeds(target, corpus)
        for failed in findings.failures:
            (keep / f"{target}-{failed}.mkv").write_bytes(make_case(target, seeds, failed))
    return findings


def _watch(findings: Findings, *, first: int, end: int, corpus: Path) -> int:
    """Run cases in a process until it has done all or is lost; return the number to go on with."""
    arguments = (findings.target, str(first), str(end), str(corpus))
    command = [sys.executable, "-m", "fuzz.campaign", "--serve", *arguments]
    number = first
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            signal.setitimer(signal.ITIMER_REAL, START_SECONDS)
            for line in process.stdout:
                outcome, seconds, megabytes = json.loads(line)
                findings.take(number, outcome, seconds=seconds, megabytes=megabytes)
                number += 1
                signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
            if number < end:
                died = f"died: exit code {process.wait()}"
                findings.take(number, died, seconds=0.0, megabytes=0.0)
        except TimeoutError:
            hung = f"hung: {MAX_SECONDS:.0f} s"
            findings.take(number, hung, seconds=MAX_SECONDS, megabytes=0.0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            process.kill()
    return min(number + 1, end)


def serve(target: str, *, first: int, end: int, corpus: Path) -> None:
    """Run cases `first` to `end`; write a line of JSON each: outcome, seconds and megabytes."""
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seeds = _read_seeds(target, corpus)
    with TemporaryDirectory(dir=MEMORY_DISK) as folder:
        path = Path(folder) / "case.mkv"
        for number in range(first, end):
            path.write_bytes(make_case(target, seeds, number))
            Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
            began = time.monotonic()
            outcome = judge_case(target, path)
            results.write(json.dumps([outcome, time.monotonic() - began, _peak_megabytes()]) + "\n")


def judge_case(target: str, path: Path) -> str:
    """Return "whole", "damaged" or "refused"; anything else is a failure."""
    try:
        return "damaged" if RUNS[target](path) else "whole"
    except CodecError as error:
        text = str(error)
        return "refused" if "\n" not in text and len(text) < 1000 else f"no line: {text[:500]}"
    except Exception as error:  # noqa: BLE001  this is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return f"raised: {type(error).__name__} in {where}: {str(error)[:200]}"


def _read_seeds(target: str, corpus: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((corpus / TARGETS[target]).iterdir())]


def _peak_megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _raise_timeout(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    if sys.argv[1] == "--serve":
        _, _, target, first, end, folder = sys.argv
        serve(target, first=int(first), end=int(end), corpus=Path(folder))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(RUNS))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--corpus", type=Path, help="made anew unless given")
    parser.add_argument("--keep", type=Path, help="a folder for the files that failed")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, _raise_timeout)
    with TemporaryDirectory() as folder:
        if options.corpus is None:
            write_corpus(Path(folder))
        found = run_campaign(
            options.target,
            options.cases,
            first=options.first,
            corpus=options.corpus or Path(folder),
            keep=options.keep,
        )
    print(json.dumps(asdict(found), indent=1))
    common = collections.Counter(found.failures.values()).most_common(20)
    for failure, count in common:
        print(f"{count:6} {failure}", file=sys.stderr)
    sys.exit(1 if found.failures else 0)


if __name__ == "__main__":
    main()
