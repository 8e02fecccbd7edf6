"""In a schema of its own, under any search_path, among look-alikes: each function and view works.

The whole suite runs like this by `make test SCHEMA=1`.
"""

from __future__ import annotations

import psycopg
import pytest

from ..support import lookalikes
from ..support.calls import query
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle
from ..support.routines import routines, views
from ..support.server import Server

pytestmark = pytest.mark.in_public

SCHEMA = '"Back ground"'

#: What the arguments are, by their names.
VALUES: dict[str, object] = {
    "sql": "SELECT 'x'::pg_catalog.text",
    "queue_size": 0,
    "timeout_ms": 0,
    "grace_ms": 0,
    "label": "mine",
    "on_full": "error",
    "each_statement": False,
    "discard_result": False,
    "pattern": "%",
    "pct": 5,
    "msg": "half",
    "verb": "GRANT",
    "print_commands": False,
    "params": "{}",
    "col_def": "value pg_catalog.text",
}

#: Those that mean something when they are NULL: the value's type alone matters, it is set by the call, or the
#: job runs in this database.
NULLS = {"type", "finished", "database"}

LIST = (
    "pid pg_catalog.int4, cookie pg_catalog.int8, launched_at pg_catalog.timestamptz, user_id pg_catalog.oid,"
    " queue_size pg_catalog.int4, state pg_catalog.text, sql_preview pg_catalog.text,"
    " last_error pg_catalog.text, consumed pg_catalog.bool"
)

#: What a call may well end with: it must be this, and nothing else.
EXPECTED = {
    "pgbg_report_progress": "0A000",
    # Other databases of the server need the role.
    "pg_background_drop_executor_role": "2BP01",
}


@pytest.fixture
def hostile(connect: Connect) -> Connection:
    """A database with the extension in a schema of its own, and look-alikes everywhere."""
    conn = connect()
    query(
        conn,
        f"DROP EXTENSION pg_background; CREATE SCHEMA {SCHEMA}; GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC",
    )
    lookalikes.set_up(conn)
    lookalikes.plant(conn, SCHEMA, beside_extension=True)
    query(conn, f"CREATE EXTENSION pg_background SCHEMA {SCHEMA}")
    lookalikes.plant(conn, "public", extension=SCHEMA)
    return conn


@pytest.mark.parametrize("path", ["''", "pg_temp, public", f"pg_temp, public, {SCHEMA}, pg_catalog"])
def test_every_function_and_view(
    server: Server, hostile: Connection, connect: Connect, make_role: MakeRole, path: str
) -> None:
    mark = server.log.mark()
    conn = connect()
    conn.execute("SET search_path = pg_catalog")
    known, shown = routines(conn), views(conn)
    lookalikes.plant(conn, "pg_temp", extension=SCHEMA)
    conn.execute(f"SET search_path = {path}".encode())
    role = make_role()
    given = {*VALUES, *NULLS, "role_name", "pid", "cookie", "handle", "handles"}
    for routine in known:
        assert given.issuperset(name.removeprefix("p_") for name in routine.arguments), routine
        job = launched(conn)
        columns = LIST if routine.symbol == "pgbg_list" else "value pg_catalog.text"
        call = routine.call(columns, **VALUES, role_name=role, pid=job.pid, cookie=job.cookie)
        failed = sqlstate_of(conn, call)
        if routine.symbol == "pgbg_drain_server":
            resume(conn)
        assert failed == EXPECTED.get(routine.symbol, EXPECTED.get(routine.name)), (routine, failed)
        # A bare pid must mean the next job, which the same worker may run.
        conn.execute(f"SELECT {SCHEMA}.pg_background_detach_all()".encode())
    for view in shown.values():
        conn.execute(f"SELECT * FROM {view}".encode())
    lookalikes.assert_none_ran(server, mark)


@pytest.mark.parametrize("path", ["''", f"public, {SCHEMA}"])
def test_calls_inside_a_job(server: Server, hostile: Connection, path: str) -> None:
    mark = server.log.mark()
    hostile.execute(f"SET search_path = {path}".encode())
    calls = [
        f"SELECT {SCHEMA}.pg_background_progress(5::pg_catalog.int4, 'half')",
        f"SELECT {SCHEMA}.pg_background_report_progress(7.5::pg_catalog.float8)",
        f"SELECT * FROM {SCHEMA}.pg_background_list",
        f"SELECT * FROM {SCHEMA}.pg_background_run('SELECT 1')",
    ]
    sql = "; ".join(calls).replace("'", "''")
    told = f"SELECT state, error_message FROM {SCHEMA}.pg_background_run('{sql}')"
    assert query(hostile, told) == [("stopped", None)]
    lookalikes.assert_none_ran(server, mark)


def test_look_alikes_tell_when_they_are_run(server: Server, hostile: Connection) -> None:
    for call in ("SELECT public.format('x'::text)", "SELECT 1 OPERATOR(public.=) 1", "TABLE public.pg_roles"):
        mark = server.log.mark()
        with pytest.raises(psycopg.errors.RaiseException, match=lookalikes.CAUGHT):
            hostile.execute(call.encode())
        with pytest.raises(AssertionError):
            lookalikes.assert_none_ran(server, mark)


def resume(conn: Connection) -> None:
    """Let launches be accepted again."""
    conn.execute(f"SELECT {SCHEMA}.pg_background_resume_server()".encode())


def launched(conn: Connection) -> Handle:
    """Launch a job and wait for its end."""
    launch = f"SELECT pid, cookie FROM {SCHEMA}.pg_background_launch('SELECT ''x''::pg_catalog.text')"
    (row,) = query(conn, launch)
    query(conn, f"SELECT {SCHEMA}.pg_background_wait({row[0]}, {row[1]})")
    return Handle(*row)


def sqlstate_of(conn: Connection, call: str) -> str | None:
    """Call, and return the code of the error if there is one."""
    try:
        conn.execute(call.encode())
    except psycopg.Error as error:
        return f"{error.sqlstate} {error}" if error.sqlstate not in EXPECTED.values() else error.sqlstate
    return None
