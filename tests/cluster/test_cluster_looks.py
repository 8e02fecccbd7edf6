"""When a wait asks the nodes of a cluster what waits there, and what becomes of it if they can't tell.

One node answers here, so no module is needed; what it claims to wait is what the test says.
"""

from __future__ import annotations

from time import monotonic

import psycopg
import pytest
from psycopg import errors as e

from ..support import lookalikes
from ..support.calls import at_the_same_time, failure, query, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, cancel, closed_gate, launch, start, state, wait
from ..support.points import Scene
from ..support.server import Server
from ..support.stand_in import stand_in
from ..support.waiting import wait_until, wait_until_equal

# A ring that is not found is waited for without end.
pytestmark = pytest.mark.timeout(180)

WAYS = {
    "wait": "SELECT pg_background_wait({0.pid}, {0.cookie})",
    "result": "SELECT * FROM pg_background_result({0.pid}, {0.cookie}) AS (value text)",
    "wait_any": "SELECT pg_background_wait_any(ARRAY[ROW({0.pid}, {0.cookie})::pg_background_handle])",
    "drain": "SELECT * FROM pg_background_drain(ARRAY[ROW({0.pid}, {0.cookie})::pg_background_handle])",
}

#: As a statement on a distributed table leaves it.
HOLD = "LOCK TABLE pg_catalog.pg_dist_node IN ACCESS SHARE MODE"


@pytest.fixture
def node(server: Server, db: str, connect: Connect) -> Connection:
    """A session of a superuser on the only node of a cluster."""
    stand_in([server], db)
    return connect()


@pytest.fixture
def session(node: Connection, connect: Connect) -> Connection:
    """The one that waits, in transactions."""
    return connect(autocommit=False, options="-c deadlock_timeout=20ms")


def gpid(pid: int) -> int:
    return 10_000_000_000 + pid


def claim(conn: Connection, waiting: int, blocking: int, **more: object) -> None:
    """Let the first look and all others find this."""
    names = "".join(f", {name}" for name in more)
    marks = ", %s" * len(more)
    query(
        conn,
        f"INSERT INTO stand_in.claims (waiting, blocking{names}) VALUES (%s, %s{marks})",
        waiting,
        blocking,
        *more.values(),
    )


def looks(conn: Connection) -> int:
    """Return how many there have been."""
    return int(value(conn, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM stand_in.looks"))


def sleeping(session: Connection) -> Handle:
    """Launch a job that goes on until it is canceled, in a transaction that holds a lock."""
    query(session, HOLD)
    return launch(session, "SELECT pg_sleep(3600)")


@pytest.mark.parametrize("way", WAYS)
def test_a_job_that_waits_for_the_session(node: Connection, session: Connection, way: str) -> None:
    handle = sleeping(session)
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid))
    told = failure(session, WAYS[way].format(handle))
    assert (told.sqlstate, told.message) == ("40P01", "deadlock detected")
    assert f"global pid {gpid(session.info.backend_pid)}" in (told.detail or "")
    assert str(handle.pid) in (told.detail or "")
    assert (told.hint or "").startswith("Commit")
    cancel(node, handle)


def test_through_processes_of_other_nodes(node: Connection, session: Connection) -> None:
    handle = sleeping(session)
    for waiting, blocking in [
        (gpid(handle.pid), 20_000_000_007),
        (20_000_000_007, 30_000_000_008),
        (30_000_000_008, gpid(session.info.backend_pid)),
    ]:
        claim(node, waiting, blocking)
    assert failure(session, WAYS["wait"].format(handle)).sqlstate == "40P01"
    cancel(node, handle)


def test_a_queued_job(node: Connection, session: Connection) -> None:
    """All that could run it wait for the session."""
    query(session, "SET pg_background.max_workers = 1")
    running = sleeping(session)
    handle = start(session, "SELECT 1", on_full="queue")
    assert state(session, handle) == "queued"
    claim(node, gpid(running.pid), gpid(session.info.backend_pid))
    told = failure(session, WAYS["wait"].format(handle))
    assert told.sqlstate == "40P01"
    assert "queued" in (told.detail or "")
    cancel(node, running)
    assert wait(node, handle)


