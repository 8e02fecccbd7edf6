"""SQLAlchemy statements in the background; docs/frameworks.md is the guide.

job = launch(session, select(Order).where(Order.total > 100))
...
orders = job.result(timeout=30).scalars().all()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from .sessions import ASYNC, SYNC
from .statement_job import SessionJob
from .statement_job import launch as _launch_sync
from .statement_job_async import AsyncSessionJob
from .statement_job_async import launch_async as _launch_async

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from typing import Unpack

    from sqlalchemy import Executable
    from sqlalchemy.sql.selectable import TypedReturnsRows

    from ...client.options import LaunchOptions
    from .sessions import AnySession, AsyncAnySession

__all__ = ["AsyncSessionJob", "SessionJob", "launch"]

_T = TypeVar("_T", bound=tuple[Any, ...])


@overload
def launch(
    session: AnySession,
    statement: TypedReturnsRows[_T],
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[LaunchOptions],
) -> SessionJob[_T]: ...
@overload
def launch(
    session: AnySession,
    statement: Executable,
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[LaunchOptions],
) -> SessionJob[Any]: ...
@overload
def launch(
    session: AsyncAnySession,
    statement: TypedReturnsRows[_T],
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[LaunchOptions],
) -> Coroutine[Any, Any, AsyncSessionJob[_T]]: ...
@overload
def launch(
    session: AsyncAnySession,
    statement: Executable,
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[LaunchOptions],
) -> Coroutine[Any, Any, AsyncSessionJob[Any]]: ...
def launch(
    session: AnySession | AsyncAnySession,
    statement: Any,
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[LaunchOptions],
) -> Any:
    """Start a statement as a job, with role and settings of the session; to be awaited if that is async.

    The job is a transaction of its own: it sees what is committed, and commits whatever becomes of the
    session. Nothing is flushed for it.

    Args:
        session: a Session or a Connection, or an asynchronous one, on `postgresql+psycopg://`.
        statement: anything that its execute() takes, of ORM or Core.
        parameters: one set of values for its parameters.
        options: of the launch, see `Client.launch`: `label`, `timeout`, `on_full` and others.

    Raises:
        TypeError: the session is not one, or its driver is not psycopg.
        psycopg.Error: the server refused the launch; the session's transaction can go on.
    """
    if isinstance(session, ASYNC):
        return _launch_async(session, statement, parameters, **options)
    if isinstance(session, SYNC):
        return _launch_sync(session, statement, parameters, **options)
    raise TypeError(f"launch needs a session or a connection of SQLAlchemy, not {type(session).__name__}")
