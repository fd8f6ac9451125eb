"""The phases of long work: those who do it tell how far they are, and whoever listens shows it.

As with a log, nothing is handed down to the place that tells. Without a listener telling is free.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Phase:
    """How far a phase is: `done` of `total`, counted in `unit`, without one a share.

    `total` is None where nobody knows it. `note` is what else there is to see.
    """

    name: str
    done: float
    total: float | None
    unit: str = ""
    note: str = ""


Listener = Callable[[Phase], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listen(listener: Listener | None) -> Iterator[None]:
    """Let `listener` hear of every phase that this thread tells inside the `with`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(
    name: str, done: float, total: float | None = None, *, unit: str = "", note: str = ""
) -> None:
    """Say how far the phase `name` is, to whoever listens."""
    listener = _listener.get()
    if listener is not None:
        listener(Phase(name=name, done=done, total=total, unit=unit, note=note))