@pytest.mark.parametrize(
    "claims",
    [
        [("job", 20_000_000_007)],
        [("job", 20_000_000_007), (20_000_000_007, 20_000_000_008), (20_000_000_008, 20_000_000_007)],
        [("other", "me")],
        [("job", "job")],
        [("me", "job")],
    ],
    ids=["a free one", "a ring of others", "another's wait", "itself", "the other way round"],
)
def test_what_is_no_deadlock(
    node: Connection, session: Connection, claims: list[tuple[str | int, str | int]]
) -> None:
    with closed_gate(node) as gate:
        query(session, HOLD)
        query(session, "SET LOCAL search_path = elsewhere, public; SET LOCAL client_min_messages = debug5")
        handle = launch(session, gate.sql)
        pids: dict[str | int, int] = {
            "job": gpid(handle.pid),
            "me": gpid(session.info.backend_pid),
            "other": 20_000_000_009,
        }
        for waiting, blocking in claims:
            claim(node, int(pids.get(waiting, waiting)), int(pids.get(blocking, blocking)))
        with at_the_same_time(session) as caller:
            waiting_call = caller(wait, session, handle)
            wait_until(lambda: looks(node) >= 3)
            gate.open()
            assert waiting_call.result() is True
    assert value(session, "SHOW search_path") == "elsewhere, public"
    assert value(session, "SHOW client_min_messages") == "debug5"


@pytest.mark.parametrize("pid", [-3, -(2**62), 0, 7, 2**31 - 1])
def test_what_is_no_process(node: Connection, session: Connection, pid: int) -> None:
    """Global pids are above all pids, and queued jobs are no matter of other nodes."""
    handle = sleeping(session)
    claim(node, gpid(handle.pid), pid)
    claim(node, pid, gpid(session.info.backend_pid))
    assert wait(session, handle, 300) is False
    assert looks(node) > 0
    cancel(node, handle)


def test_nothing_is_locked_by_it(node: Connection, session: Connection) -> None:
    """A session that only waits is not in the way of whoever changes the cluster."""
    handle = sleeping(session)
    assert wait(session, handle, 300) is False
    assert looks(node) > 0
    # but for the stand-in's sequence, whose lock no subtransaction gives back
    locked = """
        SELECT DISTINCT relation::regclass::text FROM pg_locks
        WHERE pid = %s AND locktype = 'relation' AND relation <> 'stand_in.looks'::regclass"""
    assert query(node, locked, session.info.backend_pid) == [("pg_dist_node",)]
    cancel(node, handle)


def test_what_only_one_look_has_found(node: Connection, session: Connection) -> None:
    handle = sleeping(session)
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid), first_look=1, last_look=1)
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid), first_look=4, last_look=4)
    with at_the_same_time(session) as caller:
        waiting = caller(wait, session, handle)
        wait_until(lambda: looks(node) >= 6)
        cancel(node, handle)
        assert waiting.result() is True


def test_who_holds_nothing_does_not_ask(node: Connection, connect: Connect) -> None:
    session = connect(options="-c deadlock_timeout=5ms")
    handle = launch(session, "SELECT pg_sleep(3600)")
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid))
    assert wait(session, handle, 300) is False
    assert looks(node) == 0
    # what works for a session of another node does: that may hold something
    session.execute("SET application_name = 'citus_run_command gpid=20000000001'")
    claim(node, gpid(handle.pid), 20_000_000_001)
    assert failure(session, WAYS["wait"].format(handle)).sqlstate == "40P01"
    cancel(node, handle)


def test_not_before_the_time_is_up(node: Connection, session: Connection) -> None:
    session.execute("SET deadlock_timeout = '1h'")
    handle = sleeping(session)
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid))
    assert wait(session, handle, 100) is False
    assert looks(node) == 0
    cancel(node, handle)


def test_a_dear_look_is_rare(node: Connection, session: Connection) -> None:
    """The pause is twenty times as long as it took, also from one wait of a transaction to the next."""
    handle = sleeping(session)
    claim(node, 1, 2, delay="100ms")
    for _ in range(3):
        assert wait(session, handle, 300) is False
    assert looks(node) == 1
    session.commit()
    query(session, HOLD)
    assert wait(session, handle, 300) is False
    assert looks(node) == 2
    cancel(node, handle)


def test_no_snapshot_is_taken_for_it(node: Connection, session: Connection) -> None:
    """A wait that has none may be for a job that waits for all of them to go."""
    handle = sleeping(session)
    session.commit()
    query(session, HOLD)
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid))
    assert query(session, "CALL pg_background_await(%s, %s, 200)", handle.pid, handle.cookie) == [(False,)]
    assert looks(node) == 0
    cancel(node, handle)


