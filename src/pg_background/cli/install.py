"""`pg-background install`: put the extension into a PostgreSQL that is there already."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .given import command
from .output import note, step

if TYPE_CHECKING:
    from ..server import Installation

_NEXT_STEPS = """\
Next:
  1. add pg_background to shared_preload_libraries, beside what is there:
     ALTER SYSTEM SET shared_preload_libraries = pg_background
  2. restart the server
  3. in each database that is to use it: CREATE EXTENSION pg_background
     (where an older version is: ALTER EXTENSION pg_background UPDATE)
  4. look whether all is well: pg-background doctor DSN"""


PgConfigOption = Annotated[
    str,
    typer.Option(
        "--pg-config",
        metavar="PATH",
        envvar="PG_BACKGROUND_PG_CONFIG",
        help="The server's program pg_config, or its name in PATH.",
    ),
]


@command("install", "install --pg-config /usr/lib/postgresql/17/bin/pg_config --dry-run")
def install(
    pg_config: PgConfigOption = "pg_config",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            envvar="PG_BACKGROUND_DRY_RUN",
            help="Build, and say what would be installed.",
        ),
    ] = False,
) -> None:
    """Build the extension for a PostgreSQL, and install it there.

    Prints each file that was changed, and does only what is not done yet. A running server keeps what it has
    until it is restarted.
    """
    from ..server import Installation, NotWritableError, build
    from ..server import install as installing

    installation = Installation.from_pg_config(pg_config)
    # Asked first: a server that can't be used is worth no build.
    installation.program("postgres")
    try:
        if not dry_run:
            installing.require_writable(installation)
        with step(f"Building the extension for PostgreSQL {installation.version} …"):
            extension = build(installation)
        todo = (installing.plan if dry_run else installing.install)(installation, extension)
    except NotWritableError as error:
        raise NotWritableError(error.message, hint=with_sudo("install", installation) or error.hint) from None
    for _, target in todo.copies:
        typer.echo(f"{target}")
    for path in todo.removals:
        typer.echo(f"{path} (removed)")
    if dry_run:
        note("nothing was changed" if todo else "it is installed; there is nothing to do")
    else:
        note("installed" if todo else "it is installed already")
        note(_NEXT_STEPS)


def with_sudo(command: str, installation: Installation) -> str:
    """Return the command that would work; as root there is none."""
    if os.geteuid() == 0:
        return ""
    # sudo has a PATH of its own, without virtual environments.
    program = Path(sys.argv[0]).absolute()
    return shlex.join(["sudo", str(program), command, "--pg-config", str(installation.pg_config)])
