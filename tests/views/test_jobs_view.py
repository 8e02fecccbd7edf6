"""The views of all jobs of the server, pg_background_jobs and pg_background_totals, and their progress."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import errors
from psycopg.rows import DictRow, dict_row

from ..support.fix_db import Connect, MakeRole
from ..support.jobs import (
    FOREVER,
    Connection,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    progress,
    result,
    start,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.waiting import wait_until


def job(conn: Connection, handle: Handle) -> DictRow:
    """Return the row of the last job with this pid."""
    return rows(conn, "pid = %s", [handle.pid])[-1]


def rows(conn: Connection, where: str, arguments: list[Any]) -> list[DictRow]:
    """Return rows of jobs in the order of their launches."""
    query = f"SELECT * FROM pg_background_jobs WHERE {where} ORDER BY queued_at"
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), arguments).fetchall()


def test_a_job_that_runs(conn: Connection, db: str) -> None:
    handle = launch(conn, FOREVER, label="sleeper")
    wait_until_asleep(conn, handle.pid)
    row = job(conn, handle)
    assert row["cookie"] == handle.cookie
    assert row["worker_pid"] == handle.pid
    assert (row["database"], row["role"], row["label"], row["state"]) == (
        db,
        "postgres",
        "sleeper",
        "running",
    )
    assert row["queued_at"] <= row["started_at"]
    assert (row["wait_event_type"], row["wait_event"]) == ("Timeout", "PgSleep")
    assert row["sql_preview"] == FOREVER
    ended = (
        "finished_at",
        "command_tag",
        "sqlstate",
        "error_message",
        "progress_pct",
        "progress_msg",
    )
    assert [row[name] for name in ended] == [None] * 6
    assert row["row_count"] == 0
    assert (row["blocked_by"], row["temp_bytes"]) == ([], 0)
    cancel(conn, handle)


def test_a_job_that_has_ended(conn: Connection) -> None:
    handle = launch(conn, "SELECT generate_series(1, 3)")
    wait(conn, handle)
    row = job(conn, handle)
    assert (row["state"], row["row_count"], row["command_tag"]) == ("stopped", 3, "SELECT")
    assert row["started_at"] <= row["finished_at"]
    assert (row["worker_pid"], row["wait_event"], row["sqlstate"]) == (None, None, None)
    assert row["result_bytes"] > 0
    result(conn, handle, "n int")
    # It is history, and can still be seen.
    assert job(conn, handle)["state"] == "stopped"


def test_a_job_that_failed(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1/0")
    wait(conn, handle)
    row = job(conn, handle)
    assert (row["state"], row["sqlstate"]) == ("error", "22012")
    assert row["error_message"] == "division by zero"
    assert (row["row_count"], row["command_tag"]) == (0, None)


def test_who_blocks_a_job(conn: Connection, connect: Connect) -> None:
    holder = connect()
    with closed_gate(holder) as gate:
        handle = launch(conn, gate.sql)
        wait_until(lambda: job(conn, handle)["blocked_by"] == [holder.info.backend_pid])
        assert job(conn, handle)["wait_event_type"] == "Lock"
    wait(conn, handle)


def test_bytes_on_disk(conn: Connection) -> None:
    handle = launch(conn, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    wait(conn, handle)
    row = job(conn, handle)
    assert row["result_bytes"] >= 1000000
    assert row["temp_bytes"] > 900000


def test_jobs_of_all_sessions_are_shown_oldest_first(conn: Connection, connect: Connect, db: str) -> None:
    handles = [
        submit(session, "SELECT 1", label=f"n{n}") for n, session in enumerate([conn, connect(), conn])
    ]
    shown = [row["label"] for row in rows(conn, "database = %s", [db])]
    assert shown == ["n0", "n1", "n2"]
    for handle in handles:
        wait(conn, handle)


def test_a_queued_job(connect: Connect) -> None:
    conn = connect()
    conn.execute("SET pg_background.max_workers = 1")
    busy = launch(conn, FOREVER)
    handle = start(conn, "SELECT 1", on_full="queue")
    row = job(conn, handle)
    assert (row["pid"], row["worker_pid"], row["state"]) == (handle.pid, None, "queued")
    assert row["started_at"] is None
    cancel(conn, busy)
    wait(conn, handle)
    assert job(conn, handle)["started_at"] > row["queued_at"]


def test_what_a_stranger_sees(connect: Connect, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    owner = connect(user=role)
    wait(owner, launch(owner, "SELECT 'secret'::int", label="secret"))
    running = launch(owner, "SELECT pg_background_progress(7, 'secret'), pg_sleep(3600)")
    wait_until(lambda: progress(owner, running)[0] == 7)

    stranger = connect(user=make_role(member_of=("pgbackground_role",)))
    (runs,) = rows(stranger, "role = %s", [role])
    told = {name: value for name, value in runs.items() if value is not None}
    assert told == {
        "pid": running.pid,
        "worker_pid": running.pid,
        "database": owner.info.dbname,
        "role": role,
        "sql_preview": "<insufficient privilege>",
    }
    assert "secret" not in str(rows(stranger, "true", []))

    watcher = connect(user=make_role(member_of=("pgbackground_role", "pg_read_all_stats")))
    failed, runs = rows(watcher, "role = %s", [role])
    assert (failed["sql_preview"], failed["label"], failed["cookie"]) == (
        "SELECT 'secret'::int",
        "secret",
        None,
    )
    assert (failed["state"], failed["sqlstate"], failed["error_message"]) == ("error", "22P02", None)
    assert "invalid input syntax" in rows(owner, "state = 'error'", [])[0]["error_message"]
    assert (runs["progress_pct"], runs["progress_msg"]) == (7, "secret")

    signaler = connect(user=make_role(member_of=("pgbackground_role", "pg_signal_backend")))
    runs = next(row for row in rows(signaler, "role = %s", [role]) if row["worker_pid"])
    assert (runs["cookie"], runs["sql_preview"]) == (running.cookie, "<insufficient privilege>")
    cancel(signaler, running)
    assert wait(owner, running)


def test_those_who_may_see_all_sessions_need_nothing_else(connect: Connect, make_role: MakeRole) -> None:
    monitor = connect(user=make_role(member_of=("pg_monitor",)))
    assert monitor.execute("SELECT count(*) >= 0 FROM pg_background_jobs").fetchone() == (True,)
    assert monitor.execute("SELECT count(*) >= 0 FROM pg_background_totals").fetchone() == (True,)
    nobody = connect(user=make_role())
    for view in ("jobs", "totals"):
        with pytest.raises(errors.InsufficientPrivilege):
            nobody.execute(f"SELECT * FROM pg_background_{view}".encode())


def test_a_superusers_job_has_no_cookie_for_pg_signal_backend(
    conn: Connection, connect: Connect, make_role: MakeRole
) -> None:
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    signaler = connect(user=make_role(member_of=("pgbackground_role", "pg_signal_backend")))
    assert job(signaler, handle)["cookie"] is None
    cancel(conn, handle)
    assert wait(conn, handle)
    # and without a process there is nothing to see
    assert rows(signaler, "pid = %s", [handle.pid]) == []


# ---- totals


def totals(conn: Connection, role: str) -> DictRow:
    """Return the row of a role in the session's database."""
    query = "SELECT * FROM pg_background_totals WHERE (database, role) = (current_database(), %s)"
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query, [role]).fetchone()
    assert row is not None
    return row


