"""What CREATE EXTENSION makes: names, types, defaults and rights can't change once they are out."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from ..support.calls import query, sqlstate, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import run
from ..support.server import Server

HANDLE = "pg_background_handle"
ROWS = "SETOF record"
KEY = "pid integer, cookie bigint"
SET = f"handles {HANDLE}[]"
RUN = "sql text, queue_size integer DEFAULT 0, timeout_ms integer DEFAULT 0, label text DEFAULT NULL::text"
PRIVILEGES = "role_name text, print_commands boolean DEFAULT false"
MSG = "msg text DEFAULT NULL::text"
REGISTRY = (
    "OUT entries integer, OUT live integer, OUT unread integer, OUT idle_workers integer,"
    " OUT busy_workers integer, OUT area_bytes bigint, OUT spill_bytes bigint"
)


class Function(NamedTuple):
    """A function as pg_proc has it."""

    name: str
    arguments: str
    result: str
    strict: bool = True


def starting(verb: str) -> list[Function]:
    """The overloads of launch and submit."""
    return [
        form
        for name in (verb, f"{verb}_v2")
        for form in (
            Function(name, "sql text, queue_size integer DEFAULT 0", HANDLE),
            Function(name, "sql text, queue_size integer, label text", HANDLE, strict=False),
        )
    ]


def twins(name: str, arguments: str, result: str, *, strict: bool = True) -> list[Function]:
    """A function and its form with the suffix."""
    return [Function(f"{name}{suffix}", arguments, result, strict) for suffix in ("", "_v2")]


FUNCTIONS = [
    *starting("launch"),
    *starting("submit"),
    Function("result", KEY, ROWS),
    Function("result", f"handle {HANDLE}", ROWS),
    Function("result", "pid integer", ROWS),
    Function("result_v2", KEY, ROWS),
    Function("detach", KEY, "void"),
    Function("detach", f"handle {HANDLE}", "void"),
    Function("detach", "pid integer", "void"),
    Function("detach_v2", KEY, "void"),
    Function("cancel", f"{KEY}, grace_ms integer DEFAULT 0", "void"),
    Function("cancel", f"handle {HANDLE}", "void"),
    Function("cancel_v2", f"{KEY}, grace_ms integer DEFAULT 0", "void"),
    Function("cancel_v2_grace", f"{KEY}, grace_ms integer", "void"),
    Function("wait", f"{KEY}, timeout_ms integer DEFAULT 0", "boolean"),
    Function("wait", f"handle {HANDLE}", "boolean"),
    Function("wait_v2", f"{KEY}, timeout_ms integer DEFAULT 0", "boolean"),
    Function("wait_v2_timeout", f"{KEY}, timeout_ms integer", "boolean"),
    Function("list", "", ROWS),
    Function("list_v2", "", ROWS),
    Function("stats", "", "pg_background_stats"),
    Function("stats_v2", "", "pg_background_stats"),
    Function("progress", f"pct integer, {MSG}", "void", strict=False),
    Function("progress", f"pct double precision, {MSG}", "void", strict=False),
    Function("report_progress", f"pct integer, {MSG}", "void", strict=False),
    Function("report_progress", f"pct double precision, {MSG}", "void", strict=False),
    Function("get_progress", KEY, "pg_background_progress_info"),
    Function("get_progress_v2", KEY, "pg_background_progress_info"),
    *twins("result_info", KEY, "pg_background_result_info"),
    *twins("error_info", KEY, "pg_background_error"),
    *twins("full_sql", KEY, "text"),
    *twins("outcome", "p_pid integer, p_cookie bigint", "pg_background_outcome"),
    *twins("run", RUN, "pg_background_run_result", strict=False),
    *twins("run_query", f"{RUN}, col_def text DEFAULT NULL::text", ROWS, strict=False),
    *twins("wait_any", f"{SET}, timeout_ms integer DEFAULT 0", HANDLE),
    *twins("drain", f"{SET}, timeout_ms integer DEFAULT 0", "SETOF pg_background_outcome"),
    *twins("cancel_all", "", "integer"),
    *twins("detach_all", "", "integer"),
    *twins("purge", "", "integer"),
    *twins("cancel_by_label", "pattern text, grace_ms integer DEFAULT 0", "integer", strict=False),
    Function("registry", REGISTRY, "record"),
    Function("pid", f"handle {HANDLE}", "integer"),
    Function("worker_pid", KEY, "integer"),
    Function("grant_privileges", PRIVILEGES, "boolean", strict=False),
    Function("revoke_privileges", PRIVILEGES, "boolean", strict=False),
    Function("grant_pg_background_privileges", PRIVILEGES, "boolean", strict=False),
    Function("revoke_pg_background_privileges", PRIVILEGES, "boolean", strict=False),
    Function("drop_executor_role", "", "void", strict=False),
]

#: Where int8 does not read hexadecimal.
TEXT_COOKIES = [
    Function(function.name, function.arguments.replace("cookie bigint", "cookie text"), *function[2:])
    for function in FUNCTIONS
    if "_v2" in function.name and "cookie bigint" in function.arguments
]

#: Not for the members of pgbackground_role.
RESTRICTED = {
    "pg_background_registry",
    "pg_background_drain_server",
    "pg_background_resume_server",
    "pg_background_change_privileges",
    "pg_background_grant_privileges",
    "pg_background_revoke_privileges",
    "pg_background_drop_executor_role",
    "grant_pg_background_privileges",
    "revoke_pg_background_privileges",
}

TYPES = {
    "pg_background_handle": "pid integer, cookie bigint",
    "pg_background_stats": "workers_launched bigint, workers_completed bigint, workers_failed bigint,"
    " workers_canceled bigint, workers_timed_out bigint, workers_active integer,"
    " avg_execution_ms double precision, max_workers integer",
    "pg_background_progress_info": "progress_pct integer, progress_msg text",
    "pg_background_result_info": "row_count bigint, command_tag text, completed boolean, has_error boolean,"
    " started_at timestamp with time zone, finished_at timestamp with time zone",
    "pg_background_error": "sqlstate text, message text, detail text, hint text, context text,"
    " schema_name text, table_name text, column_name text, constraint_name text",
    "pg_background_run_result": "pid integer, cookie bigint, state text, consumed boolean,"
    " completed boolean, has_error boolean, row_count bigint, command_tag text, sqlstate text,"
    " error_message text, label text, launched_at timestamp with time zone, timed_out boolean,"
    " elapsed_ms bigint",
    "pg_background_outcome": "pid integer, cookie bigint, state text, consumed boolean, completed boolean,"
    " has_error boolean, row_count bigint, command_tag text, sqlstate text, error_message text,"
    " label text, launched_at timestamp with time zone",
    "pg_background_activity": "pid integer, cookie bigint, launched_at timestamp with time zone,"
    " user_id oid, queue_size integer, pgbg_state text, sql_preview text, last_error text,"
    " consumed boolean, label text, backend_state text, wait_event_type text, wait_event text,"
    " xact_start timestamp with time zone, query_start timestamp with time zone,"
    " backend_start timestamp with time zone, query text",
    "pg_background_list": "pid integer, cookie bigint, launched_at timestamp with time zone, user_id oid,"
    " queue_size integer, state text, sql_preview text, last_error text, consumed boolean, label text",
}

#: Name, default, unit, context, least, most.
SETTINGS = [
    ("pg_background.default_queue_size", "65536", "B", "user", "64", "268435456"),
    ("pg_background.jobs_from_other_databases", "off", None, "superuser", None, None),
    ("pg_background.history", "off", None, "superuser", None, None),
    ("pg_background.history_retention", "604800", "s", "superuser", "-1", None),
    ("pg_background.job_memory", "32768", "kB", "postmaster", None, None),
    ("pg_background.library_version", "3.0", None, "internal", None, None),
    ("pg_background.max_database_jobs", "0", None, "superuser", "0", None),
    ("pg_background.max_database_workers", "0", None, "superuser", "0", None),
    ("pg_background.max_jobs", "1024", None, "postmaster", None, None),
    ("pg_background.max_result_size", "1048576", "kB", "sighup", None, None),
    ("pg_background.max_role_jobs", "0", None, "superuser", "0", None),
    ("pg_background.max_role_memory", "0", "kB", "superuser", "0", None),
    ("pg_background.max_role_result_size", "0", "kB", "superuser", "0", None),
    ("pg_background.max_role_workers", "0", None, "superuser", "0", None),
    ("pg_background.max_total_result_size", "16777216", "kB", "sighup", None, None),
    ("pg_background.max_total_workers", "0", None, "sighup", "0", None),
    ("pg_background.max_workers", "16", None, "user", "1", "1000"),
    ("pg_background.notify_channel", "", None, "user", None, None),
    ("pg_background.read_only", "off", None, "user", None, None),
    ("pg_background.reserved_jobs", "16", None, "sighup", "0", None),
    ("pg_background.reserved_workers", "1", None, "sighup", "0", None),
    ("pg_background.result_retention", "3600", "s", "sighup", None, None),
    ("pg_background.traceparent", "", None, "user", None, None),
    ("pg_background.wait_sampling", "100", "ms", "sighup", "0", "3600000"),
    ("pg_background.worker_idle_timeout", "3000", "ms", "sighup", "0", None),
    ("pg_background.worker_timeout", "0", "ms", "user", "0", None),
    ("pg_background.yield_time", "100", None, "sighup", "0", "1000"),
]

MEMBERS = """
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_background'
JOIN pg_proc p ON p.oid = d.objid
WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
"""


def functions(conn: Connection) -> list[Function]:
    rows = query(
        conn,
        "SELECT proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), proisstrict"
        f"{MEMBERS} AND prokind = 'f'",
    )
    return [Function(name.removeprefix("pg_background_"), *rest) for name, *rest in rows]


def test_functions(conn: Connection) -> None:
    assert set(FUNCTIONS) - set(functions(conn)) == set()


def test_text_cookies_are_taken_before_16_only(conn: Connection, server: Server) -> None:
    """Elsewhere a driver that leaves types to the server would meet them."""
    found = {function for function in functions(conn) if "cookie text" in function.arguments}
    assert found == (set(TEXT_COOKIES) if server.major < 16 else set())


def test_no_other_overload_takes_the_same_call(conn: Connection) -> None:
    """Two that differ by a trailing default only make every such call 42725."""
    rows = query(
        conn,
        "SELECT p.proname, p.pronargs - p.pronargdefaults, p.pronargs, p.proargtypes::oid[]" + MEMBERS,
    )
    for one in rows:
        for two in rows:
            if one is two or one[0] != two[0]:
                continue
            counts = set(range(one[1], one[2] + 1)) & set(range(two[1], two[2] + 1))
            assert not [n for n in counts if one[3][:n] == two[3][:n]], one[0]


def test_how_functions_may_be_called(conn: Connection) -> None:
    found = query(conn, "SELECT DISTINCT provolatile, proparallel, prosecdef" + MEMBERS + " AND prolang = 13")
    assert found == [("v", "u", False)]


def test_how_functions_in_sql_are_bound(conn: Connection) -> None:
    """Those in SQL by what they named when they were made, those in PL/pgSQL by a pinned search_path."""
    rows = query(
        conn,
        "SELECT proname, l.lanname, prosqlbody IS NOT NULL, array_to_string(proconfig, ';')"
        + MEMBERS.replace("WHERE", "JOIN pg_language l ON l.oid = prolang WHERE")
        + " AND l.lanname <> 'c'",
    )
    assert rows
    for name, language, has_body, settings in rows:
        assert has_body or language == "plpgsql", name
        assert settings == "search_path=pg_catalog, pg_temp", name
    assert value(conn, "SELECT count(*)" + MEMBERS + " AND prosecdef AND proconfig IS NULL") == 0


def test_the_cast(conn: Connection) -> None:
    row = query(
        conn,
        "SELECT castcontext, castfunc::regproc::text, provolatile"
        " FROM pg_cast JOIN pg_proc p ON p.oid = castfunc"
        " WHERE castsource = 'pg_background_handle'::regtype AND casttarget = 'int4'::regtype",
    )
    assert row == [("a", "pg_background_pid", "v")]


def test_symbols_are_our_own(conn: Connection) -> None:
    found = query(conn, "SELECT proname, prosrc" + MEMBERS + " AND prolang = 13 AND prosrc !~ '^pgbg_'")
    assert found == []


def test_nothing_for_public(conn: Connection) -> None:
    granted = query(
        conn,
        "SELECT p.oid::regprocedure::text" + MEMBERS + " AND (proacl IS NULL"
        " OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))",
    )
    assert granted == []
    views = query(
        conn,
        "SELECT relname FROM pg_class, aclexplode(relacl) a"
        " WHERE relname ~ '^pg_background' AND a.grantee = 0",
    )
    assert views == []


def test_rights_of_the_role(conn: Connection) -> None:
    role = "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles"
    assert query(conn, f"{role} WHERE rolname = 'pgbackground_role'") == [(False,) * 5]
    may = "SELECT DISTINCT proname::text, has_function_privilege('pgbackground_role', p.oid, 'EXECUTE')"
    rows = query(conn, may + MEMBERS)
    assert [name for name, allowed in rows if allowed == (name in RESTRICTED)] == []
    assert value(conn, "SELECT has_table_privilege('pgbackground_role', 'pg_background_list', 'SELECT')")


def test_rights_to_the_registry(connect: Connect, make_role: MakeRole) -> None:
    monitor = connect(user=make_role(member_of=("pg_monitor",)))
    assert value(monitor, "SELECT live FROM pg_background_registry()") >= 0
    user = connect(user=make_role(member_of=("pgbackground_role",)))
    assert sqlstate(user, "SELECT * FROM pg_background_registry()") == "42501"


@pytest.mark.parametrize(("name", "columns"), TYPES.items(), ids=TYPES)
def test_columns(conn: Connection, name: str, columns: str) -> None:
    found = value(
        conn,
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)"
        " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
        name,
    )
    assert found == columns


@pytest.mark.parametrize("setting", SETTINGS, ids=[setting[0] for setting in SETTINGS])
def test_settings(conn: Connection, setting: tuple[str | None, ...]) -> None:
    name, default, unit, context, least, most = setting
    (found,) = query(
        conn, "SELECT name, boot_val, unit, context, min_val, max_val FROM pg_settings WHERE name = %s", name
    )
    expected = (name, default, unit, context, least or found[4], most or found[5])
    assert found == expected
    assert value(conn, "SELECT short_desc FROM pg_settings WHERE name = %s", name)


@pytest.mark.pg(">= 15")
def test_settings_of_no_such_name(conn: Connection) -> None:
    assert sqlstate(conn, "SET pg_background.max_wrokers = 5") in ("42602", "42704")
    assert value(conn, "SELECT count(*) FROM pg_settings WHERE name ~ '^pg_background'") == len(SETTINGS)


@pytest.mark.parametrize(
    ("setting", "bad"),
    [
        ("max_workers", "0"),
        ("max_workers", "1001"),
        ("default_queue_size", "63"),
        ("default_queue_size", "257MB"),
        ("worker_timeout", "-1"),
    ],
)
def test_settings_out_of_range(conn: Connection, setting: str, bad: str) -> None:
    assert sqlstate(conn, f"SET pg_background.{setting} = '{bad}'") == "22023"


@pytest.mark.parametrize("search_path", ["pg_catalog", "", "other", "public, pg_catalog"])
@pytest.mark.in_public
def test_in_any_schema_under_any_search_path(conn: Connection, search_path: str) -> None:
    query(conn, "DROP EXTENSION pg_background; CREATE SCHEMA odd")
    query(conn, "ALTER SCHEMA odd RENAME TO \"Odd 'name'\"")
    query(conn, "CREATE EXTENSION pg_background SCHEMA \"Odd 'name'\"")
    query(conn, f"SET search_path = {search_path}" if search_path else "SET search_path = ''")
    odd = "\"Odd 'name'\""
    job = "SELECT current_setting('search_path')"
    rows = query(
        conn,
        f"SELECT r.a FROM {odd}.pg_background_launch(%s) h, {odd}.pg_background_result(h) AS r(a text)",
        job,
    )
    assert rows == query(conn, job)
    assert query(conn, f"SELECT workers_launched FROM {odd}.pg_background_stats()") == [(1,)]
    assert query(conn, f"SELECT * FROM {odd}.pg_background_list") == []


def test_relocated(conn: Connection) -> None:
    query(conn, "CREATE SCHEMA elsewhere; ALTER EXTENSION pg_background SET SCHEMA elsewhere")
    rows = query(
        conn,
        "SELECT r.a FROM elsewhere.pg_background_launch('SELECT 5') h,"
        " elsewhere.pg_background_result(h.pid, h.cookie) AS r(a int)",
    )
    assert rows == [(5,)]
    assert query(conn, "SELECT * FROM elsewhere.pg_background_list") == []


@pytest.mark.in_public
def test_impostors_in_the_search_path(conn: Connection) -> None:
    """Functions and operators that a caller puts before the server's are not called."""
    query(
        conn,
        "CREATE SCHEMA evil; CREATE FUNCTION evil.wrong(int4, int4) RETURNS bool LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'called'; END $$;"
        " CREATE OPERATOR evil.= (LEFTARG = int4, RIGHTARG = int4, FUNCTION = evil.wrong);"
        " CREATE TYPE evil.pg_background_handle AS (x text)",
    )
    query(conn, "SET search_path = evil, pg_catalog, public")
    assert run(conn, "SELECT 'x'") == [("x",)]
    assert query(conn, "SELECT * FROM pg_background_list") == []


