"""application_name in a job: pg_background:<label>:<pid of the launching session>, in printable ASCII."""

from __future__ import annotations

import pytest

from ..support.calls import query, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, closed_gate, launch, result, run, start, wait_until_asleep
from ..support.server import Server
from ..support.workers import only_worker, wait_until_idle

SHOWN = (
    "SELECT current_setting('application_name'), application_name FROM pg_stat_activity"
    " WHERE pid = pg_backend_pid()"
)


def names(session: Connection, label: str | None) -> tuple[str, str]:
    """The job's, as it sees it and as all see it."""
    ((own, shown),) = result(session, launch(session, SHOWN, label=label), "own text, shown text")
    return own, shown


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        (None, "pg_background:{pid}"),
        ("", "pg_background:{pid}"),
        ("nightly load", "pg_background:nightly load:{pid}"),
        ("a:b", "pg_background:a:b:{pid}"),
        ("größer €", "pg_background:gr??er ?:{pid}"),
        ("%d%s", "pg_background:%d%s:{pid}"),
    ],
)
def test_name(connect: Connect, label: str | None, shown: str) -> None:
    """The launcher's own never travels."""
    session = connect(application_name="citus_internal gpid=10000000123")
    expected = shown.format(pid=session.info.backend_pid)
    for _ in range(2):
        assert names(session, label) == (expected, expected)
    query(session, "SET application_name = 'set'")
    assert names(session, label) == (expected, expected)
    assert value(session, "SHOW application_name") == "set"


def test_the_pid_survives_a_long_label(conn: Connection) -> None:
    (shown, _) = names(conn, "x" * 64)
    pid = str(conn.info.backend_pid)
    assert shown == f"pg_background:{'x' * (63 - 14 - 1 - len(pid))}:{pid}"
    assert names(conn, "é" * 64)[0] == shown.replace("x", "?")


def test_workers_with_other_names_share(server: Server, connect: Connect) -> None:
    """A name makes no process one that must restore all settings, or be another."""
    with only_worker(server):
        sessions = [connect(application_name=name) for name in ("first", "second")]
        pids = set()
        for session in sessions * 2:
            for label in ("x", None):
                handle = launch(session, "SELECT 1", label=label)
                assert result(session, handle, "a int") == [(1,)]
                pids.add(handle.pid)
    assert len(pids) == 1


def test_it_goes_with_its_job(conn: Connection) -> None:
    handle = launch(conn, "SET application_name = 'left'", label="left")
    wait_until_idle(conn, handle.pid)
    idle = value(conn, "SELECT application_name FROM pg_stat_activity WHERE pid = %s", handle.pid)
    assert idle == "pg_background"


def test_a_job_may_name_itself(conn: Connection) -> None:
    assert run(conn, "SET application_name = 'mine'; SHOW application_name") == [("mine",)]


def test_of_a_job_s_job(conn: Connection) -> None:
    """Its launcher is the job."""
    inner = f"SELECT r.own FROM pg_background_launch($x${SHOWN}$x$, 0, 'inner') h,"
    inner += " pg_background_result(h.pid, h.cookie) AS r (own text, shown text)"
    handle = launch(conn, inner, label="outer")
    assert result(conn, handle) == [(f"pg_background:inner:{handle.pid}",)]


def test_of_a_definer_s_job(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    """Its label is not for its caller, who sees the process."""
    user = make_role(member_of=("pgbackground_role",))
    with closed_gate(connect()) as gate:
        query(
            conn,
            "CREATE FUNCTION launches() RETURNS pg_background_handle LANGUAGE sql SECURITY DEFINER AS"
            f" $$ SELECT pg_background_launch('{gate.sql}', 0, 'secret') $$",
        )
        session = connect(user=user)
        handle = Handle(*query(session, "SELECT * FROM launches()")[0])
        wait_until_asleep(conn, handle.pid, "advisory")
        shown = value(session, "SELECT application_name FROM pg_stat_activity WHERE pid = %s", handle.pid)
        assert shown == f"pg_background:{session.info.backend_pid}"


def test_in_another_database(conn: Connection) -> None:
    handle = start(conn, SHOWN, label="away", database="postgres")
    name = f"pg_background:away:{conn.info.backend_pid}"
    assert result(conn, handle, "own text, shown text") == [(name, name)]
