"""VACUUM of every table, a few at a time, each with a time limit; from cron, or a timer of your program.

Statements that refuse to run in a transaction may be a job's only statement. A table that takes too long is
cancelled by the server itself, and the others go on.

Prints:

    customers: VACUUM
    orders: VACUUM
    visits: VACUUM
    the planner knows of 1000 visits
"""

from __future__ import annotations

import psycopg
from psycopg import sql

import pg_background as bg
from examples.scratch import run

TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY relname
"""


def main(dsn: str) -> None:
    with bg.connect(dsn) as client:
        for table in ("orders", "customers", "visits"):
            client.run(
                sql.SQL("CREATE TABLE {} AS SELECT generate_series(1, 1000)").format(sql.Identifier(table))
            )

        jobs = [
            # With on_full="queue" the server starts the next one when a worker is free.
            client.launch(
                sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)),
                label=table,
                timeout=3600,
                on_full="queue",
            )
            for (table,) in client.run(TABLES)
        ]
        client.wait_all(jobs, progress=True)
        for job in jobs:
            try:
                print(f"{job.label}: {job.result().statusmessage}")
            except psycopg.Error as error:
                print(f"{job.label}: {error}")
        known = client.run("SELECT reltuples FROM pg_class WHERE oid = 'visits'::regclass").value()
        print(f"the planner knows of {known:.0f} visits")


if __name__ == "__main__":
    run(main)
