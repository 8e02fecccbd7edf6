"""`%load_ext pg_background` in a real IPython shell."""

from __future__ import annotations

import os
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher

from pg_background import Client, Job, JobCancelled
from pg_background.ext.ipython import live

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.fix_notebook import Notebook
from ..support.jobs import closed_gate
from ..support.waiting import wait_until


def test_cell(notebook: Notebook) -> None:
    job = notebook.run("%%bg\nSELECT 6 * 7 AS answer")
    assert isinstance(job, Job)
    assert job.result() == [(42,)]
    assert notebook.run("_") is job


def test_variable(notebook: Notebook) -> None:
    notebook.run("%%bg totals --timeout 60\nCREATE TABLE t AS SELECT 1 AS n;\nSELECT n FROM t")
    assert notebook.run("totals.result().value(), totals.label") == (1, "totals")
    notebook.run("%%bg totals --label 'of the year'\nSELECT 2")
    assert notebook.run("totals.label") == "of the year"
    notebook.run("%bg --name totals SELECT 3")
    assert notebook.run("totals.result().value(), totals.label") == (3, "totals")
    notebook.run("%%bg --name=totals\nSELECT 4")
    assert notebook.run("totals.result().value()") == 4
    assert "given twice" in notebook.fail("%%bg totals --name other\nSELECT 1")
    assert "can't be the name" in notebook.fail("%%bg 1st\nSELECT 1")


def test_line(notebook: Notebook) -> None:
    notebook.run("job = %bg --label \"a label\" --timeout 9 SELECT '{1,2}'::int[], '$n' -- a comment")
    assert notebook.run("job.result().one()") == ([1, 2], "$n")
    assert notebook.run("job.label") == "a label"


def test_bound_values(notebook: Notebook) -> None:
    notebook.run('from datetime import date\nlow, day, name = 3, date(2026, 2, 1), "it\'s :low %s"')
    query = """%%bg
        SELECT :low::int + 1, :day, :name, ':low', "x:low", $$:low$$, E'\\':low', (ARRAY[1, 2])[1:2],
        'a' LIKE '%', -- :no
        /* :no */ 5 % :low, $q$:no$q$
        FROM (SELECT 9 AS "x:low") AS t"""
    row = notebook.run(query).result().one()
    assert row[0] == 4
    assert str(row[1]) == "2026-02-01"
    assert row[2:] == ("it's :low %s", ":low", 9, ":low", "':low", [1, 2], True, 2, ":no")
    assert ":nothing is no variable" in notebook.fail("%%bg\nSELECT :nothing")


def test_bound_values_as_in_psycopg(notebook: Notebook) -> None:
    notebook.run("low, name = 3, 'not %(low)s'")
    query = """%%bg
        SELECT %(low)s::int + :low, %(name)s, '%(low)s', -- %(no)s
        17 % (low) + 17 %(low)
        FROM (SELECT 5 AS low) AS t"""
    assert notebook.run(query).result().one() == (6, "not %(low)s", "%(low)s", 4)
    assert notebook.run("%bg --label x SELECT %(low)s").result().value() == 3
    assert "%(nothing)s is no variable" in notebook.fail("%%bg\nSELECT %(nothing)s")


def test_local_variables(notebook: Notebook) -> None:
    notebook.run("def f(n):\n    job = %bg SELECT :n\n    return job.result().value()")
    assert notebook.run("f(5)") == 5


def test_where_it_runs(notebook: Notebook, place: Place) -> None:
    notebook.run("%bg_connect dsn")
    assert notebook.run("%bg SELECT 1").result().value() == 1
    other = place.server.dsn(place.database, options="-c work_mem=7MB")
    query = "SELECT current_setting('work_mem')"
    assert notebook.run(f'%%bg --dsn "{other}"\n{query}').result().value() == "7MB"
    notebook.shell.push({"other": other})
    assert notebook.run(f"%bg --dsn other {query}").result().value() == "7MB"
    with Client.connect(place.dsn()) as client:
        notebook.shell.push({"client": client})
        notebook.run("%bg_connect client")
        job = notebook.run("%bg SELECT 1")
        assert job._session is client.session
        job.result()
    assert "no variable 'nowhere'" in notebook.fail("%bg_connect nowhere")
    assert "there is no SQL" in notebook.fail("%bg --label x ")


def test_errors_are_the_jobs(notebook: Notebook) -> None:
    notebook.run("%%bg failing\nSELECT 1 / 0")
    assert "division by zero" in notebook.fail("failing.result()")


