"""Handles that are unknown, stale, malformed, or of somebody else."""

from __future__ import annotations

import pytest

from ..support.calls import Failure, failure, query, result_failure, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, closed_gate, detach, launch, result, run, submit, wait
from ..support.server import Server
from ..support.waiting import wait_until
from ..support.workers import only_worker

#: Every call that takes a handle and acts on its job.
CALLS = [
    "SELECT * FROM pg_background_result({}, {}) AS (a text)",
    "SELECT * FROM pg_background_result_v2({}, {}) AS (a text)",
    "SELECT * FROM pg_background_result(row({}, {})::pg_background_handle) AS (a text)",
    "SELECT pg_background_wait({}, {})",
    "SELECT pg_background_wait({}, {}, 1)",
    "SELECT pg_background_wait(row({}, {})::pg_background_handle)",
    "SELECT pg_background_wait_v2({}, {})",
    "SELECT pg_background_wait_v2({}, {}, 1)",
    "SELECT pg_background_wait_v2_timeout({}, {}, 0)",
    "SELECT pg_background_cancel({}, {})",
    "SELECT pg_background_cancel({}, {}, 1)",
    "SELECT pg_background_cancel(row({}, {})::pg_background_handle)",
    "SELECT pg_background_cancel_v2({}, {})",
    "SELECT pg_background_cancel_v2({}, {}, 1)",
    "SELECT pg_background_cancel_v2_grace({}, {}, 1)",
    "SELECT pg_background_detach({}, {})",
    "SELECT pg_background_detach(row({}, {})::pg_background_handle)",
    "SELECT pg_background_detach_v2({}, {})",
]

PROGRESS = ["pg_background_get_progress", "pg_background_get_progress_v2"]


def unknown(pid: int) -> Failure:
    return Failure("42704", f"PID {pid} is not attached to this session")


def stale(pid: int) -> Failure:
    return Failure("55000", f"cookie mismatch for PID {pid}", None, "The handle is stale.")


@pytest.mark.parametrize("call", CALLS)
def test_unknown(conn: Connection, call: str) -> None:
    for pid in (1, 0, -1, 2**31 - 1, -(2**31)):
        for cookie in (1, 0, -1, 2**63 - 1, -(2**63)):
            # In quotes: a sign would not belong to the literal that is cast.
            found = failure(conn, call.format(f"'{pid}'::int4", f"'{cookie}'::int8"))
            assert found == unknown(pid)


@pytest.mark.parametrize("call", CALLS)
def test_no_longer_known_while_its_process_has_another_job(
    conn: Connection, server: Server, call: str
) -> None:
    """The handle is not stale: it is known what became of its job."""
    with only_worker(server):
        over = launch(conn, "SELECT 'x'")
        assert result(conn, over) == [("x",)]
        other = launch(conn, "SELECT 'y'")
        assert other.pid == over.pid
        assert failure(conn, call.format(*over)) == unknown(over.pid)
        assert failure(conn, call.format(over.pid, over.cookie ^ 1)) == stale(over.pid)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", ["read", "detached", "failed and read", "submitted and detached"])
def test_no_longer_known(conn: Connection, call: str, how: str) -> None:
    start = submit if how.startswith("submitted") else launch
    handle = start(conn, "SELECT 1/0" if how.startswith("failed") else "SELECT 'x'")
    wait(conn, handle)
    if how == "read":
        result(conn, handle)
    elif how == "failed and read":
        result_failure(conn, handle)
    else:
        detach(conn, handle)
    assert failure(conn, call.format(*handle)) == unknown(handle.pid)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("running", [True, False])
def test_stale(conn: Connection, connect: Connect, call: str, running: bool) -> None:
    """With a pid that is in use, and any other cookie: nothing happens to the job."""
    with closed_gate(connect()) as gate:
        handle = launch(conn, f"{gate.sql}; SELECT 'x'" if running else "SELECT 'x'")
        if not running:
            wait(conn, handle)
        for cookie in (handle.cookie ^ 1, 0, 1, -handle.cookie, 2**63 - 1):
            assert failure(conn, call.format(handle.pid, f"'{cookie}'::int8")) == stale(handle.pid)
    assert result(conn, handle) == [("x",)]


