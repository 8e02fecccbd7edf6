"""Unread output on disk: the limit for all, its reserve, and the limit of a role."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors as e

from ..support.fix_fairness import MakeTenants, told, until_refused
from ..support.jobs import Connection, Handle, detach, launch, result, state, wait
from ..support.waiting import wait_until_equal

MB = 1024 * 1024


def write(conn: Connection, megabytes: int) -> Handle:
    """Let a job leave so much output that nobody reads, or try to."""
    handle = launch(conn, f"SELECT repeat('x', 1000) FROM generate_series(1, {megabytes * 1000})")
    assert wait(conn, handle)
    return handle


def why_it_failed(conn: Connection, handle: Handle) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        result(conn, handle)
    return caught.value


def on_disk(conn: Connection) -> int:
    """Bytes of all jobs, as the server counts them."""
    row = conn.execute("SELECT result_bytes FROM pg_background_usage WHERE kind = 'server'").fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def test_of_all_jobs(make_tenants: MakeTenants) -> None:
    # Of 32 jobs 4 are reserved, and so an eighth of the output.
    tenants = make_tenants({"pg_background.max_total_result_size": "8MB"})
    kept = [write(tenants.greedy, 2) for _ in range(3)]
    assert {state(tenants.greedy, handle) for handle in kept} == {"stopped"}
    assert 5_900_000 < on_disk(tenants.superuser) <= 7 * MB
    failed = write(tenants.greedy, 2)
    assert state(tenants.greedy, failed) == "error"
    error = why_it_failed(tenants.greedy, failed)
    assert isinstance(error, e.ConfigurationLimitExceeded)
    assert "pg_background.max_total_result_size (8192kB)" in told(error)
    # What is left is for superusers.
    last = write(tenants.superuser, 1)
    assert state(tenants.superuser, last) == "stopped"
    assert len(result(tenants.superuser, last)) == 1000
    # Who has room in the queue writes nothing there.
    assert len(result(tenants.other, launch(tenants.other, "SELECT 1"), "n int")) == 1
    for handle in kept:
        detach(tenants.greedy, handle)
    wait_until_equal(lambda: on_disk(tenants.superuser), 0)
    assert state(tenants.other, write(tenants.other, 5)) == "stopped"


def test_of_a_role(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    greedy = tenants.limit("greedy", max_role_result_size="3MB")
    second = tenants.session("greedy")
    kept = write(greedy, 2)
    failed = write(second, 2)
    error = why_it_failed(second, failed)
    assert isinstance(error, e.ConfigurationLimitExceeded)
    assert "pg_background.max_role_result_size (3072kB)" in told(error)
    assert state(tenants.other, write(tenants.other, 5)) == "stopped"
    assert len(result(greedy, kept)) == 2000
    # Read, and so gone from the disk.
    assert state(second, write(second, 2)) == "stopped"


def test_one_row_larger_than_the_limit(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    greedy = tenants.limit("greedy", max_role_result_size="1MB")
    handle = launch(greedy, "SELECT repeat('x', 5000000)")
    assert wait(greedy, handle)
    assert "pg_background.max_role_result_size" in told(why_it_failed(greedy, handle))
    assert on_disk(tenants.superuser) == 0


def test_a_reader_that_is_there_needs_no_disk(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    greedy = tenants.limit("greedy", max_role_result_size="64kB")
    rows = greedy.execute(
        "SELECT count(*), sum(length(x)) FROM pg_background_run_query("
        "'SELECT repeat(''x'', 1000) FROM generate_series(1, 20000)') AS (x text)"
    ).fetchone()
    assert rows == (20_000, 20_000_000)


def test_a_restart_after_a_crash_begins_at_nothing(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    write(tenants.greedy, 2)
    assert on_disk(tenants.superuser) > 0
    tenants.server.restart()
    with tenants.server.connect() as conn:
        assert on_disk(conn) == 0


def test_what_moves_out_of_the_memory_counts(make_tenants: MakeTenants) -> None:
    tenants = make_tenants(
        {"pg_background.max_jobs": 1024, "pg_background.job_memory": "8MB", "pg_background.reserved_jobs": 0}
    )
    greedy = tenants.limit("greedy", max_role_result_size="1MB")

    def keep() -> Handle:
        handle = launch(greedy, "SELECT repeat('x', 1000) FROM generate_series(1, 300)", queue_size=1_000_000)
        assert wait(greedy, handle)
        return handle

    kept, refusal = until_refused(keep)
    assert isinstance(refusal, e.OutOfMemory)
    assert on_disk(tenants.superuser) <= 1 * MB
    for handle in kept:
        assert len(result(greedy, handle)) == 300


def test_a_launch_takes_of_its_own_role_first(make_tenants: MakeTenants) -> None:
    tenants = make_tenants(
        {"pg_background.max_jobs": 1024, "pg_background.job_memory": "8MB", "pg_background.reserved_jobs": 0}
    )
    rows = "SELECT repeat('x', 1000) FROM generate_series(1, 300)"
    theirs = launch(tenants.other, rows, queue_size=1_000_000)
    assert wait(tenants.other, theirs)
    for _ in range(20):
        assert wait(tenants.greedy, launch(tenants.greedy, rows, queue_size=1_000_000))
    usage = "SELECT result_bytes FROM pg_background_usage WHERE (kind, name) = ('role', %s)"
    assert tenants.superuser.execute(usage, ["other"]).fetchone() == (0,)
    ((moved,),) = tenants.superuser.execute(usage, ["greedy"]).fetchall()
    assert moved > 1 * MB
