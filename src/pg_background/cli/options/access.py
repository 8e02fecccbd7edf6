"""What the server knows of a handle: a job, one that was read or detached, another role's, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from ...client.errors import JobLost
from ...client.functions import call, in_schema
from ...client.model import Handle
from ...client.statements import identifier
from .database import schema_of_extension

if TYPE_CHECKING:
    from typing import LiteralString

Connection = psycopg.Connection[Any]


def refusal(connection: Connection, handle: Handle) -> psycopg.Error | None:
    """Return the error if the job belongs to a role whose jobs this one may not look at."""
    try:
        _ask(connection, f"SELECT completed FROM {call('pg_background_result_info')}", handle)
    except psycopg.errors.InsufficientPrivilege as error:
        return error
    except (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState):
        return None
    return None


@contextmanager
def telling_forgotten(connection: Connection, handle: Handle) -> Iterator[None]:
    """Tell a job that was read or detached from one that the server does not know."""
    try:
        yield
    except JobLost as error:
        if state_of(connection, handle) in (None, "lost"):
            raise
        raise JobLost(
            f"the job with PID {handle.pid} was read or detached already: its rows are gone\n"
            "HINT:  pg-background show tells how it ended, as long as the server keeps that."
        ) from error


def state_of(connection: Connection, handle: Handle) -> str | None:
    """Return the job's state, also of one that was read or detached; None if nothing is told of it."""
    row = _ask(connection, f"SELECT state FROM {call('pg_background_outcome')}", handle)
    return None if row is None else row[0]


def _ask(connection: Connection, query: LiteralString, handle: Handle) -> Any:
    statement = in_schema(query, identifier(schema_of_extension(connection)))
    return connection.execute(statement, handle).fetchone()
