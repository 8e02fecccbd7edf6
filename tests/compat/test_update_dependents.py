"""What depends on objects of 1.8 and 2.0 that are updated: it works as before, and is dumped and restored."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

import pytest

from ..support.calls import Failure, query, value
from ..support.fix_db import Connection
from ..support.fix_switch import SwitchConnect, SwitchDb
from ..support.jobs import Handle
from ..support.members import members
from ..support.server import Server

UPDATE = "ALTER EXTENSION pg_background UPDATE"

OF_BOTH = """
CREATE TABLE kept (h pg_background_handle, hs pg_background_handle[]);
INSERT INTO kept VALUES ((1, 2), ARRAY[(3, 4)::pg_background_handle]);
CREATE VIEW listed AS SELECT pid, state FROM pg_background_list_v2() AS (
  pid int, cookie int8, launched_at timestamptz, user_id oid, queue_size int, state text, sql_preview text,
  last_error text, consumed bool);
CREATE FUNCTION by_string(q text) RETURNS pg_background_handle LANGUAGE sql
  AS 'SELECT pg_background_launch_v2(q)';
CREATE FUNCTION by_atomic(q text) RETURNS pg_background_handle LANGUAGE sql
BEGIN ATOMIC
  SELECT pg_background_launch_v2(q);
