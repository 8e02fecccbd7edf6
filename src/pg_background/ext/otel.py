"""OpenTelemetry spans of the jobs that clients launch; docs/tracing.md is the guide.

    from pg_background.ext import otel

    otel.instrument()

A launch is a span of its own. The queue and the run of its job are two more below it, made once the client
has learned how the job ended. Needs the extra `otel`: pip install 'pg_background[otel]'.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..client import tracing
from ..client.model import Handle, Outcome, Times

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

    from ..client.tracing import JobTrace, LaunchTrace

__all__ = ["PgBackgroundInstrumentor", "instrument", "uninstrument"]

#: Whether spans have the SQL: of launches with parameters, which has no values in it; of all; of none.
QueryText = Literal["parameterized", "always", "never"]

_Attributes = Mapping[str, str | int]

_NAME = "pg_background.ext.otel"
_SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

_propagator = TraceContextTextMapPropagator()


def instrument(
    tracer_provider: TracerProvider | None = None, *, query_text: QueryText = "parameterized"
) -> None:
    """Make spans of the jobs that this process launches from now on, with all its clients.

    Args:
        tracer_provider: by default the global one.
        query_text: which spans have the SQL. Values of parameters are never in them.

    Raises:
        ValueError: `query_text` is something else.
    """
    if query_text not in ("parameterized", "always", "never"):
        raise ValueError(f'query_text is "parameterized", "always" or "never", not {query_text!r}')
    from .. import __version__

    tracer = trace.get_tracer(_NAME, __version__, tracer_provider, _SCHEMA)
    tracing.tracer = _Tracer(tracer, query_text)


def uninstrument() -> None:
    """Make no more spans, also none of the jobs that were launched before."""
    tracing.tracer = None


class PgBackgroundInstrumentor:
    """Does the same as an object, for `opentelemetry-instrument` and for whoever has a list of such."""

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """Whether spans are made."""
        return tracing.tracer is not None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what must be installed: nothing more."""
        return ()

    def instrument(
        self,
        tracer_provider: TracerProvider | None = None,
        query_text: QueryText = "parameterized",
        **_: Any,
    ) -> None:
        """See `instrument`; what concerns other libraries is ignored."""
        instrument(tracer_provider, query_text=query_text)

    def uninstrument(self, **_: Any) -> None:
        """See `uninstrument`."""
        uninstrument()


@dataclass(frozen=True)
class _Tracer:
    """Follows the launches of all clients."""

    tracer: Tracer
    query_text: QueryText

    @contextmanager
    def launch(
        self, *, label: str | None, database: str | None, has_params: bool, has_rows: bool
    ) -> Iterator[LaunchTrace]:
        """See `pg_background.client.tracing.Tracer`."""
        operation = "launch" if has_rows else "submit"
        attributes: dict[str, str | int] = {
            "messaging.system": "pg_background",
            "messaging.operation.type": "send",
            "messaging.operation.name": operation,
            **({} if label is None else {"pg_background.job.label": label}),
        }
        has_text = self.query_text == "always" or (self.query_text == "parameterized" and has_params)
        # What psycopg's own instrumentation makes of the statement is below it, and an error is noted on it.
        with self.tracer.start_as_current_span(
            operation, kind=SpanKind.PRODUCER, attributes=attributes
        ) as span:
            try:
                yield _Launch(self.tracer, span, operation, database, label, has_text)
            except psycopg.Error as error:
                _note_error(span, error.sqlstate, type(error).__qualname__)
                raise


