"""A session on the server that an operator's command is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import psycopg
import typer
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ..server.errors import DatabaseError

Connection = psycopg.Connection[tuple[Any, ...]]

DsnArgument = Annotated[
    str,
    typer.Argument(
        metavar="DSN",
        envvar="PG_BACKGROUND_DSN",
        help="Database, connection string or URI, as for psql; what it leaves out comes from PGHOST, PGUSER, "
        "PGDATABASE, PGPASSFILE and so on.",
        show_default=False,
    ),
]


@contextmanager
def session(dsn: str) -> Iterator[Connection]:
    """Open a session in autocommit mode, for the block.

    Raises:
        DatabaseError: it can't be opened, or the server refused a statement of the block.
    """
    connection = _connect(dsn)
    try:
        yield connection
    except psycopg.Error as error:
        primary = error.diag.message_primary or str(error).strip()
        raise DatabaseError(primary, hint=error.diag.message_hint or "") from error
    finally:
        connection.close()


def schema_of_extension(connection: Connection) -> sql.Identifier:
    """Return where pg_background was installed in the session's database.

    Raises:
        DatabaseError: it was not.
    """
    found = connection.execute(
        """
        SELECT n.nspname FROM pg_catalog.pg_extension e
        JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_background'
        """
    ).fetchone()
    if found is None:
        raise DatabaseError(
            f'the database "{connection.info.dbname}" does not have the extension',
            hint="name one that does, or CREATE EXTENSION pg_background",
        )
    return sql.Identifier(found[0])


def _connect(dsn: str) -> Connection:
    try:
        # A bare name is a database's, as for psql.
        is_name = dsn and "=" not in dsn and "://" not in dsn
        conninfo = make_conninfo(
            "" if is_name else dsn,
            **({"dbname": dsn} if is_name else {}),
            fallback_application_name="pg-background",
        )
        return psycopg.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        raise DatabaseError(
            f"can't connect: {str(error).strip().removeprefix('connection is bad: ')}",
            hint="name the server as you would for psql: a DSN, or PGHOST, PGPORT, PGUSER, PGDATABASE; "
            "a password goes into PGPASSWORD or ~/.pgpass",
        ) from error
    except psycopg.ProgrammingError as error:
        raise DatabaseError(
            f"this is not a DSN: {str(error).strip()}",
            hint="write it as postgresql://user@host:5432/database, or as 'host=… dbname=…'",
        ) from error
