"""Lets an example run on any database, in a schema of its own that is dropped at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo


def run(main: Callable[[str], None]) -> None:
    """Call an example's main with the DSN from the command line, or else what libpq finds."""
    dsn = sys.argv[1] if len(sys.argv) > 1 else ""
    schema = f"example_{os.getpid()}"
    with psycopg.connect(_with(dsn, client_min_messages="warning"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        try:
            # The extension may be in any schema of the search_path.
            path = connection.execute("SELECT current_setting('search_path')").fetchall()[0][0]
            main(_with(dsn, search_path=f"{schema},{path}"))
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


def _with(dsn: str, **settings: str) -> str:
    """Return the DSN with settings beside those that it or the environment has."""
    options = conninfo_to_dict(dsn).get("options") or os.environ.get("PGOPTIONS", "")
    for name, value in settings.items():
        # Blanks are escaped there.
        escaped = value.replace("\\", r"\\").replace(" ", r"\ ")
        options = f"{options} -c {name}={escaped}".lstrip()
    return make_conninfo(dsn, options=options)