@pytest.mark.parametrize(
    "broken",
    [
        "ALTER TABLE stand_in.claims RENAME TO gone",
        "REVOKE SELECT ON pg_catalog.citus_lock_waits FROM PUBLIC, CURRENT_USER",
        "DROP FUNCTION pg_catalog.citus_backend_gpid()",
        "TRUNCATE pg_catalog.pg_dist_local_group",
        "DROP VIEW pg_catalog.citus_lock_waits",
    ],
)
def test_nodes_that_cannot_tell(node: Connection, session: Connection, broken: str) -> None:
    """The wait goes on, and so does its transaction, as it was."""
    node.execute("SET allow_system_table_mods = on")
    node.execute(broken.encode())
    query(session, "SET LOCAL search_path = elsewhere, public; SET LOCAL client_min_messages = debug5")
    handle = sleeping(session)
    query(session, "CREATE TEMP TABLE kept AS SELECT 1 AS n")
    assert wait(session, handle, 200) is False
    assert value(session, "SHOW search_path") == "elsewhere, public"
    assert value(session, "SHOW client_min_messages") == "debug5"
    cancel(node, handle)
    assert wait(session, handle) is True
    assert query(session, "SELECT n FROM kept") == [(1,)]
    session.commit()
    assert query(session, "SELECT n FROM kept") == [(1,)]


def test_nodes_that_do_not_answer(node: Connection, session: Connection) -> None:
    """The wait is not longer than it was to be, and nothing is canceled when its look is."""
    handle = sleeping(session)
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid), delay="1h")
    assert wait(session, handle, 300) is False
    assert looks(node) == 1
    query(session, "SELECT pg_sleep(0.01)")
    cancel(node, handle)
    assert wait(session, handle) is True


def test_a_look_for_a_wait_without_limit_ends(node: Connection, session: Connection) -> None:
    handle = sleeping(session)
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid), delay="1h")
    with at_the_same_time(session) as caller:
        waiting = caller(wait, session, handle)
        wait_until(lambda: looks(node) == 1)
        cancel(node, handle)
        assert waiting.result() is True


def test_canceled_while_it_looks(node: Connection, session: Connection) -> None:
    handle = sleeping(session)
    claim(node, 1, 2, delay="1h")
    with at_the_same_time(session) as caller:
        waiting = caller(wait, session, handle)
        wait_until(lambda: looks(node) == 1)
        session.cancel()
        assert waiting.failure().sqlstate == "57014"
    session.rollback()
    query(session, HOLD)
    query(session, "SET LOCAL statement_timeout = 200")
    with pytest.raises(e.QueryCanceled, match="statement timeout"):
        wait(session, handle)
    session.rollback()
    assert state(session, handle) == "running"
    cancel(node, handle)


@pytest.mark.parametrize(("limit", "said"), [(0, "user request"), (600, "statement timeout")])
def test_canceled_while_it_cancels_itself(scene: Scene, limit: int, said: str) -> None:
    """Between the time when a look is to end and its end somebody else cancels, too: that is not lost."""
    stand_in([scene.server], scene.watcher.info.dbname)
    handle = launch(scene.launcher, "SELECT pg_sleep(3600)")
    query(scene.waiter, f"BEGIN; SET LOCAL deadlock_timeout = '20ms'; {HOLD}")
    query(scene.waiter, f"SET LOCAL statement_timeout = {limit}")
    with scene.calls() as caller:
        with scene.point("look_before_end") as point:
            waiting = caller(wait, scene.waiter, handle, 300)
            pid = point.reached()
            # What it waits for is what a look may take: the wait's own limit.
            end = monotonic() + 0.9
            wait_until(lambda: monotonic() > end)
            if not limit:
                query(scene.watcher, "SELECT pg_cancel_backend(%s)", pid)
        told = waiting.failure()
        assert (told.sqlstate, told.message) == ("57014", f"canceling statement due to {said}")
    query(scene.waiter, "ROLLBACK")
    cancel(scene.watcher, handle)
    assert wait(scene.waiter, handle) is True


