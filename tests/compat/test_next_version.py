"""Library and catalogue of different versions: calls work or say what to do; the update makes them one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from pg_background.doctor import collect, examine

from ..support.calls import Failure, failure, query, value
from ..support.fix_db import Connection
from ..support.fix_switch import OLD as IN_C
from ..support.fix_versions import Versions
from ..support.histories import row
from ..support.jobs import launch, result, run, wait
from ..support.members import members
from ..support.next_version import NEW, OLD

CREATE_OLD = f"CREATE EXTENSION pg_background VERSION '{OLD}'"
CREATE_NEW = "CREATE EXTENSION pg_background"
UPDATE = "ALTER EXTENSION pg_background UPDATE"

NEEDS_RESTART = Failure(
    "55000",
    f'version {NEW} of extension "pg_background" needs a newer library than the server runs',
    f"The server runs the library of version {OLD}.",
    "Restart the server, which then runs the new library, and try again.",
)

MISFIT = Failure(
    "55000",
    "the library of pg_background does not fit the extension in this database",
    f"The server runs the library of version {OLD}.",
    "Restart the server, after installing the files of the extension's version if they are not there. "
    '"pg-background doctor" says which is missing.',
)

VIEWS = ["list", "jobs", "totals", "histograms", "resources", "waits", "usage", "history", "activity"]

_numbers = count(1)


@pytest.fixture
def db(versions: Versions) -> Iterator[str]:
    """A database with this version of the extension."""
    name = versions.database(f"versions_{next(_numbers)}", CREATE_OLD)
    yield name
    versions.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def fresh(versions: Versions) -> Iterator[str]:
    """A database without it."""
    name = versions.database(f"versions_{next(_numbers)}")
    yield name
    versions.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def found(conn: Connection, check: str) -> str:
    """Return what the doctor says of something."""
    (finding,) = (finding for finding in examine(collect(conn)) if finding.check == check)
    return str(finding)


def assert_old_works(conn: Connection) -> None:
    """All that a catalogue of this version has gives what it declares."""
    handle = launch(conn, "SELECT 42", label="works")
    assert wait(conn, handle)
    assert value(conn, "SELECT pg_background_full_sql(%s, %s)", handle.pid, handle.cookie) == "SELECT 42"
    assert (
        value(conn, "SELECT state FROM pg_background_outcome(%s, %s)", handle.pid, handle.cookie) == "stopped"
    )
    assert result(conn, handle, "n int") == [(42,)]
    names = [column.name for column in conn.execute("SELECT * FROM pg_background_stats()").description or ()]
    assert names[-1] == "max_workers"
    assert value(conn, "SELECT max_workers FROM pg_background_stats()") == 16
    for view in VIEWS:
        query(conn, f"SELECT * FROM pg_background_{view}")
    query(conn, "SELECT * FROM pg_background_registry()")
    jobs = "SELECT state, command_tag, temp_bytes FROM pg_background_jobs WHERE pid = %s AND label = 'works'"
    assert query(conn, jobs, handle.pid) == [("stopped", "SELECT", 0)]
    assert value(conn, "SELECT (pg_background_run('SELECT 1')).state") == "stopped"
    query(conn, "SELECT pg_background_purge_v2()")


def test_new_files_before_the_restart(versions: Versions, db: str, fresh: str) -> None:
    """The server, its workers and its new sessions go on with what they have."""
    with versions.server.connect(db) as conn:
        handle = launch(conn, "SELECT 'from before'")
        assert wait(conn, handle)
        before = members(conn)
        versions.install_new()
        assert result(conn, handle, "t text") == [("from before",)]
        assert failure(conn, UPDATE) == NEEDS_RESTART
        assert members(conn) == before
    with versions.server.connect(db) as conn:
        assert_old_works(conn)
        assert "restart the server, then ALTER EXTENSION pg_background UPDATE" in found(conn, "extension")
    with versions.server.connect(fresh) as conn:
        assert failure(conn, CREATE_NEW) == NEEDS_RESTART
        conn.execute(CREATE_OLD)
        assert_old_works(conn)


def test_restarted_and_not_updated(versions: Versions, db: str) -> None:
    """The old catalogue calls the new library."""
    with versions.server.connect(db) as conn:
        before = members(conn)
    versions.install_new()
    versions.server.restart()
    with versions.server.connect(db) as conn:
        assert members(conn) == before
        conn.execute("SET pg_background.history = on")
        assert_old_works(conn)
        assert row(conn, "works")
        assert "WARN" in found(conn, "extension")
        assert found(conn, "extension").endswith("fix: ALTER EXTENSION pg_background UPDATE")
        assert value(conn, "SHOW pg_background.made_up") == "5"
        assert value(conn, "SHOW pg_background.library_version") == NEW


def test_updated(versions: Versions, db: str, fresh: str) -> None:
    """It is as a new one, and who had privileges or views has them still."""
    versions.install_new()
    versions.server.restart()
    with versions.server.connect(fresh) as conn:
        conn.execute(CREATE_NEW)
        new = members(conn)
    with versions.server.connect(db) as conn:
        conn.execute("SET pg_background.history = on")
        wait(conn, launch(conn, "SELECT 1", label="before"))
        row(conn, "before")
        conn.execute(UPDATE)
        assert members(conn) == new
        assert value(conn, "SELECT pg_background_added()") == 31
        assert value(conn, "SELECT workers_lost FROM pg_background_stats()") == 77
        handle = launch(conn, "SELECT 2", label="after")
        assert wait(conn, handle)
        assert query(conn, "SELECT attempts FROM pg_background_jobs WHERE label = 'after'") == [(1,)]
        assert value(conn, "SELECT pg_background_full_sql(%s, %s)", handle.pid, handle.cookie) == "SELECT 2"
        row(conn, "after")
        attempts = "SELECT label, attempts FROM pg_background_history ORDER BY id"
        assert query(conn, attempts) == [("before", None), ("after", 1)]
        assert failure(conn, "SELECT pg_background_purge_v2()").sqlstate == "42883"
        assert found(conn, "extension").startswith("OK")


def test_what_was_made_of_it_stays(versions: Versions, db: str) -> None:
    """Under the old name's successor, with its columns; privileges are those that were given."""
    with versions.server.connect(db) as conn:
        query(
            conn,
            "CREATE VIEW mine AS SELECT label, state FROM pg_background_jobs;"
            " CREATE TABLE kept (counters pg_background_stats);"
            " INSERT INTO kept SELECT pg_background_stats();"
            " CREATE ROLE reads_jobs; GRANT SELECT ON pg_background_jobs TO reads_jobs",
        )
    versions.install_new()
    versions.server.restart()
    with versions.server.connect(db) as conn:
        conn.execute(UPDATE)
        handle = launch(conn, "SELECT 1", label="seen")
        assert wait(conn, handle)
        assert query(conn, "SELECT * FROM mine WHERE label = 'seen'") == [("seen", "stopped")]
        assert query(conn, "SELECT state, temp_bytes FROM pg_background_jobs_3_0 WHERE label = 'seen'") == [
            ("stopped", 0)
        ]
        assert query(conn, "SELECT (counters).max_workers, (counters).workers_lost FROM kept") == [(16, None)]
        assert value(conn, "SELECT has_table_privilege('reads_jobs', 'pg_background_jobs', 'SELECT')")
        query(conn, "DROP OWNED BY reads_jobs; DROP ROLE reads_jobs")


