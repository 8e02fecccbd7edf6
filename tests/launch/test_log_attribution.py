"""Lines in the server's log that a job caused say whose they are, in each format, as a session's do."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pg_background.server import Installation

from ..support.calls import query, value
from ..support.fix_db import Connection
from ..support.fix_server import FreshServer
from ..support.jobs import Handle, launch, result, run, wait
from ..support.server import Server
from ..support.waiting import wait_until

#: A job with a line in the log, and what that line says.
JOB = "DO $$ BEGIN RAISE LOG 'needle'; END $$"


@pytest.fixture
def logging_server(fresh_server: FreshServer, installation: Installation) -> Server:
    """With all formats that it can write, and a database and a role beside the usual ones."""
    destinations = "stderr,csvlog"
    # The server's own address is asked for too where there is a word for it.
    own = "%L " if installation.major >= 18 else ""
    server = fresh_server({"log_line_prefix": f"%m [%p] {own}%q<%u|%d|%a|%h> "})
    if server.major >= 15:
        destinations += ",jsonlog"
    server.execute("CREATE DATABASE shop")
    server.execute("CREATE EXTENSION pg_background", "shop")
    server.execute("CREATE ROLE ann LOGIN SUPERUSER")
    server.restart(
        {
            "logging_collector": "on",
            "log_destination": destinations,
            "log_directory": "log",
            "log_filename": "all.log",
        }
    )
    return server


@pytest.fixture
def session(logging_server: Server) -> Iterator[Connection]:
    """A session of that role, by TCP."""
    logging_server.execute("ALTER ROLE ann PASSWORD 'x'")
    # Its host, localhost, may have an address of version 6 first.
    dsn = make_conninfo(logging_server.cluster.dsn("shop"), user="ann", password="x", hostaddr="127.0.0.1")
    with psycopg.connect(dsn, autocommit=True) as conn:
        yield conn


def line(server: Server, ending: str, pattern: str) -> str:
    """Wait for a line in one of the logs."""
    path = server.cluster.path / "log" / f"all.{ending}"
    return wait_until(
        lambda: next((row for row in path.read_text().splitlines() if re.search(pattern, row)), "")
    )


def test_each_format(logging_server: Server, session: Connection) -> None:
    query(session, "SET application_name = 'mine'")
    name = "SELECT current_setting('application_name')"
    ((application,),) = run(session, name)
    handle = launch(session, JOB)
    assert wait(session, handle)
    found = line(logging_server, "log", rf"\[{handle.pid}\].*LOG:  needle")
    assert f" <ann|shop|{application}|127.0.0.1> LOG" in found
    assert ("[local]" in found) == (logging_server.major >= 18)

    (row,) = csv.reader([line(logging_server, "csv", rf",{handle.pid},.*needle")])
    assert row[1:4] == ["ann", "shop", str(handle.pid)]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", row[4])
    assert (row[7], row[22], row[23]) == ("DO", application, "pg_background")

    if logging_server.major < 15:
        return
    entry = json.loads(line(logging_server, "json", rf'"pid":{handle.pid},.*needle'))
    assert entry["user"] == "ann"
    assert entry["dbname"] == "shop"
    assert entry["remote_host"] == "127.0.0.1"
    assert (entry["backend_type"], entry["ps"]) == ("pg_background", "DO")
    assert entry.get("application_name", "") == application


def test_nothing_is_added_for_the_reader(session: Connection) -> None:
    query(session, "SET client_min_messages = 'log'")
    handle = launch(session, JOB)
    assert wait(session, handle)
    told: list[tuple[str | None, ...]] = []
    session.add_notice_handler(
        lambda diag: told.append((diag.message_primary, diag.message_detail, diag.context))
    )
    result(session, handle)
    assert ("needle", None, "PL/pgSQL function inline_code_block line 1 at RAISE") in told


ADDRESS = "SELECT inet_client_addr()::text, inet_client_port()"


def addresses(conn: Connection) -> tuple[object, Handle]:
    handle = launch(conn, ADDRESS)
    ((address, port),) = result(conn, handle, "address text, port int")
    return (address, port), handle


def test_the_client_is_the_launching_sessions(logging_server: Server, session: Connection) -> None:
    """Also of a job that a job launches, but not of the next session's on the same worker."""
    expected = query(session, ADDRESS)[0]
    assert expected[0] == "127.0.0.1/32"
    found, _ = addresses(session)
    assert found == expected
    nested = (
        "SELECT a || ' ' || p FROM pg_background_launch($$SELECT inet_client_addr()::text, "
        "inet_client_port()$$) AS h, LATERAL pg_background_result(h.pid, h.cookie) AS (a text, p int)"
    )
    assert run(session, nested) == [(f"{expected[0]} {expected[1]}",)]
    for _ in range(3):
        with logging_server.connect("shop", user="ann") as other:
            found, second = addresses(other)
            assert found == (None, None)
    assert query(session, "SELECT client_addr FROM pg_stat_activity WHERE pid = %s", second.pid) in (
        [(None,)],
        [],
    )


def test_settings_of_the_socket_change_nothing(logging_server: Server, session: Connection) -> None:
    job = (
        "SET tcp_keepalives_idle = 7; SET tcp_keepalives_interval = 7; SET tcp_keepalives_count = 7;"
        " SET tcp_user_timeout = 7; SHOW tcp_keepalives_idle"
    )
    assert run(session, job) == [("0",)]
    query(session, "SET tcp_keepalives_idle = 7")
    query(session, "SET client_connection_check_interval = '10ms'")
    assert run(session, "SELECT pg_sleep(0.1)::text") == [("",)]
    assert "sockopt" not in (logging_server.cluster.path / "log" / "all.log").read_text()


def test_the_role_is_the_one_that_logged_in(logging_server: Server, session: Connection) -> None:
    logging_server.execute("CREATE ROLE other")
    query(session, "SET ROLE other")
    query(session, "RESET ROLE")
    query(session, "SET SESSION AUTHORIZATION other")
    query(session, "RESET SESSION AUTHORIZATION")
    handle = launch(session, f"SET ROLE other; {JOB}")
    assert wait(session, handle)
    assert "<ann|shop|" in line(logging_server, "log", rf"\[{handle.pid}\].*LOG:  needle")


@pytest.mark.contrib("sslinfo")
def test_sslinfo(conn: Connection) -> None:
    """It looks into the process's connection without asking whether there is one."""
    query(conn, "CREATE EXTENSION sslinfo")
    job = (
        "SELECT ssl_is_used() || ' ' || ssl_client_cert_present() || ' ' || "
        "num_nulls(ssl_version(), ssl_cipher(), ssl_client_serial(), ssl_client_dn(), ssl_issuer_dn(),"
        " ssl_client_dn_field('CN'))"
    )
    assert run(conn, job) == [("false false 6",)]
    assert value(conn, "SELECT 1") == 1