def test_a_job_that_has_survived_a_cancel(node: Connection, session: Connection) -> None:
    """What a look of it cancels later is the look alone."""
    inner = launch(node, "SELECT pg_sleep(3600)")
    claim(node, 1, 2, delay="1h")
    query(session, "SET LOCAL deadlock_timeout = '20ms'")
    survives = f"""
        DO $job$ BEGIN
          BEGIN
            PERFORM pg_sleep(3600);
          EXCEPTION WHEN query_canceled THEN
            {HOLD};
            PERFORM pg_background_wait({inner.pid}, {inner.cookie}, 300);
          END;
        END $job$"""
    outer = launch(session, survives)
    wait_until(
        lambda: value(node, "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s", outer.pid)
    )
    query(node, "SELECT pg_cancel_backend(%s)", outer.pid)
    assert wait(node, outer) is True
    assert (looks(node), state(session, outer)) == (1, "stopped")
    cancel(node, inner)


def test_a_job_that_waits_is_canceled_while_it_looks(node: Connection, session: Connection) -> None:
    inner = launch(node, "SELECT pg_sleep(3600)")
    claim(node, 1, 2, delay="1h")
    query(session, "SET LOCAL deadlock_timeout = '20ms'")
    outer = launch(session, f"{HOLD}; {WAYS['wait'].format(inner)}")
    wait_until(lambda: looks(node) == 1)
    cancel(session, outer)
    assert wait(session, outer) is True
    assert state(session, outer) == "canceled"
    cancel(node, inner)


def test_as_an_ordinary_role(node: Connection, connect: Connect, make_role: MakeRole) -> None:
    user = make_role(member_of=("pgbackground_role",))
    node.execute(f"ALTER DATABASE {node.info.dbname} SET deadlock_timeout = '20ms'".encode())
    session = connect(user=user, autocommit=False)
    handle = sleeping(session)
    claim(node, gpid(handle.pid), gpid(session.info.backend_pid))
    assert failure(session, WAYS["wait"].format(handle)).sqlstate == "40P01"
    cancel(node, handle)


@pytest.mark.parametrize("path", ["''", "pg_temp, evil, pg_catalog"])
def test_among_look_alikes(server: Server, node: Connection, session: Connection, path: str) -> None:
    mark = server.log.mark()
    with psycopg.connect(node.info.dsn, autocommit=True) as planter:
        query(
            planter, "CREATE SCHEMA evil; CREATE SCHEMA core; ALTER EXTENSION pg_background SET SCHEMA core"
        )
        lookalikes.set_up(planter)
        lookalikes.plant(planter, "evil", extension="core")
    query(session, HOLD)
    row = query(session, "SELECT * FROM core.pg_background_launch('SELECT pg_sleep(3600)')")
    handle = Handle(*row[0])
    claim(node, gpid(handle.pid), 20_000_000_007)
    session.execute(f"SET search_path = {path}".encode())
    assert query(session, f"SELECT core.pg_background_wait({handle.pid}, {handle.cookie}, 200)") == [(False,)]
    assert looks(node) > 0
    claim(node, 20_000_000_007, gpid(session.info.backend_pid))
    session.commit()
    query(session, HOLD)
    told = failure(session, f"SELECT core.pg_background_wait({handle.pid}, {handle.cookie})")
    assert told.sqlstate == "40P01"
    lookalikes.assert_none_ran(server, mark)
    query(node, f"SELECT core.pg_background_cancel({handle.pid}, {handle.cookie})")


def test_what_other_nodes_are_told_of_waits(node: Connection, session: Connection) -> None:
    waits = "SELECT waiter, worker_pid, needs_all FROM pg_background_job_waits() WHERE worker_pid = ANY (%s)"
    first, second = sleeping(session), launch(session, "SELECT pg_sleep(3600)")
    pids = [first.pid, second.pid]
    me = gpid(session.info.backend_pid)
    handles = ", ".join(
        f"ROW({handle.pid}, {handle.cookie})::pg_background_handle" for handle in (first, second)
    )
    for call, expected in [
        (f"pg_background_wait_any(ARRAY[{handles}])", {(me, pid, False) for pid in pids}),
        (f"pg_background_drain(ARRAY[{handles}])", {(me, pid, True) for pid in pids}),
        (f"pg_background_wait({first.pid}, {first.cookie})", {(me, first.pid, True)}),
    ]:
        session.commit()
        query(session, HOLD)
        with at_the_same_time(session) as caller:
            waiting = caller(query, session, f"SELECT {call}")
            wait_until_equal(lambda: set(query(node, waits, pids)), expected)
            session.cancel()
            assert waiting.failure().sqlstate == "57014"
        session.rollback()
        assert query(node, waits, pids) == []
    for handle in (first, second):
        cancel(node, handle)
