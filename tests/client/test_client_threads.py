"""Threads, Ctrl-C, and the executor of concurrent.futures."""

from __future__ import annotations

import concurrent.futures
import os
import signal
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow, dict_row

from pg_background import Client, Executor, Job, JobCancelled, JobFuture, Result
from pg_background.client import _looking as looking
from pg_background.client import _watch as watching
from pg_background.client.model import Outcome

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER, closed_gate
from ..support.waiting import DEADLINE, wait_until, wait_until_sql

AnyClient = Client[TupleRow]


def wait_for_state(side: Connection, job: Job[TupleRow], expected: str) -> None:
    wait_until_sql(side, "SELECT state FROM pg_background_outcome(%s, %s)", [*job.handle], expected=expected)


def launched(future: JobFuture[TupleRow]) -> Job[TupleRow]:
    job = wait_until(lambda: future.job)
    assert job is not None
    return job


@pytest.fixture
def executor(place: Place) -> Iterator[Executor[TupleRow]]:
    """Runs two at a time."""
    with Executor(place.dsn(), max_workers=2) as made:
        yield made


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in a shell's background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c_when_it_runs(side: Connection, job: Job[TupleRow]) -> Thread:
    def press() -> None:
        wait_for_state(side, job, "running")
        # Not before it waits: what the test does until then would be interrupted.
        wait_until(lambda: job._watch is not None)
        os.kill(os.getpid(), signal.SIGINT)

    thread = Thread(target=press)
    thread.start()
    return thread


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_in_result_cancels_the_job(client: AnyClient, side: Connection) -> None:
    job = client.launch(FOREVER)
    thread = press_ctrl_c_when_it_runs(side, job)
    with pytest.raises(KeyboardInterrupt):
        job.result()
    thread.join()
    wait_for_state(side, job, "canceled")


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_in_the_block_cancels_the_job(client: AnyClient, side: Connection) -> None:
    job = client.launch(FOREVER)

    def wait_in_the_block() -> None:
        with job:
            job.wait()

    thread = press_ctrl_c_when_it_runs(side, job)
    with pytest.raises(KeyboardInterrupt):
        wait_in_the_block()
    thread.join()
    wait_for_state(side, job, "canceled")


