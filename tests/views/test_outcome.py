"""outcome: how a job stands or ended, never an error."""

from __future__ import annotations

import pytest

from ..support.calls import query, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.outcomes import outcome, unknown
from ..support.waiting import wait_until


def test_of_success(conn: Connection) -> None:
    handle = launch(conn, "SELECT generate_series(1, 3)", label="three")
    assert wait(conn, handle)
    found = outcome(conn, handle)
    assert found[:-1] == (*handle, "stopped", False, True, False, 3, "SELECT", None, None, "three")
    assert found.launched_at == value(
        conn, "SELECT launched_at FROM pg_background_list WHERE cookie = %s", handle.cookie
    )


def test_of_failure(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1 / 0")
    assert wait(conn, handle)
    expected = (*handle, "error", False, True, True, 0, None, "22012", "division by zero", None)
    assert outcome(conn, handle)[:-1] == expected


def test_of_a_running_job(conn: Connection) -> None:
    with closed_gate(conn) as gate:
        handle = launch(conn, gate.sql)
        wait_until_asleep(conn, handle.pid, "advisory")
        expected = (*handle, "running", False, False, False, 0, None, None, None, None)
        assert outcome(conn, handle)[:-1] == expected


def test_of_a_canceled_job(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    cancel(conn, handle)
    assert wait(conn, handle)
    found = outcome(conn, handle)
    assert (found.state, found.completed, found.has_error, found.sqlstate) == (
        "canceled",
        True,
        True,
        "57014",
    )


def test_of_a_timed_out_job(conn: Connection) -> None:
    query(conn, "SET pg_background.worker_timeout = 1")
    handle = launch(conn, FOREVER)
    assert wait(conn, handle)
    assert outcome(conn, handle)[2:10] == (
        "timed_out",
        False,
        True,
        True,
        0,
        None,
        "57014",
        "canceling background job due to pg_background.worker_timeout",
    )


def test_of_a_consumed_result(conn: Connection) -> None:
    """It is history: its entry still tells."""
    handle = launch(conn, "SELECT 1", label="read")
    result(conn, handle, "a int")
    expected = (*handle, "stopped", True, True, False, 1, "SELECT", None, None, "read")
    assert outcome(conn, handle)[:-1] == expected


def test_of_a_consumed_failure(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1 / 0")
    query_fails = "SELECT * FROM pg_background_result(%s, %s) AS (a int)"
    with pytest.raises(Exception, match="division by zero"):
        query(conn, query_fails, *handle)
    assert outcome(conn, handle)[2:10] == (
        "error",
        True,
        True,
        True,
        0,
        None,
        "22012",
        "division by zero",
    )


def test_of_a_detached_job(conn: Connection) -> None:
    with closed_gate(conn) as gate:
        handle = launch(conn, f"{gate.sql}; SELECT 5")
        detach(conn, handle)
        assert outcome(conn, handle)[3:5] == (False, False)
    wait_until(lambda: outcome(conn, handle).completed)
    assert outcome(conn, handle)[2:8] == ("stopped", False, True, False, 1, "SELECT")


def test_of_a_submitted_job(conn: Connection) -> None:
    handle = submit(conn, "SELECT generate_series(1, 7)")
    assert wait(conn, handle)
    assert outcome(conn, handle)[2:8] == ("stopped", False, True, False, 7, "SELECT")


def test_of_unknown_handles(conn: Connection) -> None:
    known = launch(conn, "SELECT 1")
    for handle in (Handle(1, 2), Handle(known.pid, known.cookie ^ 1), Handle(known.pid + 1, known.cookie)):
        assert outcome(conn, handle) == unknown(handle)
    for handle in (Handle(0, 0), Handle(-1, -1), Handle(2**31 - 1, 2**63 - 1)):
        assert outcome(conn, handle) == unknown(handle)
    assert value(conn, "SELECT pg_background_outcome(NULL, 1) IS NULL")


def test_of_a_reused_entry(conn: Connection) -> None:
    """Each call tells of the job that it was asked for, or of none: never of the entry's next one."""
    first = launch(conn, "SELECT 1")
    result(conn, first, "a int")
    while outcome(conn, first) != unknown(first):
        query(
            conn,
            "SELECT pg_background_detach(pg_background_launch('SELECT 2')) FROM generate_series(1, 8)",
        )
        wait_until(lambda: value(conn, "SELECT workers_active FROM pg_background_stats()") == 0)
    assert outcome(conn, first) == unknown(first)


def test_who_may_look(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    """To a stranger a job is as unknown as one that never was."""
    handle = launch(conn, "SELECT 1")
    assert wait(conn, handle)
    stranger = connect(user=make_role(member_of=("pgbackground_role",)))
    assert outcome(stranger, handle) == unknown(handle)
    watcher = connect(user=make_role(member_of=("pgbackground_role", "pg_read_all_stats")))
    assert outcome(watcher, handle) == outcome(conn, handle)
    # An error's message may have data of rows in it.
    failed = launch(conn, "SELECT 'secret'::int")
    assert wait(conn, failed)
    assert outcome(watcher, failed) == outcome(conn, failed)._replace(error_message=None)


def test_from_another_session(conn: Connection, connect: Connect) -> None:
    handle = launch(conn, "SELECT 1")
    assert wait(conn, handle)
    assert outcome(connect(), handle) == outcome(conn, handle)
