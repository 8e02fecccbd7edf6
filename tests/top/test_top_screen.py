"""`pg-background top` with jobs that are made up: each screen as it is to be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.widget import Widget

from pg_background.cluster.node_job import NodeJob
from pg_background.top import SourceError, TopApp
from pg_background.top.columns import layout
from pg_background.top.jobs_table import JobsTable
from pg_background.top.summary import Summary
from pg_background.watching import SourceLost

from ..support.screens import MadeUp, confirmed, job, lines, shows, text
from ..support.waiting import DEADLINE

GB = 1024**3

JOBS = (
    job(
        101,
        "running",
        95,
        label="backfill",
        progress_pct=42,
        progress_msg="42 of 100",
        sql_preview="CALL fill()",
    ),
    job(
        *(102, "running", 3700),
        wait_event_type="Lock",
        wait_event="transactionid",
        blocked_by=[77, 101],
        sql_preview="UPDATE stock\n   SET n = 0",
    ),
    job(103, "running", 5, wait_event_type="Timeout", wait_event="PgSleep", role="other", cookie=None),
    job(-4, "queued", 12, label="report"),
    job(105, "error", 0.2, sqlstate="22012", error_message="division by zero", sql_preview="SELECT 1/0"),
    job(
        106,
        "stopped",
        60,
        row_count=1_234_567,
        result_bytes=2 * GB,
        temp_bytes=2 * GB,
        command_tag="SELECT 1234567",
    ),
    job(107, "canceled", 3, label="[b]markup[/b] and a label that is longer than what there is room for"),
    job(108, "timed_out", 3),
    job(109, "lost", 3),
)

NARROW = """\
 pg-background top  shop on db:5432 as app                             12:00:00
 9 jobs  1 queued  3 running  1 done  1 error  1 canceled  1 t… with ended ones
    PID STATE▲      TIME PROGRESS   WAIT         JOB
    102 running    1h01m            by 77, 101   UPDATE stock SET n = 0
    101 running    1m35s ██───  42%              backfill: CALL fill()
    103 running     5.0s            PgSleep      SELECT 1
     -4 queued       12s                         report: SELECT 1
    105 error       0.2s                         SELECT 1/0
    109 lost        3.0s                         SELECT 1
    108 timed_out   3.0s                         SELECT 1
    107 canceled    3.0s                         [b]markup[/b] and a label th…
    106 done       1m00s                         SELECT 1"""

WIDE = "    PID STATE▲    ROLE       DATABASE    STARTED   TIME PROGRESS   WAIT           ROWS SPILLED JOB"


@pytest.fixture
def source() -> MadeUp:
    return MadeUp(*JOBS)


@pytest.fixture
def app(source: MadeUp, monkeypatch: pytest.MonkeyPatch) -> TopApp:
    # A message may be gone before a busy machine lets anybody look.
    monkeypatch.setattr(TopApp, "NOTIFICATION_TIMEOUT", DEADLINE)
    return TopApp(source, interval=0.25)


async def test_narrow(app: TopApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        # Jobs that have ended come on demand.
        await shows(pilot, app, lambda text: "backfill" in text and "4 shown" in text)
        assert lines(app)[2:7] == NARROW.splitlines()[2:7]
        await pilot.press("a")
        await shows(pilot, app, lambda _: lines(app)[:12] == NARROW.splitlines())
        await shows(pilot, app, lambda text: text.endswith("q Quit"))
        assert lines(app)[-1] == "⏎ Details c Cancel k Terminate / Filter <> Sort a All p Pause ? Keys q Quit"


@pytest.mark.parametrize("key", ["?", "f1"])
async def test_keys(app: TopApp, source: MadeUp, key: str) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press(key)
        await shows(pilot, app, lambda text: "stand still, or go on" in text and "q Quit" in text)
        # All of them can be seen, and none of the list's keys does anything.
        assert " quit " in text(app)
        await pilot.press("c", "a", key)
        await shows(pilot, app, lambda text: "stand still" not in text and "4 shown" in text)
    assert source.canceled == []


@pytest.mark.parametrize(("width", "least"), [(80, 28), (100, 28), (120, 28), (160, 28), (250, 28)])
def test_the_job_can_be_read_at_any_width(width: int, least: int) -> None:
    columns = layout(width - 1)
    assert sum(room + 1 for _, room in columns) <= width
    assert next(room for column, room in columns if column.title in ("JOB", "SQL")) >= least


async def test_only_lines_that_have_changed_are_drawn(app: TopApp, source: MadeUp) -> None:
    """Nothing else is cheap enough to be done each second, however many jobs there are."""
    source.jobs = [job(pid, "running", pid) for pid in range(1, 301)]
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "300 jobs" in text)
        await pilot.pause(0.1)
        table = app.query_one(JobsTable)
        drawn: list[int] = []
        draw = table.render_line
        table.render_line = lambda y: drawn.append(y) or draw(y)  # type: ignore[method-assign,func-returns-value]
        polls = source.polls
        source.jobs[-2] = replace(source.jobs[-2], progress_pct=50)
        await shows(pilot, app, lambda text: " 50%" in text and source.polls > polls + 1)
        assert set(drawn) == {2}


async def test_wide_and_resized(app: TopApp) -> None:
    async with app.run_test(size=(130, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press("a")
        assert lines(app)[2] == WIDE
        await pilot.resize_terminal(200, 50)
        await shows(pilot, app, lambda text: "MESSAGE" in text)
        shown = text(app)
        for word in ("42 of 100", "division by zero", "ROLE", "other", "Lock: transactionid", "77, 101"):
            assert word in shown
        await pilot.resize_terminal(80, 24)
        await shows(pilot, app, lambda text: lines(app)[:12] == NARROW.splitlines())


@pytest.mark.parametrize("gone", [Summary, JobsTable])
async def test_a_look_that_comes_back_while_the_screen_is_taken_down(
    app: TopApp, source: MadeUp, gone: type[Widget]
) -> None:
    """Its parts go one after the other."""
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await app.query_one(gone).remove()
        polls = source.polls
        await shows(pilot, app, lambda _: source.polls > polls + 1)


async def test_no_jobs_and_then_some(app: TopApp, source: MadeUp) -> None:
    source.jobs = []
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "No jobs. They appear here" in text and "\n no jobs\n" in text)
        # Nothing is under the cursor.
        await pilot.press("c", "k", "enter", "r")
        source.jobs = [job(5, "running")]
        await shows(pilot, app, lambda text: " 1 job  1 running" in text and "SELECT 1" in text)


async def test_lost_connection(app: TopApp, source: MadeUp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        source.trouble = SourceLost("Connection refused")
        await shows(pilot, app, lambda text: "CONNECTION LOST, trying again: Connection refused" in text)
        # What was seen last stays.
        assert "backfill" in text(app)
        await confirmed(pilot, app, "c")
        await shows(pilot, app, lambda text: "Not canceled" in text)
        source.trouble = SourceError("the extension is gone")
        await shows(pilot, app, lambda text: "NOT ANSWERED, trying again: the extension is gone" in text)
        source.trouble = None
        await shows(pilot, app, lambda text: "9 jobs" in text)


async def test_cursor_stays_on_its_job(app: TopApp, source: MadeUp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press("down", "down", "down")
        assert app.current == JOBS[3]
        source.jobs = [job(1, "running", 9000), *JOBS[1:]]
        await shows(pilot, app, lambda text: "2h30m" in text)
        assert app.current == JOBS[3]
        source.jobs = [job(1, "running", 9000)]
        await shows(pilot, app, lambda text: "1 job " in text)
        assert app.current == source.jobs[0]


async def test_sort(app: TopApp) -> None:
    def pids() -> list[int]:
        return [int(line.split()[0]) for line in lines(app)[3:12]]

    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press("a", "<")
        assert pids() == [-4, 101, 102, 103, 105, 106, 107, 108, 109]
        await pilot.press("r")
        assert pids()[0] == 109
        await pilot.press("r", ">", ">", ">", ">", ">")
        assert "TIME▲" in text(app)
        assert pids()[0] == 105
        # Jobs without rows are last in both directions.
        await pilot.press(">", ">", ">")
        assert "ROWS▲" in text(app)
        assert pids()[0] == 106
        await pilot.press("r")
        assert pids()[0] == 106
        await pilot.click("JobsTable", offset=(10, 0))
        await shows(pilot, app, lambda text: "STATE▲" in text)
        await pilot.click("JobsTable", offset=(10, 0))
        await shows(pilot, app, lambda text: "STATE▼" in text)
        assert pids()[0] == 106


async def test_filter(app: TopApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press("slash", *"STOCK upd")
        await shows(pilot, app, lambda text: "filter: STOCK upd  1 shown" in text and "backfill" not in text)
        await pilot.press("enter", "c")
        await shows(pilot, app, lambda text: "Cancel job 102?" in text)
        await pilot.press("n")
        await pilot.press("slash", "x", "enter")
        await shows(pilot, app, lambda text: "No job is like that. Escape clears the filter" in text)
        await pilot.press("escape")
        await shows(pilot, app, lambda text: "backfill" in text and "filter" not in text)
        await pilot.press("a")
        await shows(pilot, app, lambda text: "with ended ones" in text and "lost " in lines(app)[8])


async def test_pause(app: TopApp, source: MadeUp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press("p")
        source.jobs = []
        polls = source.polls
        await shows(pilot, app, lambda text: "PAUSED" in text)
        await pilot.pause(0.6)
        assert source.polls - polls <= 1
        assert "backfill" in text(app)
        await pilot.press("p")
        await shows(pilot, app, lambda text: "no jobs" in text)


async def test_details(app: TopApp, source: MadeUp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press("a", "down", "down", "down", "down", "enter")
        await shows(pilot, app, lambda text: "-- whole" in text)
        for line in (
            " handle     105:105000",
            " state      error",
            " sqlstate   22012",
            " message    division by zero",
            " detail     by [b]0[/b]",
            " hint       don't",
            " SELECT 1/0 -- whole",
        ):
            assert line in lines(app)
        await shows(pilot, app, lambda _: lines(app)[-1].startswith("esc Back c Cancel k Terminate p Pause"))
        # Keys of the list do nothing here.
        await pilot.press("slash", "r", "a")
        source.jobs = [replaced for replaced in source.jobs if replaced.pid != 105]
        await shows(pilot, app, lambda text: "the server does not keep it any more" in text)
        await pilot.press("escape")
        await shows(pilot, app, lambda text: "8 jobs" in text)
        assert "filter" not in text(app).replace("/ Filter", "")


async def test_cancel_and_terminate_ask_first(app: TopApp, source: MadeUp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        for no in ("n", "escape", "enter", "q"):
            await pilot.press("c")
            await shows(pilot, app, lambda text: "Cancel job 102? What it has done is rolled back." in text)
            assert "UPDATE stock SET n = 0" in text(app)
            await pilot.press(no)
            await shows(pilot, app, lambda text: "Cancel job" not in text)
        assert source.canceled == []
        await confirmed(pilot, app, "c")
        await shows(pilot, app, lambda text: "Job 102 was told to end." in text)
        await pilot.press("down", "k")
        await shows(pilot, app, lambda text: "Terminate job 101?" in text)
        await pilot.press("y")
        await shows(pilot, app, lambda text: "Job 101 was told to end." in text)
        assert source.canceled == [(JOBS[1].handle, 0), (JOBS[0].handle, 5)]
        # From the details too.
        await pilot.press("enter")
        await confirmed(pilot, app, "c")
        await shows(pilot, app, lambda _: len(source.canceled) == 3)
        assert source.canceled[2] == (JOBS[0].handle, 0)


async def test_what_can_not_be_canceled(app: TopApp, source: MadeUp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press("down", "down", "c")
        await shows(pilot, app, lambda text: "This role may not cancel job 103." in text)
        await pilot.press("enter")
        await shows(pilot, app, lambda text: "103:?" in text)
        await pilot.press("q", "a", "end", "k")
        await shows(pilot, app, lambda text: "Job 106 has ended: done." in text)
    assert source.canceled == []


async def test_quit(app: TopApp, source: MadeUp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        await pilot.press("q")
    assert source.is_closed
    assert app.return_code == 0


async def test_many_jobs(app: TopApp, source: MadeUp) -> None:
    source.jobs = [job(pid, "running", pid) for pid in range(1, 301)]
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "300 jobs" in text)
        await pilot.press("end")
        assert app.current == source.jobs[0]
        await pilot.press("home")
        assert app.current == source.jobs[-1]


NODES = """\
NODE         PID STATE▲      TIME WAIT         JOB
db1:5432     101 running     9.0s              backfill: SELECT 1
db2:5432     101 running     5.0s              SELECT 1"""


async def test_several_servers(app: TopApp, source: MadeUp) -> None:
    source.nodes = ("db1:5432", "db2:5432", "db3:5432")
    source.missing = {"db3:5432": SourceLost("Connection refused")}
    there = job(101, "running", 9, label="backfill", progress_pct=42)
    source.jobs = [NodeJob.of("db1:5432", there), NodeJob.of("db2:5432", job(101, "running", 5))]
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "backfill" in text)
        assert lines(app)[2:5] == NODES.splitlines()
        assert "db3:5432 does not answer: Connection" in lines(app)[1]
        # What concerns all jobs goes by the node, too.
        await pilot.press("slash", *"db2", "enter")
        await shows(pilot, app, lambda text: "1 shown" in text)
        await pilot.press("c")
        await shows(pilot, app, lambda text: "Cancel job 101 on db2:5432?" in text)
        await pilot.press("n", "enter")
        await shows(pilot, app, lambda text: "node       db2:5432" in text)
        await pilot.press("escape", "escape", "<")
        await shows(pilot, app, lambda text: "PID▲" in text)
        await pilot.press("<", "r")
        await shows(pilot, app, lambda text: "NODE▼" in text)
        assert lines(app)[3].startswith("db2:5432")
        source.missing = {}
        await shows(pilot, app, lambda text: "does not answer" not in text)


@pytest.mark.parametrize("width", [80, 120, 180, 250])
def test_a_node_takes_no_more_room_than_there_is(width: int) -> None:
    (first, its_room), *columns = layout(width - 1, ["n" * 60])
    assert (first.title, its_room) == ("NODE", 20)
    assert its_room + 1 + sum(room + 1 for _, room in columns) <= width