@pytest.mark.parametrize("call", ["run", "run_script", "launch", "submit"])
def test_ctrl_c_at_the_launch_leaves_no_job(
    client: AnyClient, side: Connection, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The server has begun it, and psycopg, interrupted, has taken the answer before it says so."""
    label = f"interrupted {call}"
    alive = "SELECT count(*) FROM pg_background_jobs WHERE label = %s AND state IN ('starting', 'running')"
    real = psycopg.Connection.wait

    def wait(connection: psycopg.Connection[Any], *arguments: Any, **options: Any) -> Any:
        taken = real(connection, *arguments, **options)
        if connection is not side and side.execute(alive, [label]).fetchone() == (1,):
            monkeypatch.undo()
            raise KeyboardInterrupt
        return taken

    monkeypatch.setattr(psycopg.Connection, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        getattr(client, call)(FOREVER, label=label)
    wait_until_sql(side, alive, [label], expected=0)
    assert client.run("SELECT 1").value() == 1


def test_threads_share_one_client(client: AnyClient) -> None:
    def double(n: int) -> int:
        value: int = client.run("SELECT 2 * %s", [n], on_full="queue").value()
        return value

    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        assert list(threads.map(double, range(100))) == [2 * n for n in range(100)]


def test_one_job_for_many_threads(client: AnyClient) -> None:
    job = client.launch("SELECT pg_sleep(0.02), 1 AS one")
    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        results = list(threads.map(lambda _: job.result(), range(10)))
    assert all(result is results[0] for result in results)


def test_threads_serve_all_jobs(client: AnyClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """One waits for them and one listens: neither is started for each job."""
    monkeypatch.setattr(watching, "LINGER", 3600.0)
    started: list[str] = []
    real = Thread.start

    def start(thread: Thread) -> None:
        started.append(thread.name)
        real(thread)

    monkeypatch.setattr(Thread, "start", start)
    for n in range(300):
        job = client.launch("SELECT 1")
        ended: list[Job[TupleRow]] = []
        if n % 3 == 0:
            job.add_done_callback(ended.append)
            assert job.wait()
        assert job.result().value() == 1
        assert wait_until(lambda: n % 3 != 0 or ended)  # noqa: B023
    assert set(started) <= {"pg_background wait", "pg_background listen"}
    assert len(started) <= 2


def test_jobs_that_end_at_once_need_no_thread(client: AnyClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LOOK_MS", 60_000)
    monkeypatch.setattr(Thread, "start", None)
    for _ in range(20):
        assert client.run("SELECT 1") == [(1,)]
        assert client.launch("SELECT 1").wait()
    assert [result.value() for result in client.map("SELECT %s", range(20))] == list(range(20))


def test_waiting_while_another_thread_takes_the_rows(
    client: AnyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may have forgotten the job by then: that is no loss."""
    monkeypatch.setattr(looking, "LOOK_MS", 60_000)
    assert client.run("SELECT 1") == [(1,)]
    taken, go_on = Event(), Event()
    real = looking._read_if_shaped

    def read_and_be_late(*arguments: Any) -> Any:
        result = real(*arguments)
        taken.set()
        go_on.wait(DEADLINE)
        return result

    monkeypatch.setattr(looking, "_read_if_shaped", read_and_be_late)
    job = client.launch("SELECT 1")
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        result = threads.submit(job.result)
        assert taken.wait(DEADLINE)
        watch = job._watch
        assert watch is not None
        watch.settle(Outcome(job.handle, None, None, None, None, None))
        waiting = threads.submit(job.wait)
        concurrent.futures.wait([waiting], 0.05)
        assert not waiting.done()
        go_on.set()
        assert waiting.result(DEADLINE)
        assert result.result(DEADLINE) == [(1,)]


def test_executor(executor: Executor[TupleRow]) -> None:
    futures = [executor.submit("SELECT %s", [n]) for n in range(10)]
    ended = list(concurrent.futures.as_completed(futures, timeout=DEADLINE))
    assert sorted([future.result().value() for future in ended]) == list(range(10))
    done, not_done = concurrent.futures.wait(futures)
    assert (len(done), len(not_done)) == (10, 0)
    assert [result.value() for result in executor.map("SELECT %s", [[1], [2]])] == [1, 2]


def test_executor_errors(executor: Executor[TupleRow]) -> None:
    future = executor.submit("SELECT 1/0")
    assert isinstance(future.exception(DEADLINE), psycopg.errors.DivisionByZero)
    assert isinstance(executor.submit("SELECT %s", []).exception(DEADLINE), psycopg.ProgrammingError)
    with pytest.raises(ValueError, match="greater than 0"):
        Executor("dbname=none", max_workers=0)


def test_executor_map(executor: Executor[TupleRow]) -> None:
    """As concurrent.futures has it: single values, sets of them, or an iterable for each placeholder."""

    def values(*results: Result[TupleRow]) -> list[Any]:
        return [result.value() for result in results]

    assert values(*executor.map("SELECT %s * 2", [1, 2, 3])) == [2, 4, 6]
    assert values(*executor.map("SELECT %s + %s", [(1, 2), (3, 4)])) == [3, 7]
    assert values(*executor.map("SELECT %s + %s", [1, 2, 3], [10, 20], timeout=60, chunksize=2)) == [11, 22]


def test_what_an_executor_does_not_run(executor: Executor[TupleRow]) -> None:
    untyped: Any = executor
    with pytest.raises(TypeError, match="the server runs SQL, not Python: <built-in function print>"):
        untyped.submit(print)
    with pytest.raises(TypeError, match="a query must be str, bytes or of psycopg.sql, not int"):
        untyped.submit(5)
    with pytest.raises(TypeError, match="params must be a sequence or a mapping, not int"):
        untyped.submit("SELECT %s", 5)
    with pytest.raises(TypeError, match="not Python"):
        untyped.map(print, [1])


def test_executor_limit(executor: Executor[TupleRow], side: Connection) -> None:
    with closed_gate(side) as gate:
        first, second, third = (executor.submit(gate.sql) for _ in range(3))
        wait_until(lambda: first.running() and second.running())
        assert not third.running()
        assert third.job is None
        assert third.cancel()
    assert [first.result(DEADLINE).rowcount, second.result(DEADLINE).rowcount] == [1, 1]
    with pytest.raises(concurrent.futures.CancelledError):
        third.result(DEADLINE)


def test_executor_launches_nothing_that_was_cancelled_before(place: Place, side: Connection) -> None:
    label = f"never in {place.schema}"
    with Executor(place.dsn(), max_workers=1) as executor, closed_gate(side) as gate:
        first = executor.submit(gate.sql)
        wait_until(first.running)
        assert executor.submit("SELECT 1", label=label).cancel()
        gate.open()
        executor.shutdown()
        gate.close()
    launched = side.execute("SELECT count(*) FROM pg_background_jobs WHERE label = %s", [label])
    assert launched.fetchone() == (0,)


def test_executor_cancel_during_the_launch(
    executor: Executor[TupleRow], side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    futures: list[JobFuture[TupleRow]] = []
    jobs: list[Job[TupleRow]] = []
    launch = executor._client.launch

    def launch_and_be_late(*arguments: Any, **options: Any) -> Job[TupleRow]:
        wait_until(lambda: futures)
        jobs.append(launch(*arguments, **options))
        assert futures[0].cancel()
        return jobs[0]

    monkeypatch.setattr(executor._client, "launch", launch_and_be_late)
    futures.append(executor.submit(FOREVER))
    wait_until(lambda: jobs)
    try:
        wait_for_state(side, jobs[0], "canceled")
        assert futures[0].cancelled()
    finally:
        # The executor waits for it, and may have read how it ended.
        jobs[0].cancel_quietly()


def test_executor_cancel_while_it_runs(executor: Executor[TupleRow], side: Connection) -> None:
    future = executor.submit(FOREVER)
    job = launched(future)
    assert future.cancel()
    assert future.cancelled()
    done, _ = concurrent.futures.wait([future], DEADLINE)
    assert done == {future}
    wait_for_state(side, job, "canceled")
    finished = executor.submit("SELECT 1")
    assert finished.result(DEADLINE) == [(1,)]
    assert not finished.cancel()


def test_executor_callbacks_may_cancel(executor: Executor[TupleRow]) -> None:
    """They are called by whoever cancels, and may call what they like."""
    future = executor.submit(FOREVER)
    launched(future)
    calls: list[bool] = []
    future.add_done_callback(lambda done: calls.append(done.cancel()))
    canceller = Thread(target=future.cancel, daemon=True)
    canceller.start()
    canceller.join(DEADLINE)
    assert not canceller.is_alive()
    assert calls == [True]


def test_executor_job_cancelled_by_another(executor: Executor[TupleRow], side: Connection) -> None:
    future = executor.submit(FOREVER)
    job = launched(future)
    side.execute("SELECT pg_background_cancel(%s, %s)", job.handle)
    assert isinstance(future.exception(DEADLINE), JobCancelled)


def test_executor_shutdown(place: Place, side: Connection) -> None:
    executor = Executor(place.dsn(), max_workers=1, row_factory=dict_row)
    with closed_gate(side) as gate:
        held_up = executor.submit(gate.sql)
        waiting = executor.submit("SELECT 1 AS a")
        wait_until(held_up.running)
        executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(RuntimeError):
            executor.submit("SELECT 1")
    assert held_up.result(DEADLINE).rowcount == 1
    assert waiting.cancelled()
    # Its connection is closed by whoever comes last.
    wait_until_sql(
        side,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_background' "
        "AND backend_type = 'client backend' AND datname = current_database()",
        expected=0,
    )


def test_an_exception_in_the_executors_block_cancels_its_jobs(place: Place, side: Connection) -> None:
    executor = Executor(place.dsn())
    future = executor.submit(FOREVER)
    job = launched(future)

    def fail_in_the_block() -> None:
        with executor:
            raise LookupError

    with pytest.raises(LookupError):
        fail_in_the_block()
    assert future.cancelled()
    wait_for_state(side, job, "canceled")
