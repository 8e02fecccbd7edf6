"""Waits that can never end because of what waits on other nodes: three servers, and real locks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.calls import at_the_same_time, failure, query, value
from ..support.fix_cluster import Nodes
from ..support.fix_db import Connection
from ..support.jobs import launch, wait
from ..support.stand_in import address
from ..support.waiting import wait_until

# A ring that is not found is waited for without end.
pytestmark = [pytest.mark.contrib("dblink"), pytest.mark.timeout(180)]

WAIT = "SELECT pg_background_wait({0.pid}, {0.cookie})"

#: As a statement on a distributed table leaves it.
HOLD = "LOCK TABLE stand_in.claims IN ACCESS SHARE MODE"


class Distributed:
    """A session in a transaction, with what it has open on other nodes, as Citus opens it."""

    def __init__(self, nodes: Nodes, conn: Connection) -> None:
        self._nodes = nodes
        self.conn = conn
        self.pid = conn.info.backend_pid
        self.gpid = value(conn, "SELECT pg_catalog.citus_backend_gpid()")
        self._remote: dict[int, Connection] = {}
        query(conn, HOLD)

    def on(self, node: int) -> Connection:
        """Return its connection to a node."""
        if node not in self._remote:
            name = f"citus_internal gpid={self.gpid}"
            self._remote[node] = self._nodes.connect(node, application_name=name, autocommit=False)
        return self._remote[node]

    def lock(self, node: int, key: int) -> None:
        """Take a lock there, until the end of the transaction."""
        query(self.on(node), f"SELECT pg_advisory_xact_lock({key})")

    def rollback(self) -> None:
        """End the transaction on all nodes."""
        self.conn.rollback()
        for conn in self._remote.values():
            conn.rollback()

    def close(self) -> None:
        """End the session on all nodes."""
        for conn in (*self._remote.values(), self.conn):
            conn.cancel()
            conn.close()


class Sessions:
    """Opens them."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._made: list[Distributed] = []

    def __call__(self, node: int) -> Distributed:
        """Open one on a node, with a transaction."""
        options = "-c search_path=elsewhere,public -c deadlock_timeout=50ms"
        conn = self._nodes.connect(node, autocommit=False, options=options)
        self._made.append(Distributed(self._nodes, conn))
        return self._made[-1]

    def close(self) -> None:
        """Close all, so that their jobs go on."""
        for session in self._made:
            session.close()


@pytest.fixture
def sessions(nodes: Nodes) -> Iterator[Sessions]:
    """Opens sessions; what works for them on other nodes looks as soon as they do."""
    for server in nodes:
        server.execute(f"ALTER DATABASE {nodes.database} SET deadlock_timeout = '50ms'")
    made = Sessions(nodes)
    try:
        yield made
    finally:
        made.close()
        for server in nodes:
            server.execute(f"ALTER DATABASE {nodes.database} RESET deadlock_timeout")


def taking(nodes: Nodes, node: int, key: int) -> str:
    """Return SQL that takes a lock on a node as Citus lets a job do it."""
    host, port = address(nodes[node - 1])
    connection = f"host={host} port={port} dbname={nodes.database} user=postgres"
    named = f"{connection} application_name=''citus_internal gpid=%s''"
    return (
        f"SELECT got FROM stand_in.dblink(pg_catalog.format('{named}', pg_catalog.citus_backend_gpid()),"
        f" 'SELECT 1 FROM pg_advisory_xact_lock({key})') AS d(got int)"
    )


def cluster_launch(session: Distributed, node: int, sql: str) -> str:
    """Launch a job on a node; return the call that waits for it."""
    ((pid, cookie),) = query(
        session.conn, "SELECT pid, cookie FROM cluster_launch(%s, nodes => %s)", sql, [node]
    )
    return (
        f"SELECT node, state, sqlstate FROM cluster_wait(ARRAY[ROW({node}, {pid}, {cookie})::cluster_handle])"
    )


def wait_until_it_waits(nodes: Nodes, node: int, key: int, count: int = 1) -> None:
    """Wait until so many wait for a lock on a node."""
    waiting = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {key} AND NOT granted"
    with nodes.connect(node) as conn:
        wait_until(lambda: value(conn, waiting) == count)


def test_a_job_here_waits_for_my_lock_there(nodes: Nodes, sessions: Sessions) -> None:
    mine = sessions(1)
    mine.lock(2, 1)
    handle = launch(mine.conn, taking(nodes, 2, 1))
    told = failure(mine.conn, WAIT.format(handle))
    assert (told.sqlstate, told.message) == ("40P01", "deadlock detected")
    assert told.detail == (
        f"Process {mine.pid} waits for the background job of process {handle.pid};"
        f" the job waits, through other nodes, for the session with global pid {mine.gpid}."
    )
    mine.rollback()
    assert wait(mine.conn, handle) is True


def test_a_job_there_waits_for_my_lock_there(nodes: Nodes, sessions: Sessions) -> None:
    """The session that waits there works for mine, and so does the one that has the lock."""
    mine = sessions(1)
    mine.lock(2, 1)
    call = cluster_launch(mine, 2, "SELECT pg_advisory_xact_lock(1)")
    assert query(mine.conn, call) == [(2, "running", "40P01")]
    mine.rollback()
    assert query(mine.conn, call) == [(2, "stopped", None)]


def test_a_job_there_waits_for_my_lock_on_a_third_node(nodes: Nodes, sessions: Sessions) -> None:
    mine = sessions(1)
    mine.lock(3, 1)
    call = cluster_launch(mine, 2, taking(nodes, 3, 1))
    assert query(mine.conn, call) == [(2, "running", "40P01")]
    mine.rollback()
    assert query(mine.conn, call) == [(2, "stopped", None)]


