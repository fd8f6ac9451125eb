"""When Ctrl-C is heard: not lost where Python drops errors, as in finalisers, and held back while a change is half done."""

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RETRY_SECONDS = 0.01  # by then the callback has returned


def keep_interrupts() -> None:
    """From now on, in this process."""
    usual = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            threading.Timer(RETRY_SECONDS, _thread.interrupt_main).start()
        else:
            usual(dropped)

    sys.unraisablehook = hook


@contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block; only a main thread hears them, so in others nothing is held back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = []

    def keep(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    usual = {number: signal.signal(number, keep) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    if heard:
        signal.raise_signal(heard[0])
