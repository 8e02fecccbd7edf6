"""A definer's SQL, label, errors and cookies are not for its caller, wherever the caller looks."""

from __future__ import annotations

import re

import pytest

from ..support.calls import query, sqlstate, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import FOREVER, Handle, cancel, detach, launch, wait, wait_until_asleep
from ..support.server import Server
from ..support.waiting import wait_until

SECRET = "the_secret"
HIDDEN = "<hidden, see pg_background_jobs>"

#: A job's list columns, of which a caller sees the process and the role.
LIST = "SELECT * FROM pg_background_list WHERE pid = %s"
NINE = (
    "SELECT {} FROM pg_background_list_v2() AS (pid int, cookie bigint, launched_at timestamptz, user_id oid,"
    " queue_size int, state text, sql_preview text, last_error text, consumed bool) WHERE pid = %s"
)


@pytest.fixture
def definer(conn: Connection, make_role: MakeRole) -> str:
    """A role whose function launches what it is given."""
    role = make_role("NOLOGIN", member_of=("pgbackground_role",))
    query(
        conn,
        f"""CREATE FUNCTION start(job text) RETURNS pg_background_handle LANGUAGE sql SECURITY DEFINER AS
        $$SELECT pg_background_launch(job, 0, '{SECRET}')$$;
        ALTER FUNCTION start OWNER TO {role}""",
    )
    return role


def start(caller: Connection, job: str) -> Handle:
    """Launch as the definer."""
    return Handle(*query(caller, "SELECT * FROM start(%s)", job)[0])


def shown(session: Connection, pid: int | None = None) -> str:
    """Return all that pg_stat_activity shows of a job's processes, or of all but the session itself."""
    mine = "pid = %s OR leader_pid = %s" if pid else "pid <> pg_backend_pid()"
    return str(query(session, f"SELECT * FROM pg_stat_activity WHERE {mine}", *([pid, pid] if pid else [])))


def test_in_the_lists_of_the_session(
    conn: Connection, connect: Connect, make_role: MakeRole, definer: str
) -> None:
    caller = connect(user=make_role(member_of=("pgbackground_role",)))
    failed = start(caller, f"SELECT '{SECRET}'::int")
    assert wait(conn, failed)
    runs = start(caller, f"{FOREVER}, '{SECRET}'")
    wait_until_asleep(conn, runs.pid)
    own = launch(caller, "SELECT 1", label="own")
    assert wait(caller, own)
    for handle in (failed, runs):
        user = value(conn, "SELECT %s::regrole::oid", definer)
        nothing = (handle.pid, None, None, user, None, None, "<insufficient privilege>", None, None, None)
        assert nothing in query(caller, LIST, handle.pid)
        assert nothing[:-1] in query(caller, NINE.format("*"), handle.pid)
        (activity,) = query(
            caller, "SELECT * FROM pg_background_activity WHERE pid = %s AND cookie IS NULL", handle.pid
        )[:1]
        assert activity[:10] == nothing
        assert activity[10:] == (None,) * 7
        assert value(caller, "SELECT state IS NULL FROM pg_background_outcome(%s, %s)", *handle)
    assert value(caller, "SELECT label FROM pg_background_list WHERE cookie = %s", own.cookie) == "own"
    for view in ("list", "activity", "jobs"):
        assert SECRET not in str(query(caller, f"SELECT * FROM pg_background_{view}"))
    for call in ("cancel_all()", "cancel_by_label('%')", "cancel_by_label('the%', 1)"):
        assert value(caller, f"SELECT pg_background_{call}") == 0
    # With the definer's rights, and with those of a superuser, all is there.
    query(conn, f"GRANT {definer} TO {caller.info.user}")
    assert value(caller, "SELECT count(cookie) FROM pg_background_list WHERE label = %s", SECRET) == 2
    assert value(caller, "SELECT pg_background_cancel_by_label(%s, 10000)", SECRET) == 1


def test_of_what_pg_read_all_stats_sees(
    conn: Connection, connect: Connect, make_role: MakeRole, definer: str
) -> None:
    """How it stands and what it runs, as in pg_stat_activity; no error text, and no cookie."""
    caller = connect(user=make_role(member_of=("pgbackground_role", "pg_read_all_stats")))
    handle = start(caller, "SELECT 'row'::int")
    assert wait(conn, handle)
    columns = "state, sql_preview, label, last_error, cookie, launched_at IS NOT NULL, consumed"
    assert query(caller, LIST.replace("*", columns), handle.pid) == [
        ("error", "SELECT 'row'::int", SECRET, None, None, True, False)
    ]


def test_in_an_index_function_that_a_superuser_runs(
    conn: Connection, connect: Connect, make_role: MakeRole
) -> None:
    """It is its owner who looks, into the superuser's session."""
    role = make_role(member_of=("pgbackground_role",))
    query(
        conn,
        f"""CREATE TABLE theirs (a int); INSERT INTO theirs VALUES (1); CREATE TABLE seen (what text);
        CREATE FUNCTION look(int) RETURNS int LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
        AS $$ BEGIN
          RAISE NOTICE '%', (SELECT string_agg(l::text, ' ') FROM pg_background_list AS l);
          RAISE NOTICE '%', (SELECT string_agg(l::text, ' ') FROM pg_background_activity AS l);
          RAISE NOTICE '%', pg_background_cancel_all();
          RETURN $1; END $$;
        CREATE INDEX ON theirs (look(a));
        ALTER FUNCTION look OWNER TO {role}; ALTER TABLE theirs OWNER TO {role}""",
    )
    handle = launch(conn, f"{FOREVER}, '{SECRET}'", label=SECRET)
    wait_until_asleep(conn, handle.pid)
    said: list[str] = []
    conn.add_notice_handler(lambda diag: said.append(str(diag.message_primary)))
    query(conn, "REINDEX TABLE theirs")
    assert f"({handle.pid},,," in said[0]
    assert SECRET not in str(said)
    assert str(handle.cookie) not in str(said)
    assert said[2] == "0"
    assert value(conn, "SELECT label FROM pg_background_list") == SECRET
    cancel(conn, handle)
    assert wait(conn, handle)


