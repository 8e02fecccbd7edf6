"""Spans of jobs for OpenTelemetry, and the trace that a job is told it belongs to."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import as_completed
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import psycopg
import pytest
from opentelemetry import context as current
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool
from sqlalchemy import create_engine, text

from pg_background import AsyncClient, Client, Executor, JobCancelled
from pg_background.client import _looking as looking
from pg_background.client import statements, tracing
from pg_background.client.model import Handle, Outcome, Times
from pg_background.ext import otel
from pg_background.ext.sqlalchemy import launch as launch_statement

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import closed_gate

AnyClient = Client[TupleRow]

_TRACEPARENT = "SELECT current_setting('pg_background.traceparent')"


class Spans:
    """The spans that were made, and ended."""

    def __init__(self, provider: TracerProvider) -> None:
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")

    def all(self) -> list[ReadableSpan]:
        """Return all of them, the first that ended first."""
        return list(self._exporter.get_finished_spans())

    def named(self, word: str) -> list[ReadableSpan]:
        """Return those whose name begins with a word."""
        return [span for span in self.all() if span.name.split()[0] == word]

    def one(self, word: str) -> ReadableSpan:
        """Return the only one of these."""
        (span,) = self.named(word)
        return span


@pytest.fixture
def provider() -> TracerProvider:
    return TracerProvider()


@pytest.fixture
def spans(provider: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    made = Spans(provider)
    otel.instrument(provider)
    yield made
    otel.uninstrument()


def context_of(span: ReadableSpan) -> trace.SpanContext:
    found = span.get_span_context()
    assert found is not None
    return found


def is_below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    assert span.parent is not None
    return (span.parent.trace_id, span.parent.span_id) == (
        context_of(parent).trace_id,
        context_of(parent).span_id,
    )


def traceparent_of(span: ReadableSpan) -> str:
    found = context_of(span)
    assert found.trace_flags.sampled
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


# ---- spans


def test_a_job_is_three_spans_below_the_callers(client: AnyClient, place: Place, spans: Spans) -> None:
    before = time.time_ns()
    with spans.tracer.start_as_current_span("caller"):
        job = client.launch("SELECT %s::int FROM generate_series(1, 3)", [7], label="seven")
    assert len(job.result(timeout=60)) == 3
    caller, launch, queue, run = (spans.one(word) for word in ("caller", "launch", "queue", "run"))
    assert is_below(launch, caller)
    assert is_below(queue, launch)
    assert is_below(run, launch)
    assert [span.kind for span in (launch, queue, run)] == [
        SpanKind.PRODUCER,
        SpanKind.INTERNAL,
        SpanKind.CONSUMER,
    ]
    assert {span.name.split()[1] for span in (launch, queue, run)} == {place.database}
    assert all(span.status.status_code is StatusCode.UNSET for span in spans.all())
    for span in (launch, queue, run):
        assert span.attributes is not None
        assert {
            "db.system.name": "postgresql",
            "db.namespace": place.database,
            "messaging.system": "pg_background",
            "messaging.destination.name": place.database,
            "messaging.message.id": f"{job.pid}:{job.cookie}",
            "pg_background.job.label": "seven",
        }.items() <= span.attributes.items()
    assert run.attributes is not None
    assert run.attributes["db.query.text"] == 'SELECT ($1::pg_catalog."int2")::int FROM generate_series(1, 3)'
    assert run.attributes["db.response.returned_rows"] == 3
    assert run.attributes["pg_background.job.state"] == "stopped"
    # One after the other, on one clock.
    moments = [before, launch.start_time, queue.start_time, queue.end_time, run.end_time]
    assert moments == sorted(moments, key=lambda moment: moment or 0)
    assert queue.end_time == run.start_time


@pytest.mark.parametrize("how", ["result", "wait", "state", "exception", "fetch", "callback", "any", "block"])
def test_each_way_to_learn_of_the_end_makes_them_once(client: AnyClient, spans: Spans, how: str) -> None:
    with client.launch("SELECT 1") as job:
        if how == "result":
            job.result()
        elif how == "wait":
            assert job.wait(60)
        elif how == "state":
            while job.state != "stopped":
                time.sleep(0.01)
        elif how == "exception":
            assert job.exception(60) is None
        elif how == "fetch":
            assert list(job.fetch()) == [[(1,)]]
        elif how == "callback":
            ended: list[object] = []
            job.add_done_callback(ended.append)
            assert job.wait(60)
        elif how == "any":
            assert client.wait_any([job], 60) is job
        else:
            assert [job] == list(client.as_completed([job], 60))
        if how != "fetch":
            job.wait(60)
            job.result()
    assert [len(spans.named(word)) for word in ("launch", "queue", "run")] == [1, 1, 1]


def test_a_job_whose_end_nobody_asks_for_is_a_launch_only(client: AnyClient, spans: Spans) -> None:
    job = client.submit("SELECT 1")
    job.detach()
    assert [span.name.split()[0] for span in spans.all()] == ["submit"]


def test_a_failed_job(client: AnyClient, spans: Spans) -> None:
    assert isinstance(client.launch("SELECT 1/0").exception(60), psycopg.errors.DivisionByZero)
    run = spans.one("run")
    assert run.attributes is not None
    assert run.attributes["db.response.status_code"] == "22012"
    assert run.attributes["error.type"] == "22012"
    assert run.attributes["pg_background.job.state"] == "error"
    assert (run.status.status_code, run.status.description) == (StatusCode.ERROR, "division by zero")
    assert spans.one("queue").status.status_code is StatusCode.UNSET
    # Without parameters the SQL may have values in it.
    assert "db.query.text" not in run.attributes


def test_a_refused_launch(client: AnyClient, spans: Spans) -> None:
    with pytest.raises(psycopg.errors.InvalidCatalogName):
        client.launch("SELECT 1", database="nowhere")
    (launch,) = spans.all()
    assert launch.attributes is not None
    assert launch.name == "launch nowhere"
    assert launch.status.status_code is StatusCode.ERROR
    assert launch.attributes["error.type"] == "3D000"


def test_a_job_that_never_began(client: AnyClient, side: Connection, spans: Spans) -> None:
    with client.session.connection() as connection:
        connection.execute("SET pg_background.max_workers = 1")
    with closed_gate(side) as gate:
        first = client.launch(gate.sql)
        second = client.launch("SELECT 1", on_full="queue")
        second.cancel()
        assert isinstance(second.exception(60), JobCancelled)
    first.result(60)
    queued = next(span for span in spans.named("queue") if span.status.status_code is StatusCode.ERROR)
    assert queued.attributes is not None
    assert queued.attributes["pg_background.job.state"] == "canceled"
    assert len(spans.named("run")) == 1


def test_query_text(client: AnyClient, provider: TracerProvider, spans: Spans) -> None:
    hows: tuple[otel.QueryText, ...] = ("always", "never")
    for how in hows:
        otel.instrument(provider, query_text=how)
        client.run("SELECT 42")
        client.run("SELECT upper(%s)", ["secret"])
    texts = [(span.attributes or {}).get("db.query.text") for span in spans.named("run")]
    assert texts == ["SELECT 42", "SELECT upper($1)", None, None]
    assert "secret" not in str([dict(span.attributes or {}) for span in spans.all()])
    with pytest.raises(ValueError, match="parameterized"):
        otel.instrument(provider, query_text="all")  # type: ignore[arg-type]


# ---- whose span is above


def test_an_executor_takes_the_callers_span_along(place: Place, spans: Spans) -> None:
    with Executor(place.dsn(), max_workers=2) as executor:
        with spans.tracer.start_as_current_span("caller"):
            futures = [executor.submit("SELECT %s::int", [n]) for n in range(4)]
        assert sorted(future.result().value() for future in as_completed(futures)) == [0, 1, 2, 3]
    caller = spans.one("caller")
    assert len(spans.named("launch")) == len(spans.named("run")) == 4
    assert all(is_below(span, caller) for span in spans.named("launch"))


def test_map(client: AnyClient, spans: Spans) -> None:
    with spans.tracer.start_as_current_span("caller"):
        found = [result.value() for result in client.map("SELECT %s::int", range(20), concurrency=4)]
    assert found == list(range(20))
    assert all(is_below(span, spans.one("caller")) for span in spans.named("launch"))
    assert len(spans.named("launch")) == len(spans.named("queue")) == len(spans.named("run")) == 20


async def test_tasks_have_each_its_own(aclient: AsyncClient[TupleRow], spans: Spans) -> None:
    async def one(number: int) -> None:
        with spans.tracer.start_as_current_span(f"caller {number}"):
            (row,) = await (await aclient.launch(_TRACEPARENT)).result(60)
        assert row[0].split("-")[1] == f"{trace_of[number]:032x}"

    trace_of: dict[int, int] = {}

    async def noted(number: int) -> None:
        with spans.tracer.start_as_current_span(f"outer {number}") as outer:
            trace_of[number] = outer.get_span_context().trace_id
            await one(number)

    await asyncio.gather(*map(noted, range(8)))
    assert len(spans.named("run")) == 8
    for run in spans.named("run"):
        launch = next(span for span in spans.named("launch") if is_below(run, span))
        assert any(is_below(launch, caller) for caller in spans.named("caller"))


def test_a_statement_of_sqlalchemy(place: Place, spans: Spans) -> None:
    engine = create_engine(place.url("postgresql+psycopg"))
    with engine.connect() as connection:
        job = launch_statement(connection, text(_TRACEPARENT))
        assert job.result(60).scalar() == traceparent_of(spans.one("launch"))
    engine.dispose()
    assert is_below(spans.one("run"), spans.one("launch"))


# ---- what the job is told


def test_a_job_goes_on_with_the_trace(client: AnyClient, spans: Spans) -> None:
    assert client.run(_TRACEPARENT).value() == traceparent_of(spans.one("launch"))
    # Also with a time limit, and what it launches itself.
    inner = (
        "CREATE FUNCTION inner_job() RETURNS text LANGUAGE plpgsql AS $$ DECLARE found text; BEGIN"
        " SELECT t INTO found FROM pg_background_run_query("
        "'SELECT current_setting(''pg_background.traceparent'')') AS (t text); RETURN found; END $$"
    )
    client.run(inner)
    found = client.run("SELECT inner_job()", timeout=60).value()
    assert found == traceparent_of(spans.named("launch")[-1])


def test_what_is_not_sampled_is_told_as_such(client: AnyClient) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    otel.instrument(provider)
    try:
        found = client.run(_TRACEPARENT).value()
    finally:
        otel.uninstrument()
    assert found.startswith("00-")
    assert int(found.rpartition("-")[2], 16) % 2 == 0
    assert client.run(_TRACEPARENT).value() == ""


def test_without_an_sdk_the_trace_that_came_in_goes_on(client: AnyClient) -> None:
    came = trace.SpanContext(0xA, 0xB, is_remote=True, trace_flags=trace.TraceFlags(1))
    otel.instrument(trace.NoOpTracerProvider())
    token = current.attach(trace.set_span_in_context(trace.NonRecordingSpan(came)))
    try:
        assert client.run(_TRACEPARENT).value() == f"00-{0xA:032x}-{0xB:016x}-01"
    finally:
        current.detach(token)
        otel.uninstrument()


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("own", ["", f"00-{1:032x}-{2:016x}-00"])
def test_nothing_is_left_in_the_session(place: Place, spans: Spans, autocommit: bool, own: str) -> None:
    with psycopg.connect(place.dsn(), autocommit=autocommit) as connection, Client(connection) as client:
        connection.execute("SELECT set_config('pg_background.traceparent', %s, false)", [own])
        for options in ({}, {"timeout": 60.0}, {"read_only": True}):
            job = client.launch("SELECT 1", **options)
            assert job.result(60).value() == 1
            rows = connection.execute(
                "SELECT current_setting('pg_background.traceparent'),"
                " current_setting('pg_background.worker_timeout'), current_setting('pg_background.read_only')"
            ).fetchall()
            assert rows == [(own, "0", "off")]
        with pytest.raises(psycopg.errors.InvalidCatalogName):
            client.launch("SELECT 1", database="nowhere")
        assert connection.execute(_TRACEPARENT).fetchall() == [(own,)]


def test_a_pool(place: Place, spans: Spans) -> None:
    with ConnectionPool(place.dsn(), min_size=1, max_size=1) as pool, Client(pool) as client:
        assert client.run(_TRACEPARENT).value() == traceparent_of(spans.one("launch"))
        with pool.connection() as connection:
            assert connection.execute(_TRACEPARENT).fetchall() == [("",)]
    assert is_below(spans.one("run"), spans.one("launch"))


def test_a_server_without_the_setting(
    client: AnyClient, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_OPTIONAL", ("pg_background.no_such",))
    monkeypatch.setattr("pg_background.client.launching.TRACEPARENT", "pg_background.no_such")
    assert client.run("SELECT 1", timeout=60).value() == 1
    assert is_below(spans.one("run"), spans.one("launch"))


def test_it_is_in_the_log(client: AnyClient, place: Place, spans: Spans) -> None:
    mark = place.server.log.mark()
    assert client.launch("SELECT 1/0").exception(60) is not None
    said = f"traceparent {traceparent_of(spans.one('launch'))}"
    place.server.log.wait_for(said, mark)


# ---- what it costs


def trips_of(client: AnyClient, call: Any) -> int:
    with client.session.connection() as connection:
        pgconn = connection.pgconn
    with tempfile.TemporaryFile("w+") as seen:
        pgconn.trace(seen.fileno())
        try:
            call()
        finally:
            pgconn.untrace()
        seen.seek(0)
        return sum("\tSync" in line or "\tQuery\t" in line for line in seen)


def test_a_launch_is_one_round_trip_and_the_end_one_more(
    client: AnyClient, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LOOK_MS", 60_000)
    counts = []
    for follow in (False, True, False):
        if follow:
            otel.instrument(provider)
        else:
            otel.uninstrument()
        for _ in range(8):
            client.run("SELECT 1")
            client.run("SET DateStyle = ISO")
        jobs: list[Any] = []
        counts.append(
            (
                trips_of(client, lambda found=jobs: found.append(client.launch("SELECT 1"))),
                trips_of(client, lambda found=jobs: found.pop().result()),
                trips_of(client, lambda: client.run("SET DateStyle = ISO")),
            )
        )
    assert counts == [(1, 1, 2), (1, 2, 3), (1, 1, 2)]


def test_uninstrumented_nothing_is_made(client: AnyClient, spans: Spans) -> None:
    job = client.launch("SELECT 1")
    made = len(spans.all())
    otel.uninstrument()
    assert tracing.tracer is None
    job.result(60)
    assert client.launch("SELECT 1").trace is None
    assert len(spans.all()) == made


# ---- clocks


@pytest.mark.parametrize(
    ("queued", "expected"),
    [
        (1_500, 0),
        (1_000, 0),
        (2_000, 0),
        # A server whose clock is behind, or ahead: as little as puts the launch into the call.
        (400, 600),
        (5_000, -3_000),
    ],
)
def test_the_servers_clock(spans: Spans, provider: TracerProvider, queued: int, expected: int) -> None:
    about = {"db.namespace": "shop"}
    launch = provider.get_tracer("test").start_span("launch shop")
    job = otel._Job(provider.get_tracer("test"), launch, about, 1_000_000, 2_000_000)
    outcome = Outcome(Handle(1, 2), "stopped", 1, "SELECT", None, None)
    job.ended(outcome, Times(queued, queued + 10, queued + 30))
    queue, run = spans.one("queue"), spans.one("run")
    assert (queue.start_time, queue.end_time) == (
        (queued + expected) * 1000,
        (queued + expected + 10) * 1000,
    )
    assert (run.start_time, run.end_time) == (queue.end_time, (queued + expected + 30) * 1000)
    assert (run.attributes or {}).get("pg_background.clock_offset_us", 0) == expected


# ---- as others find it


def test_opentelemetry_instrument_finds_it(client: AnyClient, provider: TracerProvider) -> None:
    (found,) = entry_points(group="opentelemetry_instrumentor", name="pg_background")
    instrumentor = otel.PgBackgroundInstrumentor()
    assert tracing.tracer is None
    distro: Any = import_module("opentelemetry.instrumentation.distro").DefaultDistro()
    distro.load_instrumentor(found, tracer_provider=provider, raise_exception_on_conflict=True)
    assert instrumentor.is_instrumented_by_opentelemetry
    instrumentor.uninstrument()
    assert tracing.tracer is None
