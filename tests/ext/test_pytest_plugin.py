"""The fixtures for users' tests, used as a user does: in a project of its own, with nothing of this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pg_background.server import Installation
from pg_background.server.places import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def _environment(installation: Installation, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's PostgreSQL, and builds in a cache of the tests' own."""
    monkeypatch.setenv("PG_BACKGROUND_PG_CONFIG", str(installation.pg_config))
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))


def test_a_database_for_each_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import psycopg
        import pytest

        def launch_and_read(dsn, sql):
            with psycopg.connect(dsn, autocommit=True) as conn:
                handle = conn.execute("SELECT * FROM pg_background_launch(%s)", [sql]).fetchone()
                result = "SELECT * FROM pg_background_result(%s, %s) AS (t text)"
                return conn.execute(result, handle).fetchone()[0]

        @pytest.mark.parametrize("_", range(2))
        def test_table(pg_background_dsn, _):
            assert launch_and_read(pg_background_dsn, "CREATE TABLE mine ()") == "CREATE TABLE"

        def test_session_that_stays_open(pg_background_dsn):
            global left
            left = psycopg.connect(pg_background_dsn)

        def test_server(pg_background_server):
            left.close()
            assert launch_and_read(pg_background_server.dsn(), "SHOW fsync") == "off"
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


def test_a_client_for_each_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import psycopg
        import pytest

        @pytest.mark.parametrize("_", range(2))
        def test_table(pg_background_client, pg_background_dsn, _):
            global used
            used = pg_background_client
            assert used.run("CREATE TABLE mine ()").statusmessage == "CREATE TABLE"
            with psycopg.connect(pg_background_dsn) as conn:
                assert conn.execute("SELECT count(*) FROM mine").fetchone() == (0,)

        def test_it_is_closed():
            with pytest.raises(psycopg.InterfaceError, match="the client is closed"):
                used.run("SELECT 1")
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_what_can_be_overridden(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import psycopg
        import pytest

        @pytest.fixture(scope="session")
        def pg_background_settings():
            return {"work_mem": "7MB"}

        @pytest.fixture(scope="session")
        def pg_background_template(pg_background_server, pg_background_template):
            with psycopg.connect(pg_background_server.dsn(pg_background_template)) as conn:
                conn.execute("CREATE TABLE orders AS SELECT 1 AS number")
            return pg_background_template
        """
    )
    pytester.makepyfile(
        """
        import psycopg

        def test_both(pg_background_dsn):
            with psycopg.connect(pg_background_dsn) as conn:
                assert conn.execute("SHOW work_mem").fetchone() == ("7MB",)
                assert conn.execute("SELECT number FROM orders").fetchone() == (1,)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_server_that_can_not_be_had(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(pg_background_dsn): pass")
    done = pytester.runpytest_subprocess("--pg-background-pg-config", "/no/such/pg_config")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(['no program "/no/such/pg_config"', "hint: *"])
    done.stdout.no_fnmatch_line("*Traceback*")
    done.stdout.no_fnmatch_line("*pytest_plugin.py:*")


def test_nothing_is_imported_until_it_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "pg_background.pytest_plugin" in sys.modules
            assert "pg_background.server" not in sys.modules
            assert "psycopg" not in sys.modules
        """
    )
    pytester.runpytest_subprocess("-p", "no:pytester").assert_outcomes(passed=1)


def test_help(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_subprocess("--fixtures", "-q").stdout
    shown.fnmatch_lines(["*pg_background_dsn*", "*database of the test's own*"])
    pytester.runpytest_subprocess("--help").stdout.fnmatch_lines(["*--pg-background-pg-config=PATH*"])