def test_through_the_lock_of_a_third_session(nodes: Nodes, sessions: Sessions) -> None:
    """The job waits on one node for a session that waits for mine on another."""
    mine, third = sessions(1), sessions(3)
    mine.lock(2, 1)
    third.lock(3, 2)
    with at_the_same_time(third.on(2)) as caller:
        stuck = caller(third.lock, 2, 1)
        wait_until_it_waits(nodes, 2, 1)
        handle = launch(mine.conn, taking(nodes, 3, 2))
        assert failure(mine.conn, WAIT.format(handle)).sqlstate == "40P01"
        mine.rollback()
        stuck.result()
        third.rollback()
    assert wait(mine.conn, handle) is True


def test_through_the_wait_of_another_session_for_its_job(nodes: Nodes, sessions: Sessions) -> None:
    """Two sessions wait on each other's nodes for jobs, each of which waits for the lock of the other."""
    mine, other = sessions(1), sessions(3)
    mine.lock(2, 1)
    other.lock(2, 2)
    my_call = cluster_launch(mine, 2, "SELECT pg_advisory_xact_lock(2)")
    other_call = cluster_launch(other, 1, taking(nodes, 2, 1))
    with at_the_same_time(mine.conn, other.conn) as caller:
        my_wait = caller(query, mine.conn, my_call)
        other_wait = caller(query, other.conn, other_call)
        wait_until(lambda: my_wait.is_done() or other_wait.is_done())
        told, first, second = (
            (my_wait, mine, other_wait) if my_wait.is_done() else (other_wait, other, my_wait)
        )
        assert told.result()[0][2] == "40P01"
        first.rollback()
        # it goes on, or was told at the same time
        assert second.result()[0][2] in {None, "40P01"}
        mine.rollback()
        other.rollback()
    assert query(mine.conn, my_call)[0][1] == "stopped"
    assert query(other.conn, other_call)[0][1] == "stopped"


def test_through_a_job_that_waits_for_its_own(nodes: Nodes, sessions: Sessions) -> None:
    """A job waits on its server for another that waits on a node for my lock."""
    mine = sessions(1)
    mine.lock(2, 1)
    inner = taking(nodes, 2, 1).replace("'", "''")
    handle = launch(
        mine.conn,
        "SELECT pg_background_wait(l.pid, l.cookie) FROM"
        f" (SELECT * FROM pg_background_launch('{inner}') OFFSET 0) AS l",
    )
    wait_until_it_waits(nodes, 2, 1)
    assert failure(mine.conn, WAIT.format(handle)).sqlstate == "40P01"
    mine.rollback()
    assert wait(mine.conn, handle) is True


def test_a_wait_that_ends(nodes: Nodes, sessions: Sessions) -> None:
    """The job waits for a session that waits for nobody, through any number of looks."""
    mine, third = sessions(1), sessions(3)
    mine.lock(2, 1)
    third.lock(2, 2)
    handle = launch(mine.conn, taking(nodes, 2, 2))
    wait_until_it_waits(nodes, 2, 2)
    with nodes.connect() as conn, at_the_same_time(mine.conn) as caller:
        before = value(conn, "SELECT last_value FROM stand_in.looks")
        waiting = caller(wait, mine.conn, handle)
        wait_until(lambda: value(conn, "SELECT last_value FROM stand_in.looks") >= before + 2)
        third.rollback()
        assert waiting.result() is True


def test_with_a_node_down(nodes: Nodes, sessions: Sessions) -> None:
    mine = sessions(1)
    mine.lock(2, 1)
    handle = launch(mine.conn, taking(nodes, 2, 1))
    free = launch(mine.conn, "SELECT pg_sleep(0.3)")
    with nodes.down(3):
        assert wait(mine.conn, free) is True
        assert failure(mine.conn, WAIT.format(handle)).sqlstate == "40P01"
        mine.rollback()
        assert wait(mine.conn, handle) is True
        # who has read where the nodes are keeps that from being written anew
        mine.rollback()


def test_a_node_that_has_the_extension_elsewhere(nodes: Nodes, sessions: Sessions) -> None:
    """What has the place of its function there may be anybody's, and is not run."""
    evil = """
        ALTER EXTENSION pg_background SET SCHEMA moved;
        CREATE FUNCTION public.pg_background_job_waits(
          OUT waiter int8, OUT worker_pid int4, OUT needs_all bool) RETURNS SETOF record LANGUAGE sql AS
          'INSERT INTO public.ran DEFAULT VALUES RETURNING 1::int8, 1, true';
    """
    mine, third = sessions(1), sessions(3)
    mine.lock(2, 1)
    third.lock(2, 2)
    handle = launch(mine.conn, taking(nodes, 2, 2))
    wait_until_it_waits(nodes, 2, 2)
    with nodes.connect(3) as conn, nodes.connect() as here:
        query(conn, "CREATE SCHEMA moved; CREATE TABLE public.ran ()")
        try:
            query(conn, evil)
            before = value(here, "SELECT last_value FROM stand_in.looks")
            assert wait(mine.conn, handle, 2000) is False
            assert value(here, "SELECT last_value FROM stand_in.looks") > before
            assert query(conn, "SELECT FROM public.ran") == []
        finally:
            query(conn, "DROP FUNCTION IF EXISTS public.pg_background_job_waits()")
            query(
                conn,
                "ALTER EXTENSION pg_background SET SCHEMA public; DROP TABLE public.ran; DROP SCHEMA moved",
            )
    third.rollback()
    assert wait(mine.conn, handle) is True
