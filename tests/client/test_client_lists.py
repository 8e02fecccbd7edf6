# Made from test_client_lists_async.py by tools/async_to_sync.py: edit that one.
"""Jobs that were found, launched from lists, or left by their block; and what they had to say."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import Diagnostic
from psycopg.rows import TupleRow

from pg_background import Client, ConnectionLost, JobCancelled, JobInfo, JobLost, ListedJob

from ..support.fix_client import Place
from ..support.fix_db import Connection, MakeRole
from ..support.jobs import FOREVER, closed_gate
from ..support.waiting import wait_until_sql
from ..support.workers import SWALLOWS_CANCELS_AND_COUNTS

AnyClient = Client[TupleRow]

NOTICES = """
DO $$BEGIN
    RAISE NOTICE 'first' USING HINT = 'a hint', DETAIL = 'a detail', ERRCODE = 'U0001';
    RAISE WARNING 'second';
END$$
"""


def find(client: AnyClient, label: str) -> ListedJob:
    (found,) = [job for job in client.jobs() if job.label == label]
    return found


def test_a_job_of_the_list(client: AnyClient, place: Place) -> None:
    label = f"listed in {place.schema}"
    client.launch("SELECT 1 AS a", label=label)
    job = find(client, label)
    assert isinstance(job, JobInfo)
    assert job.wait()
    assert job.exception() is None
    assert job.result() is job.result()
    assert (job.result()).to_dicts() == [{"a": 1}]
    assert job.job.name == label
    assert type(pickle.loads(pickle.dumps(job))) is JobInfo
    assert pickle.loads(pickle.dumps(job)).handle == job.handle


def test_a_job_of_the_list_is_cancelled_and_detached(client: AnyClient, place: Place) -> None:
    endless, forgotten = (f"{word} in {place.schema}" for word in ("endless", "forgotten"))
    client.launch(FOREVER, label=endless)
    job = find(client, endless)
    job.cancel()
    assert isinstance(job.exception(), JobCancelled)
    launched = client.launch("SELECT 1", label=forgotten)
    (find(client, forgotten)).detach()
    with pytest.raises(JobLost):
        client.attach(launched.handle).detach()


def test_a_job_of_another_role(client: AnyClient, place: Place, make_role: MakeRole) -> None:
    role = make_role("LOGIN", member_of=("pgbackground_role",))
    job = client.launch(FOREVER)
    with Client.connect(place.dsn(user=role)) as other:
        seen = [listed for listed in other.jobs() if listed.pid == job.pid][-1]
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"the job with PID {job.pid} is"):
            seen.cancel()
    job.discard()


@pytest.mark.parametrize("query", [NOTICES, f"{NOTICES}; SELECT 1"])
def test_notices(client: AnyClient, query: str) -> None:
    heard: list[tuple[str | None, str | None]] = []

    def hear(notice: Diagnostic) -> None:
        heard.append((notice.severity, notice.message_primary))

    client.add_notice_handler(hear)
    result = client.run(query)
    assert heard == [("NOTICE", "first"), ("WARNING", "second")]
    first, second = result.notices
    assert first[:5] == ("NOTICE", "U0001", "first", "a detail", "a hint")
    assert "RAISE" in (first.context or "")
    assert (second.severity, second.message) == ("WARNING", "second")
    client.remove_notice_handler(hear)
    assert len((client.run(query)).notices) == 2
    assert len(heard) == 2
    with pytest.raises(ValueError, match="not in list"):
        client.remove_notice_handler(hear)


def test_notices_over_somebody_elses_connection(place: Place) -> None:
    """They are heard while the client works, and no longer."""
    with psycopg.Connection.connect(place.dsn(), autocommit=True) as connection:
        client = Client(connection)
        heard: list[str | None] = []
        client.add_notice_handler(lambda notice: heard.append(notice.message_primary))
        client.run(NOTICES)
        connection.execute("DO $$BEGIN RAISE NOTICE 'of the connection'; END$$")
        assert heard == ["first", "second"]


def test_notices_of_a_job_that_fails(client: AnyClient) -> None:
    heard: list[str | None] = []
    client.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    with pytest.raises(psycopg.errors.DivisionByZero):
        client.run(f"{NOTICES}; SELECT 1/0")
    assert heard == ["first", "second"]


@pytest.mark.parametrize(
    ("query", "params", "rows"),
    [
        ("SELECT %s * 2", [1, 2], [2, 4]),
        ("SELECT %s || '!'", ["one", "two"], ["one!", "two!"]),
        ("SELECT %s::int IS NULL", [None, 1], [True, False]),
        ("SELECT %s", [b"\x00", b"\xff"], [b"\x00", b"\xff"]),
        ("SELECT %s + %s", [(1, 2), [3, 4]], [3, 7]),
        ("SELECT %(a)s + 1", [{"a": 1}], [2]),
        ("SELECT array_length(%s, 1)", [[[1, 2, 3]]], [3]),
    ],
)
def test_map_takes_single_values(client: AnyClient, query: str, params: Any, rows: list[Any]) -> None:
    assert [result.value() for result in client.map(query, params)] == rows


def test_map_gives_each_result_once(client: AnyClient) -> None:
    """Also where the first has ended before the second begins."""
    seen: list[int] = []
    for result in client.map("SELECT %s * 2", [1, 2, 3], concurrency=1):
        seen.append(result.value())
        if len(seen) > 3:
            break
    assert seen == [2, 4, 6]


def test_map_waits_for_a_free_worker(place: Place, side: Connection) -> None:
    """On a server whose only worker for the session is taken."""
    with Client.connect(place.dsn()) as client:
        with client.session.connection() as connection:
            connection.execute("SET pg_background.max_workers = 1")
        endless = client.launch(FOREVER)
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            client.launch("SELECT 1")

        def values() -> Iterator[int]:
            yield 1
            yield 2
            side.execute("SELECT pg_background_cancel(%s, %s)", [*endless.handle])
            yield 3

        doubled = [result.value() for result in client.map("SELECT %s * 2", values(), concurrency=3)]
        assert doubled == [2, 4, 6]
        # Whoever wants the error gets it.
        endless = client.launch(FOREVER)
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            assert list(client.map("SELECT %s", [1], on_full="error"))
        endless.discard()


def test_the_state_after_an_interrupted_block(client: AnyClient) -> None:
    with pytest.raises(LookupError), client.launch(FOREVER) as job:
        raise LookupError("on purpose")
    assert job.state == "canceled"
    assert job.done()
    # The server keeps no output for it.
    with pytest.raises(JobLost):
        client.attach(job.handle).detach()
    job = client.launch("SELECT 1")
    job.wait()
    with pytest.raises(LookupError), job:
        raise LookupError("on purpose")
    assert job.state == "stopped"


def test_a_queued_job_of_the_list_that_runs_by_now(place: Place, side: Connection) -> None:
    """Its handle is the one that its launch gave, whatever process runs it."""
    label = f"queued in {place.schema}"
    with Client.connect(place.dsn()) as client:
        with client.session.connection() as connection:
            connection.execute("SET pg_background.max_workers = 1")
        endless = client.launch(FOREVER)
        job = client.launch(FOREVER, on_full="queue", label=label)
        endless.cancel()
        state = "SELECT state FROM pg_background_outcome(%s, %s)"
        wait_until_sql(side, state, [*job.handle], expected="running")
        found = find(client, label)
        assert found.worker_pid is not None
        assert found.worker_pid > 0
        assert found.handle == job.handle
        found.cancel()
        assert isinstance(found.exception(), JobCancelled)


def test_grace(client: AnyClient, side: Connection) -> None:
    """So many seconds does a job have that does not obey; then its process is ended."""
    job = client.launch(SWALLOWS_CANCELS_AND_COUNTS)
    progress = "SELECT pct FROM pg_background_get_progress(%s, %s) AS p (pct, message)"
    wait_until_sql(side, progress, [*job.handle], expected=1)
    began = time.monotonic()
    job.cancel(grace=2)
    assert time.monotonic() - began > 1.8
    assert job.state == "canceled"


def test_what_fails_to_be_read_can_be_read_again(place: Place) -> None:
    """An error of the reading is none of the job, which has succeeded."""
    with psycopg.Connection.connect(place.dsn()) as connection:
        client = Client(connection)
        job = client.launch("SELECT 1 AS a")
        assert job.wait()
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        for _ in range(2):
            with pytest.raises(psycopg.errors.InFailedSqlTransaction):
                job.result()
        connection.rollback()
        assert job.exception() is None
        assert (job.result()).to_dicts() == [{"a": 1}]


@pytest.mark.crashes
def test_what_is_known_when_the_server_stops(fresh_server: Any) -> None:
    """Nothing: its jobs may have ended with it."""
    server = fresh_server()
    with Client.connect(server.dsn()) as client:
        job = client.launch(FOREVER)
        server.cluster.stop("immediate")
        with pytest.raises(ConnectionLost, match="whether the job goes on is not known") as caught:
            job.result()
        assert caught.value.job_continues is None
        with pytest.raises(ConnectionLost) as caught:
            job.cancel()
        assert caught.value.job_continues is None


def test_what_is_known_when_only_the_session_ends(place: Place, side: Connection) -> None:
    with psycopg.Connection.connect(place.dsn()) as connection:
        client = Client(connection)
        with closed_gate(side) as gate:
            job = client.launch(gate.sql)
            connection.execute("SET idle_in_transaction_session_timeout = 10")
            ended = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
            wait_until_sql(side, ended, [connection.info.backend_pid], expected=0)
            with pytest.raises(ConnectionLost, match="goes on") as caught:
                job.done()
            # What the server said at last is lost if the question reaches its end of the connection too late.
            cause = caught.value.__cause__
            assert isinstance(cause, psycopg.Error)
            assert caught.value.job_continues is (None if cause.sqlstate is None else True)
