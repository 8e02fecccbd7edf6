"""Jobs for the page of the demo: one that goes on, one that waits for it, and history from now on."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg import sql

#: Ten minutes in steps, with a look at how far it is.
STEPS = """
DO $$
BEGIN
  FOR step IN 1..100 LOOP
    PERFORM pg_background_progress(step, format('%s of 100 regions', step));
    PERFORM pg_sleep(6);
  END LOOP;
END $$
"""

#: Label and SQL. Their table is their own: what they lock, nobody else needs.
JOBS = (
    ("demo: forecast", STEPS),
    ("demo: stock-taking", "LOCK TABLE stock; SELECT pg_sleep(600)"),
    ("demo: delivery", "UPDATE stock SET pieces = pieces - 1"),
    ("demo: report", "SELECT region, count(*) FROM orders JOIN customers USING (customer_id) GROUP BY 1"),
    ("demo: import", "COPY stock FROM '/no/such/file.csv'"),
)

LOCKED = (
    "SELECT FROM pg_locks WHERE relation = 'stock'::regclass AND mode = 'AccessExclusiveLock' AND granted"
)

LIVE = "SELECT pid, cookie FROM pg_background_jobs WHERE label LIKE 'demo: %' AND finished_at IS NULL"


def keep_history(connection: psycopg.Connection[Any], database: str) -> None:
    """Write the jobs of this database to its history."""
    connection.execute(
        sql.SQL("ALTER DATABASE {} SET pg_background.history = on").format(sql.Identifier(database))
    )
    connection.execute("SET pg_background.history = on")


def end_jobs(connection: psycopg.Connection[Any]) -> None:
    """End those of an earlier demo."""
    connection.execute(f"SELECT pg_background_cancel(pid, cookie, 1000) FROM ({LIVE}) AS j")


def start_jobs(connection: psycopg.Connection[Any]) -> None:
    """Start them; nobody reads their rows."""
    connection.execute("CREATE TABLE IF NOT EXISTS stock (pieces int)")
    for label, statement in JOBS:
        connection.execute("SELECT pg_background_submit(%s, 0, %s)", [statement, label])
        if statement.startswith("LOCK"):
            _wait_for_lock(connection)


def _wait_for_lock(connection: psycopg.Connection[Any]) -> None:
    """Wait until the job has it, as the next one is to wait for that; not for ever."""
    until = time.monotonic() + 10
    while time.monotonic() < until and connection.execute(LOCKED).fetchone() is None:
        time.sleep(0.05)
