"""What a client does with one job, from its launch to its end."""

from __future__ import annotations

import pickle
from decimal import Decimal

import psycopg
import pytest
from psycopg.rows import TupleRow

from pg_background import AsyncClient, Handle, JobCancelled, JobLost, JobTimeout, Progress
from pg_background.client.acompat import AEvent, await_event

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER, closed_gate
from ..support.waiting import DEADLINE, wait_until_sql

AnyClient = AsyncClient[TupleRow]


async def test_an_error_is_the_jobs_own(aclient: AnyClient, side: Connection, place: Place) -> None:
    side.execute("CREATE TABLE t (a int CONSTRAINT positive CHECK (a > 0))")
    job = await aclient.launch("INSERT INTO t VALUES (%s)", [-1])
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        await job.result()
    diag = caught.value.diag
    assert (diag.table_name, diag.constraint_name, diag.schema_name) == ("t", "positive", place.schema)
    assert diag.message_detail is not None
    assert "Failing row" in diag.message_detail
    assert await job.state == "error"
    assert await job.exception() is caught.value
    with pytest.raises(psycopg.errors.CheckViolation):
        await job.result()


async def test_an_error_with_rows_before_it(aclient: AnyClient) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await aclient.run("SELECT 1 / (3 - n) FROM generate_series(1, 5) AS n")


