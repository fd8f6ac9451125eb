"""What a command takes as a whole process: wall-clock seconds and peak memory, as the kernel counts them.

A child's peak starts at that of the process it is made from, so this file also is the small program in between.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence


def main(command: Sequence[str]) -> int:
    """Run a command to its end; its time and memory as JSON on stdout, its errors on stderr, its exit code ours."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - began,
                "peak_megabytes": usage.ru_maxrss * 1024 / 1_000_000,
            }
        )
    )
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(main(sys.argv[1:])))
