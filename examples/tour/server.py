"""A PostgreSQL of the demo's own, apart from the one of `pg-background server start`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import psycopg
from psycopg import sql

from pg_background.server import Cluster, Installation, embedded, obtain, places, prepare

from .screen import Screen


def default_data_directory() -> Path:
    """Return where the demo's data are kept."""
    return places.data_directory(embedded.MAJOR).with_name(f"demo-{embedded.MAJOR}")


def start(data: Path, database: str, screen: Screen) -> Cluster:
    """Start the server, unless it runs with the extension as it is built now; make the database.

    Raises:
        ServerError: it can't be built or started; the hint says what to do.
    """
    installation = Installation.from_pg_config(embedded.pg_config())
    cluster = Cluster(data)
    with screen.busy(f"Building the extension for PostgreSQL {installation.version} …"):
        extension = obtain(installation)
    cluster.provide(prepare(installation, extension, cluster.os_user))
    with screen.busy(f"Starting PostgreSQL {installation.version} …"):
        cluster.init()
        if not cluster.start() and not cluster.runs_the_provided():
            cluster.restart()
    create_database(cluster, database)
    cluster.create_extension(database)
    screen.say(f"PostgreSQL {installation.version} runs on {cluster.path}.")
    return cluster


def create_database(cluster: Cluster, name: str) -> None:
    """Create a database, unless it is there."""
    with psycopg.connect(cluster.socket_dsn(), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def stop_command(data: Path) -> str:
    """Return the command that stops the server."""
    program = Path(sys.executable).with_name("pg-background")
    return shlex.join([str(program), "server", "stop", "--data", str(data.absolute())])