def test_rows_as_text(notebook: Notebook) -> None:
    result = notebook.run('%bg SELECT n, NULL AS "[b]" FROM generate_series(1, 30) AS n').result()
    lines = notebook.plain(result).splitlines()
    assert lines[1].split() == ["┃", "n", "┃", "[b]", "┃"]
    assert lines[3].split() == ["│", "1", "│", "NULL", "│"]
    assert lines[-1] == "20 of 30 rows"
    assert result._repr_html_().endswith("<p>20 of 30 rows</p>")
    assert notebook.plain(notebook.run("%bg CREATE TABLE t ()").result()) == "CREATE TABLE"


def test_output_follows_the_job(
    notebook: Notebook, side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shell with a kernel, as in Jupyter: the cell ends first, and its output goes on."""
    untyped: Any = CapturingDisplayPublisher
    publisher = untyped()
    monkeypatch.setattr(notebook.shell, "display_pub", publisher)
    monkeypatch.setattr(notebook.shell, "kernel", object(), raising=False)
    monkeypatch.setattr(live, "POLL_SECONDS", 0.05)
    notebook.run("%reload_ext pg_background")

    def outputs() -> list[str]:
        return [output["data"]["text/html"] for output in publisher.outputs]

    with closed_gate(side) as gate:
        notebook.run(f"%%bg held\nSELECT pg_background_progress(60); {gate.sql}; SELECT 'row' AS x")
        assert notebook.run("6 * 7") == 42
        assert not notebook.run("held.done()")
        wait_until(lambda: 'value="60"' in outputs()[-1])
    notebook.run("%bg_wait")
    first, *others = publisher.outputs
    assert not first["update"]
    assert {output["transient"]["display_id"] for output in others} == {first["transient"]["display_id"]}
    assert all(output["update"] for output in others)
    assert "<td>row</td>" in outputs()[-1]


def test_live(notebook: Notebook, side: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cards, in their order, that a notebook is given for a job."""
    cards: list[str] = []

    class Handle:
        def update(self, card: live.Card) -> None:
            cards.append(card._repr_html_())

    def display(card: live.Card, **options: Any) -> Handle:
        cards.append(card._repr_html_())
        return Handle()

    monkeypatch.setattr(live, "display", display)
    monkeypatch.setattr(live, "POLL_SECONDS", 0.05)
    with closed_gate(side) as gate:
        job = notebook.run(
            "%bg --label <b> SELECT pg_background_progress(30, 'a <third>'); "
            + f"{gate.sql}; SELECT 'a < b' AS x"
        )
        live.show(job)
        wait_until(lambda: any('value="30"' in card for card in cards))
    notebook.run("%bg_wait")
    assert "<progress" in cards[0]
    assert "running" in cards[0] or "starting" in cards[0]
    assert "&lt;b&gt;" in cards[-1]
    assert "<td>a &lt; b</td>" in cards[-1]
    assert "done" in cards[-1]
    assert "1 row" in cards[-1]
    assert "<progress" not in cards[-1]
    assert not live._threads


def test_live_when_it_fails_at_once(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    cards: list[live.Card] = []
    monkeypatch.setattr(live, "display", cards.append)
    monkeypatch.setattr(live, "AT_ONCE_SECONDS", 60)
    live.show(notebook.run("%bg SELECT 1 / 0"))
    assert "division by zero" in cards[0]._repr_html_()
    assert "division by zero" in repr(cards[0])
    # Lines that are not wrapped, or a caret would not stand under its word.
    assert "white-space: pre;" in cards[0]._repr_html_()
    live.show(notebook.run("%bg CREATE TABLE t ()"))
    for shown in (cards[1]._repr_html_(), repr(cards[1])):
        assert shown.count("CREATE TABLE") == 1
    live.show(notebook.run("%bg SELECT generate_series(1, 30)"))
    assert cards[2]._repr_html_().count("20 of 30 rows") == 1
    assert repr(cards[2]).count("20 of 30 rows") == 1
    cards.clear()
    detached = notebook.run("%bg SELECT 1")
    detached.detach()
    live.show(detached)
    assert "was detached" in cards[0]._repr_html_()


def test_unload(notebook: Notebook) -> None:
    job = notebook.run("%bg SELECT pg_sleep(3600)")
    with Client.connect(os.environ["PG_BACKGROUND_DSN"]) as client:
        notebook.run("%unload_ext pg_background")
        assert "UsageError" in notebook.fail("%bg SELECT 1")
        again = client.attach(job.handle)
        assert again.state in ("starting", "running")
        again.cancel()
        with pytest.raises(JobCancelled):
            again.result()
    notebook.run("%load_ext pg_background")
    assert notebook.run("%bg SELECT 1").result().value() == 1