# ---- in pg_stat_activity


def test_in_pg_stat_activity(conn: Connection, connect: Connect, make_role: MakeRole, definer: str) -> None:
    caller = connect(user=make_role(member_of=("pgbackground_role",)))
    handle = start(caller, f"{FOREVER}, '{SECRET}'")
    wait_until_asleep(conn, handle.pid)
    assert SECRET not in shown(caller)
    assert value(caller, "SELECT query FROM pg_stat_activity WHERE pid = %s", handle.pid) == HIDDEN
    assert SECRET in str(query(conn, "SELECT * FROM pg_background_jobs WHERE pid = %s", handle.pid))
    cancel(conn, handle)
    assert wait(conn, handle)
    # What the process shows while it is idle is that too.
    assert SECRET not in shown(caller)


@pytest.mark.parametrize("may", ["member", "superuser", "set role"])
def test_who_may_see_it_does(
    conn: Connection, connect: Connect, make_role: MakeRole, definer: str, may: str
) -> None:
    """The worker is connected as the caller: one who has the definer's rights, or whose own SQL it is."""
    groups = ("pgbackground_role",) if may == "superuser" else ("pgbackground_role", definer)
    attributes = {"superuser": "LOGIN SUPERUSER", "set role": "LOGIN NOINHERIT"}.get(may, "LOGIN")
    role = make_role(attributes, member_of=groups)
    caller = connect(user=role)
    job = f"{FOREVER}, '{SECRET}'"
    if may == "set role":
        query(caller, f"SET ROLE {definer}")
    handle = launch(caller, job) if may == "set role" else start(caller, job)
    wait_until_asleep(conn, handle.pid)
    assert job in shown(connect(user=role), handle.pid)
    cancel(conn, handle)
    assert wait(conn, handle)


PARALLEL = """
SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 2; SET max_parallel_maintenance_workers = 2
"""


@pytest.mark.parametrize(
    "job",
    [
        f"SELECT count(*) FROM big WHERE slow(a) = '{SECRET}'",
        f"DO $$ BEGIN PERFORM count(*) FROM big WHERE slow(a) = '{SECRET}'; END $$",
        f"CREATE INDEX {SECRET} ON big (slow(a))",
    ],
    ids=["SELECT", "DO", "CREATE INDEX"],
)
def test_in_its_parallel_workers(
    conn: Connection, connect: Connect, make_role: MakeRole, definer: str, job: str
) -> None:
    """They are connected as the caller too."""
    query(
        conn,
        f"""CREATE FUNCTION slow(int) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS
          'BEGIN IF $1 > 10 THEN PERFORM pg_sleep(3600); END IF; RETURN $1; END';
        CREATE TABLE big AS SELECT n AS a, repeat('x', 500) FROM generate_series(1, 20000) AS n;
        ALTER TABLE big SET (parallel_workers = 2); ALTER TABLE big OWNER TO {definer};
        GRANT CREATE ON SCHEMA public TO {definer}""",
    )
    caller = connect(user=make_role(member_of=("pgbackground_role",)))
    query(caller, PARALLEL)
    handle = start(caller, job)
    theirs = "SELECT query FROM pg_stat_activity WHERE leader_pid = %s AND wait_event = 'PgSleep'"
    wait_until(lambda: len(query(conn, theirs, handle.pid)) > 0)
    assert {text for (text,) in query(conn, theirs, handle.pid)} == {HIDDEN}
    assert SECRET not in shown(caller)
    cancel(conn, handle)
    assert wait(conn, handle)
    detach(conn, handle)


def test_the_log_has_it(
    conn: Connection, connect: Connect, make_role: MakeRole, definer: str, server: Server
) -> None:
    """Of a statement that fails too, also after another has failed and its error was caught."""
    caller = connect(user=make_role(member_of=("pgbackground_role",)))
    caught = "BEGIN EXECUTE 'DROP TABLE no_such'; EXCEPTION WHEN undefined_table THEN NULL; END;"
    for job in (
        f"DROP TABLE {SECRET}_1",
        f"DO $$ BEGIN {caught} DROP TABLE {SECRET}_2; END $$",
        f"DO $$ BEGIN {caught} PERFORM 1/0; END $$ /* {SECRET}_3 */",
        f"SELECT 1/0 AS {SECRET}_4",
    ):
        mark = server.log.mark()
        handle = start(caller, job)
        assert wait(conn, handle)
        server.log.wait_for(re.escape(f"STATEMENT:  {job}"), mark)
    # and the next job's is its own
    query(caller, "SELECT 1")
    mark = server.log.mark()
    own = launch(caller, "SELECT 2/0")
    assert wait(caller, own)
    server.log.wait_for("STATEMENT:  SELECT 2/0", mark)
    assert sqlstate(caller, "SELECT pg_background_full_sql(%s, %s)", *handle) == "42501"
