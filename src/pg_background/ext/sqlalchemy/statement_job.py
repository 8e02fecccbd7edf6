# Made from statement_job_async.py by tools/async_to_sync.py: edit that one.
"""A statement of SQLAlchemy that runs as a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic
from weakref import WeakValueDictionary

from psycopg.rows import tuple_row
from sqlalchemy import Engine, Executable
from sqlalchemy.exc import InvalidRequestError

from ...client.acompat import Interrupted, shielded
from ...client.client import Client
from ...client.job import Job
from ...client.variables import TypeVar
from .cursors import OPTION, Give, Take, Taken

if TYPE_CHECKING:
    from typing import Unpack

    from sqlalchemy import Result

    from ...client.options import LaunchOptions
    from .sessions import AnySession

_T = TypeVar("_T", bound=tuple[Any, ...], default=tuple[Any, ...])

#: One for all jobs of an engine, as long as there are any: it waits for them together.
_clients: WeakValueDictionary[int, Client[Any]] = WeakValueDictionary()


class SessionJob(Generic[_T]):
    """A job whose rows become what SQLAlchemy makes of its statement. Made by `launch`.

    Attributes:
        job: the job itself, to wait for, to cancel, or to ask how far it is.
    """

    def __init__(
        self,
        client: Client[Any],
        session: AnySession,
        statement: Executable,
        parameters: Mapping[str, Any] | None,
        job: Job[Any],
    ) -> None:
        self.job = job
        self._client = client
        self._session = session
        self._statement = statement
        self._parameters = parameters
        self._is_read = False

    def result(self, timeout: float | None = None) -> Result[_T]:
        """Wait for the end, and return what the session's execute() would have returned; once.

        The wait takes up neither the session nor its connection. An interruption of it cancels the job.

        Args:
            timeout: how long to wait, in seconds; None waits for ever.

        Raises:
            TimeoutError: the job goes on.
            psycopg.Error: the job failed, as of `Job.result`; the session's transaction can go on.
            InvalidRequestError: it was called before.
        """
        if self._is_read:
            raise InvalidRequestError("the result of a job can be read once")
        try:
            if not self.job.wait(timeout):
                raise TimeoutError(f"{self.job.name} has not ended in {timeout} s, and goes on")
        except Interrupted:
            shielded(self.job.cancel_quietly)
            raise
        columns = self.job.describe() if self.job.state == "stopped" else ()
        if columns:
            give = Give(self._client.session.statements.result(columns), self.job.handle)
        else:
            # There are no rows to be left for the session, or there is an error to be raised.
            give = Give(None, self.job.handle, (self.job.result()).rowcount)
        self._is_read = True
        result: Result[_T] = _execute(self._session, self._statement, self._parameters, give)
        return result

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.job!r}>"


def launch(
    session: AnySession,
    statement: Executable,
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[LaunchOptions],
) -> SessionJob[Any]:
    """See `pg_background.ext.sqlalchemy.launch`."""
    try:
        _execute(session, statement, parameters, Take())
    except Taken as caught:
        taken = caught
    else:
        raise InvalidRequestError("the statement has nothing to be executed in the database")
    client = _client_of(taken.engine)
    # In the session itself, whose settings the job gets; the session may be closed when the job ends.
    here = Client(taken.driver_connection)
    started = here.launch(taken.statement, taken.parameters, **options)
    job = client.attach(started.handle, row_factory=tuple_row)
    job.label, job.query, job.trace = started.label, started.query, started.trace
    return SessionJob(client, session, statement, parameters, job)


def _execute(
    session: AnySession,
    statement: Executable,
    parameters: Mapping[str, Any] | None,
    stand_in: Take | Give,
) -> Any:
    return session.execute(statement, parameters, execution_options={OPTION: stand_in, "autoflush": False})


def _client_of(engine: Engine) -> Client[Any]:
    """Return what waits for jobs on connections of its own; the session may be in use, or closed."""
    client = _clients.get(id(engine))
    if client is None:
        origin = engine
        client = _clients[id(engine)] = Client(origin)
    return client