@pytest.mark.in_public
def test_dropped_and_created_again(conn: Connection) -> None:
    before = functions(conn)
    for _ in range(2):
        query(conn, "DROP EXTENSION pg_background")
        for catalog, column in (("pg_proc", "proname"), ("pg_type", "typname"), ("pg_class", "relname")):
            left = f"SELECT {column} FROM {catalog} WHERE {column} ~ '^_?(pg_background|pgbg)'"
            assert query(conn, left) == []
        query(conn, "CREATE EXTENSION pg_background")
    assert sorted(functions(conn)) == sorted(before)
    assert run(conn, "SELECT 'x'") == [("x",)]


def test_version_and_control(conn: Connection) -> None:
    row = query(
        conn,
        "SELECT extversion, extrelocatable, default_version FROM pg_extension e"
        " JOIN pg_available_extensions a ON a.name = e.extname WHERE extname = 'pg_background'",
    )
    assert row == [("3.0", True, "3.0")]


def test_the_role_of_an_older_installation_is_taken_over(conn: Connection) -> None:
    """It belongs to the server, and may be there already."""
    query(conn, "DROP EXTENSION pg_background")
    assert value(conn, "SELECT count(*) FROM pg_roles WHERE rolname = 'pgbackground_role'") == 1
    query(conn, "CREATE EXTENSION pg_background")


def test_no_view_lists_columns_of_the_servers_functions(conn: Connection) -> None:
    """They differ between major versions: pg_upgrade could not restore it."""
    views = conn.execute(
        "SELECT objid::regclass::text, pg_get_viewdef(objid) FROM pg_depend JOIN pg_class c ON c.oid = objid "
        "WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_extension'::regclass AND relkind = 'v' "
        "AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_background')"
    ).fetchall()
    assert len(views) >= 4
    called = {
        (view, function)
        for view, definition in views
        # A function in FROM is followed by an alias and its columns.
        for function in re.findall(r"(\w+)\((?:[^()]|\([^()]*\))*\) \w+\(", definition)
    }
    assert called
    servers = {name for (name,) in conn.execute("SELECT proname FROM pg_proc WHERE oid < 16384")}
    assert [(view, function) for view, function in called if function in servers] == []
