"""Handling of Ctrl-C: raised again where Python drops it, deferred while a step must not stop."""

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RETRY_SECONDS = 0.01  # by then the callback has returned


def keep_interrupts() -> None:
    """Raise interrupts again that Python drops, as in finalisers, from now on in this process."""
    usual = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            threading.Timer(RETRY_SECONDS, _thread.interrupt_main).start()
        else:
            usual(dropped)

    sys.unraisablehook = hook


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block.

    Only the main thread receives signals, so in other threads there is nothing to defer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received = []

    def record(number: int, frame: FrameType | None) -> None:
        received.append(number)

    usual = {number: signal.signal(number, record) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
