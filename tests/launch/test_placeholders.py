"""Custom settings that no library defines: those of a launcher are in its jobs, and unknown in all others."""

from __future__ import annotations

import pytest

from ..support.calls import query
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import cancel, launch, result, run, start, wait, wait_until_asleep
from ..support.server import Server
from ..support.workers import only_worker

SEEN = "SELECT current_setting('app.tenant', true)"


@pytest.fixture
def first(one_worker: None, connect: Connect) -> Connection:
    """A session."""
    return connect()


@pytest.fixture
def second(one_worker: None, connect: Connect) -> Connection:
    """Another of the same role."""
    return connect()


@pytest.mark.parametrize(
    "job",
    [
        "SELECT set_config('app.tenant', '7', true)",
        "SELECT set_config('app.tenant', '7', false)",
        "SET app.tenant = '7'",
        "SET LOCAL app.tenant = '7'",
        "SET app.tenant = '7'; RESET app.tenant",
        "SET app.tenant = '7'; SELECT 1/0",
        "DO $$ BEGIN PERFORM set_config('app.tenant', '7', false); COMMIT; RAISE 'failed'; END $$",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET app.tenant = '7' AS 'SELECT 1';"
        "SELECT pg_temp.f()",
        "SET work_mem = '5MB'; RESET ALL; SET app.tenant = '7'",
    ],
)
def test_of_an_earlier_job(first: Connection, second: Connection, job: str) -> None:
    """Unknown is NULL; an empty string, which a reset would leave, no policy could cast."""
    for _ in range(3):
        assert wait(first, launch(first, job))
        for session in (first, second):
            assert run(session, SEEN) == [(None,)]


def test_right_after_it(first: Connection, second: Connection) -> None:
    """With no time between for anything to be late."""
    for _ in range(20):
        made = launch(first, "SELECT set_config('app.tenant', '7', true)")
        waiting = start(second, SEEN, on_full="queue")
        assert result(second, waiting) == [(None,)]
        assert result(first, made) == [("7",)]


def test_of_a_canceled_job(first: Connection, second: Connection) -> None:
    handle = launch(first, "SET app.tenant = '7'; SELECT pg_sleep(3600)")
    wait_until_asleep(second, handle.pid)
    cancel(second, handle)
    assert wait(second, handle)
    assert run(second, SEEN) == [(None,)]


def test_of_two_sessions(first: Connection, second: Connection) -> None:
    """Each job has its session's."""
    query(first, "SET app.tenant = '1'")
    query(second, "SET app.tenant = '2'; SET app.other = 'x'")
    both = "SELECT current_setting('app.tenant', true), current_setting('app.other', true)"
    for _ in range(3):
        assert run(first, both, "a text, b text") == [("1", None)]
        assert run(second, both, "a text, b text") == [("2", "x")]


def test_a_session_s_own_leave_it_its_worker(first: Connection) -> None:
    """As long as its jobs set no others."""
    query(first, "SET app.tenant = '1'")
    handles = [launch(first, SEEN)]
    assert wait(first, handles[0])
    query(first, "SET app.tenant = '2'")
    handles.append(launch(first, "SET app.tenant = '3'"))
    assert wait(first, handles[1])
    handles.append(launch(first, SEEN))
    assert result(first, handles[2]) == [("2",)]
    assert len({handle.pid for handle in handles}) == 1


def test_what_leaves_no_new_name_leaves_the_worker(first: Connection) -> None:
    """Longer and shorter values of known settings, and functions with settings of their own."""
    query(
        first,
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT 1'",
    )
    jobs = [
        "SELECT 1",
        "SET search_path = a, b, c, d",
        "SELECT f()",
        "SET work_mem = '5MB'",
        "RESET ALL",
        SEEN,
    ]
    handles = [launch(first, jobs[0])]
    for job in jobs[1:]:
        assert wait(first, handles[-1])
        handles.append(launch(first, job))
    assert wait(first, handles[-1])
    assert len({handle.pid for handle in handles}) == 1


def test_of_the_configuration(fresh_server: FreshServer) -> None:
    """Every process has it; it keeps nobody's jobs from sharing one."""
    server = fresh_server({"app.everywhere": "yes", "pg_background.max_total_workers": 1})
    seen = "SELECT current_setting('app.everywhere', true), current_setting('app.tenant', true)"
    with server.connect() as session:
        pids = set()
        for _ in range(3):
            handle = launch(session, seen)
            pids.add(handle.pid)
            assert result(session, handle, "a text, b text") == [("yes", None)]
        assert len(pids) == 1
        assert wait(session, launch(session, "SET app.tenant = '7'"))
        assert run(session, seen, "a text, b text") == [("yes", None)]


def test_policies_that_cast_one(first: Connection, second: Connection) -> None:
    """Rows are of the tenant that the session has named, or of none."""
    query(
        first,
        "CREATE TABLE owned (tenant int); INSERT INTO owned VALUES (7), (8);"
        "CREATE VIEW mine AS SELECT FROM owned WHERE tenant = current_setting('app.tenant', true)::int",
    )
    count = "SELECT count(*) FROM mine"
    assert run(first, f"SELECT set_config('app.tenant', '7', true); {count}", "n bigint") == [(1,)]
    assert run(second, count, "n bigint") == [(0,)]


@pytest.mark.contrib("auto_explain")
@pytest.mark.parametrize("loaded_by", ["job", "session"])
def test_a_name_that_another_s_library_defines(first: Connection, second: Connection, loaded_by: str) -> None:
    """One session has set it before anybody had loaded the library, the other has that."""
    query(second, "SET auto_explain.log_min_duration = '7s'")
    if loaded_by == "session":
        query(first, "LOAD 'auto_explain'; SET auto_explain.log_min_duration = '5s'")
    seen = "SELECT current_setting('auto_explain.log_min_duration', true)"
    for _ in range(3):
        assert wait(first, launch(first, "LOAD 'auto_explain'"))
        assert run(second, seen) == [("7s",)]


@pytest.mark.contrib("auto_explain")
def test_a_name_that_is_another_s_to_set(
    server: Server, conn: Connection, connect: Connect, definer_of_loads: str
) -> None:
    """The library's setting is a superuser's; without the library anybody may set such a name."""
    with only_worker(server):
        loading, naming = connect(user=definer_of_loads), connect(user=definer_of_loads)
        query(naming, "SET auto_explain.log_min_duration = '7'")
        for _ in range(3):
            assert wait(loading, launch(loading, "SELECT load_it()"))
            assert run(naming, "SELECT current_setting('auto_explain.log_min_duration')") == [("7",)]


@pytest.fixture
def definer_of_loads(conn: Connection, make_role: MakeRole) -> str:
    """A role that may load the library by a function."""
    name = make_role(member_of=("pgbackground_role",))
    query(
        conn,
        "CREATE FUNCTION load_it() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN LOAD 'auto_explain'; END $$",
    )
    return name
