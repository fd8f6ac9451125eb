"""Parallel tasks, in processes of this machine or on a Ray cluster.

Nodes of a cluster must see the same folders. A worker that dies is replaced. A worker of this
machine is a fresh Python that reads pickled calls from stdin and writes pickled results to stdout.
`multiprocessing` would import the caller's script once more, and one dead worker would end its
whole pool, every task with it.
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
TRIES = 3  # attempts at a task whose worker dies
Result = TypeVar("Result")


def run_tasks(
    function: Callable[..., Result],
    tasks: Sequence[tuple[Any, ...]],
    *,
    jobs: int,
    engine: Engine = "local",
) -> Iterator[tuple[int, Result | CodecError]]:
    """Call `function` with each task's arguments, `jobs` at a time; yield (task number, result).

    Results come in the order in which tasks end. If a task raises CodecError, or its worker dies
    TRIES times in a row, its result is a CodecError. Any other error is a programmer's mistake and
    ends the run.
    """
    if engine == "ray":
        return _run_on_ray(function, tasks, jobs)
    if engine == "local":
        return _run_locally(function, tasks, jobs)
    raise CodecError(f"expected an engine of local, ray; found {engine}")


# ── this machine ──────────────────────────────────────────────────────────────────────────────────


class Worker:
    """A process that calls functions, one at a time.

    It leads a process group, to which all processes that a call starts belong.
    """

    def __init__(self) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from tinct.workers import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def call(self, function: Callable[..., Result], task: tuple[Any, ...]) -> Result:
        """Return the function's result or raise its error; EOFError if the process dies."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            pickle.dump((function, task), self.process.stdin)
            self.process.stdin.flush()
            done, result = pickle.load(self.process.stdout)
        except (BrokenPipeError, pickle.UnpicklingError) as error:
            raise EOFError from error
        if not done:
            raise result
        return result

    def interrupt(self) -> None:
        """Interrupt a call in progress as Ctrl-C does, so that it cleans up after itself."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> None:
        """Close the worker's input and wait for the process to exit."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        # A dead process leaves a call unread in the pipe.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def _run_locally(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, Result | CodecError]]:
    workers = {number: Worker() for number in range(min(jobs, len(tasks)))}
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
                    workers[number] = Worker()
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
        except BaseException:
            # The run was interrupted, or the caller stopped reading: calls in progress clean up.
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
    """Run a worker: read calls from stdin, write results to stdout, until stdin ends."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep what a call prints out of the results
    calls: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | Exception | None] = (
        SimpleQueue()
    )
    busy = threading.Event()
    keep_interrupts()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_read_calls, args=(sys.stdin.buffer, calls, busy), daemon=True).start()
    while (call := calls.get()) is not None:
        result = (False, call) if isinstance(call, Exception) else _run_call(*call)
        busy.clear()
        pickle.dump(result, results)
        results.flush()


def _read_calls(source: IO[bytes], calls: SimpleQueue[Any], busy: threading.Event) -> None:
    """Put calls into the queue, or the error of one that cannot be read.

    A call cannot be read where its function's module does not import. When the caller is gone,
    perhaps killed, the call in progress is interrupted with every process that it started.
    """
    while True:
        try:
            call = pickle.load(source)
        except EOFError:
            calls.put(None)
            if busy.is_set():
                os.killpg(0, signal.SIGINT)
            return
        except Exception as error:  # noqa: BLE001  the caller raises it
            call = error
        busy.set()
        calls.put(call)


def _run_call(function: Callable[..., Any], task: tuple[Any, ...]) -> tuple[bool, Any]:
    """Call the function; return (True, result) or (False, error)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return True, function(*task)
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)
    except Exception as error:  # noqa: BLE001  the caller raises it
        error.add_note("".join(traceback.format_exception(error)))
        return False, error
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


# ── a cluster ─────────────────────────────────────────────────────────────────────────────────────


def _run_on_ray(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, Result | CodecError]]:
    try:
        import ray
        from ray.exceptions import RayTaskError, WorkerCrashedError
    except ImportError as error:
        raise CodecError("--engine ray needs Ray: pip install 'tinct[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        join_ray(jobs)
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


def join_ray(jobs: int) -> None:
    """Join a Ray cluster, or start one.

    Takes the cluster that RAY_ADDRESS names, else the one that runs on this machine, else starts
    one with `jobs` workers.
    """
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
        # At Ray's own niceness of 15, times measured beside other work would be too long.
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(address="local", num_cpus=jobs, include_dashboard=False, **quiet)


def _check_address(address: str) -> None:
    """Refuse an address where nothing answers: Ray itself goes on trying for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise CodecError(
            f"expected a Ray cluster at RAY_ADDRESS={address}, found: {error.strerror or error}"
        ) from error
