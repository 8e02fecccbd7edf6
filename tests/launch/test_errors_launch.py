"""Launches that are refused: bad arguments, and limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.calls import Failure, failure, nothing_is_left, query, stats, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import Handle, closed_gate, detach, launch, result, run, submit, wait

STARTS = ["launch", "launch_v2", "submit", "submit_v2"]

Start = Callable[[Connection, str], Handle]


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("size", [1, 2, 32, 63])
def test_queue_too_small(conn: Connection, name: str, size: int) -> None:
    expected = Failure("22023", "queue size must be at least 64 bytes")
    assert failure(conn, f"SELECT pg_background_{name}('SELECT 1', {size})") == expected
    assert failure(conn, f"SELECT pg_background_{name}('SELECT 1', {size}, 'l')") == expected


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("size", [268_435_457, 2_147_483_647])
def test_queue_too_large(conn: Connection, name: str, size: int) -> None:
    found = failure(conn, f"SELECT pg_background_{name}('SELECT 1', {size})")
    assert found[:3] == ("22023", "queue size must not exceed 268435456 bytes", None)
    assert found.hint


@pytest.mark.parametrize("name", STARTS)
def test_default_queue_size(conn: Connection, name: str) -> None:
    for size in (0, -1, -(2**31)):
        query(conn, f"SELECT pg_background_{name}('SELECT 1', '{size}'::int4)")
    query(conn, f"SELECT pg_background_{name}('SELECT 1')")
    query(conn, "SET pg_background.default_queue_size = '128kB'")
    query(conn, f"SELECT pg_background_{name}('SELECT 1')")
    query(conn, f"SELECT pg_background_{name}('SELECT 1', 64)")
    listed = query(conn, "SELECT queue_size FROM pg_background_list ORDER BY launched_at")
    assert [size for (size,) in listed] == [65_536] * 4 + [131_072, 64]


@pytest.mark.parametrize("name", STARTS)
def test_null_sql(conn: Connection, name: str) -> None:
    assert value(conn, f"SELECT pg_background_{name}(NULL)") is None
    assert value(conn, f"SELECT pg_background_{name}('SELECT 1', NULL)") is None
    expected = Failure("22004", "sql parameter cannot be NULL")
    assert failure(conn, f"SELECT pg_background_{name}(NULL, 0, 'label')") == expected
    assert failure(conn, f"SELECT pg_background_{name}(NULL, 0, NULL)") == expected
    assert stats(conn)["launched"] == 0


@pytest.mark.parametrize("start", [launch, submit])
@pytest.mark.parametrize("character", ["l", "ß", "€", "𝄞", " "])
def test_label(conn: Connection, start: Callable[..., Handle], character: str) -> None:
    """In characters, not bytes."""
    start(conn, "SELECT 1", label=character * 64)
    assert value(conn, "SELECT label FROM pg_background_list") == character * 64
    with pytest.raises(Exception, match="label too long") as caught:
        start(conn, "SELECT 1", label=character * 65)
    assert getattr(caught.value, "sqlstate", None) == "22001"


def test_no_label(conn: Connection) -> None:
    query(conn, "SELECT pg_background_launch('SELECT 1', 0, NULL)")
    query(conn, "SELECT pg_background_launch('SELECT 1')")
    assert query(conn, "SELECT label FROM pg_background_list") == [(None,), (None,)]


@pytest.mark.parametrize("start", [launch, submit])
@pytest.mark.parametrize("limit", [1, 3])
def test_limit_of_the_session(conn: Connection, connect: Connect, start: Start, limit: int) -> None:
    query(conn, f"SET pg_background.max_workers = {limit}")
    with nothing_is_left(conn):
        with closed_gate(connect()) as gate:
            handles = [start(conn, gate.sql) for _ in range(limit)]
            for _ in range(3):
                found = failure(conn, "SELECT pg_background_launch('SELECT 1')")
                assert found[:2] == ("53400", "too many background workers")
                assert found.detail is not None
                assert f"pg_background.max_workers is {limit}" in found.detail
                assert found.hint
            assert run(connect(), "SELECT 'of another session'") == [("of another session",)]
        for handle in handles:
            wait(conn, handle)
            detach(conn, handle)
    assert run(conn, "SELECT 'after'") == [("after",)]


def test_limit_of_tracked_jobs(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.max_jobs": 16})
    with server.connect() as conn:
        handles = []
        for n in range(16):
            handles.append(launch(conn, f"SELECT {n}"))
            wait(conn, handles[-1])
        for _ in range(3):
            found = failure(conn, "SELECT pg_background_launch('SELECT 1')")
            assert found[:3] == ("53400", "too many tracked jobs", None)
            assert "pg_background.max_jobs" in str(found.hint)
        detach(conn, handles.pop(0))
        assert run(conn, "SELECT 'fits'") == [("fits",)]
        found_rows = [result(conn, handle, "n int") for handle in handles]
        assert found_rows == [[(n,)] for n in range(1, 16)]


def test_no_job_memory(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.job_memory": "4MB"})
    with server.connect() as conn:
        sql = f"SELECT '{'x' * (5 << 20)}'"
        for _ in range(3):
            found = failure(conn, "SELECT pg_background_launch(%s)", sql)
            assert found[:3] == ("53200", "out of job memory", None)
            assert "pg_background.job_memory" in str(found.hint)
        assert run(conn, "SELECT 'after'") == [("after",)]


@pytest.mark.parametrize("name", STARTS)
def test_without_the_right_to_execute(connect: Connect, make_role: MakeRole, name: str) -> None:
    stranger = connect(user=make_role())
    found = failure(stranger, f"SELECT pg_background_{name}('SELECT 1')")
    assert found[:2] == ("42501", f"permission denied for function pg_background_{name}")


def test_without_the_right_to_connect(
    conn: Connection, connect: Connect, make_role: MakeRole, db: str
) -> None:
    """Taken away after the session began."""
    session = connect(user=make_role(member_of=("pgbackground_role",)))
    assert run(session, "SELECT 'x'") == [("x",)]
    query(conn, f'REVOKE CONNECT ON DATABASE "{db}" FROM PUBLIC')
    assert failure(session, "SELECT pg_background_launch('SELECT 1')") == Failure(
        "42501", f'permission denied for database "{db}"', "User does not have CONNECT privilege."
    )
    query(conn, f'GRANT CONNECT ON DATABASE "{db}" TO PUBLIC')
    assert run(session, "SELECT 'x'") == [("x",)]
