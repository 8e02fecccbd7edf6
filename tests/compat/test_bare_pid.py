"""Callers of 1.8 that know a job by its pid alone: the cast to int4, the pin, the calls with one argument."""

from __future__ import annotations

import pytest

from ..support.calls import failure, query, sqlstate, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, closed_gate, detach, launch, result, submit, wait
from ..support.server import Server
from ..support.waiting import wait_until_sql
from ..support.workers import only_worker, pids

LAUNCH = "SELECT pg_background_launch('SELECT {}')::int4"
RESULT = "SELECT * FROM pg_background_result(%s::int4) AS (a int)"


def launch_by_pid(conn: Connection, n: int) -> int:
    """Launch as 1.8 does, which gives a pid."""
    pid = value(conn, LAUNCH.format(n))
    assert isinstance(pid, int)
    return pid


def wait_for(conn: Connection, pid: int) -> None:
    """Wait until the session's jobs of this pid have ended, so that their worker can take the next one."""
    running = "SELECT count(*) FROM pg_background_list WHERE pid = %s AND state <> 'stopped'"
    wait_until_sql(conn, running, [pid], expected=0)


# ---- every assignment


def test_nested_call(conn: Connection) -> None:
    assert query(
        conn, "SELECT * FROM pg_background_result(pg_background_launch('SELECT 42')) AS (x int)"
    ) == [(42,)]


def test_nested_call_of_a_converted_oracle_function(conn: Connection) -> None:
    query(conn, "CREATE TABLE kept (a int)")
    query(
        conn,
        """DO $$ DECLARE q text := 'INSERT INTO kept VALUES (1); SELECT true'; BEGIN
           PERFORM * FROM pg_background_result(pg_background_launch(q)) AS p (ret boolean); END $$""",
    )
    assert value(conn, "SELECT count(*) FROM kept") == 1


@pytest.mark.parametrize("use", ["result(:pid) AS (x int)", "result_v2(:pid, :cookie) AS (x int)"])
def test_psql_variables(server: Server, db: str, use: str) -> None:
    """The variable is the handle's text, which is a row when it becomes part of a call."""
    columns = "AS pid" if "v2" not in use else ""
    start = (
        "SELECT pg_background_launch('SELECT 42')"
        if columns
        else "SELECT * FROM pg_background_launch('SELECT 42')"
    )
    printed = server.psql(f"{start} {columns} \\gset\nSELECT * FROM pg_background_{use};\n", db)
    assert printed.split() == ["42"]


@pytest.mark.parametrize("function", ["wait", "cancel", "detach"])
def test_psql_variables_in_other_calls(server: Server, db: str, function: str) -> None:
    script = (
        "SELECT pg_background_launch('SELECT 42') AS pid \\gset\n"
        f"SELECT pg_background_{function}(:pid);\n"
        "SELECT 'done';\n"
    )
    assert server.psql(script, db).split()[-1] == "done"


def test_plpgsql_variable(conn: Connection) -> None:
    query(
        conn,
        """CREATE FUNCTION old_style(OUT declared int, OUT assigned int, OUT selected int)
        LANGUAGE plpgsql AS $$
        DECLARE
          p int := pg_background_launch('SELECT 1');
          q int;
          r int;
        BEGIN
          q := pg_background_launch('SELECT 2');
          SELECT pg_background_launch('SELECT 3') INTO r;
          SELECT * INTO declared FROM pg_background_result(p) AS (x int);
          SELECT * INTO assigned FROM pg_background_result(q) AS (x int);
          SELECT * INTO selected FROM pg_background_result(r) AS (x int);
        END $$""",
    )
    for _ in range(5):
        assert query(conn, "SELECT * FROM old_style()") == [(1, 2, 3)]


def test_insert_and_update(conn: Connection) -> None:
    query(conn, "CREATE TABLE jobs (n int, pid int)")
    query(conn, "INSERT INTO jobs VALUES (1, pg_background_launch('SELECT 1'))")
    query(
        conn,
        "INSERT INTO jobs SELECT n, pg_background_launch('SELECT ' || n) FROM generate_series(2, 4) AS n",
    )
    query(conn, "UPDATE jobs SET pid = pg_background_launch('SELECT 5'), n = 5 WHERE n = 4")
    rows = query(conn, "SELECT n, pid FROM jobs ORDER BY n")
    assert len({pid for _, pid in rows}) == 4
    for n, pid in rows:
        assert query(conn, RESULT, pid) == [(n,)]


def test_elsewhere_it_is_written(conn: Connection) -> None:
    assert sqlstate(conn, "SELECT COALESCE(pg_background_launch('SELECT 1'), 0)") == "42804"
    pid = value(conn, "SELECT COALESCE(pg_background_launch('SELECT 1')::int4, 0)")
    assert query(conn, RESULT, pid) == [(1,)]


