"""What a command takes as a whole process: wall-clock seconds and peak memory, from the kernel.

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

    Its time and memory go to stdout as JSON; its own errors go to stderr.
    """
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    peak_megabytes = usage.ru_maxrss * 1024 / 1_000_000  # Linux counts in KiB
    print(json.dumps({"seconds": seconds, "peak_megabytes": peak_megabytes}))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(main(sys.argv[1:])))
