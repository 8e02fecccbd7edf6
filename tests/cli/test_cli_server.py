"""`pg-background server …` as scripts use it: exit codes, stdout, and doing things twice."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from pg_background.server import Installation, ports

from ..support.fix_cli import Cli


def test_life_of_a_server(cli: Cli, data: Path) -> None:
    def server(command: str, *options: str) -> subprocess.CompletedProcess[str]:
        return cli("server", command, "--data", data, *options)

    assert server("status").returncode == 4
    assert server("dsn").returncode == 3
    assert server("stop").returncode == 0

    started = server("start")
    assert started.returncode == 0, started.stderr
    dsn = started.stdout.strip()
    with psycopg.connect(dsn) as conn:
        row = conn.execute("SELECT extversion FROM pg_extension WHERE extname = 'pg_background'").fetchone()
        assert row == ("3.0",)
        assert conn.execute("SHOW max_worker_processes").fetchone() == ("35",)
        assert conn.execute("SHOW shared_preload_libraries").fetchone() == ("pg_background",)

    running = server("status")
    assert running.returncode == 0
    assert running.stdout.startswith("running (pid ")
    assert server("dsn").stdout.strip() == dsn

    # Nobody else sees the password: not in the DSN, which lists of processes show, and not in the file.
    assert "password" not in dsn
    password = data / "pg_background.pgpass"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.read_text().rpartition(":")[2].strip() not in dsn

    asked = server("psql", "--", "--no-align", "--tuples-only", "-c", "SELECT 6 * 7, current_user")
    assert (asked.returncode, asked.stdout) == (0, "42|postgres\n")

    again = server("start")
    assert (again.returncode, again.stdout.strip(), again.stderr) == (0, dsn, "")

    for _ in range(2):
        assert server("stop").returncode == 0
        assert server("status").returncode == 3

    # The port, and so the DSN, is kept.
    assert server("start").stdout.strip() == dsn


def test_start_on_a_given_port(cli: Cli, data: Path) -> None:
    port = ports.any_free()
    started = cli("server", "start", "--data", data, "--port", str(port))
    assert f":{port}/" in started.stdout
    other = cli("server", "start", "--data", data, "--port", str(port + 1))
    assert other.returncode == 1
    assert f"already runs, on port {port}" in other.stderr


def test_port_in_use(cli: Cli, data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = cli("server", "start", "--data", data, "--port", str(port))
    assert_clear_error(done, rf"error: port {port} is in use by another program\nhint: .*--port")
    assert not data.exists()


def test_options_are_environment_variables(cli: Cli, data: Path) -> None:
    listed = cli("variables").stdout
    for variable in ("PG_BACKGROUND_DATA", "PG_BACKGROUND_PORT", "PG_BACKGROUND_PG_CONFIG"):
        assert variable in listed
    done = cli("server", "status", PG_BACKGROUND_DATA=str(data))
    assert done.stdout == f"not initialized: {data}\n"


def test_bad_usage(cli: Cli) -> None:
    assert cli("server", "start", "--port", "0").returncode == 2
    assert cli("server", "begin").returncode == 2


def test_data_directory_with_other_files(cli: Cli, data: Path) -> None:
    data.mkdir()
    (data / "letter.txt").write_text("dear")
    done = cli("server", "start", "--data", data)
    assert_clear_error(done, r"holds other files than a PostgreSQL cluster\nhint: .*--data")
    assert [path.name for path in data.iterdir()] == ["letter.txt"]


def test_data_directory_of_somebody_else(cli: Cli, data: Path) -> None:
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    done = cli("server", "start", "--data", data)
    assert_clear_error(done, r"a PostgreSQL cluster that pg_background did not make\nhint: ")


def test_data_directory_that_can_not_be_made(cli: Cli, data: Path) -> None:
    data.write_text("a file in its place")
    done = cli("server", "start", "--data", data / "below")
    assert_clear_error(done, r'error: the data directory ".*" (is not a folder|can\'t be)')
    done = cli("server", "start", "--data", data)
    assert_clear_error(done, "is not a folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_data_directory_without_permission(cli: Cli, data: Path) -> None:
    data.mkdir(mode=0o500)
    done = cli("server", "start", "--data", data / "below")
    assert_clear_error(done, r"can't be written: Permission denied\nhint: .*--data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_data_directory_out_of_the_servers_reach(cli: Cli, data: Path) -> None:
    data.mkdir(mode=0o700)
    done = cli("server", "start", "--data", data / "below")
    assert_clear_error(done, r"out of reach of the user .*\nhint: .*--data")
    assert not (data / "below").exists()


def test_no_such_pg_config(cli: Cli, data: Path) -> None:
    done = cli("server", "start", "--data", data, "--pg-config", "/no/such/pg_config")
    assert_clear_error(done, r'error: no program "/no/such/pg_config"\nhint: ')


def test_no_server_headers(cli: Cli, data: Path, tmp_path: Path, installation: Installation) -> None:
    pg_config = wrap_pg_config(installation, tmp_path, "--includedir-server) echo /no/such/folder;;")
    done = cli("server", "start", "--data", data, "--pg-config", pg_config)
    assert_clear_error(
        done, rf"has no server headers: .*\nhint: .*apt install postgresql-server-dev-{installation.major}"
    )


def test_no_c_compiler(cli: Cli, data: Path, tmp_path: Path, installation: Installation) -> None:
    # Another pg_config, so that there is no build yet.
    pg_config = wrap_pg_config(installation, tmp_path, "")
    done = cli("server", "start", "--data", data, "--pg-config", pg_config, PATH="/no/such/folder", CC="")
    assert_clear_error(done, r"error: there is no C compiler\nhint: .*apt install gcc")


def test_other_major_version(cli: Cli, data: Path, tmp_path: Path, installation: Installation) -> None:
    cli("server", "start", "--data", data)
    cli("server", "stop", "--data", data)
    (data / "PG_VERSION").write_text("9\n")
    done = cli("server", "start", "--data", data)
    assert_clear_error(done, rf"made by PostgreSQL 9, and this is PostgreSQL {installation.major}\nhint: ")


def wrap_pg_config(installation: Installation, folder: Path, case: str) -> Path:
    """Make a pg_config that answers some questions in its own way."""
    wrapper = folder / "pg_config"
    wrapper.write_text(f'#!/bin/sh\ncase "$1" in\n{case}\n*) exec "{installation.pg_config}" "$@";;\nesac\n')
    wrapper.chmod(0o755)
    return wrapper


def assert_clear_error(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    """Check that a command failed with one message, not with a traceback, and printed no result."""
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(pattern, done.stderr), done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
