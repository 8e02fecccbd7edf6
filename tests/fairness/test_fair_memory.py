"""Job memory: the reserve, and the limit of a role."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from psycopg import errors as e

from ..support.calls import value
from ..support.fix_fairness import MakeTenants, Tenants, told, until_refused
from ..support.fix_server import fills_job_memory
from ..support.jobs import FOREVER, Connection, Handle, cancel, detach, launch, result, start, submit, wait

MB = 1024 * 1024


def long_sql(size: int) -> str:
    """A job that lasts, with so many bytes of SQL text."""
    return f"SELECT pg_sleep(3600) /* {'x' * size} */"


def memory_of(tenants: Tenants, role: str) -> int:
    """Return how many bytes of job memory a role has."""
    used = "SELECT memory_bytes FROM pg_background_usage WHERE (kind, name) = ('role', %s)"
    found: int = value(tenants.superuser, used, role)
    return found


def queue_sql(conn: Connection, size: int) -> Handle:
    # Those that begin meanwhile take a queue, which is to be small beside the text.
    return start(conn, long_sql(size), on_full="queue", queue_size=64)


@fills_job_memory
@pytest.mark.parametrize("size", [1_000, 20_000, 700_000])
def test_the_rest_is_for_superusers(make_tenants: MakeTenants, size: int) -> None:
    tenants = make_tenants(
        {
            "pg_background.job_memory": "8MB",
            "pg_background.max_jobs": 10_000,
            "pg_background.reserved_jobs": 1_000,
        }
    )
    handles, refusal = until_refused(partial(queue_sql, tenants.greedy, size), most=10_000)
    assert isinstance(refusal, (e.OutOfMemory, e.ConfigurationLimitExceeded))
    assert "pg_background.job_memory" in told(refusal)
    used = memory_of(tenants, "greedy")
    assert len(handles) * size < used
    assert 4 * MB < used <= 7 * MB
    with pytest.raises((e.OutOfMemory, e.ConfigurationLimitExceeded)):
        queue_sql(tenants.other, 700_000)
    # Jobs of the usual size, in a reserve of a tenth and a MB at least.
    for n in range(5):
        launch(tenants.superuser, f"SELECT {n}")


@fills_job_memory
def test_the_rest_is_there_in_one_piece(make_tenants: MakeTenants) -> None:
    """What is free lies in many places when jobs have ended with long errors."""
    tenants = make_tenants({"pg_background.job_memory": "8MB", "pg_background.max_jobs": 10_000})
    fails = f"DO $$ BEGIN RAISE EXCEPTION 'x' USING DETAIL = repeat('y', 16000); END $$ /* {'x' * 14_000} */"
    until_refused(partial(launch, tenants.greedy, fails))
    for _ in range(3):
        for n in range(5):
            handle = launch(tenants.superuser, f"SELECT {n}")
            assert result(tenants.superuser, handle, "n int") == [(n,)]


@fills_job_memory
def test_of_a_role(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 1024})
    greedy = tenants.limit("greedy", max_role_memory="1MB")
    handles, refusal = until_refused(partial(queue_sql, greedy, 50_000))
    assert isinstance(refusal, e.ConfigurationLimitExceeded)
    assert 'role "greedy"' in told(refusal)
    assert "pg_background.max_role_memory is 1024kB" in told(refusal)
    assert 10 <= len(handles) <= 20
    start(tenants.other, "SELECT 1", on_full="queue")
    for handle in handles:
        greedy.execute("SELECT pg_background_cancel(%s, %s)", handle)
        assert wait(greedy, handle, 20_000)
        detach(greedy, handle)
    # All of it has come back.
    again, _refusal = until_refused(partial(queue_sql, greedy, 50_000))
    assert len(again) == len(handles)


def test_what_a_role_can_have_on_disk_makes_room_for_its_launches(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 1024})
    greedy = tenants.limit("greedy", max_role_memory="300kB")
    unread = []
    # Each has a queue of 64 kB; of those that have ended unread it moves to a file.
    for n in range(20):
        unread.append(launch(greedy, f"SELECT {n}, repeat('x', 1000)"))
        assert wait(greedy, unread[-1])
    for n, handle in enumerate(unread):
        assert result(greedy, handle, "n int, x text") == [(n, "x" * 1000)]


def test_what_a_role_makes_room_with_is_its_own(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 1024})
    greedy = tenants.limit("greedy", max_role_memory="300kB")
    # These are older, and go first where the server itself is short of memory.
    for n in range(3):
        assert wait(tenants.other, launch(tenants.other, f"SELECT {n}"))

    before = memory_of(tenants, "other")
    for n in range(20):
        assert wait(greedy, launch(greedy, f"SELECT {n}"))
    assert memory_of(tenants, "other") == before


REFUSED = {
    "text": lambda conn: start(conn, f"SELECT 1 /* {'x' * 3 * MB} */", on_full="queue"),
    "queue": lambda conn: [launch(conn, f"SELECT {n}", queue_size=MB) for n in range(3)],
    "wait": lambda conn: conn.execute(
        "SELECT pg_background_wait_any(array_fill((%s, %s)::pg_background_handle, ARRAY[20000]))",
        start(conn, FOREVER, on_full="queue", queue_size=64),
    ),
}


@fills_job_memory
@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("limit", ["max_role_memory", "max_role_jobs"])
def test_what_is_refused_takes_nothing_of_others(
    make_tenants: MakeTenants, refused: Callable[[Connection], object], limit: str
) -> None:
    tenants = make_tenants({"pg_background.job_memory": "4MB", "pg_background.max_jobs": 20_000})
    greedy = tenants.session("greedy")
    if limit == "max_role_memory":
        greedy = tenants.limit("greedy", max_role_memory="200kB")
    else:
        start(greedy, FOREVER, on_full="queue", queue_size=64)
        greedy = tenants.limit("greedy", max_role_jobs=1)
    over = submit(tenants.other, f"SELECT 1 /* {'x' * 1000} */")
    assert wait(tenants.other, over)
    for n in range(35):
        assert wait(tenants.other, launch(tenants.other, f"SELECT {n}"))

    before = memory_of(tenants, "other")
    with pytest.raises(e.ConfigurationLimitExceeded) as caught:
        refused(greedy)
    assert f"pg_background.{limit} is" in told(caught.value)
    assert memory_of(tenants, "other") == before
    text = tenants.other.execute("SELECT pg_background_full_sql(%s, %s)", over).fetchone()
    assert text is not None
    assert len(text[0]) > 1000


@fills_job_memory
def test_launches_at_once_take_no_more_than_the_limit(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    sessions = [tenants.limit("greedy", max_role_memory="1MB") for _ in range(6)]

    def launch_often(session: Connection) -> int:
        refused = 0
        for _ in range(60):
            try:
                handle = queue_sql(session, 900_000)
            except e.ConfigurationLimitExceeded:
                refused += 1
            else:
                cancel(session, handle)
                detach(session, handle)
        return refused

    most = 0
    with ThreadPoolExecutor(len(sessions)) as pool:
        rounds = [pool.submit(launch_often, session) for session in sessions]
        while not all(one.done() for one in rounds):
            row = tenants.superuser.execute("SELECT area_bytes FROM pg_background_registry()").fetchone()
            assert row is not None
            most = max(most, row[0])
    assert sum(one.result() for one in rounds) > 0
    assert 0 < most <= MB


def test_an_error_text_past_the_limit_is_cut(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    greedy = tenants.limit("greedy", max_role_memory="200kB")
    handle = launch(greedy, "DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 1000000); END $$")
    assert wait(greedy, handle)
    with pytest.raises(e.RaiseException, match="^x{100}") as caught:
        result(greedy, handle)
    assert len(caught.value.diag.message_primary or "") < 200_000


def test_waits_for_many_jobs_count(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 1024})
    greedy = tenants.limit("greedy", max_role_memory="150kB")
    handle = start(greedy, FOREVER, on_full="queue")
    # One entry each, up to max_jobs of them.
    many = greedy.execute(
        "SELECT array_agg(ROW(%s::int4, %s::int8)::pg_background_handle) FROM generate_series(1, 1000)",
        handle,
    ).fetchone()
    assert many is not None
    assert greedy.execute("SELECT pg_background_wait_any(%s, 10)", many).fetchone() == (None,)
    until_refused(partial(queue_sql, greedy, 2_000))
    with pytest.raises(e.ConfigurationLimitExceeded) as caught:
        greedy.execute("SELECT pg_background_wait_any(%s, 10)", many)
    assert "pg_background.max_role_memory" in told(caught.value)
