"""Tasks in worker processes and on Ray: results, errors, and workers that are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import TEST_PATH

from tinct.errors import CodecError
from tinct.workers import Engine, Worker, join_ray, run_tasks


def die_once(marker: str, value: int) -> int:
    """Kill the first worker that calls this."""
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * value


def niceness(more: int) -> int:
    return os.nice(more)


def refuse(value: int) -> int:
    raise CodecError(f"no {value}")


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where tasks run; a cluster imports the functions of this file."""
    monkeypatch.setenv("PYTHONPATH", TEST_PATH)
    if request.param == "ray":
        join_ray(2)
    yield request.param
    if request.param == "ray":
        import ray

        ray.shutdown()


@pytest.mark.slow
def test_a_killed_worker_is_replaced(tmp_path: Path, engine: Engine) -> None:
    tasks = [(str(tmp_path / "marker"), value) for value in range(6)]
    assert dict(run_tasks(die_once, tasks, jobs=2, engine=engine)) == {
        value: 10 * value for value in range(6)
    }
    refused = dict(run_tasks(refuse, [(1,), (2,)], jobs=2, engine=engine))
    assert {number: str(error) for number, error in refused.items()} == {0: "no 1", 1: "no 2"}
    nice = dict(run_tasks(niceness, [(0,)], jobs=1, engine=engine))
    # Times measured by one engine are compared with those of another, beside other work too.
    assert nice == {0: os.nice(0)}


def die(value: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return value


def die_at_zero(value: int) -> int:
    return die(value) if value == 0 else 10 * value


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_whose_worker_always_dies_ends_with_an_error_and_others_go_on(jobs: int) -> None:
    found = dict(run_tasks(die_at_zero, [(value,) for value in range(5)], jobs=jobs))
    assert "its worker died 3 times" in str(found.pop(0))
    assert found == {value: 10 * value for value in range(1, 5)}


def test_a_worker_that_dies_between_calls_ends_without_an_error() -> None:
    worker = Worker()
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(EOFError):
        worker.call(abs, (1,))
    worker.end()


def fail(value: int) -> int:
    return value // 0


def test_a_function_whose_module_does_not_import_raises_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that cannot read its call has to answer, or its caller would wait for ever."""
    (tmp_path / "callers_module.py").write_text("def double(value):\n    return 2 * value\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from callers_module import double  # type: ignore[import-not-found]

    (tmp_path / "callers_module.py").write_text("raise RuntimeError('not here')\n")
    with pytest.raises(RuntimeError, match="not here"):
        list(run_tasks(double, [(1,)], jobs=1))


def test_a_programmers_mistake_ends_the_run_and_shows_where() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(run_tasks(fail, [(1,)], jobs=1))
    assert "return value // 0" in caught.value.__notes__[0]


def linger(marker: str) -> None:
    """Write the process's number, wait, and leave a mark when interrupted."""
    Path(marker).write_text(str(os.getpid()))
    try:
        subprocess.run(["sleep", "60"], check=True)
    finally:
        Path(marker).with_suffix(".clean").touch()


@pytest.mark.slow
def test_workers_end_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    """Calls clean up, and processes that they started end too.

    The caller is a script without a guard on its main part.
    """
    script = tmp_path / "script.py"
    script.write_text(
        "from test_workers import linger\nfrom tinct.workers import run_tasks\n"
        f"list(run_tasks(linger, [('{tmp_path}/a',), ('{tmp_path}/b',)], jobs=2))\n"
    )
    caller = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": TEST_PATH}
    )
    markers = [tmp_path / "a", tmp_path / "b"]
    wait_for(lambda: all(marker.exists() and marker.read_text() for marker in markers))
    workers = [int(marker.read_text()) for marker in markers]
    assert len(set(workers)) == 2
    caller.kill()
    caller.wait()
    wait_for(lambda: all(marker.with_suffix(".clean").exists() for marker in markers))
    wait_for(lambda: not any(is_running(worker) for worker in workers))


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(number: int) -> bool:
    """Return whether a process of a worker's group runs; zombies do not."""
    command = ["ps", "-o", "stat=", "-g", str(number)]
    states = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return any(not state.startswith("Z") for state in states)