def test_cookie_of_one_job_with_the_pid_of_another(conn: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate:
        one, two = launch(conn, gate.sql), launch(conn, gate.sql)
        for call in CALLS:
            assert failure(conn, call.format(one.pid, two.cookie)) == stale(one.pid)
            assert failure(conn, call.format(1, two.cookie)) == unknown(1)
    assert wait(conn, one)
    assert wait(conn, two)


@pytest.mark.parametrize("call", CALLS)
def test_of_a_role_that_one_is_no_member_of(
    conn: Connection, connect: Connect, make_role: MakeRole, call: str
) -> None:
    """Whether it runs, has finished, or was submitted."""
    owner = connect(user=make_role(member_of=("pgbackground_role",)))
    stranger = connect(user=make_role(member_of=("pgbackground_role",)))
    with closed_gate(conn) as gate:
        handles = [
            launch(owner, f"{gate.sql}; SELECT 'x'"),
            launch(owner, "SELECT 'x'"),
            submit(owner, f"{gate.sql}; SELECT 'x'"),
        ]
        wait(owner, handles[1])
        for handle in handles:
            assert failure(stranger, call.format(*handle)) == Failure(
                "42501", f'permission denied for background worker with PID "{handle.pid}"'
            )
    assert [result(owner, handle)[-1] for handle in handles[:2]] == [("x",), ("x",)]


@pytest.mark.parametrize("call", CALLS)
def test_nulls(conn: Connection, call: str) -> None:
    """Strict, or an error that says so; a handle half NULL is not one."""
    if "row(" in call:
        for pid, cookie in (("NULL", "1"), ("1", "NULL"), ("NULL", "NULL")):
            assert failure(conn, call.format(pid, cookie)) == Failure(
                "22004", "a background job's handle must not have NULLs"
            )
        return
    for pid, cookie in (("NULL", "1::int8"), ("1", "NULL::int8"), ("NULL", "NULL::int8")):
        assert query(conn, call.format(pid, cookie)) == ([] if "FROM" in call else [(None,)])


@pytest.mark.parametrize("function", PROGRESS)
def test_progress_of_nobody(conn: Connection, function: str) -> None:
    """One row of NULLs: it is asked for again and again, and a job may end in between."""
    handle = launch(conn, "SELECT 'x'")
    wait(conn, handle)
    handles: list[tuple[object, object]] = [
        handle,
        (1, 1),
        (handle.pid, 1),
        (1, handle.cookie),
        (None, 1),
        (1, None),
        (None, None),
    ]
    for pid, cookie in handles:
        found = query(conn, f"SELECT * FROM {function}(%s::int4, %s::int8)", pid, cookie)
        assert found == [(None, None)]
    result(conn, handle)
    assert query(conn, f"SELECT * FROM {function}(%s, %s)", *handle) == [(None, None)]


def test_progress_of_a_stranger(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    owner = connect(user=make_role(member_of=("pgbackground_role",)))
    stranger = connect(user=make_role(member_of=("pgbackground_role",)))
    reader = connect(user=make_role(member_of=("pgbackground_role", "pg_read_all_stats")))
    with closed_gate(conn) as gate:
        handle = launch(owner, f"SELECT pg_background_progress(7, 'p'); {gate.sql}")
        seen = "SELECT * FROM pg_background_get_progress(%s, %s)"
        wait_until(lambda: query(owner, seen, *handle) == [(7, "p")])
        assert query(reader, seen, *handle) == [(7, "p")]
        assert failure(stranger, seen, *handle) == Failure(
            "42501", f'permission denied for background worker with PID "{handle.pid}"'
        )


@pytest.mark.parametrize("written", ["0x{:x}", "0X{:X}", "{}", " 0x{:x}  ", "0x000{:x}"])
def test_cookie_in_quotes(conn: Connection, written: str) -> None:
    """As the article writes it: every `_v2` function takes these on every version."""
    if conn.info.server_version >= 160000 and written == "0X{:X}":
        written = "0x{:X}"
    for call in CALLS:
        if "_v2" not in call:
            continue
        handle = launch(conn, "SELECT 'x'")
        wait(conn, handle)
        query(conn, call.format(handle.pid, f"'{written.format(handle.cookie)}'"))
    handle = launch(conn, "SELECT 'x'")
    cookie = written.format(handle.cookie)
    query(conn, f"SELECT * FROM pg_background_get_progress_v2({handle.pid}, '{cookie}')")


@pytest.mark.parametrize(
    "cookie",
    ["", " ", "0x", "0xg", "abc", "0x1 2", "1.5", "1e5", "9223372036854775808", "0x8000000000000000"],
)
def test_malformed_cookie(conn: Connection, cookie: str) -> None:
    for call in CALLS:
        if "_v2" in call:
            found = failure(conn, call.format(1, f"'{cookie}'"))
            # From 16 on it is the server that reads it.
            assert found.sqlstate in ("22P02", "22003")
            assert found.message is not None
            assert f'"{cookie}"' in found.message


@pytest.mark.pg("< 16")
def test_malformed_cookie_is_named(conn: Connection) -> None:
    assert failure(conn, CALLS[1].format(1, "'9f2b'")) == Failure("22P02", 'invalid cookie: "9f2b"')
    assert failure(conn, CALLS[1].format(1, "'-5'")) == Failure("22P02", 'invalid cookie: "-5"')


def test_cookies_are_wide_and_never_negative(conn: Connection) -> None:
    query(conn, "SET pg_background.max_workers = 1000")
    cookies = set()
    for _ in range(200):
        handle: Handle = launch(conn, "SELECT 1")
        cookies.add(handle.cookie)
        result(conn, handle, "n int")
    assert len(cookies) == 200
    assert all(0 < cookie < 2**63 for cookie in cookies)
    # Of 200, a 63-bit random number has each bit set and unset at least once but for one run in 10^57.
    ones, zeros = 0, 0
    for cookie in cookies:
        ones |= cookie
        zeros |= ~cookie
    assert ones == 2**63 - 1
    assert zeros & (2**63 - 1) == 2**63 - 1


def test_any_handle_of_a_session_that_never_launched(connect: Connect) -> None:
    fresh = connect()
    assert failure(fresh, "SELECT pg_background_wait(1, 1)") == unknown(1)
    assert value(fresh, "SELECT count(*) FROM pg_background_list") == 0
    assert run(fresh, "SELECT 'x'") == [("x",)]
