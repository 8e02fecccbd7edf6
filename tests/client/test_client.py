# Made from test_client_async.py by tools/async_to_sync.py: edit that one.
"""What a client does with one job, from its launch to its end."""

from __future__ import annotations

import pickle
from decimal import Decimal

import psycopg
import pytest
from psycopg.rows import TupleRow

from pg_background import Client, Handle, JobCancelled, JobLost, JobTimeout, Progress
from pg_background.client.acompat import Event, wait_event

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER, closed_gate
from ..support.waiting import DEADLINE, wait_until_sql

AnyClient = Client[TupleRow]


def test_an_error_is_the_jobs_own(client: AnyClient, side: Connection, place: Place) -> None:
    side.execute("CREATE TABLE t (a int CONSTRAINT positive CHECK (a > 0))")
    job = client.launch("INSERT INTO t VALUES (%s)", [-1])
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        job.result()
    diag = caught.value.diag
    assert (diag.table_name, diag.constraint_name, diag.schema_name) == ("t", "positive", place.schema)
    assert diag.message_detail is not None
    assert "Failing row" in diag.message_detail
    assert job.state == "error"
    assert job.exception() is caught.value
    with pytest.raises(psycopg.errors.CheckViolation):
        job.result()


def test_an_error_with_rows_before_it(client: AnyClient) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        client.run("SELECT 1 / (3 - n) FROM generate_series(1, 5) AS n")


def test_exception_of_success_is_none(client: AnyClient) -> None:
    job = client.launch("SELECT 1")
    assert job.exception() is None
    assert job.result() == [(1,)]


def test_cancel(client: AnyClient) -> None:
    job = client.launch(FOREVER)
    assert not job.done()
    assert not job.wait(0.01)
    job.cancel()
    with pytest.raises(JobCancelled) as caught:
        job.result()
    assert isinstance(caught.value, psycopg.errors.QueryCanceled)
    assert caught.value.diag.sqlstate == "57014"
    assert job.state == "canceled"


def test_cancel_of_a_finished_job_changes_nothing(client: AnyClient) -> None:
    job = client.launch("SELECT 1")
    assert job.wait()
    job.cancel(grace=1)
    assert job.result() == [(1,)]


def test_the_jobs_own_time_limit(client: AnyClient) -> None:
    job = client.launch(FOREVER, timeout=0.01)
    with pytest.raises(JobTimeout) as caught:
        job.result()
    assert not isinstance(caught.value, TimeoutError)
    assert job.state == "timed_out"


