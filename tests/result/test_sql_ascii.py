"""A database that does not know the encoding of its texts, SQL_ASCII: psycopg has bytes for them there."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pg_background import Client

from ..support.fix_cli import OnPlace
from ..support.fix_client import Place

# A database from template0 has the extension where CREATE EXTENSION puts it.
pytestmark = pytest.mark.in_public


@pytest.fixture
def ascii_dsn(place: Place) -> Iterator[str]:
    """A database that does not know the encoding of its texts."""
    place.server.execute(
        "CREATE DATABASE \"no encoding\" TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    place.server.execute("CREATE EXTENSION pg_background", "no encoding")
    yield place.server.dsn("no encoding")
    place.server.execute('DROP DATABASE "no encoding" WITH (FORCE)')


def test_a_database_without_an_encoding(ascii_dsn: str) -> None:
    with Client.connect(ascii_dsn) as client:
        job = client.launch('SELECT %s AS "größe", 1 AS n', ["ä"], label="ä")
        assert [column.name for column in job.describe()] == ["größe", "n"]
        # As psycopg has it there: who knows what the bytes mean?
        assert job.result().one() == ("ä".encode(), 1)
        assert job.result().value() == "ä".encode()
        assert job.result().texts(0) == ["ä"]
        assert [column.name for column in job.result().columns] == [r"gr\xf6\xdfe", "n"]
        listed = [listed for listed in client.jobs() if listed.handle == job.handle]
        assert [(found.label, found.state, found.database) for found in listed] == [
            ("ä", "stopped", "no encoding")
        ]
        assert client.run("SELECT chr(228)").texts(0) == [r"\xe4"]
        assert client.stats().workers_launched == 2
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.run("SELECT 1/0")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.submit("SELECT 1/0").result()
        done = client.submit("SELECT pg_background_progress(50, 'hälf')")
        done.wait()
        assert done.progress == (50, "hälf")


def test_the_command_line(ascii_dsn: str, bg: OnPlace) -> None:
    assert "1" in bg("run", "-d", ascii_dsn, "SELECT 1 AS one").output
    assert "ä" in bg("run", "-d", ascii_dsn, "--csv", "SELECT 'ä'::text AS a").output
    handle = bg("launch", "-d", ascii_dsn, "--label", "ä", "SELECT 1").output.strip()
    assert bg("wait", "-d", ascii_dsn, handle).output == f"{handle} done\n"
    assert "ä" in bg("show", "-d", ascii_dsn, handle).output
    assert "no encoding" in bg("ps", "-d", ascii_dsn, "--all", "--json").output
    assert bg("result", "-d", ascii_dsn, handle).code == 0
    done = bg("doctor", ascii_dsn)
    assert "no encoding" in done.output
    assert "b'" not in done.output + done.errors