def test_totals_of_a_role(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    theirs = connect(user=role)
    handles = [launch(theirs, job) for job in ("SELECT pg_sleep(0.01)", "SELECT 1/0", "SELECT 2", FOREVER)]
    cancel(theirs, handles[3])
    theirs.execute("SET pg_background.worker_timeout = 1")
    handles.append(submit(theirs, FOREVER))
    for handle in handles:
        assert wait(theirs, handle)
    row = totals(conn, role)
    ends = [row[end] for end in ("launched", "completed", "failed", "canceled", "timed_out", "lost")]
    assert ends == [5, 2, 1, 1, 1, 0]
    # Those of its jobs, whose times the other view has.
    ran, queued = conn.execute(
        "SELECT extract(epoch FROM sum(finished_at - started_at))::float8 * 1000, "
        "extract(epoch FROM sum(coalesce(started_at, finished_at) - queued_at))::float8 * 1000 "
        "FROM pg_background_jobs WHERE role = %s HAVING count(*) = 5",
        [role],
    ).fetchall()[0]
    assert ran >= 10
    assert row["execution_ms"] == pytest.approx(ran, abs=len(handles))
    assert queued > 0
    assert row["queue_ms"] == pytest.approx(queued, abs=len(handles))
    # The counting begins a little before the server says that it started.
    since = conn.execute(
        "SELECT since BETWEEN pg_postmaster_start_time() - interval '1 minute' AND now() "
        "FROM pg_background_totals LIMIT 1"
    )
    assert since.fetchone() == (True,)


def test_times_in_totals_are_those_of_the_jobs(
    connect: Connect, make_role: MakeRole, conn: Connection
) -> None:
    """From launch to begin they wait, from begin to end they run; one that never began did neither."""
    role = make_role(member_of=("pgbackground_role",))
    theirs = connect(user=role)
    theirs.execute("SET pg_background.max_workers = 1")
    first = launch(theirs, "SELECT pg_sleep(0.05)")
    second = start(theirs, "SELECT pg_sleep(0.05)", on_full="queue")
    cancel(theirs, start(theirs, "SELECT 1", on_full="queue"))
    for handle in (first, second):
        assert wait(theirs, handle)
    jobs = [row for row in rows(conn, "role = %s", [role]) if row["started_at"] is not None]
    assert len(jobs) == 2
    found = totals(conn, role)
    assert (found["launched"], found["completed"], found["canceled"]) == (3, 2, 1)
    for column, begin, end in (
        ("queue_ms", "queued_at", "started_at"),
        ("execution_ms", "started_at", "finished_at"),
    ):
        assert found[column] == pytest.approx(
            sum((job[end] - job[begin]).total_seconds() * 1000 for job in jobs)
        )


def test_a_lost_job_in_totals(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    theirs = connect(user=role)
    handle = launch(theirs, FOREVER)
    wait_until_asleep(conn, handle.pid)
    conn.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
    assert wait(theirs, handle)
    row = totals(conn, role)
    assert [row[end] for end in ("launched", "completed", "failed", "lost")] == [1, 0, 0, 1]
    # In those of the session it has failed.
    stats = "SELECT workers_launched, workers_completed, workers_failed FROM pg_background_stats()"
    assert theirs.execute(stats).fetchone() == (1, 0, 1)


def test_a_launch_that_is_refused_is_not_in_totals(
    conn: Connection, connect: Connect, make_role: MakeRole
) -> None:
    role = make_role(member_of=("pgbackground_role",))
    theirs = connect(user=role)
    theirs.execute("SET pg_background.max_workers = 1")
    busy = launch(theirs, FOREVER)
    with pytest.raises(errors.ConfigurationLimitExceeded):
        start(theirs, "SELECT 1", on_full="wait", timeout_ms=10)
    assert totals(conn, role)["launched"] == 1
    assert theirs.execute("SELECT workers_launched FROM pg_background_stats()").fetchone() == (1,)
    cancel(theirs, busy)


def test_totals_outlive_the_role_and_its_sessions(
    conn: Connection, connect: Connect, make_role: MakeRole
) -> None:
    role = make_role(member_of=("pgbackground_role",))
    theirs = connect(user=role)
    wait(theirs, submit(theirs, "SELECT 1"))
    theirs.close()
    assert totals(conn, role)["completed"] == 1
    conn.execute(f"DROP ROLE {role}".encode())
    query = (
        "SELECT sum(completed) FROM pg_background_totals WHERE database = current_database() AND role IS NULL"
    )
    assert conn.execute(query).fetchone() == (1,)


# ---- progress of what the server follows


def test_progress_of_create_index_and_vacuum(conn: Connection) -> None:
    conn.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 200000) AS n")
    seen: set[str] = set()

    def sees(handle: Handle, prefix: str) -> bool:
        percent, message = progress(conn, handle)
        shown = job(conn, handle)
        for pct, text in ((percent, message), (shown["progress_pct"], shown["progress_msg"])):
            assert pct is None or 0 <= pct <= 100
            if text is not None:
                seen.add(text)
        return any(text.startswith(prefix) for text in seen)

    # Slow enough to be seen: the table is read page by page with a sleep in between.
    conn.execute(
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "'BEGIN PERFORM pg_sleep(0.0005); RETURN $1; END'"
    )
    handle = launch(conn, "CREATE INDEX ON t (slow(n))")
    wait_until(lambda: sees(handle, "CREATE INDEX: building index"))
    cancel(conn, handle)
    wait(conn, handle)
    assert progress(conn, handle) == (None, None)

    conn.execute("SET vacuum_cost_delay = 100")
    conn.execute("SET vacuum_cost_limit = 1")
    handle = launch(conn, "VACUUM t")
    wait_until(lambda: sees(handle, "VACUUM: scanning heap"))
    cancel(conn, handle)
    wait(conn, handle)
    handle = launch(conn, "ANALYZE t")
    wait_until(lambda: sees(handle, "ANALYZE: "))
    cancel(conn, handle)
    wait(conn, handle)


def test_progress_of_copy(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int)")
    conn.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END'"
    )
    conn.execute("CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()")
    handle = launch(conn, "COPY t FROM PROGRAM 'seq 1 1000000'")
    wait_until(lambda: (progress(conn, handle)[1] or "").endswith(" rows"))
    assert progress(conn, handle)[0] is None
    cancel(conn, handle)
    wait(conn, handle)


