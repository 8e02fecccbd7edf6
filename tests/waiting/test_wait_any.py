"""wait_any: the first of several jobs to end, from whatever session they are."""

from __future__ import annotations

from contextlib import suppress

import pytest
from psycopg import errors as e

from ..support.calls import (
    at_the_same_time,
    failure,
    nothing_is_left,
    query,
    sqlstate,
    value,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer, fills_job_memory
from ..support.jobs import FOREVER, Handle, cancel, closed_gate, detach, launch, result, start, submit, wait
from ..support.outcomes import HANDLES, handles, outcome, wait_any
from ..support.registry import registry, wait_until_quiet
from ..support.waiting import wait_until

CALL = f"SELECT pg_background_wait_any({HANDLES}, %s)"


def test_the_one_that_has_ended(conn: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate:
        slow = [launch(conn, gate.sql) for _ in range(3)]
        quick = launch(conn, "SELECT 1")
        assert wait_any(conn, handles(slow[0], quick, *slow[1:])) == quick
        assert result(conn, quick, "a int") == [(1,)]


def test_the_first_of_those_that_have(conn: Connection) -> None:
    """In the order of the array; asking takes nothing."""
    jobs = [launch(conn, "SELECT 1") for _ in range(3)]
    for job in jobs:
        assert wait(conn, job)
    for order in (jobs, jobs[::-1]):
        assert wait_any(conn, handles(*order)) == order[0]


def test_it_sleeps_until_one_ends(conn: Connection, connect: Connect) -> None:
    session = connect()
    with closed_gate(conn) as first, closed_gate(conn) as second:
        jobs = [launch(session, gate.sql) for gate in (first, second)]
        with at_the_same_time(session) as call:
            waiting = call(wait_any, session, handles(*jobs))
            wait_until_in_extension(conn, session)
            second.open()
            assert waiting.result() == jobs[1]
            second.close()
        assert outcome(session, jobs[0]).completed is False


def test_each_of_many_in_turn(conn: Connection, connect: Connect) -> None:
    """As its callers use it: none is given twice, none is missed."""
    session = connect()
    session.execute("SET pg_background.max_workers = 100")
    for _ in range(20):
        left = {launch(session, "SELECT pg_sleep(random() / 1000)") for _ in range(6)}
        while left:
            ended = wait_any(session, handles(*left))
            assert ended in left
            left.remove(ended)
            detach(session, ended)


@pytest.mark.parametrize("end", ["failure", "cancel", "death"])
def test_any_end_counts(conn: Connection, connect: Connect, end: str) -> None:
    session = connect()
    with closed_gate(conn) as gate:
        never = launch(session, gate.sql)
        job = launch(session, "SELECT 1 / 0" if end == "failure" else FOREVER)
        with at_the_same_time(session) as call:
            waiting = call(wait_any, session, handles(never, job))
            if end != "failure":
                wait_until_in_extension(conn, session)
            if end == "cancel":
                cancel(conn, job)
            if end == "death":
                # A job that has not begun would go to another process.
                wait_until(lambda: outcome(conn, job).state == "running", what="a running job")
                conn.execute("SELECT pg_terminate_backend(%s)", [job.pid])
            assert waiting.result() == job


def test_time_is_up(conn: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate, nothing_is_left(conn):
        jobs = [launch(conn, gate.sql) for _ in range(2)]
        assert wait_any(conn, handles(*jobs), 20) is None
        assert [outcome(conn, job).state for job in jobs] == ["running"] * 2
        gate.open()
        assert wait_any(conn, handles(*jobs), 20_000) in jobs
        gate.close()
        for job in jobs:
            detach(conn, job)


def test_of_no_handles(conn: Connection) -> None:
    assert wait_any(conn, "{}") is None
    assert value(conn, CALL, None, 0) is None


def test_one_handle_twice(conn: Connection) -> None:
    with nothing_is_left(conn):
        job = launch(conn, "SELECT pg_sleep(0.01)")
        assert wait_any(conn, handles(job, job)) == job
        detach(conn, job)


def test_stale_handles_are_errors(conn: Connection) -> None:
    job = launch(conn, "SELECT 1")
    gone = Handle(1, 2)
    assert failure(conn, CALL, handles(job, gone), 0)[:2] == (
        "42704",
        "PID 1 is not attached to this session",
    )
    wrong = Handle(job.pid, job.cookie ^ 1)
    assert sqlstate(conn, CALL, handles(job, wrong), 0) == "55000"
    assert sqlstate(conn, CALL, "{NULL}", 0) == "22004"
    assert sqlstate(conn, CALL, '{"(1,)"}', 0) == "22004"
    assert result(conn, job, "a int") == [(1,)]


def test_jobs_of_other_sessions(conn: Connection, connect: Connect) -> None:
    other, third = connect(), connect()
    with closed_gate(conn) as gate:
        jobs = [launch(other, gate.sql), submit(third, "SELECT 1")]
        assert wait_any(conn, handles(*jobs)) == jobs[1]


def test_jobs_of_strangers(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    job = launch(conn, "SELECT 1")
    for rights in ((), ("pg_read_all_stats",), ("pg_signal_backend",)):
        stranger = connect(user=make_role(member_of=("pgbackground_role", *rights)))
        assert sqlstate(stranger, CALL, handles(job), 0) == "42501"


@pytest.mark.parametrize("how", ["cancel", "statement_timeout", "terminate"])
def test_interrupted(conn: Connection, connect: Connect, how: str) -> None:
    """It ends at once, the jobs go on, and nothing of the wait is left."""
    session = connect()
    with closed_gate(conn) as gate:
        jobs = [launch(conn, gate.sql) for _ in range(3)]
        with nothing_is_left(conn), at_the_same_time(session) as call:
            if how == "statement_timeout":
                session.execute("SET statement_timeout = 50")
            waiting = call(wait_any, session, handles(*jobs))
            if how != "statement_timeout":
                wait_until_in_extension(conn, session)
            if how == "cancel":
                session.cancel()
            if how == "terminate":
                conn.execute("SELECT pg_terminate_backend(%s)", [session.info.backend_pid])
            assert waiting.failure().sqlstate == ("57P01" if how == "terminate" else "57014")
        assert [outcome(conn, job).state for job in jobs] == ["running"] * 3


def test_several_sessions_wait_for_the_same(conn: Connection, connect: Connect) -> None:
    """Each is told; one that gives up takes only itself off."""
    sessions = [connect() for _ in range(4)]
    with nothing_is_left(conn), closed_gate(conn) as gate:
        job = launch(conn, gate.sql)
        with at_the_same_time(*sessions) as call:
            waits = [call(wait_any, session, handles(job)) for session in sessions]
            for session in sessions:
                wait_until_in_extension(conn, session)
            sessions[1].cancel()
            assert waits.pop(1).failure().sqlstate == "57014"
            gate.open()
            assert [one.result() for one in waits] == [job] * 3
            gate.close()
        detach(conn, job)


def test_detached_by_another_meanwhile(conn: Connection, connect: Connect) -> None:
    """As with wait: it has not ended by that."""
    session = connect()
    with closed_gate(conn) as gate:
        job = launch(session, gate.sql)
        with at_the_same_time(session) as call:
            waiting = call(wait_any, session, handles(job))
            wait_until_in_extension(conn, session)
            detach(conn, job)
            gate.open()
            assert waiting.result() == job
            gate.close()


def test_twin(conn: Connection) -> None:
    job = launch(conn, "SELECT 1")
    twin = "SELECT pid, cookie FROM pg_background_wait_any_v2(ARRAY[(%s, %s)::pg_background_handle])"
    assert conn.execute(twin, job).fetchall() == [tuple(job)]


def test_in_sql_as_one_would_write_it(conn: Connection) -> None:
    assert value(
        conn,
        "WITH h AS (SELECT pg_background_launch('SELECT 1') AS h FROM generate_series(1, 3))"
        " SELECT (pg_background_wait_any(array_agg(h))).pid > 0 FROM h",
    )


def fill_job_memory(conn: Connection, job: str) -> None:
    """Queue such jobs while there is room for one more."""
    with suppress(e.OutOfMemory):
        while True:
            start(conn, job, on_full="queue")


@fills_job_memory
def test_without_room_for_the_list(fresh_server: FreshServer) -> None:
    """It needs job memory: that of finished jobs, else 53200; then nothing of it is left."""
    server = fresh_server({"pg_background.job_memory": "4MB", "pg_background.max_total_workers": 1})
    with server.connect() as conn:
        job = launch(conn, FOREVER)
        past = start(conn, f"SELECT 1 /* {'x' * 100_000} */", on_full="queue", discard_result=True)
        for size in (100_000, 10_000, 1000):
            fill_job_memory(conn, f"SELECT 1 /* {'x' * size} */")
        many = handles(*[job] * 1000)
        assert sqlstate(conn, CALL, many, 1) == "53200"
        cancel(conn, past)
        before = registry(conn).area_bytes
        assert wait_any(conn, many, 1) is None
        assert registry(conn).area_bytes < before
        cancel(conn, job)
        assert wait_any(conn, many) == job
        query(conn, "SELECT pg_background_cancel_all(), pg_background_detach_all()")
        wait_until_quiet(conn, area_bytes=0)
