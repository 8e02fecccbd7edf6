"""`pg-background server`: a PostgreSQL of one's own, with the extension in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....server.errors import ServerError
from ...options.given import command
from ...output.console import note, step
from ...page import PlainCommand

if TYPE_CHECKING:
    from ....server import Cluster

#: pg_ctl's exit codes of `status`.
EXIT_STOPPED = 3
EXIT_NO_DATA = 4

app = typer.Typer(
    name="server",
    help="A PostgreSQL of your own, with the extension in it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        # The folder is judged later, with an answer that helps more than "not readable".
        readable=False,
        envvar="PG_BACKGROUND_DATA",
        help="Data directory. By default there is one for each user and major version: "
        "~/.local/share/pg_background/data-18, for root /var/lib/pg_background/data-18.",
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


@app.command(cls=PlainCommand)
@command("server start", "server start --pg-config /usr/lib/postgresql/17/bin/pg_config --data ~/pg17")
def start(data: DataOption = None, port: PortOption = None, pg_config: PgConfigOption = None) -> None:
    """Start the server, and print its DSN.

    Before that the data directory is made, and the extension built, where that has not been done yet and no
    compiled library fits. As root
    the server runs as the owner of the data directory; a new one belongs to the user postgres, or to a system
    user pg_background, which is made if there is neither.
    """
    from ....server import Cluster, Installation, Status, embedded, obtain, places, ports, prepare

    installation = Installation.from_pg_config(pg_config or embedded.pg_config())
    cluster = Cluster(data or places.data_directory(installation.major))
    # Asked first: a folder that can't be used is worth no build.
    running = cluster.status() is Status.RUNNING
    if not running and port is not None:
        ports.require_free(port)
    extension = obtain(
        installation,
        building=lambda: step(f"Building the extension for PostgreSQL {installation.version} …"),
    )
    cluster.provide(prepare(installation, extension, cluster.os_user))
    with step("Initialising the data directory …"):
        cluster.init()
    with step("Starting the server …"):
        started = cluster.start(port=port)
    if not started and not cluster.runs_the_provided():
        note("The server runs an older build of the extension; stop and start it to change that.")
    cluster.create_extension()
    typer.echo(cluster.dsn())


@app.command(cls=PlainCommand)
@command()
def stop(data: DataOption = None, pg_config: PgConfigOption = None) -> None:
    """Stop the server.

    Sessions are ended, and their transactions rolled back. It is no error if the server does not run.
    """
    cluster = _cluster(data, pg_config)
    with step("Stopping the server …"):
        stopped = cluster.stop()
    note("stopped" if stopped else "it was not running")


@app.command(cls=PlainCommand)
@command()
def status(data: DataOption = None, pg_config: PgConfigOption = None) -> None:
    """Tell whether the server runs.

    Exit code 0 if it runs, 3 if it is stopped, 4 if there is no data directory yet.
    """
    from ....server import Status

    cluster = _cluster(data, pg_config)
    found = cluster.status()
    if found is Status.RUNNING:
        running = cluster.postmaster()
        typer.echo(f"running (pid {running.pid}, port {running.port}) on {cluster.path}")
        return
    typer.echo(f"{found.value}: {cluster.path}")
    raise typer.Exit(EXIT_STOPPED if found is Status.STOPPED else EXIT_NO_DATA)


@app.command(cls=PlainCommand)
@command("server dsn")
def dsn(data: DataOption = None, pg_config: PgConfigOption = None) -> None:
    """Print the running server's DSN.

    It is the superuser's, and names the file that has the password, not the password itself. Exit code 3 if
    the server does not run.
    """
    typer.echo(_cluster(data, pg_config).dsn())


@app.command(cls=PlainCommand, context_settings={"ignore_unknown_options": True})
@command("server psql", 'server psql -- -c "SELECT * FROM pg_background_jobs"')
def psql(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- WORDS]...", help="What psql is to be given beside the DSN.", show_default=False
        ),
    ] = None,
    data: DataOption = None,
    pg_config: PgConfigOption = None,
) -> None:
    """Run psql on the running server, as its superuser.

    It is the server's own psql, or else the one in PATH. Exit code 3 if the server does not run, else psql's.
    """
    cluster = _cluster(data, pg_config)
    where = cluster.dsn()
    program = cluster.bindir() / "psql"
    found = str(program) if os.access(program, os.X_OK) else shutil.which("psql")
    if found is None:
        raise ServerError(
            "there is no psql", hint="install PostgreSQL's client programs: apt install postgresql-client"
        )
    os.execv(found, [found, where, *(words or ())])


def _cluster(data: Path | None, pg_config: str | None) -> Cluster:
    from ....server import Cluster, Installation, embedded, places

    if data is not None:
        return Cluster(data)
    major = Installation.from_pg_config(pg_config).major if pg_config else embedded.MAJOR
    return Cluster(places.data_directory(major))
