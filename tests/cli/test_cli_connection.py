"""The connection, as psql takes it."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from pg_background import ConnectionLost, JobLost
from pg_background.cli.errors.failures import code_of_call

from ..support.fix_cli import Cli
from ..support.fix_client import Place

WHERE = "SELECT current_database() AS d, session_user AS u"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), 3),
        (psycopg.errors.AdminShutdown(), 3),
        (psycopg.errors.ConnectionFailure(), 3),
        (ConnectionLost("it broke"), 3),
        (JobLost("the server does not know the job"), 5),
        (psycopg.errors.QueryCanceled(), 6),
        (psycopg.errors.ConfigurationLimitExceeded(), 6),
        (psycopg.ProgrammingError("the query has 1 placeholder"), 2),
    ],
    ids=lambda value: str(getattr(value, "sqlstate", "")),
)
def test_exit_code_of_an_error_that_a_call_raises(error: psycopg.Error, code: int) -> None:
    assert code_of_call(error) == code


@pytest.fixture
def address(place: Place) -> dict[str, str]:
    """Where the server is, as variables of libpq."""
    running = place.server.cluster.postmaster()
    return {"PGHOST": running.socket_directory, "PGPORT": str(running.port), "PGUSER": "postgres"}


def test_each_way_to_name_it(cli: Cli, place: Place, address: dict[str, str], tmp_path: Path) -> None:
    host, port = address["PGHOST"], address["PGPORT"]
    services = tmp_path / "services.conf"
    services.write_text(f"[test]\nhost={host}\nport={port}\nuser=postgres\ndbname={place.database}\n")
    variables = {"PGSERVICEFILE": str(services)}
    uri = f"postgresql://postgres@/{place.database}?host={host}&port={port}"
    for words, environment in (
        (["-d", place.database], address),
        (["-d", uri], {}),
        ([], {"PG_BACKGROUND_DSN": uri}),
        ([], {**address, "PGDATABASE": place.database}),
        (["-h", host, "-p", port, "-U", "postgres", "-d", place.database], {}),
        (["--dbname", "service=test"], variables),
        ([], {**variables, "PGSERVICE": "test"}),
    ):
        done = cli.inside("run", "--csv", WHERE, *words, **environment)
        assert (done.code, done.output) == (0, f"d,u\n{place.database},postgres\n"), (words, done.errors)
        assert cli.inside("ps", *words, **environment).code == 0
    assert cli.inside("ps", uri).code == 0


def test_what_wins(cli: Cli, place: Place, address: dict[str, str]) -> None:
    """Options over the DSN, the DSN over variables, as for psql."""
    named = {**address, "PGPORT": "1"}
    dsn = f"dbname={place.database} port={address['PGPORT']}"
    assert cli.inside("run", "SELECT 1", "-d", dsn, **named).code == 0
    done = cli.inside("run", "SELECT 1", "-d", dsn, "-p", "1", **address)
    assert done.code == 3
    assert cli.inside("ps", dsn, "-d", "dbname=nosuch", **address).code == 0


def test_exit_codes(cli: Cli, address: dict[str, str]) -> None:
    done = cli.inside("run", "SELECT 1", "-d", "nosuch", **address)
    assert done.code == 3
    assert 'database "nosuch" does not exist' in done.errors
    done = cli.inside("run", "SELECT 1", "-d", "colour=blue")
    assert done.code == 2
    assert "this is not a DSN" in done.errors
    done = cli.inside("run", "SELECT 1", "-d", "template1", **address)
    assert done.code == 6
    assert '"template1" does not have the extension' in done.errors


@pytest.mark.parametrize(
    "words",
    [
        ("--dbname", "postgresql://app:open%zzsesame@localhost/shop"),
        ("--dbname", "postgresql://app:open sesame@localhost/shop"),
        ("--dbname", "postgresql://app:opensesame@[::1/shop"),
        ("--dbname", "password=open sesame dbname=shop"),
        ("--server", "my node=postgresql://app:opensesame@localhost/shop"),
        ("--server", "postgresql://app:opensesame@localhost/shop?application_name=x"),
        ("--server", "a=dbname=x", "--server", "a=postgresql://app:opensesame@localhost/shop"),
    ],
)
def test_passwords_are_not_repeated(cli: Cli, words: tuple[str, ...]) -> None:
    """Not even of what is written wrong: errors go to logs."""
    done = cli.inside("launch", *words, "SELECT 1")
    assert (done.code, done.output) == (2, "")
    assert "sesame" not in done.errors


def test_completion(cli: Cli) -> None:
    done = cli("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0
    assert "_pg_background_completion" in done.stdout.replace("-", "_")
    done = cli(COMP_WORDS="pg-background de", COMP_CWORD="1", _PG_BACKGROUND_COMPLETE="complete_bash")
    assert done.stdout.split() == ["detach"]
