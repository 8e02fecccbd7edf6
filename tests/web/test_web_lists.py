"""Filters, order and pages of the list, all in the address; history's too."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import timedelta

from pg_background.web.filters import Filter, listed
from pg_background.web.job_keys import handle_of, job_of, key_of

from ..support.fix_db import Connection
from ..support.screens import NOW, job
from ..support.waiting import wait_until_sql
from .conftest import PASSWORD, MakeVisitor, MakeWeb, SessionOf, Someone
from .visitor import query_of

JOBS = [
    job(1, "running", 60, label="import", role="etl", sql_preview="COPY orders"),
    job(2, "queued", 30, label="import 2", role="etl", database="bank"),
    job(3, "error", 5, label="report", role="app", error_message="division by zero"),
    job(4, "stopped", 2, label=None, role="app", row_count=7, command_tag="SELECT"),
    job(5, "stopped", 1, label="IMPORT 3", role="etl"),
]
STRANGER = replace(job(6, "running"), cookie=None, state=None, queued_at=None, started_at=None, label=None)


def pids(**given: str) -> list[int]:
    """Return the jobs that an address shows."""
    return [job.pid for job in listed([*JOBS, STRANGER], NOW, Filter.of(given)).jobs]


def test_filters() -> None:
    assert pids()[:3] == [1, 2, 6]
    assert sorted(pids()) == [1, 2, 3, 4, 5, 6]
    assert pids(state="live") == [1, 2]
    assert sorted(pids(state="ended")) == [3, 4, 5]
    assert sorted(pids(state="stopped")) == [4, 5]
    assert sorted(pids(role="app")) == [3, 4, 6]
    assert pids(database="bank") == [2]
    assert sorted(pids(label="import")) == [1, 2, 5]
    assert pids(q="ZERO division") == [3]
    assert pids(q="copy", role="app") == []
    assert pids(state="no such state", sort="no such column", page="x", size="3") == pids()


def test_order() -> None:
    assert pids(sort="time", state="ended") == [5, 4, 3]
    assert pids(sort="time", state="ended", dir="desc") == [3, 4, 5]
    # What has nothing there comes last in any direction.
    assert pids(sort="rows")[0] == pids(sort="rows", dir="desc")[0] == 4
    assert pids(sort="role")[-3:] == pids(sort="role", dir="desc")[:3]


def test_counts_do_not_depend_on_the_state() -> None:
    found = listed(JOBS, NOW, Filter.of({"state": "error", "role": "app"}))
    assert (found.total, dict(found.counts)) == (1, {"error": 1, "stopped": 1})


def test_address_has_it_all() -> None:
    given = {
        "state": "error",
        "role": "a&b",
        "database": "c d",
        "label": "é%",
        "q": "<x> y",
        "sort": "time",
        "dir": "desc",
        "size": "25",
        "page": "3",
    }
    wanted = Filter.of(given)
    assert query_of(wanted.query(page=3)) == given
    assert Filter.of(query_of(wanted.query(page=3))) == wanted
    # Another choice begins on the first page.
    another = query_of(wanted.query(state="live"))
    del given["page"]
    assert another == {**given, "state": "live"}
    assert Filter().query() == ""


def test_pages_of_ten_thousand() -> None:
    many = [job(n, "stopped", n, label=f"job {n}") for n in range(1, 10_001)]
    first = listed(many, NOW, Filter.of({}))
    assert (len(first.jobs), first.total, first.pages) == (50, 10_000, 200)
    last = listed(many, NOW, Filter.of({"page": "99999", "size": "250"}))
    assert (len(last.jobs), last.page, last.pages) == (250, 40, 40)
    seen: list[int] = []
    for page in range(1, 5):
        wanted = Filter.of({"page": str(page), "size": "250", "sort": "queued", "label": "job 1"})
        seen += [job.pid for job in listed(many, NOW, wanted).jobs]
    # Each is on one page.
    assert len(set(seen)) == 1000
    assert seen == sorted(seen, reverse=True)


def test_keys() -> None:
    (one, *_) = JOBS
    assert key_of(one) == "1:1000"
    assert job_of("1:1000", JOBS) is one
    hidden = replace(one, cookie=None)
    key = key_of(hidden)
    assert key is not None
    assert job_of(key, [STRANGER, hidden]) is hidden
    assert handle_of(key) is None
    assert key_of(STRANGER) is None
    assert handle_of("-7:-9") == (-7, -9)
    for wrong in (
        "",
        "1",
        "1:",
        "a:b",
        "1:2:3",
        "1:99999999999999999999",
        "99999999999:1",
        "1:9223372036854775808",
    ):
        assert handle_of(wrong) is None


async def test_ten_thousand_jobs_of_a_server(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone
) -> None:
    """What a page shows does not grow with what there is, nor does what is sent to look on."""
    visitor = make_visitor(make_web())
    await visitor.sign_in(someone(), PASSWORD)
    await visitor.text("/s/server/jobs")
    (gateway,) = visitor._app.site.gateways._gateways.values()
    gateway.watcher._task.cancel()
    many = [job(n, "stopped", n, label=f"job {n}") for n in range(1, 10_001)]
    gateway.watcher.seen = replace(
        gateway.watcher.seen, jobs=many, now=NOW + timedelta(seconds=1), at=time.monotonic() + 3600
    )
    text = await visitor.text("/s/server/jobs?page=3")
    assert len(re.findall('class="c-job"', text)) == 50
    assert "10\u202f000 jobs, page 3 of 200" in text
    assert 'rel="prev" href="/s/server/jobs?page=2"' in text
    assert 'rel="next" href="/s/server/jobs?page=4"' in text
    async with visitor.stream("/s/server/live/jobs?q=777&size=25") as stream:
        html = await stream.until(lambda html: "job 777" in html)
    assert len(html) < 60_000
    assert "19 jobs" in html


async def test_history(
    make_web: MakeWeb,
    make_visitor: MakeVisitor,
    someone: Someone,
    session_of: SessionOf,
    side: Connection,
) -> None:
    role = someone()
    side.execute(f"ALTER ROLE {role} SET pg_background.history = on")
    session = session_of(role)
    session.execute(
        "SELECT pg_background_wait(pg_background_launch('SELECT ' || n, 0, 'number ' || n))"
        " FROM generate_series(1, 60) AS n"
    )
    session.execute("SELECT pg_background_wait(pg_background_launch('SELECT 1/0', 0, '<b>broken'))")
    wait_until_sql(session, "SELECT count(*) = 61 FROM pg_background_history")
    visitor = make_visitor(make_web())
    await visitor.sign_in(role, PASSWORD)
    text = await visitor.text("/s/server/history")
    assert "&lt;b&gt;broken" in text
    assert "number 60" in text
    older = re.search(r'rel="next" href="([^"]+)"', text)
    assert older is not None
    text = await visitor.text(older[1])
    assert "number 1<" in text
    assert "number 60" not in text
    text = await visitor.text("/s/server/history?state=error&q=SION+by&label=%3Cb&within=1h&role=" + role)
    assert "number" not in text
    row = re.search(r'href="(/s/server/history/\d+)"', text)
    assert row is not None
    text = await visitor.text(row[1])
    assert "division by zero" in text
    assert "SELECT 1/0" in text
    assert "What it took" in text
    assert "No job is like that" in await visitor.text("/s/server/history?q=%25&before=999999")
    assert (await visitor.get("/s/server/history/999999999")).status_code == 404
    charts = (await visitor.get("/s/server/charts/data?range=6h")).json()["charts"]
    rates = next(chart for chart in charts if chart["name"] == "rates")
    assert sum(filter(None, rates["data"][1 + rates["series"].index("failed")])) > 0

    stranger = make_visitor(make_web())
    await stranger.sign_in(someone(), PASSWORD)
    assert "broken" not in await stranger.text("/s/server/history")
    assert (await stranger.get(row[1])).status_code == 404
