"""The server and database that a command is about, named as for psql."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...server.errors import DatabaseError, DsnError, UnreachableError
from ..output.console import note, of_node
from ..page import CONNECTION
from ..tags import tag_of
from .given import Given
from .numbers import port_number

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg
    from psycopg.rows import TupleRow

    from ...client.client import Client

    Connection = psycopg.Connection[tuple[Any, ...]]

DbnameOption = Annotated[
    str,
    typer.Option(
        "--dbname",
        "-d",
        metavar="DSN",
        envvar="PG_BACKGROUND_DSN",
        help="Database, connection string or URI, as for psql. What it leaves out comes from PGHOST, PGUSER, "
        "PGDATABASE and so on.",
        show_default=False,
        rich_help_panel=CONNECTION,
    ),
]
DsnArgument = Annotated[
    str,
    typer.Argument(metavar="DSN", help="The same as --dbname.", show_default=False),
]
# libpq reads these variables itself, and prefers what a connection string says.
HostOption = Annotated[
    str | None,
    typer.Option(
        "--host",
        "-h",
        metavar="HOST",
        help="Host, or directory of the socket; by default PGHOST.",
        rich_help_panel=CONNECTION,
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        "-p",
        metavar="PORT",
        parser=port_number,
        help="Port; by default PGPORT.",
        rich_help_panel=CONNECTION,
    ),
]
UserOption = Annotated[
    str | None,
    typer.Option(
        "--username", "-U", metavar="ROLE", help="Role; by default PGUSER.", rich_help_panel=CONNECTION
    ),
]
NoPasswordOption = Annotated[
    bool,
    typer.Option(
        "--no-password",
        "-w",
        envvar="PG_BACKGROUND_NO_PASSWORD",
        help="Never ask for a password, even on a terminal.",
        rich_help_panel=CONNECTION,
    ),
]


@dataclass(frozen=True)
class Database:
    """How to connect."""

    #: its name, a connection string or URI, or empty
    dsn: str = ""
    #: these win over what the connection string says
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = None
    #: whether a password may be asked for, where there is somebody to ask
    may_ask: bool = False

    @property
    def is_given(self) -> bool:
        """Whether it was named, in whatever way but libpq's own variables."""
        return any((self.dsn, self.host, self.port, self.user))

    @property
    def conninfo(self) -> str:
        """What libpq takes.

        Raises:
            DsnError: `dsn` is not a connection string.
        """
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        # A bare name is a database's, as for psql.
        is_name = self.dsn and "=" not in self.dsn and "://" not in self.dsn
        try:
            parts = {
                "dbname": self.dsn if is_name else None,
                "host": self.host,
                "port": self.port,
                "user": self.user,
                "password": self.password,
                "fallback_application_name": "pg-background",
            }
            given = make_conninfo("" if is_name else self.dsn, **parts)
            if "client_encoding" in conninfo_to_dict(given) or "PGCLIENTENCODING" in os.environ:
                return given
            # What every database can be shown in, whatever its own encoding.
            return make_conninfo(given, client_encoding="UTF8")
        except psycopg.ProgrammingError as error:
            raise DsnError(
                f"this is not a DSN: {_without_secrets(str(error).strip(), self.dsn)}",
                hint="write it as postgresql://user@host:5432/database, or as 'host=… dbname=…'",
            ) from error

    def connect(self) -> Connection:
        """Open a session in autocommit mode, asking for the password if there is need and somebody to ask.

        Raises:
            UnreachableError: it can't be opened.
        """
        return self.connected()[1]

    def connected(self) -> tuple[Database, Connection]:
        """Likewise, and return how to connect again: with the password, if one was asked for.

        Raises:
            UnreachableError: it can't be opened.
        """
        import psycopg

        from ...client.encodings import load_as_str

        conninfo = self.conninfo
        try:
            connection = psycopg.connect(conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            needs_password = error.pgconn is not None and error.pgconn.needs_password
            if needs_password and self.may_ask and sys.stdin.isatty() and sys.stderr.isatty():
                return self.with_password().connected()
            raise UnreachableError(
                f"can't connect: {str(error).strip().removeprefix('connection is bad: ')}",
                hint="name the server as you would for psql: a DSN, or PGHOST, PGPORT, PGUSER, PGDATABASE; "
                "a password goes into PGPASSWORD or ~/.pgpass",
            ) from error
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            # Converting, the server would refuse bytes that are no UTF-8.
            connection.execute("SET client_encoding = SQL_ASCII")
            load_as_str(connection.adapters)
        return self, connection

    @property
    def patient(self) -> Database:
        """The same, but a server that has gone without a word is noticed; for one of several."""
        from psycopg.conninfo import make_conninfo

        from ...cluster.handles import with_patience

        return replace(self, dsn=make_conninfo(self.conninfo, **with_patience(self.conninfo, {})))

    def with_password(self) -> Database:
        """Ask for the password, once."""
        password = typer.prompt("Password", hide_input=True, err=True)
        return replace(self, password=password, may_ask=False)

    @contextmanager
    def client(self) -> Iterator[Client[TupleRow]]:
        """Make a client, for the block; notices of its jobs are printed."""
        with self.client_and_session() as (client, _):
            yield client

    @contextmanager
    def client_and_session(self, node: str = "") -> Iterator[tuple[Client[TupleRow], Connection]]:
        """Likewise, with the session that the client uses, to ask more of it.

        Args:
            node: which of several servers it is, for notices.
        """
        from ...client.client import Client
        from ..ended import ended

        with closing(self.connect()) as connection:
            # Asked here too, for an error with the exit code of a refusal.
            schema_of_extension(connection)
            connection.add_notice_handler(notices_of(node))
            client = Client(connection)
            with ended(client, connection):
                yield client, connection


def _by_options(
    dbname: DbnameOption = "",
    host: HostOption = None,
    port: PortOption = None,
    username: UserOption = None,
    no_password: NoPasswordOption = False,
) -> Database:
    return Database(dbname, host, port, username, may_ask=not no_password)


def _by_argument(
    dsn: DsnArgument = "",
    dbname: DbnameOption = "",
    host: HostOption = None,
    port: PortOption = None,
    username: UserOption = None,
    no_password: NoPasswordOption = False,
) -> Database:
    return Database(dsn or dbname, host, port, username, may_ask=not no_password)


#: For a command about one server, which has arguments of its own.
DatabaseGiven = Annotated[Database, Given(_by_options)]
#: For a command without, which takes the DSN as its argument too.
DatabaseArgument = Annotated[Database, Given(_by_argument)]


@contextmanager
def session(database: Database) -> Iterator[Connection]:
    """Open a session in autocommit mode, for the block.

    Raises:
        DatabaseError: it can't be opened, or the server refused a statement of the block.
    """
    import psycopg

    connection = database.connect()
    try:
        yield connection
    except psycopg.Error as error:
        primary = error.diag.message_primary or str(error).strip()
        kind = UnreachableError if connection.closed else DatabaseError
        known = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
        raise kind(f"{primary}{known}", hint=error.diag.message_hint or "") from error
    finally:
        connection.close()


def _without_secrets(text: str, dsn: str) -> str:
    """Return what libpq says of a DSN, without the parts that it repeats where there may be a password."""
    if re.search(r"password|://[^/]*[:@]", dsn):
        return re.sub(r'".{2,}"', "…", text, flags=re.DOTALL)
    return text


def now_of(connection: Connection) -> datetime:
    """Return the time on the server's clock, which may not be ours."""
    row = connection.execute("SELECT pg_catalog.clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def schema_of_extension(connection: Connection) -> str:
    """Return where pg_background was installed in the session's database.

    Raises:
        DatabaseError: it was not.
    """
    from ...client.statements import FIND_EXTENSION

    found = connection.execute(FIND_EXTENSION).fetchone()
    if found is None or found[0] is None:
        raise DatabaseError(
            f'the database "{connection.info.dbname}" does not have the extension',
            hint="name one that does, or CREATE EXTENSION pg_background",
        )
    name: str = found[0]
    return name


def notices_of(node: str = "") -> Callable[[psycopg.errors.Diagnostic], None]:
    """Return what prints notices, but for those that tell tags.

    Args:
        node: which of several servers it is.
    """

    def print_notice(notice: psycopg.errors.Diagnostic) -> None:
        if tag_of(notice) is None:
            note(f"{(notice.severity or 'NOTICE').lower()}: {of_node(node)}{notice.message_primary}")

    return print_notice
