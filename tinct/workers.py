"""Where tasks run: processes of this machine, or a Ray cluster whose nodes see the same folders. A worker that dies is replaced.

A worker of this machine is a fresh Python that takes pickled calls on stdin and gives pickled results on stdout. `multiprocessing`
would import the caller's script once more, and one dead worker ends its pool with everybody's tasks.
"""

import contextlib
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from typing import IO, Any, Literal, TypeVar

from tinct.errors import CodecError
from tinct.interrupt import keep_interrupts

Engine = Literal["local", "ray"]
CONNECT_SECONDS = 10
TRIES = 3  # of a task whose worker dies
Result = TypeVar("Result")


def run(
    function: Callable[..., Result],
    tasks: Sequence[tuple[Any, ...]],
    *,
    jobs: int,
    engine: Engine = "local",
) -> Iterator[tuple[int, Result | CodecError]]:
    """Call `function` with each task's arguments, `jobs` at a time; (number of the task, result) as they end.

    A CodecError that a task raises is its result, and so is the death of its worker, TRIES times in a row; any other error is a
    mistake of ours and ends the run.
    """
    if engine == "ray":
        return _on_ray(function, tasks, jobs)
    if engine == "local":
        return _here(function, tasks, jobs)
    raise CodecError(f"expected an engine of local, ray; found {engine}")


# ── this machine ───────────────────────────────────────────────────────────────────────────────────────────────────


class _Worker:
    """A process that calls functions, one at a time. It has a process group of its own, with all that a call starts."""

    def __init__(self) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tinct.workers import serve; serve()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip

    def call(self, function: Callable[..., Result], task: tuple[Any, ...]) -> Result:
        """What the function gives, or raises; EOFError where the process dies."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((function, task), self._process.stdin)
            self._process.stdin.flush()
            done, result = pickle.load(self._process.stdout)
        except (BrokenPipeError, pickle.UnpicklingError) as error:
            raise EOFError from error
        if not done:
            raise result
        return result

    def interrupt(self) -> None:
        """As Ctrl-C does: a call in hand cleans up behind itself."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(
            BrokenPipeError
        ):  # of a process that is dead, a call that it never read
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _here(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, Result | CodecError]]:
    workers = {number: _Worker() for number in range(min(jobs, len(tasks)))}
    idle: SimpleQueue[int] = SimpleQueue()
    for number in workers:
        idle.put(number)
    stopping = threading.Event()

    def attempt(task: tuple[Any, ...]) -> Result | CodecError:
        number = idle.get()
        try:
            for _ in range(TRIES):
                try:
                    return workers[number].call(function, task)
                except CodecError as error:
                    return error
                except EOFError:
                    if stopping.is_set():
                        break
                    workers[number].end()
                    workers[number] = _Worker()
            return CodecError(
                f"its worker died {TRIES} times; is there enough memory? Fewer --jobs take less"
            )
        finally:
            idle.put(number)

    with ThreadPoolExecutor(max(len(workers), 1)) as pool:
        futures = {pool.submit(attempt, task): number for number, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except (
            BaseException
        ):  # interrupted, or nobody wants the rest: what workers have begun is undone
            stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers.values():
                worker.interrupt()
            raise
        finally:
            pool.shutdown()
            for worker in workers.values():
                worker.end()


def serve() -> None:
    """A worker's whole life: calls from stdin, results to stdout, until stdin ends."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a call prints is no result
    calls: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | Exception | None] = (
        SimpleQueue()
    )
    busy = threading.Event()
    keep_interrupts()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_read_calls, args=(sys.stdin.buffer, calls, busy), daemon=True).start()
    while (call := calls.get()) is not None:
        result = (False, call) if isinstance(call, Exception) else _result_of(*call)
        busy.clear()
        pickle.dump(result, results)
        results.flush()


def _read_calls(source: IO[bytes], calls: SimpleQueue[Any], busy: threading.Event) -> None:
    """Pass calls on, or why one cannot be read: its function's module may not import here.

    When the caller is gone, killed perhaps, the call in hand is interrupted with all that it has started.
    """
    while True:
        try:
            call = pickle.load(source)
        except EOFError:
            calls.put(None)
            if busy.is_set():
                os.killpg(0, signal.SIGINT)
            return
        except Exception as error:  # noqa: BLE001  it is raised where the call was made
            call = error
        busy.set()
        calls.put(call)


def _result_of(function: Callable[..., Any], task: tuple[Any, ...]) -> tuple[bool, Any]:
    """(True, result) or (False, error)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return True, function(*task)
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)
    except Exception as error:  # noqa: BLE001  it is raised where the call was made
        error.add_note("".join(traceback.format_exception(error)))
        return False, error
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


# ── a cluster ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _on_ray(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, Result | CodecError]]:
    try:
        import ray
        from ray.exceptions import RayTaskError, WorkerCrashedError
    except ImportError as error:
        raise CodecError("--engine ray needs Ray: pip install 'tinct[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        _join_ray(jobs)
    try:
        remote = ray.remote(max_retries=TRIES - 1, num_cpus=1)(function)
        numbers = {remote.remote(*task): number for number, task in enumerate(tasks)}
        while numbers:
            (done,), _ = ray.wait(list(numbers))
            number = numbers.pop(done)
            try:
                yield number, ray.get(done)
            except WorkerCrashedError:
                yield number, CodecError(f"its worker died {TRIES} times")
            except RayTaskError as error:
                if not isinstance(error.cause, CodecError):
                    raise
                yield number, error.cause
    finally:
        if ours:
            ray.shutdown()


def _join_ray(jobs: int) -> None:
    """The cluster that RAY_ADDRESS names, else the one that runs on this machine, else a new one of `jobs` workers."""
    import ray

    _check_address(os.environ.get("RAY_ADDRESS", ""))
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(address="auto", **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if "RAY_ADDRESS" in os.environ:
            found = (str(error).strip().splitlines() or [type(error).__name__])[0]
            address = os.environ["RAY_ADDRESS"]
            raise CodecError(
                f"expected to join the Ray cluster at RAY_ADDRESS={address}, found: {found}"
            ) from error
        os.environ.setdefault(
            "RAY_worker_niceness", "0"
        )  # at Ray's own 15, times beside other work would not be an encode's
        ray.init(address="local", num_cpus=jobs, include_dashboard=False, **quiet)


def _check_address(address: str) -> None:
    """Refuse an address that nobody answers: Ray itself goes on trying for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise CodecError(
            f"expected a Ray cluster at RAY_ADDRESS={address}, found: {error.strerror or error}"
        ) from error
