"""Interrupts where Python drops them, and where a step must not stop."""

import subprocess
import sys

import pytest

# Each program runs in a process of its own: an interrupt would end the tests.
DROPPED = """
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

DEFERRED = """
import signal, sys
from tinct.interrupt import defer_interrupts
number = signal.Signals[sys.argv[1]]
signal.signal(number, signal.default_int_handler)
steps = []
def work():
    with defer_interrupts():
        signal.raise_signal(number)
        steps.append("in the block")
    steps.append("behind the block")
try:
    work()
except KeyboardInterrupt:
    assert signal.getsignal(number) is signal.default_int_handler
    print(*steps)
"""

IN_A_THREAD = """
import signal, threading
from tinct.interrupt import defer_interrupts
def work():
    with defer_interrupts():
        print(signal.getsignal(signal.SIGINT) is usual)
usual = signal.getsignal(signal.SIGINT)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def run_program(program: str, *arguments: str) -> tuple[int, str]:
    """Return the exit status and all output of a Python program."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=20,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
def test_an_interrupt_in_a_callback_is_raised_again() -> None:
    """Python drops errors of a weak reference's callback."""
    assert run_program(DROPPED) == (7, "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_deferred_interrupt_comes_at_the_end_of_the_block(name: str) -> None:
    assert run_program(DEFERRED, name) == (0, "in the block\n")


def test_other_threads_have_nothing_to_defer() -> None:
    assert run_program(IN_A_THREAD) == (0, "True\n")
