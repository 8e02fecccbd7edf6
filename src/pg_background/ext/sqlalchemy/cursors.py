"""Standing in for the database when SQLAlchemy executes a statement.

SQLAlchemy itself turns a statement into SQL and bound values, and rows into objects. A launch lets it come as
far as the cursor, and takes what it would have sent; a result lets it read the job's rows from that cursor,
as if the statement had just run. So types, loader options and the identity map work as always.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

from psycopg import sql
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidRequestError

from ...client.model import Handle

#: The execution option that has the stand-in.
OPTION = "pg_background"


class StandIn(Protocol):
    """What happens instead of executing a statement."""

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Do it, and tell whether it was done: if not, the statement is executed."""
        ...


class Taken(Exception):
    """Carries what would have been executed, out of the depths of SQLAlchemy."""

    def __init__(self, statement: str, parameters: Any, connection: Any) -> None:
        self.statement = statement
        self.parameters = parameters
        self.engine: Engine = connection.engine
        #: psycopg's
        self.driver_connection = connection.connection.driver_connection


class Take:
    """Takes the statement."""

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> NoReturn:
        """See `StandIn`."""
        raise Taken(statement, parameters, context.root_connection)


class Give:
    """Gives the rows of a job; statements that follow, such as those of selectinload(), are executed."""

    def __init__(self, query: sql.SQL | None, handle: Handle, written: int = -1) -> None:
        """
        Args:
            query: reads the result of pid and cookie; None for a statement that returns no rows.
            written: how many rows such a statement wrote.
        """
        self._query = query
        self._handle = handle
        self._written = written
        self._is_given = False

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """See `StandIn`."""
        if self._is_given:
            return False
        self._is_given = True
        if self._query is None:
            # Leaves the cursor without a description, as after a statement without rows.
            cursor.execute("")
            context.cursor = _Counted(cursor, self._written)
        else:
            cursor.execute(self._query, tuple(self._handle))
        return True


class _Counted:
    """A cursor after a statement that wrote so many rows."""

    def __init__(self, cursor: Any, rowcount: int) -> None:
        self._cursor = cursor
        self.rowcount = rowcount

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


# On all engines: a session may have several, and which one executes a statement is only known when it does.
@event.listens_for(Engine, "do_execute")
def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    stand_in: StandIn | None = context.execution_options.get(OPTION)
    return False if stand_in is None else stand_in.execute(cursor, statement, parameters, context)


@event.listens_for(Engine, "do_execute_no_params")
def _execute_no_params(cursor: Any, statement: str, context: Any) -> bool:
    stand_in: StandIn | None = context.execution_options.get(OPTION)
    return False if stand_in is None else stand_in.execute(cursor, statement, None, context)


@event.listens_for(Engine, "do_executemany")
def _executemany(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    if context.execution_options.get(OPTION) is None:
        return False
    raise InvalidRequestError("a job has one set of parameters: give several rows as insert(…).values([…])")