def test_what_the_job_says_itself_comes_first(conn: Connection) -> None:
    conn.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 100000) AS n")
    ((schema,),) = conn.execute(
        "SELECT quote_ident(n.nspname) FROM pg_namespace AS n"
        " JOIN pg_extension AS e ON e.extnamespace = n.oid WHERE extname = 'pg_background'"
    )
    # CREATE INDEX looks nothing up through the search_path of its session, from 17 on.
    conn.execute(
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        f"'BEGIN PERFORM {schema}.pg_background_progress(5, ''mine''), pg_sleep(0.001); RETURN $1; END'"
    )
    handle = launch(conn, "CREATE INDEX ON t (slow(n))")
    wait_until(lambda: progress(conn, handle)[0] == 5)
    assert progress(conn, handle) == (5, "mine")
    cancel(conn, handle)
    detach(conn, handle)


def test_totals_of_more_roles_than_there_is_room_for(conn: Connection) -> None:
    """The newest are shown, the others stay in the sum."""
    roles = [f"role_{number}_of_{conn.info.dbname}"[-63:] for number in range(260)]
    before = all_launched(conn)
    for role in roles:
        conn.execute(f"CREATE ROLE {role} IN ROLE pgbackground_role".encode())
    try:
        for role in roles:
            conn.execute(f"SET ROLE {role}".encode())
            assert wait(conn, submit(conn, "SELECT 1"))
            conn.execute("RESET ROLE")
            assert totals(conn, role)["completed"] == 1
        assert all_launched(conn) == before + len(roles)
    finally:
        for role in roles:
            conn.execute(f"DROP ROLE {role}".encode())


def all_launched(conn: Connection) -> int:
    row = conn.execute("SELECT coalesce(sum(launched), 0)::int8 FROM pg_background_totals").fetchone()
    assert row is not None
    return int(row[0])