def test_nulls(conn: Connection) -> None:
    assert value(conn, "SELECT NULL::pg_background_handle::int4") is None
    assert value(conn, "SELECT (NULL, 5)::pg_background_handle::int4") is None
    assert value(conn, "SELECT (5, NULL)::pg_background_handle::int4") == 5
    assert query(conn, RESULT, None) == []
    assert value(conn, "SELECT pg_background_detach(NULL::int4)") is None


# ---- the pin


def test_each_unread_job_has_a_pid_of_its_own(conn: Connection) -> None:
    """Also when the worker of the one before has long been idle."""
    jobs = {}
    for n in range(5):
        pid = launch_by_pid(conn, n)
        wait_for(conn, pid)
        jobs[pid] = n
    assert len(jobs) == 5
    for pid, n in jobs.items():
        assert query(conn, RESULT, pid) == [(n,)]


@pytest.mark.parametrize("end", ["result", "detach", "result_v2", "detach_v2"])
def test_the_pin_ends_with_the_job(conn: Connection, server: Server, end: str) -> None:
    with only_worker(server):
        handle = launch(conn, "SELECT 1")
        assert query(conn, "SELECT (%s, %s)::pg_background_handle::int4", *handle) == [(handle.pid,)]
        wait_for(conn, handle.pid)
        if end == "result":
            assert query(conn, RESULT, handle.pid) == [(1,)]
        elif end == "detach":
            query(conn, "SELECT pg_background_detach(%s::int4)", handle.pid)
        elif end == "result_v2":
            assert result(conn, handle, "a int") == [(1,)]
        else:
            detach(conn, handle)
        assert launch(conn, "SELECT 2").pid == handle.pid


def test_a_pinned_worker_leaves_when_there_is_no_other_place(conn: Connection, server: Server) -> None:
    """So the pin never makes a launch fail."""
    with only_worker(server):
        first = launch_by_pid(conn, 1)
        wait_for(conn, first)
        second = launch_by_pid(conn, 2)
        assert second != first
        assert first not in pids(conn)
    assert query(conn, RESULT, first) == [(1,)]
    assert query(conn, RESULT, second) == [(2,)]


def test_the_pin_is_the_sessions(conn: Connection, connect: Connect, server: Server) -> None:
    with only_worker(server):
        pid = launch_by_pid(conn, 1)
        wait_for(conn, pid)
        other = connect()
        assert launch(other, "SELECT 2").pid == pid
        # Two jobs have the pid now, of which one is the session's.
        assert query(conn, RESULT, pid) == [(1,)]
        assert query(other, RESULT, pid) != []


def test_a_submitted_job_pins_until_its_end(conn: Connection, server: Server) -> None:
    with only_worker(server):
        pid = value(conn, "SELECT pg_background_submit('SELECT 1')::int4")
        wait_for(conn, pid)
        assert launch(conn, "SELECT 2").pid == pid


def test_handles_of_others_and_none_pin_nothing(conn: Connection, connect: Connect, server: Server) -> None:
    with only_worker(server):
        session = connect()
        other = launch(session, "SELECT 1")
        wait_for(session, other.pid)
        for cookie in (other.cookie, other.cookie ^ 1):
            assert value(conn, "SELECT (%s, %s)::pg_background_handle::int4", other.pid, cookie) == other.pid
        assert launch(conn, "SELECT 2").pid == other.pid


def test_thousands_of_pins(conn: Connection) -> None:
    """They are forgotten with their jobs."""
    query(
        conn,
        """DO $$ DECLARE p int; x int; BEGIN
          FOR n IN 1..3000 LOOP
            p := pg_background_launch('SELECT ' || n);
            SELECT r.x INTO x FROM pg_background_result(p) AS r (x int);
            ASSERT x = n;
          END LOOP; END $$""",
    )


# ---- the look-up


def test_several_jobs_of_one_pid(conn: Connection, server: Server) -> None:
    """Handles that nobody cast pin nothing: then the pid says too little."""
    with only_worker(server):
        first = launch(conn, "SELECT 1")
        wait_for(conn, first.pid)
        second = launch(conn, "SELECT 2")
        assert first.pid == second.pid
    for call in (RESULT, "SELECT pg_background_detach(%s::int4)"):
        assert failure(conn, call, first.pid) == (
            "42725",
            f"PID {first.pid} has several jobs",
            None,
            "Use pid and cookie.",
        )
    detach(conn, first)
    assert query(conn, RESULT, second.pid) == [(2,)]


