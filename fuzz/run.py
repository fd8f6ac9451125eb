"""The targets under atheris, which keeps inputs that reach new code.

    python -m fuzz.run --seconds 120

Each target runs in a process of its own, as many at a time as there are processors. Inputs that
fail are written to `crashes/`; `python -m fuzz.run --target manifest crashes/FILE` repeats one.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

# The targets, each with its part of the corpus.
TARGETS = {
    "info": "file",
    "decode": "file",
    "manifest": "manifest",
    "update": "update",
    "mp4": "mp4",
    "ts": "ts",
}
MAX_MEGABYTES, MAX_SECONDS = 1500, 20  # of one input


def fuzz(target: str, arguments: list[str]) -> None:
    """Run libFuzzer on one target until its arguments say stop; do not return."""
    import atheris

    with atheris.instrument_imports(include=["tinct"]):
        from fuzz import targets
        from fuzz.mutators import MUTATORS
        from tinct.errors import CodecError

    mutate = MUTATORS[TARGETS[target]]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "case.mkv"

        def run_file(data: bytes) -> None:
            path.write_bytes(data)
            targets.RUNS[target](path)

        run: Callable[[bytes], None] = {
            "manifest": targets.run_manifest,
            "update": targets.run_update,
        }.get(target, run_file)

        def run_case(data: bytes) -> None:
            with suppress(CodecError):  # refused, as it should be
                run(data)

        def mutate_case(data: bytes, max_size: int, seed: int) -> bytes:
            return mutate(data, Random(seed))[:max_size]

        atheris.Setup([sys.argv[0], *arguments], run_case, custom_mutator=mutate_case)
        atheris.Fuzz()


def fuzz_all(seconds: float, corpus: Path, crashes: Path) -> dict[str, int]:
    """Run all targets side by side for `seconds` in all; return the exit code of each."""
    jobs = os.cpu_count() or 1
    each = max(1, round(seconds * min(jobs, len(TARGETS)) / len(TARGETS)))
    crashes.mkdir(parents=True, exist_ok=True)

    def run_target(target: str) -> int:
        found = corpus / f"found-{target}"
        found.mkdir(exist_ok=True)
        limits = [
            f"-max_total_time={each}",
            f"-rss_limit_mb={MAX_MEGABYTES}",
            f"-timeout={MAX_SECONDS}",
            "-max_len=200000",
        ]
        arguments = [
            *limits,
            f"-artifact_prefix={crashes}/{target}-",
            "-print_final_stats=1",
            str(found),
            str(corpus / TARGETS[target]),
        ]
        log = (crashes / f"{target}.log").open("wb")
        with log:
            command = [sys.executable, "-m", "fuzz.run", "--target", target, *arguments]
            return subprocess.run(command, stdout=log, stderr=log, check=False).returncode

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(TARGETS, pool.map(run_target, TARGETS), strict=True))


def main() -> None:
    if sys.argv[1:2] == ["--target"]:
        fuzz(sys.argv[2], sys.argv[3:])
    from fuzz.corpus import write_corpus

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="in all")
    parser.add_argument(
        "--corpus", type=Path, help="a folder that keeps what is found; made anew unless given"
    )
    parser.add_argument(
        "--crashes",
        type=Path,
        default=Path("crashes"),
        help="a folder for inputs that fail, and logs",
    )
    options = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        corpus = options.corpus or Path(folder)
        write_corpus(corpus)
        codes = fuzz_all(options.seconds, corpus, options.crashes)
    for target, code in codes.items():
        log = (options.crashes / f"{target}.log").read_text(errors="replace").splitlines()
        runs = next((line.split()[-1] for line in log if "number_of_executed_units" in line), "?")
        last = next((line for line in reversed(log) if " cov: " in line), "")
        coverage = last.partition("cov: ")[2].partition(" ")[0]
        outcome = "clean"
        if code != 0:
            outcome = f"FAILED with exit code {code}; the end of {options.crashes}/{target}.log:"
        print(f"{target}: {runs} inputs, coverage {coverage}, {outcome}")
        if code != 0:  # whoever reads this may not have the log
            print("\n".join(line[:300] for line in log[-40:]))
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(1 if any(codes.values()) else 0)


if __name__ == "__main__":
    main()
