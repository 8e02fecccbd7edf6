"""`pg-background uninstall`: take the extension out of a PostgreSQL again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ...options.given import command
from ...output.console import note
from ...signals import interruptible
from .install import PgConfigOption, echo_path, with_sudo

if TYPE_CHECKING:
    from pathlib import Path

_BEFORE = """\
Without these files calls of the extension's functions fail. Before the server is restarted:
  1. in each database that has it: DROP EXTENSION IF EXISTS pg_background_cluster, pg_background;
  2. take pg_background out of shared_preload_libraries: without its library the server would not start"""


@command("uninstall --dry-run", "uninstall --pg-config /usr/lib/postgresql/17/bin/pg_config")
def uninstall(
    pg_config: PgConfigOption = "pg_config",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", envvar="PG_BACKGROUND_DRY_RUN", help="Say what would be removed."),
    ] = False,
) -> None:
    """Remove the extension's files from a PostgreSQL.

    Prints each file. Without them calls of the extension's functions fail, so DROP EXTENSION comes first, in
    each database that has it; it works afterwards too.
    """
    from ....server import Installation, NotWritableError
    from ....server import install as installing

    installation = Installation.from_pg_config(pg_config)
    try:
        files: list[Path] = installing.installed(installation)
        if not dry_run:
            with interruptible():
                installing.uninstall(installation, files)
    except NotWritableError as error:
        raise NotWritableError(
            error.message, hint=with_sudo("uninstall", installation) or error.hint
        ) from None
    for path in files:
        echo_path(path)
    if not files:
        note("it is not installed")
    else:
        note("nothing was changed" if dry_run else "removed")
        note(_BEFORE)
