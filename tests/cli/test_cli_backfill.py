"""`pg-background backfill`: the plan that is asked for, the work, stop and go on, the report."""

from __future__ import annotations

import json
import signal

import pytest

from ..support.calls import value
from ..support.fix_cli import OnPlace
from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.waiting import wait_until_sql

COUNT = "UPDATE t SET times = times + 1 WHERE {range}"


@pytest.fixture(autouse=True)
def table(side: Connection) -> None:
    """A table whose rows count how often they were changed."""
    side.execute(
        "CREATE TABLE t AS SELECT n AS k, 0 AS times FROM generate_series(1, 1000) AS n;"
        " ALTER TABLE t ADD PRIMARY KEY (k); ANALYZE t"
    )


@pytest.fixture
def here(place: Place) -> tuple[str, ...]:
    """As other tests keep state in the database, too."""
    return ("--schema", place.schema)


def test_a_dry_run(bg: OnPlace, side: Connection, here: tuple[str, ...]) -> None:
    done = bg("backfill", "--table", "t", "--dry-run", "--batch-size", "300", *here, COUNT)
    assert (done.code, done.errors) == (0, "")
    assert "about 1000 rows in 4 ranges" in done.output
    assert "UPDATE t SET times = times + 1 WHERE (" in done.output
    assert value(side, "SELECT sum(times) FROM t") == 0


def test_it_asks_first(bg: OnPlace, side: Connection, here: tuple[str, ...]) -> None:
    done = bg("backfill", "--table", "t", *here, COUNT)
    assert done.code == 2
    assert "begin by --yes" in done.errors
    assert "ranges of       k" in done.errors
    assert value(side, "SELECT sum(times) FROM t") == 0


def test_it_is_run(bg: OnPlace, side: Connection, here: tuple[str, ...]) -> None:
    done = bg(
        "backfill", "-t", "t", "-y", "-j", "2", "--batch-size", "100", "--max-active", "99", *here, COUNT
    )
    assert done.code == 0, done.errors
    assert "rows changed    1000\nranges done     10\n" in done.output
    assert value(side, "SELECT count(*) FROM t WHERE times = 1") == 1000
    done = bg("backfill", "--name", "t", "--report", "--json", *here)
    assert json.loads(done.output)["rows"] == 1000
    assert bg("backfill", "-t", "t", "-y", *here, COUNT).code == 2
    assert bg("backfill", "--name", "t", "--forget", *here).errors == "forgotten\n"
    assert bg("backfill", "--name", "t", "--report", *here).code == 2


def test_what_fails(bg: OnPlace, side: Connection, here: tuple[str, ...]) -> None:
    side.execute("ALTER TABLE t ADD CHECK (times < 1 OR k <> 150)")
    done = bg("backfill", "-t", "t", "-y", "--batch-size", "100", "--on-error", "stop", *here, COUNT)
    assert done.code == 1
    assert "range 2 (above 100, up to 200) failed: " in done.output
    side.execute("ALTER TABLE t DROP CONSTRAINT t_check")
    done = bg("backfill", "--name", "t", "--resume", *here)
    assert (done.code, done.errors) == (0, "")
    assert value(side, "SELECT count(*) FROM t WHERE times = 1") == 1000


@pytest.mark.parametrize("how", ["interrupt", "stop"])
def test_stop_and_go_on(bg: OnPlace, side: Connection, here: tuple[str, ...], how: str) -> None:
    slow = f"{COUNT} AND pg_sleep(0.002) IS NOT NULL"
    process = bg.start("backfill", "-t", "t", "-y", "--batch-size", "10", *here, slow)
    state = f"{here[1]}.pg_background_backfill"
    wait_until_sql(side, f"SELECT to_regclass('{state}_range') IS NOT NULL")
    wait_until_sql(side, f"SELECT count(*) > 2 FROM {state}_range WHERE state = 'done'")
    if how == "interrupt":
        process.send_signal(signal.SIGINT)
    else:
        assert bg("backfill", "--name", "t", "--stop", *here).errors == "told to stop\n"
    output, errors = process.communicate()
    if how == "interrupt":
        assert process.returncode == 130
        assert "go on by: pg-background backfill --resume --name t" in errors
    else:
        assert process.returncode == 1
        assert "backfill t: stopped" in output
    assert value(side, f"SELECT state FROM {state}") == "stopped"
    assert bg("backfill", "--name", "t", "--stop", *here).errors == "nobody runs it\n"
    done = bg("backfill", "--name", "t", "--resume", "--batch-size", "500", *here)
    assert done.code == 0, done.output
    assert value(side, "SELECT count(*) FROM t WHERE times = 1") == 1000


def test_the_bar_and_the_question(bg: OnPlace, side: Connection, here: tuple[str, ...]) -> None:
    """On a terminal."""
    done = bg.on_terminal("backfill", "-t", "t", "-y", "--batch-size", "50", *here, COUNT, size=(160, 40))
    assert done.code == 0, done.output
    assert "1000 rows changed" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("-t", "t"),
        ("UPDATE t SET times = 1",),
        ("--stop", "--resume", "--name", "t"),
        ("--resume",),
        ("--resume", "--name", "t", COUNT),
        ("-t", "t", "-y", "UPDATE t SET times = 1"),
        ("-t", "t", "-y", "--max-lag", "much", COUNT),
        ("-t", "t", "-y", "--max-rows-per-second", "0", COUNT),
    ],
)
def test_wrong_usage(bg: OnPlace, side: Connection, here: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert bg("backfill", *here, *words).code == 2
    assert value(side, "SELECT sum(times) FROM t") == 0


def test_bytes() -> None:
    from pg_background.cli.options.numbers import byte_count

    assert [byte_count(word) for word in ("0", "12B", "3kB", "64MB", "1 gb", "2T")] == [
        *(0, 12, 3 * 1024, 64 * 1024**2, 1024**3, 2 * 1024**4)
    ]
