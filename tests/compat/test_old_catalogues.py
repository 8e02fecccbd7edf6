"""The library exchanged, the catalogue still that of 1.8 or 2.0: each of its functions works."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.calls import failure, query, sqlstate, value
from ..support.fix_db import Connection
from ..support.fix_switch import OLD, SwitchConnect, SwitchDb
from ..support.jobs import FOREVER, Handle

LIST_9 = (
    "(pid int, cookie int8, launched_at timestamptz, user_id oid, queue_size int, state text,"
    " sql_preview text, last_error text, consumed bool)"
)
LIST_10 = LIST_9.replace(")", ", label text)")

MEMBERS = """
SELECT p.oid::regprocedure::text FROM pg_depend AS d
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'pg_background'
JOIN pg_proc AS p ON p.oid = d.objid WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
"""

Check = Callable[[Connection], None]
CHECKS: dict[str, dict[str, Check]] = {version: {} for version in OLD}


def checks(version: str, *signatures: str) -> Callable[[Check], Check]:
    """Say which functions of a catalogue a check is about."""

    def add(check: Check) -> Check:
        for signature in signatures:
            CHECKS[version][f"pg_background_{signature}" if "privileges" not in signature else signature] = (
                check
            )
        return check

    return add


def start(conn: Connection, job: str, call: str = "launch_v2(%s)") -> Handle:
    ((pid, cookie),) = query(conn, f"SELECT * FROM pg_background_{call}", job)
    return Handle(pid, cookie)


def state(conn: Connection, handle: Handle, version: str) -> str | None:
    columns = LIST_9 if version == "1.8" else LIST_10
    rows = query(
        conn,
        f"SELECT state FROM pg_background_list_v2() AS {columns} WHERE (pid, cookie) = (%s, %s)",
        *handle,
    )
    return rows[0][0] if rows else None


# ---- 1.8


@checks("1.8", "launch(text,integer)", "result(integer)", "detach(integer)")
def by_pid(conn: Connection) -> None:
    pids = [value(conn, f"SELECT pg_background_launch('SELECT {n}')") for n in range(5)]
    assert len(set(pids)) == 5
    for n, pid in enumerate(pids[:4]):
        assert query(conn, "SELECT * FROM pg_background_result(%s) AS (a int)", pid) == [(n,)]
    query(conn, "SELECT pg_background_detach(%s)", pids[4])
    assert sqlstate(conn, "SELECT pg_background_detach(%s)", pids[4]) == "42704"
    assert value(conn, "SELECT pg_background_launch(NULL)") is None
    assert query(
        conn, "SELECT * FROM pg_background_result(pg_background_launch('SELECT 42', 100)) AS (x int)"
    ) == [(42,)]
    assert value(conn, "SELECT COALESCE(pg_background_launch('SELECT 1'), 0)") > 0


@checks("1.8", "launch_v2(text,integer)", "result_v2(integer,bigint)", "wait_v2(integer,bigint)")
def by_handle(conn: Connection) -> None:
    handle = start(conn, "SELECT 42")
    # as text: the type is void
    assert query(conn, "SELECT pg_background_wait_v2(%s, %s)::text", *handle) == [("",)]
    assert query(conn, "SELECT * FROM pg_background_result_v2(%s, %s) AS (x int)", *handle) == [(42,)]
    assert value(conn, "SELECT pg_background_wait_v2(NULL, 1)") is None


@checks("1.8", "submit_v2(text,integer)", "detach_v2(integer,bigint)")
def submit(conn: Connection) -> None:
    query(conn, "CREATE TABLE done (a int)")
    handle = start(conn, "INSERT INTO done VALUES (1)", "submit_v2(%s)")
    query(conn, "SELECT pg_background_wait_v2(%s, %s)", *handle)
    assert value(conn, "SELECT count(*) FROM done") == 1
    query(conn, "SELECT pg_background_detach_v2(%s, %s)", *handle)
    assert sqlstate(conn, "SELECT pg_background_detach_v2(%s, %s)", *handle) == "42704"


@checks(
    "1.8",
    "wait_v2_timeout(integer,bigint,integer)",
    "cancel_v2(integer,bigint)",
    "cancel_v2_grace(integer,bigint,integer)",
    "list_v2()",
)
def cancel(conn: Connection) -> None:
    for call in ("cancel_v2(%s, %s)", "cancel_v2_grace(%s, %s, 1000)"):
        handle = start(conn, FOREVER)
        assert value(conn, "SELECT pg_background_wait_v2_timeout(%s, %s, 1)", *handle) is False
        query(conn, f"SELECT pg_background_{call}", *handle)
        query(conn, "SELECT pg_background_wait_v2(%s, %s)", *handle)
        assert state(conn, handle, "1.8") == "canceled"
    assert sqlstate(conn, "SELECT * FROM pg_background_list_v2() AS (pid text)") == "42804"


@checks("1.8", "stats_v2()")
def seven_counters(conn: Connection) -> None:
    start(conn, "SELECT 1")
    failing = start(conn, "SELECT 1/0")
    query(conn, "SELECT pg_background_wait_v2(%s, %s)", *failing)
    query(conn, "SET pg_background.worker_timeout = 1")
    late = start(conn, FOREVER)
    query(conn, "SELECT pg_background_wait_v2(%s, %s)", *late)
    query(conn, "SELECT pg_background_wait_v2(pid, cookie) FROM pg_background_list_v2() AS " + LIST_9)
    ((launched, completed, failed, canceled, active, mean, limit),) = query(
        conn, "SELECT * FROM pg_background_stats_v2()"
    )
    assert (launched, completed, failed, canceled, active, limit) == (3, 1, 2, 0, 0, 16)
    assert mean > 0


@checks("1.8", "progress(integer,text)", "get_progress_v2(integer,bigint)")
def progress(conn: Connection) -> None:
    handle = start(conn, "SELECT pg_background_progress(50, 'half')")
    query(conn, "SELECT pg_background_wait_v2(%s, %s)", *handle)
    ask = "SELECT * FROM pg_background_get_progress_v2(%s, %s)"
    assert query(conn, ask, *handle) == [(50, "half")]
    assert query(conn, ask, 1, 1) == [(None, None)]
    assert query(conn, ask, None, None) == [(None, None)]
    assert sqlstate(conn, "SELECT pg_background_progress(1)") == "0A000"


def grants_and_role(conn: Connection, grant: str, revoke: str) -> None:
    role = f"granted_{value(conn, 'SELECT current_database()')}"
    query(conn, f"CREATE ROLE {role}")
    may = "SELECT has_function_privilege(%s, 'pg_background_list_v2()', 'EXECUTE')"
    assert value(conn, f"SELECT {grant}(%s)", role) is True
    assert value(conn, may, role) is True
    assert value(conn, f"SELECT {revoke}(%s, true)", role) is True
    assert value(conn, may, role) is False
    query(conn, f"DROP ROLE {role}")
    # the database that this one was copied from keeps the role
    assert sqlstate(conn, "SELECT pg_background_drop_executor_role()") == "2BP01"


@checks(
    "1.8",
    "grant_pg_background_privileges(text,boolean)",
    "revoke_pg_background_privileges(text,boolean)",
    "drop_executor_role()",
)
def privileges(conn: Connection) -> None:
    grants_and_role(conn, "grant_pg_background_privileges", "revoke_pg_background_privileges")


# ---- 2.0


@checks(
    "2.0",
    *(
        f"{name}{suffix}({arguments})"
        for suffix in ("", "_v2")
        for name, arguments in (
            ("launch", "text,integer"),
            ("launch", "text,integer,text"),
            ("submit", "text,integer"),
            ("submit", "text,integer,text"),
            ("result", "integer,bigint"),
            ("wait", "integer,bigint,integer"),
            ("detach", "integer,bigint"),
            ("list", ""),
            ("full_sql", "integer,bigint"),
            ("result_info", "integer,bigint"),
            ("error_info", "integer,bigint"),
            ("outcome", "integer,bigint"),
        )
    ),
)
def life_of_a_job(conn: Connection) -> None:
    for v in ("", "_v2"):
        handle = start(conn, "SELECT 42", f"launch{v}(%s)")
        assert value(conn, f"SELECT pg_background_wait{v}(%s, %s)", *handle) is True
        assert query(conn, f"SELECT command_tag FROM pg_background_result_info{v}(%s, %s)", *handle) == [
            ("SELECT",)
        ]
        assert value(conn, f"SELECT pg_background_full_sql{v}(%s, %s)", *handle) == "SELECT 42"
        assert query(conn, f"SELECT * FROM pg_background_result{v}(%s, %s) AS (a int)", *handle) == [(42,)]
        failing = start(conn, "SELECT 1/0", f"launch{v}(%s, 0, 'odd')")
        query(conn, f"SELECT pg_background_wait{v}(%s, %s)", *failing)
        assert query(conn, f"SELECT sqlstate FROM pg_background_error_info{v}(%s, %s)", *failing) == [
            ("22012",)
        ]
        ended = f"SELECT state, sqlstate, label FROM pg_background_outcome{v}(%s, %s)"
        assert query(conn, ended, *failing) == [("error", "22012", "odd")]
        for call in ("(%s)", "(%s, 0, 'label')"):
            submitted = start(conn, "SELECT 1", f"submit{v}{call}")
            query(conn, f"SELECT pg_background_wait{v}(%s, %s)", *submitted)
            query(conn, f"SELECT pg_background_detach{v}(%s, %s)", *submitted)
        listed = f"SELECT label FROM pg_background_list{v}() AS {LIST_10}"
        assert ("odd",) in query(conn, listed)
        assert query(conn, listed) == query(conn, "SELECT label FROM pg_background_list")
    assert failure(conn, "SELECT pg_background_launch(NULL, 0, 'label')").sqlstate == "22004"


@checks(
    "2.0",
    *(
        f"{name}{suffix}({arguments})"
        for suffix in ("", "_v2")
        for name, arguments in (
            ("cancel", "integer,bigint,integer"),
            ("cancel_all", ""),
            ("cancel_by_label", "text,integer"),
            ("detach_all", ""),
            ("purge", ""),
        )
    ),
)
def cancel_many(conn: Connection) -> None:
    for v in ("", "_v2"):
        jobs = [start(conn, FOREVER, f"launch(%s, 0, 'job {n}')") for n in range(3)]
        assert value(conn, "SELECT count(*) FROM pg_background_activity") == 3
        query(conn, f"SELECT pg_background_cancel{v}(%s, %s)", *jobs[0])
        query(conn, "SELECT pg_background_wait(%s, %s)", *jobs[0])
        assert value(conn, f"SELECT pg_background_cancel_by_label{v}('job 1')") == 1
        query(conn, "SELECT pg_background_wait(%s, %s)", *jobs[1])
        assert value(conn, f"SELECT pg_background_cancel_all{v}()") == 1
        query(conn, "SELECT pg_background_wait(%s, %s)", *jobs[2])
        assert [state(conn, job, "2.0") for job in jobs] == ["canceled"] * 3
        assert value(conn, f"SELECT pg_background_purge{v}()") == 3
        start(conn, "SELECT 1")
        assert value(conn, f"SELECT pg_background_detach_all{v}()") == 1


@checks(
    "2.0",
    *(
        f"{name}{suffix}(pg_background_handle[],integer)"
        for suffix in ("", "_v2")
        for name in ("wait_any", "drain")
    ),
)
def several(conn: Connection) -> None:
    for v in ("", "_v2"):
        long, short = start(conn, FOREVER), start(conn, "SELECT 1")
        handles = f"ARRAY[({long.pid}, {long.cookie}), ({short.pid}, {short.cookie})]::pg_background_handle[]"
        assert query(conn, f"SELECT * FROM pg_background_wait_any{v}({handles})") == [short]
        query(conn, "SELECT pg_background_cancel(%s, %s)", *long)
        ended = query(conn, f"SELECT pid, state FROM pg_background_drain{v}({handles})")
        assert ended == [(long.pid, "canceled"), (short.pid, "stopped")]


@checks(
    "2.0",
    "run(text,integer,integer,text)",
    "run_v2(text,integer,integer,text)",
    "run_query(text,integer,integer,text,text)",
    "run_query_v2(text,integer,integer,text,text)",
    "stats()",
    "stats_v2()",
    "record_timeout()",
)
def at_once(conn: Connection) -> None:
    """More than a queue holds, and jobs that run out of time, which are not canceled ones."""
    for n, v in enumerate(("", "_v2"), start=1):
        rows = query(
            conn,
            f"SELECT count(*) FROM pg_background_run_query{v}('SELECT generate_series(1, 50000)',"
            " col_def => 'n int') AS (n int)",
        )
        assert rows == [(50000,)]
        ran = f"SELECT state, timed_out FROM pg_background_run{v}(%s, timeout_ms => %s)"
        assert query(conn, ran, "SELECT repeat('x', 200000)", 0) == [("stopped", False)]
        # as it is called after the cancel here, and before it there
        assert query(conn, ran, FOREVER, 1) == [("timed_out", True)]
        late = f"SELECT * FROM pg_background_run_query{v}('{FOREVER}', timeout_ms => 1) AS (value text)"
        assert sqlstate(conn, late) == "57014"
        ((launched, completed, failed, canceled, timed_out, active, _, _),) = query(
            conn, f"SELECT * FROM pg_background_stats{v}()"
        )
        assert (launched, completed, failed, canceled, timed_out, active) == (4 * n, 2 * n, 0, 0, 2 * n, 0)
    query(conn, "SELECT pg_background_record_timeout()")
    assert value(conn, "SELECT workers_timed_out FROM pg_background_stats()") == 4


@checks(
    "2.0",
    "report_progress(integer,text)",
    "get_progress(integer,bigint)",
    "get_progress_v2(integer,bigint)",
)
def progress_of_2_0(conn: Connection) -> None:
    handle = start(conn, "SELECT pg_background_report_progress(50, 'half')")
    query(conn, "SELECT pg_background_wait(%s, %s)", *handle)
    for v in ("", "_v2"):
        ask = f"SELECT * FROM pg_background_get_progress{v}(%s, %s)"
        assert query(conn, ask, *handle) == [(50, "half")]
        assert query(conn, ask, None, 1) == [(None, None)]


@checks(
    "2.0",
    "pg_background_grant_privileges(text,boolean)",
    "pg_background_revoke_privileges(text,boolean)",
    "drop_executor_role()",
)
def privileges_of_2_0(conn: Connection) -> None:
    grants_and_role(conn, "pg_background_grant_privileges", "pg_background_revoke_privileges")


@pytest.mark.parametrize("version", OLD)
def test_every_function_is_checked(version: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    conn = switch_connect(switch_db(version))
    assert {name for (name,) in query(conn, MEMBERS)} == set(CHECKS[version])


@pytest.mark.parametrize(
    ("version", "check"),
    [
        pytest.param(version, check, id=f"{version}-{check.__name__}")
        for version in OLD
        for check in dict.fromkeys(CHECKS[version].values())
    ],
)
def test_functions(version: str, check: Check, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    check(switch_connect(switch_db(version)))
