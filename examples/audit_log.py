"""An audit log that survives a rollback: the row is written by a job, which is a transaction of its own.

Prints:

    transfers: 0
    audit log: alice tried to move 500
"""

from __future__ import annotations

import psycopg

import pg_background as bg
from examples.scratch import run


def main(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE transfer (who text, amount int CHECK (amount <= 100))")
        connection.execute("CREATE TABLE audit_log (at timestamptz DEFAULT now(), event text)")
        connection.commit()

        # On the connection of the transaction, which it neither ends nor takes part in.
        client = bg.Client(connection)
        try:
            audit = client.submit(
                "INSERT INTO audit_log (event) VALUES (%s || ' tried to move ' || %s)", ["alice", 500]
            )
            connection.execute("INSERT INTO transfer VALUES ('alice', 500)")
        except psycopg.errors.CheckViolation:
            connection.rollback()

        audit.wait()
        (transfers,) = connection.execute("SELECT count(*) FROM transfer").fetchone() or ()
        print("transfers:", transfers)
        for (event,) in connection.execute("SELECT event FROM audit_log"):
            print("audit log:", event)


if __name__ == "__main__":
    run(main)
