"""`pg-background install`: put the extension into a PostgreSQL that is there already."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....server.errors import DatabaseError
from ...options.database import Database, DatabaseGiven, session
from ...options.given import command
from ...output.console import note, step
from ...signals import interruptible

if TYPE_CHECKING:
    from ....doctor.preloading import Configured
    from ....server import Installation
    from ...options.database import Connection

PgConfigOption = Annotated[
    str,
    typer.Option(
        "--pg-config",
        metavar="PATH",
        envvar="PG_BACKGROUND_PG_CONFIG",
        help="The server's program pg_config, or its name in PATH.",
    ),
]


@command(
    "install",
    "install --pg-config /usr/lib/postgresql/17/bin/pg_config --dry-run",
    "install --data /etc/postgresql/18/main",
)
def install(
    database: DatabaseGiven,
    pg_config: PgConfigOption = "pg_config",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            envvar="PGDATA",
            help="Data directory of the server, or the folder of its postgresql.conf, to see what it "
            "preloads. If the server is named as for psql, it is asked instead.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            envvar="PG_BACKGROUND_DRY_RUN",
            help="Say what would be installed; build it if need be.",
        ),
    ] = False,
    build: Annotated[
        bool,
        typer.Option(
            "--build",
            envvar="PG_BACKGROUND_BUILD",
            help="Build it, even if this package has a compiled library that fits.",
        ),
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            envvar="PG_BACKGROUND_IN_PLACE",
            help="Copy nothing: print the settings by which a server from 18 on uses the compiled library "
            "where it is now.",
        ),
    ] = False,
) -> None:
    """Install the extension into a PostgreSQL.

    Wheels for Linux carry compiled libraries. If one fits the server (major version, machine, C library, and
    that it is PostgreSQL itself, built as usual) it is copied; else the extension is built, for which the
    server's headers and a C compiler are needed.

    Prints each file that was changed, and does only what is not done yet. A running server keeps what it has
    until it is restarted. What is left to do is printed at the end, with the setting to be made if the server
    is named, as for psql or by --data.
    """
    from ....server import Installation, NotWritableError, obtain
    from ....server import install as installing
    from ...next_steps import next_steps

    if in_place and build:
        raise typer.BadParameter(
            "--in-place uses the compiled library of this package; --build makes another"
        )
    installation = Installation.from_pg_config(pg_config)
    # Asked first: a server that can't be used is worth no build.
    installation.program("postgres")
    if in_place:
        _print_settings(installation)
        note(next_steps(_configured(installation, database, data)))
        return
    try:
        if not dry_run:
            installing.require_writable(installation)
        extension = obtain(
            installation,
            anew=build,
            building=lambda: step(f"Building the extension for PostgreSQL {installation.version} …"),
        )
        with interruptible():
            todo = (installing.plan if dry_run else installing.install)(installation, extension)
    except NotWritableError as error:
        options = [*([] if data is None else ["--data", str(data)]), *(["--build"] if build else [])]
        hint = with_sudo("install", installation, *options) or error.hint
        raise NotWritableError(error.message, hint=hint) from None
    for _, target in todo.copies:
        echo_path(target)
    for path in todo.removals:
        echo_path(path, " (removed)")
    if todo.newer:
        note(
            f"the files of version {todo.newer} were there, which is newer than this package: "
            "in databases that were updated to it, what is new fails until those are installed again"
        )
    if dry_run:
        note("nothing was changed" if todo else "it is installed; there is nothing to do")
    else:
        note("installed" if todo else "it is installed already")
    note(next_steps(_configured(installation, database, data)))


def _print_settings(installation: Installation) -> None:
    """Print the lines of postgresql.conf that lead a server to this package."""
    from ....server.prebuilt import require_in_place

    for name, value in require_in_place(installation).items():
        typer.echo(f"{name} = '{value}'")
    note("put these lines into postgresql.conf, together with what is set there already; nothing was copied")


def _configured(installation: Installation, database: Database, data: Path | None) -> Configured | None:
    """Return what the server preloads; None if nobody says which server, or it can't be asked."""
    from ....doctor.preloading import Configured, configured
    from ....preload import SETTING

    if database.is_given:
        try:
            with session(database) as connection:
                if other := _another(connection, installation):
                    note(other)
                return configured(connection)
        except DatabaseError as error:
            note(f"can't ask the server what it preloads: {error.message}")
            return None
    if data is None:
        return None
    value = installation.configured(SETTING, data)
    if value is None:
        note(f'can\'t see what the server preloads: in "{data}" there is no postgresql.conf that can be read')
        return None
    return Configured(value, by_command_line=False)


#: Only some roles may see where a server has its files.
_WHERE = """
SELECT c.setting FROM pg_catalog.pg_config c
WHERE c.name OPERATOR(pg_catalog.=) 'PKGLIBDIR'
"""
_MAY_SEE_WHERE = """
SELECT pg_catalog.has_table_privilege('pg_catalog.pg_config', 'SELECT')
   AND pg_catalog.has_function_privilege('pg_catalog.pg_config()', 'EXECUTE')
"""


def _another(connection: Connection, installation: Installation) -> str:
    """Say it if the server does not run from that installation; "" if it does, as far as can be seen."""
    place = None
    if connection.execute(_MAY_SEE_WHERE).fetchone() == (True,):
        place = connection.execute(_WHERE).fetchone()
    is_same_place = place is None or os.path.realpath(place[0]) == os.path.realpath(installation.pkglibdir)
    if connection.info.server_version // 10_000 == installation.major and is_same_place:
        return ""
    version = connection.info.parameter_status("server_version")
    where = f', with its libraries in "{place[0]}"' if place else ""
    return (
        "look whether this is the right pg_config: "
        f"the server that you named is PostgreSQL {version}{where}; "
        f'this one is of PostgreSQL {installation.version}, with "{installation.pkglibdir}"'
    )


def with_sudo(command: str, installation: Installation, *options: str) -> str:
    """Return the command that would work; as root there is none."""
    if os.geteuid() == 0:
        return ""
    # sudo has a PATH of its own, without virtual environments, and drops the variables.
    program = Path(sys.argv[0]).absolute()
    is_module = program.name == "__main__.py"
    words = [sys.executable, "-m", program.parent.name] if is_module else [str(program)]
    return shlex.join(["sudo", *words, command, "--pg-config", str(installation.pg_config), *options])


def echo_path(path: Path, remark: str = "") -> None:
    """Print a path, whose bytes need not be text, on a line of its own."""
    typer.echo(os.fsencode(path) + remark.encode())