def test_an_older_library(versions: Versions, fresh: str) -> None:
    """As after a downgrade, or on a standby whose primary was updated first."""
    versions.install_new()
    versions.server.restart()
    with versions.server.connect(fresh) as conn:
        conn.execute(CREATE_NEW)
    versions.install_old_library()
    versions.server.restart()
    with versions.server.connect(fresh) as conn:
        for call in ("pg_background_stats()", "pg_background_jobs", "pg_background_registry()"):
            assert failure(conn, f"SELECT * FROM {call}") == MISFIT
        assert failure(conn, "SELECT pg_background_stats()") == MISFIT
        added = failure(conn, "SELECT pg_background_added()")
        assert added.sqlstate == "42883"
        assert 'could not find function "pgbg_added"' in (added.message or "")
        assert run(conn, "SELECT 1", "n int") == [(1,)]
        assert query(conn, "SELECT state FROM pg_background_list") == []
        conn.execute("SET pg_background.history = on")
        assert wait(conn, launch(conn, "SELECT 1", label="kept"))
        row(conn, "kept")
        assert found(conn, "extension") == (
            f'FAIL  extension: version {NEW} in database "{fresh}" needs a newer library than that of {OLD}, '
            "which the server runs; fix: restart the server, after pg-background install --pg-config PATH on "
            "the server's machine if the library is not there"
        )


def test_an_older_version_on_the_new_library(versions: Versions, fresh: str) -> None:
    versions.install_new()
    versions.server.restart()
    with versions.server.connect(fresh) as conn:
        conn.execute(CREATE_OLD)
        assert_old_works(conn)
        conn.execute(UPDATE)
        assert value(conn, "SELECT pg_background_added()") == 31


@pytest.mark.parametrize("version", IN_C)
def test_from_the_extension_in_c(version: str, versions: Versions, db: str, fresh: str) -> None:
    """Each release has a script from there."""
    versions.install_new()
    versions.server.restart()
    with versions.server.connect(fresh) as conn:
        conn.execute(f"CREATE EXTENSION pg_background VERSION '{version}'")
        conn.execute(UPDATE)
        updated = members(conn)
    with versions.server.connect(db) as conn:
        conn.execute(f"DROP EXTENSION pg_background; {CREATE_NEW}")
        assert members(conn) == updated


def test_the_cluster_extension(versions: Versions, db: str) -> None:
    """It is updated after what it is built on."""
    with versions.server.connect(db) as conn:
        conn.execute("CREATE EXTENSION pg_background_cluster")
    versions.install_new()
    versions.server.restart()
    with versions.server.connect(db) as conn:
        assert failure(conn, "ALTER EXTENSION pg_background_cluster UPDATE") == (
            "55000",
            f'version {NEW} of extension "pg_background_cluster" needs that of "pg_background"',
            f'This database has version {OLD} of "pg_background".',
            "ALTER EXTENSION pg_background UPDATE, and try again.",
        )
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no node of a Citus cluster"):
            conn.execute("SELECT * FROM cluster_nodes()")
        conn.execute(f"{UPDATE}; ALTER EXTENSION pg_background_cluster UPDATE")
        updated = members(conn, "pg_background_cluster")
        assert value(conn, "SELECT cluster_added()") == 31
        conn.execute("DROP EXTENSION pg_background_cluster; CREATE EXTENSION pg_background_cluster")
        assert members(conn, "pg_background_cluster") == updated
