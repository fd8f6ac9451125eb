"""What a command takes as a whole process: seconds by the clock and of processors, and memory.

The peak of a new process starts at that of the process that forks it. This file is therefore also
the small program that `measurement` starts in between.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence


def main(command: Sequence[str]) -> int:
    """Run a command to its end and return its exit code.

    Its times and memory go to stdout as JSON; its own errors go to stderr.
    """
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    peak_megabytes = usage.ru_maxrss * 1024 / 1_000_000  # Linux counts in KiB
    cost = {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_megabytes": peak_megabytes,
    }
    print(json.dumps(cost))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(main(sys.argv[1:])))