END;
CREATE FUNCTION by_plpgsql(q text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  h pg_background_handle := pg_background_launch_v2(q);
  found int;
BEGIN
  PERFORM pg_background_wait_v2(h.pid, h.cookie);
  SELECT * INTO found FROM pg_background_result_v2(h.pid, h.cookie) AS r (a int);
  PERFORM pg_background_cancel_v2(0, 1);
  RETURN found;
EXCEPTION WHEN undefined_object THEN
  RETURN found;
END $$;
CREATE FUNCTION take(h pg_background_handle) RETURNS SETOF int LANGUAGE sql
  AS 'SELECT * FROM pg_background_result_v2(h.pid, h.cookie) AS r (a int)';
CREATE TABLE by_default (n int, h pg_background_handle DEFAULT pg_background_launch_v2('SELECT 7'));
"""

OF_1_8 = """
CREATE VIEW launching AS SELECT pg_background_launch('SELECT 1') AS pid;
CREATE VIEW counted AS SELECT workers_launched, workers_active FROM pg_background_stats_v2();
CREATE TABLE counters (s pg_background_stats, p pg_background_progress);
INSERT INTO counters VALUES ((1, 2, 3, 4, 5, 6, 7), (50, 'half'));
CREATE FUNCTION pid_by_string(q text) RETURNS int LANGUAGE sql AS 'SELECT pg_background_launch(q)';
CREATE FUNCTION pid_by_atomic(q text) RETURNS int LANGUAGE sql
BEGIN ATOMIC
  SELECT pg_background_launch(q) + 0;
END;
CREATE FUNCTION wait_by_atomic(pid int, cookie int8) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  SELECT pg_background_wait_v2(pid, cookie);
END;
CREATE FUNCTION cancel_by_atomic(pid int, cookie int8) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  SELECT pg_background_cancel_v2(pid, cookie);
END;
CREATE FUNCTION pid_by_plpgsql(q text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  p int := pg_background_launch(q);
  s pg_background_stats;
  found int;
BEGIN
  SELECT * INTO s FROM pg_background_stats_v2();
  SELECT * INTO found FROM pg_background_result(p) AS r (a int);
  RETURN found + s.workers_launched - s.workers_launched;
END $$;
CREATE TABLE pid_by_default (n int, pid int DEFAULT pg_background_launch('SELECT 8'));
"""

OF_2_0 = """
CREATE VIEW labels AS SELECT label, state FROM pg_background_list;
CREATE VIEW watched AS SELECT pid, pgbg_state, backend_state FROM pg_background_activity;
CREATE VIEW ran AS SELECT state, timed_out FROM pg_background_run('SELECT 1');
CREATE VIEW counted AS SELECT workers_launched, workers_timed_out FROM pg_background_stats();
CREATE TABLE endings (o pg_background_outcome, r pg_background_run_result, i pg_background_result_info,
                      e pg_background_error, s pg_background_stats, p pg_background_progress_info);
CREATE FUNCTION end_of(pid int, cookie int8) RETURNS pg_background_outcome LANGUAGE plpgsql AS $$
BEGIN
  RETURN pg_background_outcome(pid, cookie);
END $$;
CREATE FUNCTION note_timeout() RETURNS void LANGUAGE sql
BEGIN ATOMIC
  SELECT pg_background_record_timeout();
END;
CREATE FUNCTION any_of(VARIADIC handles pg_background_handle[]) RETURNS pg_background_handle LANGUAGE sql
BEGIN ATOMIC
  SELECT pg_background_wait_any(handles);
END;
"""


@dataclass(frozen=True)
class Case:
    """A version, what depends on it, and what the update keeps of it."""

    version: str
    dependents: str
    #: in the order in which notices name them
    kept: tuple[str, ...]


CASES = (
    Case(
        "1.8",
        OF_BOTH + OF_1_8,
        (
            "pg_background_launch_1_8",
            "pg_background_wait_v2_1_8",
            "pg_background_cancel_v2_1_8",
            "pg_background_stats_v2_1_8",
            "pg_background_stats_1_8",
        ),
    ),
    Case("2.0", OF_BOTH + OF_2_0, ("pg_background_record_timeout_2_0",)),
)
EACH_CASE = pytest.mark.parametrize("case", CASES, ids=[case.version for case in CASES])
EACH_SCHEMA = pytest.mark.parametrize("schema", ["public", "jobs"])


def updated(conn: Connection, case: Case, schema: str) -> list[Failure]:
    """Make the dependents and update; return the notices."""
    query(conn, f"SET search_path = {schema}")
    query(conn, case.dependents)
    notices: list[Failure] = []
    conn.add_notice_handler(
        lambda diag: notices.append(
            Failure(diag.severity_nonlocalized, diag.message_primary, diag.message_detail, diag.message_hint)
        )
    )
    query(conn, UPDATE)
    return notices


def wait(conn: Connection, pid: int, cookie: int) -> None:
    query(conn, "SELECT pg_background_wait_v2(%s, %s)", pid, cookie)


def check_dependents(conn: Connection, case: Case) -> None:
    """Use each of them."""
    assert query(conn, "SELECT (h).pid, (h).cookie, (hs[1]).pid FROM kept") == [(1, 2, 3)]
    for function in ("by_string", "by_atomic"):
        assert query(conn, f"SELECT take({function}('SELECT 5'))") == [(5,)]
    assert value(conn, "SELECT by_plpgsql('SELECT 6')") == 6
    query(conn, "TRUNCATE by_default; INSERT INTO by_default (n) VALUES (1)")
    assert query(conn, "SELECT take(h) FROM by_default") == [(7,)]
    query(conn, "SELECT * FROM listed")
    if case.version == "1.8":
        check_dependents_of_1_8(conn)
    else:
        check_dependents_of_2_0(conn)


def check_dependents_of_1_8(conn: Connection) -> None:
    result = "SELECT * FROM pg_background_result(%s) AS r (a int)"
    assert query(conn, result, value(conn, "SELECT pid FROM launching")) == [(1,)]
    for function in ("pid_by_string", "pid_by_atomic"):
        assert query(conn, result, value(conn, f"SELECT {function}('SELECT 5')")) == [(5,)]
    assert value(conn, "SELECT pid_by_plpgsql('SELECT 6')") == 6
    query(conn, "TRUNCATE pid_by_default; INSERT INTO pid_by_default (n) VALUES (1)")
    assert query(conn, result, value(conn, "SELECT pid FROM pid_by_default")) == [(8,)]
    handle = Handle(*query(conn, "SELECT * FROM pg_background_launch_v2('SELECT pg_sleep(3600)')")[0])
    query(conn, "SELECT cancel_by_atomic(%s, %s)", *handle)
    query(conn, "SELECT wait_by_atomic(%s, %s)", *handle)
    assert query(conn, "SELECT state FROM listed WHERE pid = %s", handle.pid) == [("canceled",)]
    (((launched, active),)) = query(conn, "SELECT * FROM counted")
    assert launched > 1
    assert active == 0
    assert query(conn, "SELECT (s).workers_canceled, (s).max_workers, (p).progress_msg FROM counters") == [
        (4, 7, "half")
    ]


def check_dependents_of_2_0(conn: Connection) -> None:
    assert query(conn, "SELECT * FROM ran") == [("stopped", False)]
    handle = Handle(*query(conn, "SELECT * FROM pg_background_launch('SELECT pg_sleep(3600)', 0, 'mine')")[0])
    assert ("mine",) in query(conn, "SELECT label FROM labels")
    assert (handle.pid,) in query(conn, "SELECT pid FROM watched")
    query(conn, "SELECT pg_background_cancel(%s, %s)", *handle)
    assert query(conn, f"SELECT * FROM any_of(({handle.pid}, {handle.cookie}))") == [handle]
    assert query(conn, "SELECT (end_of(%s, %s)).state", *handle) == [("canceled",)]
    query(conn, "SELECT note_timeout()")
    query(conn, "INSERT INTO endings (o, s) SELECT end_of(1, 1), s FROM pg_background_stats() AS s")
    assert value(conn, "SELECT workers_launched FROM counted") > 1


@EACH_SCHEMA
@EACH_CASE
def test_work_as_before(case: Case, schema: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    """Before the update, after it, and in the next session."""
    db = switch_db(case.version, schema=schema)
    conn = switch_connect(db)
    notices = updated(conn, case, schema)
    assert [re.findall(r" kept as (\w+)", notice.message or "") for notice in notices] == [
        [name] for name in case.kept
    ]
    for notice in notices:
        assert "depends on" in (notice.detail or "")
    check_dependents(conn, case)
    check_dependents(switch_connect(db, options=f"-csearch_path={schema}"), case)


@EACH_CASE
def test_before_the_update_too(case: Case, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    conn = switch_connect(switch_db(case.version))
    query(conn, case.dependents)
    check_dependents(conn, case)


@EACH_SCHEMA
@EACH_CASE
def test_the_extension_is_as_a_new_one(
    case: Case, schema: str, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    """What is kept is outside of it."""
    conn = switch_connect(switch_db(case.version, schema=schema))
    updated(conn, case, schema)
    assert members(conn) == members(switch_connect(switch_db("3.0", schema=schema)))
    left = query(
        conn,
        "SELECT proname FROM pg_proc WHERE proname ~ '_(1_8|2_0)$'"
        " UNION ALL SELECT relname FROM pg_class WHERE relname ~ '_(1_8|2_0)$'",
    )
    assert sorted(name for (name,) in left) == sorted(case.kept)


@EACH_CASE
def test_what_is_kept_can_be_dropped_in_the_end(
    case: Case, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    """By the commands of the hints, in their order."""
    conn = switch_connect(switch_db(case.version))
    notices = updated(conn, case, "public")
    query(
        conn,
        "DROP VIEW IF EXISTS launching, counted; DROP TABLE IF EXISTS counters, pid_by_default;"
        " DROP FUNCTION IF EXISTS pid_by_atomic, wait_by_atomic, cancel_by_atomic, note_timeout",
    )
    for notice in notices:
        query(conn, (notice.hint or "").partition(": ")[2])
    assert value(conn, "SELECT count(*) FROM pg_proc WHERE proname ~ '_(1_8|2_0)$'") == 0


@EACH_SCHEMA
@EACH_CASE
def test_dump_and_restore(
    case: Case, schema: str, switch_server: Server, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    db = switch_db(case.version, schema=schema)
    conn = switch_connect(db)
    updated(conn, case, schema)
    program = switch_server.cluster.runtime.installation.program("pg_dump")
    dump = subprocess.run(
        [program, switch_server.dsn(db)], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    restored = switch_db("3.0")
    query(switch_connect(restored), "DROP EXTENSION pg_background")
    switch_server.psql(dump, restored)
    copy = switch_connect(restored)
    assert members(copy) == members(conn)
    check_dependents(copy, case)