async def test_exception_of_success_is_none(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT 1")
    assert await job.exception() is None
    assert await job.result() == [(1,)]


async def test_cancel(aclient: AnyClient) -> None:
    job = await aclient.launch(FOREVER)
    assert not await job.done()
    assert not await job.wait(0.01)
    await job.cancel()
    with pytest.raises(JobCancelled) as caught:
        await job.result()
    assert isinstance(caught.value, psycopg.errors.QueryCanceled)
    assert caught.value.diag.sqlstate == "57014"
    assert await job.state == "canceled"


async def test_cancel_of_a_finished_job_changes_nothing(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT 1")
    assert await job.wait()
    await job.cancel(grace=1)
    assert await job.result() == [(1,)]


async def test_the_jobs_own_time_limit(aclient: AnyClient) -> None:
    job = await aclient.launch(FOREVER, timeout=0.01)
    with pytest.raises(JobTimeout) as caught:
        await job.result()
    assert not isinstance(caught.value, TimeoutError)
    assert await job.state == "timed_out"


async def test_the_waits_time_limit_leaves_the_job_alone(aclient: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = await aclient.launch(gate.sql, label="held up")
        with pytest.raises(TimeoutError, match="held up has not ended in 0.01 s, and goes on"):
            await job.result(timeout=0.01)
        with pytest.raises(TimeoutError):
            await job.exception(timeout=0)
    assert await job.exception() is None


async def test_a_lost_process(aclient: AnyClient, side: Connection) -> None:
    job = await aclient.launch("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(JobLost) as caught:
        await job.result()
    assert caught.value.sqlstate == "08006"
    assert await job.state == "lost"


async def test_unknown_handles(aclient: AnyClient) -> None:
    known = await aclient.launch("SELECT 1")
    for handle in (Handle(1, 2), Handle(known.pid, known.cookie ^ 1)):
        job = aclient.attach(handle)
        for call in (job.wait, job.result, job.done, job.cancel, job.detach, job.describe, job.exception):
            with pytest.raises(JobLost, match="does not know the job"):
                await call()
        with pytest.raises(JobLost):
            _ = await job.state
        assert await job.progress == Progress(None, None)


async def test_a_result_that_was_read_elsewhere(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT 1")
    await aclient.attach(job.pid, job.cookie).result()
    with pytest.raises(JobLost):
        await job.result()


async def test_detach(aclient: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE t (a int)")
    with closed_gate(side) as gate:
        job = await aclient.launch(f"{gate.sql}; INSERT INTO t VALUES (1)")
        await job.detach()
        for call in (job.wait, job.result, job.done):
            with pytest.raises(JobLost, match="was detached"):
                await call()
    wait_until_sql(side, "SELECT count(*) FROM t", expected=1)


async def test_submit(aclient: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE t (a int CHECK (a > 0))")
    job = await aclient.submit("INSERT INTO t VALUES (%s), (2)", [1])
    result = await job.result()
    assert (list(result), result.rowcount, result.statusmessage) == ([], 2, "INSERT 0 2")
    failing = await aclient.submit("INSERT INTO t VALUES (-1)")
    with pytest.raises(psycopg.errors.CheckViolation, match="(?s)t_a_check.*DETAIL:  Failing row"):
        await failing.result()
    attached = aclient.attach((await aclient.submit("SELECT 1")).handle)
    assert (await attached.result()).statusmessage == "SELECT 1"


async def test_a_submit_with_an_error_of_its_own(aclient: AnyClient) -> None:
    """Its SQLSTATE is known, though psycopg has no class for it."""
    job = await aclient.submit("DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'XY123'; END $$")
    with pytest.raises(psycopg.Error, match="own") as caught:
        await job.result()
    assert caught.value.sqlstate == "XY123"


async def test_a_cancelled_submit(aclient: AnyClient) -> None:
    job = await aclient.submit(FOREVER)
    await job.cancel()
    assert isinstance(await job.exception(), JobCancelled)


async def test_progress(aclient: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = await aclient.launch(f"SELECT pg_background_progress(40, 'forty'); {gate.sql}")
        assert await job.progress in (Progress(None, None), Progress(40, "forty"))
    assert await job.wait()
    assert await job.progress == Progress(40, "forty")


async def test_describe(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT 1::numeric(5, 2) AS a, 'x'::name AS b")
    assert await job.wait()
    assert [(column.name, column.type_name) for column in await job.describe()] == [
        ("a", "numeric(5,2)"),
        ("b", "name"),
    ]
    assert await job.result() == [(Decimal("1.00"), "x")]


async def test_fetch_in_pages(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT generate_series(1, 2500)")
    pages = [page async for page in job.fetch(1000)]
    assert [len(page) for page in pages] == [1000, 1000, 500]
    assert pages[2][-1] == (2500,)
    with pytest.raises(JobLost):
        await job.result()


async def test_fetch_after_result(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT generate_series(1, 3)")
    await job.result()
    assert [page async for page in job.fetch(2)] == [[(1,), (2,)], [(3,)]]


async def test_fetch_without_rows_and_of_errors(aclient: AnyClient) -> None:
    job = await aclient.launch("CREATE TABLE t ()")
    assert [page async for page in job.fetch()] == []
    failing = await aclient.launch("SELECT 1/0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        _ = [page async for page in failing.fetch()]
    with pytest.raises(ValueError, match="at least 1"):
        failing.fetch(0)


async def test_the_client_works_while_pages_are_read(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT generate_series(1, 5)")
    seen = 0
    async for page in job.fetch(2):
        seen += (await aclient.run("SELECT %s", [len(page)])).value()
    assert seen == 5


async def test_the_block_forgets_the_job(aclient: AnyClient) -> None:
    async with await aclient.launch("SELECT 1") as job:
        pass
    with pytest.raises(JobLost):
        await job.wait()


async def test_an_exception_in_the_block_cancels_the_job(aclient: AnyClient, side: Connection) -> None:
    with pytest.raises(LookupError):
        async with await aclient.launch(FOREVER) as job:
            raise LookupError
    wait_until_sql(
        side, "SELECT state FROM pg_background_outcome(%s, %s)", [*job.handle], expected="canceled"
    )


async def test_pickles_to_its_handle(aclient: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = await aclient.launch(gate.sql)
        handle = pickle.loads(pickle.dumps(job))
        assert handle == job.handle == (job.pid, job.cookie)
    assert await aclient.attach(handle).wait()


async def test_attach_needs_a_handle(aclient: AnyClient) -> None:
    with pytest.raises(TypeError, match="pid and cookie"):
        aclient.attach(1)


async def test_how_it_looks(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT '<b>' AS tag", label="t<otals")
    assert repr(job).endswith(f"Job 't<otals' pid={job.pid} cookie={job.cookie} launched>")
    result = await job.result()
    assert " stopped>" in repr(job)
    assert "t&lt;otals" in job._repr_html_()
    assert "<td>&lt;b&gt;</td>" in result._repr_html_()
    assert repr(result) == "<Result: SELECT 1 (tag)>"


async def test_scripts_run_each_statement_for_itself(aclient: AnyClient, side: Connection) -> None:
    result = await aclient.run_script("""
        CREATE TABLE t AS SELECT generate_series(1, 10) AS a;
        VACUUM t;
        CREATE INDEX CONCURRENTLY ON t (a);
        SELECT count(*) FROM t;
    """)
    assert result == [(10,)]
    with pytest.raises(psycopg.errors.DivisionByZero):
        await aclient.run_script("INSERT INTO t VALUES (11); SELECT 1/0; INSERT INTO t VALUES (12)")
    assert side.execute("SELECT max(a) FROM t").fetchone() == (11,)


async def test_jobs_and_stats(aclient: AnyClient, place: Place) -> None:
    job = await aclient.launch("SELECT 1", label=place.schema)
    assert await job.wait()
    (seen,) = [info for info in await aclient.jobs() if info.label == place.schema]
    assert (seen.handle, seen.state, seen.row_count) == (job.handle, "stopped", 1)
    stats = await aclient.stats()
    assert (stats.workers_launched, stats.workers_completed, stats.max_workers) == (1, 1, 16)


async def test_callbacks(aclient: AnyClient, side: Connection) -> None:
    called: list[object] = []
    with closed_gate(side) as gate:
        job = await aclient.launch(gate.sql)
        job.add_done_callback(called.append)
        job.add_done_callback(lambda _: 1 / 0)
        job.add_done_callback(called.append)
        assert called == []
        last = AEvent()
        job.add_done_callback(lambda _: last.set())
    assert await await_event(last, DEADLINE)
    assert called == [job, job]
    job.add_done_callback(called.append)
    assert len(called) == 3
    await job.result()
    job.add_done_callback(called.append)
    assert len(called) == 4


async def test_the_label_and_the_database(aclient: AnyClient) -> None:
    job = await aclient.launch(
        "SELECT application_name, datname FROM pg_stat_activity WHERE pid = pg_backend_pid()",
        label="mine",
        database="postgres",
    )
    ((name, database),) = await job.result()
    assert "mine" in name
    assert database == "postgres"


async def test_the_time_limit_is_that_jobs_only(aclient: AnyClient) -> None:
    limits = [
        (await aclient.run("SHOW pg_background.worker_timeout", timeout=timeout)).value()
        for timeout in (7, None)
    ]
    assert limits == ["7s", "0"]


async def test_refused_launches(aclient: AnyClient) -> None:
    with pytest.raises(psycopg.errors.StringDataRightTruncation, match="label too long"):
        await aclient.launch("SELECT 1", label="x" * 65)
    with pytest.raises(ValueError, match="timeout must be between"):
        await aclient.launch("SELECT 1", timeout=-1)
    assert await aclient.run("SELECT 1") == [(1,)]
