"""Where tasks run: processes of this machine, or a Ray cluster whose nodes see the same folders. A worker that dies is replaced."""

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import Any, Literal, TypeVar

from tinct.errors import CodecError

Engine = Literal["local", "ray"]
TRIES = 3  # of a task whose worker dies
Result = TypeVar("Result")


def run(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], *, jobs: int, engine: Engine = "local"
) -> Iterator[tuple[int, Result | CodecError]]:
    """Call `function` with each task's arguments, `jobs` at a time; (number of the task, result) as they end.

    A CodecError that a task raises is its result; any other error is a mistake of ours and ends the run.
    """
    if engine == "ray":
        return _on_ray(function, tasks, jobs)
    if engine == "local":
        return _here(function, tasks, jobs)
    raise CodecError(f"expected an engine of local, ray; found {engine}")


def _here(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, Result | CodecError]]:
    left = dict(enumerate(tasks))
    for _ in range(TRIES):
        if not left:
            return
        pool = ProcessPoolExecutor(min(jobs, len(left)), mp_context=get_context("spawn"), initializer=_begin_worker)
        try:
            futures = {pool.submit(_work, function, *task): number for number, task in left.items()}
            for future in as_completed(futures):
                try:
                    result: Result | CodecError = future.result()
                except BrokenProcessPool:  # every task in hand gets this, whoever's worker it was
                    continue
                except CodecError as error:
                    result = error
                del left[futures[future]]
                yield futures[future], result
        except BaseException:  # interrupted, or nobody wants the rest: what workers have begun is undone
            for worker in active_children():
                os.kill(worker.pid or 0, signal.SIGINT)
            raise
        finally:
            pool.shutdown(cancel_futures=True)
    for number in left:
        yield number, CodecError(f"its worker died {TRIES} times; is there enough memory? Fewer --jobs take less")


def _begin_worker() -> None:
    """Ctrl-C ends a worker that has nothing in hand at once and silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _work(function: Callable[..., Result], *task: Any) -> Result:
    """A worker with a task in hand lets it clean up behind itself, and takes no other."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return function(*task)
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


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
        local: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": jobs, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **local)
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
