"""Lets an example run on any database, in a schema of its own that is dropped at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo


def run(main: Callable[[str], None]) -> None:
    """Call an example's main with the DSN from the command line, or else what libpq finds."""
    dsn = sys.argv[1] if len(sys.argv) > 1 else ""
    schema = f"example_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True, options="-c client_min_messages=warning") as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        try:
            # The extension may be in any schema of the search_path. In options, blanks are escaped.
            path = connection.execute("SELECT current_setting('search_path')").fetchall()[0][0]
            found_first = f"{schema},{path}".replace("\\", r"\\").replace(" ", r"\ ")
            main(make_conninfo(dsn, options=f"-c search_path={found_first}"))
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
