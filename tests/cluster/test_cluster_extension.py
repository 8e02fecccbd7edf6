"""What CREATE EXTENSION pg_background_cluster makes, for whom, and that nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from ..support import lookalikes
from ..support.calls import query
from ..support.fix_cluster import Nodes
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.server import Server
from ..support.stand_in import stand_in

MEMBERS = """
SELECT p.oid::regprocedure::text, p.proname::text FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'pg_background_cluster'
WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
"""

#: Not for members of pgbackground_role.
RESTRICTED = {
    *("cluster_drain", "cluster_node_drain", "cluster_resume", "cluster_node_resume"),
    *("cluster_set", "cluster_set_command"),
    *("cluster_change_privileges", "cluster_grant_privileges", "cluster_revoke_privileges"),
}

#: One that looks, launches and waits, with its handles as the second call gives them.
COLLECT = (
    "SELECT rows FROM {0}.cluster_wait(ARRAY(SELECT ROW(l.node, l.pid, l.cookie)::{0}.cluster_handle"
    " FROM {0}.cluster_launch('SELECT 5 AS n'::pg_catalog.text) AS l), 20000, true)"
)


@pytest.fixture
def only_node(server: Server, db: str) -> Connection:
    """A database that is the only node of a cluster."""
    stand_in([server], db)
    return server.connect(db)


@pytest.fixture
def alone(only_node: Connection) -> Iterator[Connection]:
    """A session in it."""
    with only_node as conn:
        conn.execute("UPDATE pg_dist_node SET nodeid = 1")
        conn.execute("CREATE EXTENSION pg_background_cluster")
        yield conn


def test_on_the_only_node(alone: Connection) -> None:
    """Needs no dblink: it works on every version."""
    assert query(alone, COLLECT.format("public")) == [([{"n": 5}],)]
    assert query(alone, "SELECT node, is_here FROM cluster_nodes()") == [(1, True)]
    label = "SELECT cluster_launch('SELECT pg_sleep(3600)', 'to be canceled')"
    query(alone, label)
    assert query(alone, "SELECT node, label FROM cluster_jobs WHERE label = 'to be canceled'") == [
        (1, "to be canceled")
    ]
    assert query(alone, "SELECT * FROM cluster_cancel_by_label('to be canceled')") == [(1, 1, None, None)]


def test_without_citus(conn: Connection) -> None:
    conn.execute("CREATE EXTENSION pg_background_cluster")
    for call in ("cluster_launch('SELECT 1')", "cluster_nodes()", "cluster_node_id()", "cluster_jobs"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no node of a Citus cluster"):
            query(conn, f"SELECT * FROM {call}")


def test_rights(alone: Connection, make_role: MakeRole) -> None:
    functions = query(alone, MEMBERS)
    assert {name for _, name in functions} > RESTRICTED
    nobody, member, named = make_role(), make_role(member_of=("pgbackground_role",)), make_role()
    assert query(alone, "SELECT cluster_grant_privileges(%s)", named) == [(True,)]
    for signature, name in functions:
        for role, expected in (
            (nobody, False),
            (member, name not in RESTRICTED),
            (named, name not in RESTRICTED),
        ):
            assert query(alone, "SELECT has_function_privilege(%s, %s, 'EXECUTE')", role, signature) == [
                (expected,)
            ], (signature, role)
    views = "SELECT has_table_privilege(%s, 'cluster_jobs', 'SELECT')"
    assert [query(alone, views, role)[0][0] for role in (nobody, member, named)] == [False, True, True]
    assert query(alone, "SELECT cluster_revoke_privileges(%s)", named) == [(True,)]
    assert query(alone, views, named) == [(False,)]
    assert query(alone, "SELECT cluster_grant_privileges('nobody of that name')") == [(False,)]
    alone.execute("DROP EXTENSION pg_background_cluster")


def test_a_role_that_pg_background_does_not_trust(server: Server, conn: Connection) -> None:
    conn.execute("SELECT pg_background_revoke_privileges('pgbackground_role')")
    conn.execute("CREATE EXTENSION pg_background_cluster")
    assert query(
        conn,
        "SELECT bool_or(has_function_privilege('pgbackground_role', signature, 'EXECUTE'))"
        f" FROM ({MEMBERS}) AS m(signature, name)",
    ) == [(False,)]


def test_what_those_of_monitoring_and_signals_may(
    alone: Connection, connect: Connect, make_role: MakeRole
) -> None:
    query(alone, "SELECT cluster_launch('SELECT 1', 'of the superuser')")
    looks = connect(user=make_role(member_of=("pg_read_all_stats",)))
    assert query(looks, "SELECT count(*) FROM cluster_jobs WHERE state <> 'unreachable'")[0][0] >= 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(looks, "SELECT cluster_launch('SELECT 1')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(looks, "SELECT cluster_drain(1)")


@pytest.mark.contrib("dblink")
def test_jobs_are_the_callers(nodes: Nodes, coordinator: Connection) -> None:
    """On each node they run as the current role, and are seen and canceled by whom the core lets."""
    for server in nodes:
        server.execute("CREATE ROLE of_all_nodes LOGIN IN ROLE pgbackground_role")
        server.execute("CREATE ROLE another LOGIN IN ROLE pgbackground_role")
    try:
        with nodes.connect(user="of_all_nodes", options="-c search_path=elsewhere,public") as conn:
            ran = query(
                conn, COLLECT.format("elsewhere").replace("5 AS n", "current_user AS u, session_user AS s")
            )
            assert ran == [([{"u": "of_all_nodes", "s": "of_all_nodes"}],)] * 3
            handles = query(conn, "SELECT node, pid, cookie FROM cluster_launch('SELECT 1', 'mine')")
        with nodes.connect(user="another", options="-c search_path=elsewhere,public") as conn:
            assert query(conn, "SELECT count(*) FROM cluster_jobs WHERE label = 'mine'") == [(0,)]
            for node, pid, cookie in handles:
                call = f"cluster_cancel(ARRAY[ROW({node}, {pid}, {cookie})::cluster_handle])"
                assert query(conn, f"SELECT sqlstate FROM {call}") == [("42501",)]
                call = call.replace("cancel", "wait")
                assert query(conn, f"SELECT state, sqlstate FROM {call}") == [("unknown", "42501")]
        for node, pid, cookie in handles:
            query(coordinator, f"SELECT cluster_detach(ARRAY[ROW({node}, {pid}, {cookie})::cluster_handle])")
    finally:
        for server in nodes:
            server.execute("DROP ROLE of_all_nodes; DROP ROLE another")


@pytest.mark.parametrize("path", ["''", "pg_temp, public, pg_catalog"])
def test_in_any_schema_among_look_alikes(
    server: Server, only_node: Connection, connect: Connect, path: str
) -> None:
    """Neither here nor by what runs on the nodes is one of them found, wherever the two extensions are."""
    mark = server.log.mark()
    with only_node as conn:
        conn.execute('UPDATE pg_dist_node SET nodeid = 1; CREATE SCHEMA "Clu.ster"; CREATE SCHEMA core')
        conn.execute("ALTER EXTENSION pg_background SET SCHEMA core")
        lookalikes.set_up(conn)
        lookalikes.plant(conn, '"Clu.ster"', beside_extension=True)
        conn.execute('CREATE EXTENSION pg_background_cluster SCHEMA "Clu.ster"')
        lookalikes.plant(conn, "public", extension="core")
        conn.execute("SET search_path = pg_catalog")
        own = [name for _, name in query(conn, MEMBERS)]
        conn.execute("SET check_function_bodies = off")
        for name in own:
            for types in ("text, text", "text", "text, text, int4[]", "name", "varchar, varchar"):
                conn.execute(
                    f"CREATE OR REPLACE FUNCTION public.{name}({types}) RETURNS pg_catalog.text"
                    " LANGUAGE sql AS 'SELECT lookalikes.caught()::pg_catalog.text'".encode()
                )
        conn.execute(f"ALTER DATABASE {conn.info.dbname} SET search_path = {path}".encode())
    # where the stand-in runs what a node is sent in the caller's session, as here, both have that path
    conn = connect()
    here = '"Clu.ster"'
    assert query(conn, COLLECT.format(here)) == [([{"n": 5}],)]
    one = f"pg_catalog.array_agg(ROW(1, 1, 1)::{here}.cluster_handle)"
    for call in (
        f"{here}.cluster_cancel((SELECT {one}), 0)",
        f"{here}.cluster_detach((SELECT {one}))",
        f"{here}.cluster_cancel_by_label('none'::pg_catalog.text, 0)",
        f"{here}.cluster_nodes()",
        f"{here}.cluster_set('pg_background.worker_timeout'::pg_catalog.text, NULL::pg_catalog.text)",
        f"{here}.cluster_jobs",
        f"{here}.cluster_drain(100)",
        f"{here}.cluster_resume()",
        f"{here}.cluster_grant_privileges('pgbackground_role'::pg_catalog.text, false)",
        f"{here}.cluster_revoke_privileges('pgbackground_role'::pg_catalog.text, false)",
    ):
        query(conn, f"SELECT * FROM {call}")
    lookalikes.assert_none_ran(server, mark)


@pytest.mark.contrib("dblink")
def test_hostile_paths_of_other_nodes(nodes: Nodes, coordinator: Connection) -> None:
    """The sessions on the nodes have paths of their own, and pg_background may be elsewhere there."""
    marks = [server.log.mark() for server in nodes]
    with nodes.connect(2) as conn:
        conn.execute("CREATE SCHEMA evil; CREATE SCHEMA core; ALTER EXTENSION pg_background SET SCHEMA core")
        lookalikes.set_up(conn)
        lookalikes.plant(conn, "evil", extension="core")
    nodes[1].execute(f"ALTER DATABASE {nodes.database} SET search_path = evil, pg_catalog")
    try:
        assert query(coordinator, COLLECT.format("elsewhere")) == [([{"n": 5}],)] * 3
        query(coordinator, "SELECT * FROM cluster_jobs")
        assert query(coordinator, "SELECT sqlstate FROM cluster_cancel_by_label('none')") == [(None,)] * 3
        for server, mark in zip(nodes, marks, strict=True):
            lookalikes.assert_none_ran(server, mark)
    finally:
        nodes[1].execute(f"ALTER DATABASE {nodes.database} RESET search_path")
        with nodes.connect(2) as conn:
            conn.execute("ALTER EXTENSION pg_background SET SCHEMA public")
            conn.execute("DROP SCHEMA evil, lookalikes, core CASCADE")


def test_moved_and_dropped(alone: Connection, make_db: Callable[[str], str]) -> None:
    alone.execute("CREATE SCHEMA another; ALTER EXTENSION pg_background_cluster SET SCHEMA another")
    assert query(alone, COLLECT.format("another")) == [([{"n": 5}],)]
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        alone.execute("DROP EXTENSION pg_background")
    alone.execute("DROP EXTENSION pg_background CASCADE")
    assert query(alone, MEMBERS) == []
