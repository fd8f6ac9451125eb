"""Ctrl-C that falls where Python drops errors, in the callback of a weak reference or a finaliser: it is raised again, not lost."""

import _thread
import sys
import threading

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
