"""pg_upgrade carries a database with the extension from an older major version to 18."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pg_background.server import Build, Cluster, Installation, ServerError, build
from pg_background.server.install import install
from pg_background.server.runtime import Runtime, bundled_libraries, copy_tree
from tools import servers

from ..support.calls import Rows, query, value
from ..support.fix_crash import watch
from ..support.fix_db import Connection
from ..support.fix_standby import run_program
from ..support.jobs import launch, wait
from ..support.next_version import NEW, OLD, build_next
from ..support.server import TEST_SETTINGS, Server
from .crew import Crew
from .extent import Extent
from .kinds import SET_UP
from .tally import Tally
from .under_load import check

pytestmark = [pytest.mark.slow, pytest.mark.pg("== 18")]

#: What databases make of the extension; the last two are what its own functions and settings are given.
DEPENDENTS = """
CREATE VIEW failed AS SELECT pid, cookie, sqlstate FROM pg_background_jobs WHERE state = 'error';
CREATE TABLE kept (handle pg_background_handle);
INSERT INTO kept VALUES ((1, 2));
CREATE FUNCTION submit_as_definer(job text) RETURNS pg_background_handle
  LANGUAGE sql SECURITY DEFINER AS 'SELECT pg_background_submit(job)';
GRANT EXECUTE ON FUNCTION pg_background_stats() TO greedy WITH GRANT OPTION;
ALTER ROLE greedy SET pg_background.worker_timeout = '5s';
"""

#: Who may do what with each object of the extension, and what was made of it. Without types, as pg_upgrade
#: makes those of views and arrays members of their own, and without MAINTAIN, which owners have from 17 on.
RIGHTS = """
SELECT pg_describe_object(classid, objid, 0), replace(coalesce(proacl, relacl)::text, 'arwdDxtm', 'arwdDxt')
FROM pg_depend
LEFT JOIN pg_proc p ON classid = 'pg_proc'::regclass AND p.oid = objid
LEFT JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND classid <> 'pg_type'::regclass
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_background')
UNION ALL SELECT setrole::regrole::text, setconfig::text FROM pg_db_role_setting WHERE setdatabase = 0
UNION ALL SELECT 'kept', handle::text FROM kept
ORDER BY 1, 2
"""


class Servers:
    """Makes empty clusters, each with programs of its own in which the extension is installed."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        self._folder = folder
        self._request = request
        self.made: list[Server] = []

    def make(self, major: str, built: Callable[[Installation], Build] = build) -> Server:
        """Return a server that is down, with what `built` makes; skips if there is none of this major."""
        try:
            # The wheel if there is one: a distribution's server may be later than the 18 that is there, and
            # have in its catalogue what that does not know, as 15.20 has for 18.6.
            original = servers.SOURCES[major][-1].get(int(major))
        except ServerError as error:
            pytest.skip(f"no PostgreSQL {major}: {error}")
        # In the server's own folders: pg_upgrade looks there, whatever dynamic_library_path says.
        installation = copied(original, self._folder / f"programs-{major}")
        install(installation, built(original))
        cluster = Cluster(self._folder / f"data-{major}")
        cluster.provide(Runtime(installation))
        cluster.init(sync=False)
        server = Server(cluster, TEST_SETTINGS)
        self.made.append(server)
        # Its settings are written at a start.
        server.start()
        watch(self._request, server, 0)
        cluster.stop()
        return server


@pytest.fixture
def clusters(open_tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Servers]:
    """Its folder is there until the test ends."""
    folder = open_tmp_path / "upgrade"
    folder.mkdir()
    made = Servers(folder, request)
    yield made
    for server in made.made:
        server.cluster.stop("immediate")
    shutil.rmtree(folder)


def copied(installation: Installation, folder: Path) -> Installation:
    """Copy an installation, keeping where its parts are to each other."""
    parts = (installation.bindir, installation.sharedir, installation.pkglibdir)
    base = Path(os.path.commonpath([*parts, *bundled_libraries(installation)]))
    for part in (*parts, *bundled_libraries(installation)):
        copy_tree(part, folder / part.relative_to(base))
    bindir, sharedir, pkglibdir = (folder / part.relative_to(base) for part in parts)
    return replace(installation, bindir=bindir, sharedir=sharedir, pkglibdir=pkglibdir)


