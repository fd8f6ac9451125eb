"""An interrupt in a weak reference's callback, whose errors Python drops, still ends the work."""

import subprocess
import sys

PROGRAM = """
import signal, sys, time, weakref
from tinct.interrupt import keep_interrupts
keep_interrupts()
class Thing: pass
thing = Thing()
kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
try:
    del thing
    time.sleep(5)
except KeyboardInterrupt:
    sys.exit(7)
"""


def test_an_interrupt_in_a_callback_is_raised_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=False, timeout=20
    )
    assert (done.returncode, done.stderr) == (7, b"")