def test_the_waits_time_limit_leaves_the_job_alone(client: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = client.launch(gate.sql, label="held up")
        with pytest.raises(TimeoutError, match="held up has not ended in 0.01 s, and goes on"):
            job.result(timeout=0.01)
        with pytest.raises(TimeoutError):
            job.exception(timeout=0)
    assert job.exception() is None


def test_a_lost_process(client: AnyClient, side: Connection) -> None:
    job = client.launch("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(JobLost) as caught:
        job.result()
    assert caught.value.sqlstate == "08006"
    assert job.state == "lost"


def test_unknown_handles(client: AnyClient) -> None:
    known = client.launch("SELECT 1")
    for handle in (Handle(1, 2), Handle(known.pid, known.cookie ^ 1)):
        job = client.attach(handle)
        for call in (job.wait, job.result, job.done, job.cancel, job.detach, job.describe, job.exception):
            with pytest.raises(JobLost, match="does not know the job"):
                call()
        with pytest.raises(JobLost):
            _ = job.state
        assert job.progress == Progress(None, None)


def test_a_result_that_was_read_elsewhere(client: AnyClient) -> None:
    job = client.launch("SELECT 1")
    client.attach(job.pid, job.cookie).result()
    with pytest.raises(JobLost):
        job.result()


def test_detach(client: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE t (a int)")
    with closed_gate(side) as gate:
        job = client.launch(f"{gate.sql}; INSERT INTO t VALUES (1)")
        job.detach()
        for call in (job.wait, job.result, job.done):
            with pytest.raises(JobLost, match="was detached"):
                call()
    wait_until_sql(side, "SELECT count(*) FROM t", expected=1)


def test_submit(client: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE t (a int CHECK (a > 0))")
    job = client.submit("INSERT INTO t VALUES (%s), (2)", [1])
    result = job.result()
    assert (list(result), result.rowcount, result.statusmessage) == ([], 2, "INSERT 0 2")
    failing = client.submit("INSERT INTO t VALUES (-1)")
    with pytest.raises(psycopg.errors.CheckViolation, match="(?s)t_a_check.*DETAIL:  Failing row"):
        failing.result()
    attached = client.attach((client.submit("SELECT 1")).handle)
    assert (attached.result()).statusmessage == "SELECT 1"


def test_a_submit_with_an_error_of_its_own(client: AnyClient) -> None:
    """Its SQLSTATE is known, though psycopg has no class for it."""
    job = client.submit("DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'XY123'; END $$")
    with pytest.raises(psycopg.Error, match="own") as caught:
        job.result()
    assert caught.value.sqlstate == "XY123"


def test_a_cancelled_submit(client: AnyClient) -> None:
    job = client.submit(FOREVER)
    job.cancel()
    assert isinstance(job.exception(), JobCancelled)


def test_progress(client: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = client.launch(f"SELECT pg_background_progress(40, 'forty'); {gate.sql}")
        assert job.progress in (Progress(None, None), Progress(40, "forty"))
    assert job.wait()
    assert job.progress == Progress(40, "forty")


def test_describe(client: AnyClient) -> None:
    job = client.launch("SELECT 1::numeric(5, 2) AS a, 'x'::name AS b")
    assert job.wait()
    assert [(column.name, column.type_name) for column in job.describe()] == [
        ("a", "numeric(5,2)"),
        ("b", "name"),
    ]
    assert job.result() == [(Decimal("1.00"), "x")]


def test_fetch_in_pages(client: AnyClient) -> None:
    job = client.launch("SELECT generate_series(1, 2500)")
    pages = list(job.fetch(1000))
    assert [len(page) for page in pages] == [1000, 1000, 500]
    assert pages[2][-1] == (2500,)
    with pytest.raises(JobLost):
        job.result()


def test_fetch_after_result(client: AnyClient) -> None:
    job = client.launch("SELECT generate_series(1, 3)")
    job.result()
    assert list(job.fetch(2)) == [[(1,), (2,)], [(3,)]]


def test_fetch_without_rows_and_of_errors(client: AnyClient) -> None:
    job = client.launch("CREATE TABLE t ()")
    assert list(job.fetch()) == []
    failing = client.launch("SELECT 1/0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        _ = list(failing.fetch())
    with pytest.raises(ValueError, match="at least 1"):
        failing.fetch(0)


def test_the_client_works_while_pages_are_read(client: AnyClient) -> None:
    job = client.launch("SELECT generate_series(1, 5)")
    seen = 0
    for page in job.fetch(2):
        seen += (client.run("SELECT %s", [len(page)])).value()
    assert seen == 5


def test_the_block_forgets_the_job(client: AnyClient) -> None:
    with client.launch("SELECT 1") as job:
        pass
    with pytest.raises(JobLost):
        job.wait()


def test_an_exception_in_the_block_cancels_the_job(client: AnyClient, side: Connection) -> None:
    with pytest.raises(LookupError), client.launch(FOREVER) as job:
        raise LookupError
    wait_until_sql(
        side, "SELECT state FROM pg_background_outcome(%s, %s)", [*job.handle], expected="canceled"
    )


def test_pickles_to_its_handle(client: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = client.launch(gate.sql)
        handle = pickle.loads(pickle.dumps(job))
        assert handle == job.handle == (job.pid, job.cookie)
    assert client.attach(handle).wait()


def test_attach_needs_a_handle(client: AnyClient) -> None:
    with pytest.raises(TypeError, match="pid and cookie"):
        client.attach(1)


def test_how_it_looks(client: AnyClient) -> None:
    job = client.launch("SELECT '<b>' AS tag", label="t<otals")
    assert repr(job).endswith(f"Job 't<otals' pid={job.pid} cookie={job.cookie} launched>")
    result = job.result()
    assert " stopped>" in repr(job)
    assert "t&lt;otals" in job._repr_html_()
    assert "<td>&lt;b&gt;</td>" in result._repr_html_()
    assert repr(result) == "<Result: SELECT 1 (tag)>"


def test_scripts_run_each_statement_for_itself(client: AnyClient, side: Connection) -> None:
    result = client.run_script("""
        CREATE TABLE t AS SELECT generate_series(1, 10) AS a;
        VACUUM t;
        CREATE INDEX CONCURRENTLY ON t (a);
        SELECT count(*) FROM t;
    """)
    assert result == [(10,)]
    with pytest.raises(psycopg.errors.DivisionByZero):
        client.run_script("INSERT INTO t VALUES (11); SELECT 1/0; INSERT INTO t VALUES (12)")
    assert side.execute("SELECT max(a) FROM t").fetchone() == (11,)


def test_jobs_and_stats(client: AnyClient, place: Place) -> None:
    job = client.launch("SELECT 1", label=place.schema)
    assert job.wait()
    (seen,) = [info for info in client.jobs() if info.label == place.schema]
    assert (seen.handle, seen.state, seen.row_count) == (job.handle, "stopped", 1)
    stats = client.stats()
    assert (stats.workers_launched, stats.workers_completed, stats.max_workers) == (1, 1, 16)


def test_callbacks(client: AnyClient, side: Connection) -> None:
    called: list[object] = []
    with closed_gate(side) as gate:
        job = client.launch(gate.sql)
        job.add_done_callback(called.append)
        job.add_done_callback(lambda _: 1 / 0)
        job.add_done_callback(called.append)
        assert called == []
        last = Event()
        job.add_done_callback(lambda _: last.set())
    assert wait_event(last, DEADLINE)
    assert called == [job, job]
    job.add_done_callback(called.append)
    assert len(called) == 3
    job.result()
    job.add_done_callback(called.append)
    assert len(called) == 4


def test_the_label_and_the_database(client: AnyClient) -> None:
    job = client.launch(
        "SELECT application_name, datname FROM pg_stat_activity WHERE pid = pg_backend_pid()",
        label="mine",
        database="postgres",
    )
    ((name, database),) = job.result()
    assert "mine" in name
    assert database == "postgres"


def test_the_time_limit_is_that_jobs_only(client: AnyClient) -> None:
    limits = [
        (client.run("SHOW pg_background.worker_timeout", timeout=timeout)).value() for timeout in (7, None)
    ]
    assert limits == ["7s", "0"]


def test_refused_launches(client: AnyClient) -> None:
    with pytest.raises(psycopg.errors.StringDataRightTruncation, match="label too long"):
        client.launch("SELECT 1", label="x" * 65)
    with pytest.raises(ValueError, match="timeout must be between"):
        client.launch("SELECT 1", timeout=-1)
    assert client.run("SELECT 1") == [(1,)]