class _Launch:
    """Follows one launch."""

    def __init__(
        self,
        tracer: Tracer,
        span: Span,
        operation: str,
        database: str | None,
        label: str | None,
        has_text: bool,
    ) -> None:
        self._tracer = tracer
        self._span = span
        self._operation = operation
        self._database = database
        self._label = label
        self._has_text = has_text
        self._place: dict[str, str | int] = {}
        self._sent = 0

    def sends(self, connection: psycopg.BaseConnection[Any], query: str) -> str | None:
        """See `pg_background.client.tracing.LaunchTrace`."""
        info = connection.info
        database = self._database or info.dbname
        self._place = {"db.system.name": "postgresql", "db.namespace": database, "server.address": info.host}
        if not info.host.startswith("/"):
            self._place["server.port"] = info.port
        self._span.update_name(f"{self._operation} {database}")
        self._span.set_attributes({**self._place, "messaging.destination.name": database})
        if self._has_text:
            self._place["db.query.text"] = query
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        self._sent = time.time_ns()
        return carrier.get("traceparent")

    def answered(self, handle: Handle) -> JobTrace:
        """See `pg_background.client.tracing.LaunchTrace`."""
        about: dict[str, str | int] = {
            **self._place,
            "messaging.system": "pg_background",
            "messaging.destination.name": self._place["db.namespace"],
            "messaging.message.id": f"{handle.pid}:{handle.cookie}",
            **({} if self._label is None else {"pg_background.job.label": self._label}),
        }
        self._span.set_attribute("messaging.message.id", about["messaging.message.id"])
        return _Job(self._tracer, self._span, about, self._sent, time.time_ns())


class _Job:
    """Follows one job: makes its spans when it is told how it ended."""

    def __init__(self, tracer: Tracer, launch: Span, about: _Attributes, sent: int, answered: int) -> None:
        self._tracer = tracer
        self._launch = launch
        self._about = about
        self._sent = sent
        self._answered = answered
        self._mutex = threading.Lock()
        self._is_told = False

    def ended(self, outcome: Outcome, times: Times) -> None:
        """See `pg_background.client.tracing.JobTrace`."""
        with self._mutex:
            if self._is_told or tracing.tracer is None:
                return
            self._is_told = True
        offset = _offset(times.queued * 1000, self._sent, self._answered)
        queued, started, finished = (
            None if each is None else each * 1000 + offset
            for each in (times.queued, times.started, times.finished)
        )
        assert queued is not None
        about = {**self._about, **({"pg_background.clock_offset_us": offset // 1000} if offset else {})}
        database = about["db.namespace"]
        has_run = started is not None
        end = finished if finished is not None else time.time_ns()
        waited = self._begin(f"queue {database}", SpanKind.INTERNAL, queued, about)
        if not has_run:
            _note_end(waited, outcome)
        waited.end(max(queued, started if started is not None else end))
        if started is not None:
            run = self._begin(
                f"run {database}",
                SpanKind.CONSUMER,
                started,
                {**about, "messaging.operation.type": "process", "messaging.operation.name": "run"},
            )
            _note_end(run, outcome)
            run.end(max(started, end))

    def _begin(self, name: str, kind: SpanKind, start: int, about: _Attributes) -> Span:
        # Not below what is current here: that is whoever has asked for the end, if anybody.
        context = trace.set_span_in_context(self._launch)
        return self._tracer.start_span(name, context, kind, attributes=about, start_time=start)


def _offset(queued: int, sent: int, answered: int) -> int:
    """Return by how much the server's clock differs from ours, as far as that can be told, in nanoseconds.

    The job was launched between the moment when this was asked for and that of the answer. Where the server
    says otherwise it is shifted by the least that makes it so; else its times are taken as they are.
    """
    if queued < sent:
        return sent - queued
    # Its clock has microseconds.
    return min(answered - queued, 0)


def _note_end(span: Span, outcome: Outcome) -> None:
    """Write down how the job ended."""
    span.set_attribute("pg_background.job.state", outcome.state or "unknown")
    if outcome.state != "stopped":
        _note_error(span, outcome.sqlstate, outcome.state or "unknown")
        span.set_status(Status(StatusCode.ERROR, outcome.error_message))
        return
    if outcome.command_tag is not None:
        span.set_attribute("pg_background.job.command_tag", outcome.command_tag)
    if outcome.row_count is not None:
        returned = outcome.command_tag == "SELECT"
        name = "db.response.returned_rows" if returned else "pg_background.job.row_count"
        span.set_attribute(name, outcome.row_count)


def _note_error(span: Span, sqlstate: str | None, otherwise: str) -> None:
    if sqlstate is not None:
        span.set_attribute("db.response.status_code", sqlstate)
    span.set_attribute("error.type", sqlstate or otherwise)
