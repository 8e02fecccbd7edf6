"""`pg-background server`: a PostgreSQL of one's own, with the extension in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..server import Cluster, Installation, Status, build, embedded, places, ports, prepare
from .output import note, step

#: pg_ctl's exit codes of `status`.
EXIT_STOPPED = 3
EXIT_NO_DATA = 4

app = typer.Typer(help="A PostgreSQL of your own, with the extension in it.", no_args_is_help=True)

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        # The folder is judged later, with an answer that helps more than "not readable".
        readable=False,
        envvar="PG_BACKGROUND_DATA",
        help="Data directory. By default one per user and major version "
        "(~/.local/share/pg_background/data-18; as root /var/lib/pg_background/data-18).",
        show_default=False,
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        metavar="N",
        min=1,
        max=65535,
        envvar="PG_BACKGROUND_PORT",
        help="TCP port on localhost. By default the last one used, or the first free one "
        "from 54300 + the major version.",
        show_default=False,
    ),
]
PgConfigOption = Annotated[
    str | None,
    typer.Option(
        "--pg-config",
        metavar="PATH",
        envvar="PG_BACKGROUND_PG_CONFIG",
        help="pg_config of the PostgreSQL to use. By default the embedded PostgreSQL 18.",
        show_default=False,
    ),
]


@app.command()
def start(data: DataOption = None, port: PortOption = None, pg_config: PgConfigOption = None) -> None:
    """Build what is missing, start the server, install the extension, and print the DSN.

    Does only what is not done yet. As root the server runs as the owner of the data directory; a new one
    belongs to the user postgres, or to a system user pg_background, which is created if there is neither.
    """
    installation = Installation.from_pg_config(pg_config or embedded.pg_config())
    cluster = Cluster(data or places.data_directory(installation.major))
    # Asked first: a folder that can't be used is worth no build.
    running = cluster.status() is Status.RUNNING
    if not running and port is not None:
        ports.require_free(port)
    with step(f"Building the extension for PostgreSQL {installation.version} …"):
        extension = build(installation)
    cluster.provide(prepare(installation, extension, cluster.os_user))
    with step("Initialising the data directory …"):
        cluster.init()
    with step("Starting the server …"):
        started = cluster.start(port=port)
    if not started and not cluster.runs_the_provided():
        note("The server runs an older build of the extension; stop and start it to change that.")
    cluster.create_extension()
    typer.echo(cluster.dsn())


@app.command()
def stop(data: DataOption = None, pg_config: PgConfigOption = None) -> None:
    """Stop the server: sessions are ended, their transactions rolled back. Fine if it does not run."""
    cluster = _cluster(data, pg_config)
    with step("Stopping the server …"):
        stopped = cluster.stop()
    note("stopped" if stopped else "it was not running")


@app.command()
def status(data: DataOption = None, pg_config: PgConfigOption = None) -> None:
    """Tell whether the server runs: exit code 0 if so, 3 if stopped, 4 if there is no cluster."""
    cluster = _cluster(data, pg_config)
    found = cluster.status()
    if found is Status.RUNNING:
        running = cluster.postmaster()
        typer.echo(f"running (pid {running.pid}, port {running.port}) on {cluster.path}")
        return
    typer.echo(f"{found.value}: {cluster.path}")
    raise typer.Exit(EXIT_STOPPED if found is Status.STOPPED else EXIT_NO_DATA)


@app.command()
def dsn(data: DataOption = None, pg_config: PgConfigOption = None) -> None:
    """Print the running server's DSN: psql "$(pg-background server dsn)". Exit code 3 if it does not run."""
    typer.echo(_cluster(data, pg_config).dsn())


def _cluster(data: Path | None, pg_config: str | None) -> Cluster:
    if data is not None:
        return Cluster(data)
    major = Installation.from_pg_config(pg_config).major if pg_config else embedded.MAJOR
    return Cluster(places.data_directory(major))