def upgrade(old: Server, new: Server, folder: Path) -> None:
    """Run pg_upgrade on two clusters that are down."""
    # initdb of older versions makes none.
    run_program(new, "pg_checksums", "--disable", "--no-sync", "--pgdata", new.cluster.path)
    folder.mkdir()
    os.chown(folder, new.cluster.os_user.uid, new.cluster.os_user.gid)
    program = new.cluster.runtime.installation.program("pg_upgrade")
    done = new.cluster.os_user.run(
        [
            # It leaves files where it is.
            *("sh", "-c", 'cd "$0" && exec "$@"', folder, program),
            *("--old-bindir", old.cluster.runtime.installation.bindir),
            *("--new-bindir", new.cluster.runtime.installation.bindir),
            *("--old-datadir", old.cluster.path, "--new-datadir", new.cluster.path),
            *("--username", "postgres", "--socketdir", folder, "--no-sync"),
        ]
    )
    logs = new.cluster.path.glob("pg_upgrade_output.d/*/log/pg_upgrade_dump_*.log")
    assert done.returncode == 0, "\n".join([done.stdout, *(log.read_text()[-2000:] for log in logs)])


@pytest.mark.parametrize("major", ["14", "15", "16", "17"])
def test_upgrade(clusters: Servers, extent: Extent, tally: Tally, major: str) -> None:
    """What jobs have committed is there, and the extension: objects, rights, what is made of them."""
    if not extent.is_full and major != "15":
        pytest.skip("RELIABILITY=short")
    old, new = clusters.make(major), clusters.make("18")
    old.start()
    old.cluster.create_extension()
    old.psql(SET_UP + DEPENDENTS)
    crew = work(old, extent, f"before the upgrade from {major}")
    with old.connect() as conn:
        before = rights(conn)
        # Of its result in a file nothing is left, as at any end of a server.
        assert wait(conn, launch(conn, "SELECT repeat('x', 1000) FROM generate_series(1, 2000)"))
        assert value(conn, "SELECT count(*) FROM pg_ls_tmpdir()") == 1
    old.cluster.stop("fast")
    upgrade(old, new, new.cluster.path.with_name("work"))
    tally.faults(f"pg_upgrade from {major} to 18")
    new.start()
    with new.connect() as conn:
        crew.ledger.check_effects(conn, tally)
        assert rights(conn) == before
        tally.add("objects and rights compared after pg_upgrade", len(before))
        assert value(conn, "SELECT count(*) FROM pg_ls_tmpdir()") == 0
        assert query(conn, "SELECT * FROM failed") == []
        # As after any change of a server: there is nothing to do.
        query(conn, "ALTER EXTENSION pg_background UPDATE")
        assert rights(conn) == before
        query(conn, "TRUNCATE effects")
    check(new, work(new, extent, f"after the upgrade from {major}"), tally)
    new.execute("DROP EXTENSION pg_background CASCADE")
    new.cluster.create_extension()


def test_upgrade_to_a_server_with_the_next_version(clusters: Servers, open_tmp_path: Path) -> None:
    """The database stays at its version, on a library that is newer, until it is updated."""
    old = clusters.make("15")
    new = clusters.make("18", lambda original: build_next(original, open_tmp_path / "next"))
    old.start()
    old.cluster.create_extension()
    old.cluster.stop("fast")
    upgrade(old, new, new.cluster.path.with_name("work"))
    new.start()
    with new.connect() as conn:
        assert value(conn, "SELECT extversion FROM pg_extension WHERE extname = 'pg_background'") == OLD
        assert value(conn, "SHOW pg_background.library_version") == NEW
        handle = launch(conn, "SELECT 1", label="old catalogue")
        assert wait(conn, handle)
        # Of 15: 16 has no such function.
        assert value(conn, "SELECT pg_background_full_sql_v2(%s, %s::text)", *handle) == "SELECT 1"
        assert value(conn, "SELECT state FROM pg_background_jobs WHERE label = 'old catalogue'") == "stopped"
        query(conn, "ALTER EXTENSION pg_background UPDATE")
        assert value(conn, "SELECT attempts FROM pg_background_jobs WHERE label = 'old catalogue'") == 1
        assert value(conn, "SELECT pg_background_added()") == 31


def work(server: Server, extent: Extent, what: str) -> Crew:
    """Let a crew do its jobs, and return it."""
    crew = Crew(server.connect, extent.sessions, what)
    try:
        crew.run(min(extent.jobs // 4, 1000))
    finally:
        crew.close()
    crew.ledger.check_ends()
    return crew


def rights(conn: Connection) -> Rows:
    """Objects of the extension, who may do what with them, and what is made of them."""
    found = query(conn, RIGHTS)
    assert len(found) > 50
    return found