def test_the_job_that_the_pid_was_given_out_for_is_meant(conn: Connection, server: Server) -> None:
    """Whatever the worker ran before it for callers with handles, and nobody has read."""
    with only_worker(server):
        first = launch(conn, "SELECT 1")
        wait_for(conn, first.pid)
        pid = launch_by_pid(conn, 2)
        assert pid == first.pid
        assert query(conn, RESULT, pid) == [(2,)]
        # what is over is not taken for the one before it
        assert sqlstate(conn, RESULT, pid) == "42704"
        assert sqlstate(conn, "SELECT pg_background_detach(%s::int4)", pid) == "42704"
        assert launch_by_pid(conn, 3) == pid
        wait_for(conn, pid)
        query(conn, "SELECT pg_background_detach(%s::int4)", pid)
        assert sqlstate(conn, RESULT, pid) == "42704"
        later = launch(conn, "SELECT 4")
        assert later.pid == pid
        assert query(conn, RESULT, pid) == [(4,)]
    assert result(conn, first, "a int") == [(1,)]


def test_a_detached_pid_in_a_block(conn: Connection) -> None:
    query(
        conn,
        """DO $$ DECLARE p int; unread int; BEGIN
          PERFORM pg_background_launch_v2('SELECT 1');
          p := pg_background_launch('SELECT 2');
          PERFORM pg_background_detach(p);
          SELECT count(*) INTO unread FROM pg_background_list;
          ASSERT unread = 1;
        END $$""",
    )


def test_several_pinned_jobs_of_one_pid(conn: Connection, server: Server) -> None:
    with only_worker(server):
        first = launch(conn, "SELECT 1")
        wait_for(conn, first.pid)
        second = launch(conn, "SELECT 2")
        assert first.pid == second.pid
    for handle in (first, second, first):
        query(conn, "SELECT (%s, %s)::pg_background_handle::int4", *handle)
    assert sqlstate(conn, RESULT, first.pid) == "42725"


def test_a_submitted_job_is_found_by_its_pid_after_its_end(conn: Connection) -> None:
    pid = value(conn, "SELECT pg_background_submit('SELECT 1')::int4")
    wait_for(conn, pid)
    query(conn, "SELECT pg_background_detach(%s::int4)", pid)
    assert sqlstate(conn, "SELECT pg_background_detach(%s::int4)", pid) == "42704"


def test_unknown_pids(conn: Connection) -> None:
    for call in (RESULT, "SELECT pg_background_detach(%s::int4)"):
        assert failure(conn, call, 1)[:2] == ("42704", "PID 1 is not attached to this session")
    pid = launch_by_pid(conn, 1)
    assert query(conn, RESULT, pid) == [(1,)]
    assert sqlstate(conn, RESULT, pid) == "42704"


def test_of_this_session_only(conn: Connection, connect: Connect) -> None:
    pid = launch_by_pid(conn, 1)
    assert sqlstate(connect(), RESULT, pid) == "42704"
    assert query(conn, RESULT, pid) == [(1,)]


def test_after_set_role(conn: Connection, make_role: MakeRole) -> None:
    pid = launch_by_pid(conn, 1)
    query(conn, f"SET ROLE {make_role(member_of=('pgbackground_role',))}")
    assert sqlstate(conn, RESULT, pid) == "42501"
    query(conn, "RESET ROLE")
    assert query(conn, RESULT, pid) == [(1,)]


def test_submitted_jobs(conn: Connection, server: Server) -> None:
    """One that has ended is in nobody's way; where it is the only one, it is meant."""
    with only_worker(server):
        done = submit(conn, "SELECT 1")
        assert wait(conn, done)
        assert sqlstate(conn, RESULT, done.pid) == "0A000"
        wait_for(conn, done.pid)
        handle = launch(conn, "SELECT 2")
        assert handle.pid == done.pid
        assert query(conn, RESULT, handle.pid) == [(2,)]
        query(conn, "SELECT pg_background_detach(%s::int4)", done.pid)
        assert sqlstate(conn, "SELECT pg_background_wait(%s, %s)", *done) == "42704"


def test_detach_of_a_running_job(conn: Connection, connect: Connect) -> None:
    query(conn, "CREATE TABLE kept (a int)")
    with closed_gate(connect()) as gate:
        pid = value(conn, "SELECT pg_background_launch(%s)::int4", gate.sql)
        query(conn, "SELECT pg_background_detach(%s::int4)", pid)
        assert sqlstate(conn, RESULT, pid) == "42704"


def test_a_wrong_column_list_loses_nothing(conn: Connection) -> None:
    pid = launch_by_pid(conn, 7)
    assert sqlstate(conn, RESULT.replace("a int", "a text"), pid) == "42804"
    assert query(conn, RESULT, pid) == [(7,)]


def test_handles_stay_as_they_are(conn: Connection) -> None:
    """With the cast there are still two ways to name a job, and no call is ambiguous."""
    handle = Handle(*query(conn, "SELECT (h).pid, (h).cookie FROM pg_background_launch('SELECT 1') AS h")[0])
    assert value(conn, "SELECT pg_background_wait((%s, %s))", *handle)
    assert query(conn, "SELECT * FROM pg_background_result((%s, %s)) AS (a int)", *handle) == [(1,)]
