"""The shared memory of jobs has an end: unread results move to files, and then a launch is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import errors as e

from ..support.fix_db import Connection
from ..support.fix_server import FreshServer, fills_job_memory
from ..support.jobs import FOREVER, Handle, cancel, detach, launch, result, run, submit, wait
from ..support.registry import registry, wait_until_quiet

MIB = 1 << 20


@pytest.fixture
def small(fresh_server: FreshServer) -> Iterator[Connection]:
    """A session on a server with as little job memory as there can be."""
    server = fresh_server({"pg_background.job_memory": "4MB"})
    with server.connect() as conn:
        yield conn


@fills_job_memory
def test_unread_results_move_to_files(small: Connection) -> None:
    handles = []
    for n in range(300):
        handles.append(launch(small, f"SELECT {n}, repeat('x', 1000) FROM generate_series(1, 20)"))
        assert wait(small, handles[-1])
    now = registry(small)
    assert now.unread == 300
    assert now.area_bytes <= 4 * MIB
    assert now.spill_bytes > 0
    for n, handle in enumerate(handles):
        assert result(small, handle, "n int, x text") == [(n, "x" * 1000)] * 20
    wait_until_quiet(small, area_bytes=0)
    assert small.execute("SELECT count(*) FROM pg_ls_tmpdir()").fetchone() == (0,)


@fills_job_memory
def test_moved_errors_stay_what_they_were(small: Connection) -> None:
    failed = launch(small, "SELECT 1 / 0")
    assert wait(small, failed)
    handles = []
    for n in range(100):
        handles.append(launch(small, f"SELECT {n}"))
        assert wait(small, handles[-1])
    with pytest.raises(e.DivisionByZero, match="division by zero"):
        result(small, failed, "a int")
    for handle in handles:
        detach(small, handle)


@fills_job_memory
def test_running_jobs_use_it_up(small: Connection) -> None:
    handles: list[Handle] = []

    def use_up() -> None:
        while len(handles) < 8:
            handles.append(launch(small, FOREVER, queue_size=MIB))

    with pytest.raises(e.OutOfMemory, match="out of job memory") as caught:
        use_up()
    assert "pg_background.job_memory" in (caught.value.diag.message_hint or "")
    assert 2 <= len(handles) <= 3
    cancel(small, handles[0])
    assert wait(small, handles[0])
    # Its unread result, empty or not, no longer stands in the way.
    handles.append(launch(small, FOREVER, queue_size=MIB))
    for handle in handles:
        cancel(small, handle)
        assert wait(small, handle)
        detach(small, handle)
    wait_until_quiet(small, area_bytes=0)


@pytest.mark.parametrize("start", [launch, submit])
def test_sql_that_does_not_fit(small: Connection, start: Callable[[Connection, str], Handle]) -> None:
    with pytest.raises(e.OutOfMemory, match="out of job memory"):
        start(small, f"SELECT 1 -- {'x' * 5 * MIB}")
    assert run(small, "SELECT 1", "a int") == [(1,)]
    wait_until_quiet(small, area_bytes=0)


def test_sql_that_just_fits(small: Connection) -> None:
    assert run(small, f"SELECT length('{'x' * 2 * MIB}')", "n int") == [(2 * MIB,)]
    wait_until_quiet(small, area_bytes=0)


def test_long_error_messages(small: Connection) -> None:
    """What has no room is cut, but the error stays an error."""
    handle = launch(
        small, "DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = repeat('x', 8000000), ERRCODE = 'P0042'; END $$"
    )
    assert wait(small, handle)
    with pytest.raises(e.Error) as caught:
        result(small, handle)
    assert caught.value.diag.sqlstate == "P0042"
    assert (caught.value.diag.message_primary or "").startswith("xxxx")
    wait_until_quiet(small, area_bytes=0)


def test_it_does_not_fragment(small: Connection) -> None:
    """After jobs of all sizes half of the memory can be had in sixteenths, and the reserve in one piece."""
    for n in range(400):
        size = 64 + (n * 7919) % 200000
        handle = launch(small, f"SELECT length('{'x' * (n * 104729 % 100000)}')", queue_size=size)
        if n % 3:
            assert wait(small, handle)
        detach(small, handle)
        if n % 10 == 0:
            wait_until_quiet(small)
    wait_until_quiet(small, area_bytes=0)
    handles = [launch(small, FOREVER, queue_size=MIB // 4) for _ in range(8)]
    for handle in handles:
        cancel(small, handle)
        assert wait(small, handle)
        detach(small, handle)
    wait_until_quiet(small, area_bytes=0)
    # Not more: a few small pieces that the area keeps for the next job may lie anywhere.
    length = MIB - 8192
    assert run(small, f"SELECT length('{'x' * length}')", "n int") == [(length,)]
