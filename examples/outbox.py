"""An outbox: messages are written in the transaction that they are about, and sent by a job after its commit.

The job takes them out of the outbox and sends them in one transaction, so a message is neither lost nor sent
twice, whoever crashes. Several such jobs at once don't get in each other's way.

Prints:

    sent: order 1 was placed
    sent: order 2 was placed
    left in the outbox: 0
"""

from __future__ import annotations

import psycopg

import pg_background as bg
from examples.scratch import run

RELAY = """
    WITH taken AS (
        DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)
        RETURNING id, message
    )
    SELECT pg_notify('orders', message) FROM (SELECT message FROM taken ORDER BY id) AS sorted
"""


def main(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as listener, psycopg.connect(dsn) as shop:
        listener.execute("LISTEN orders")
        shop.execute("CREATE TABLE orders (id int)")
        shop.execute("CREATE TABLE outbox (id int GENERATED ALWAYS AS IDENTITY, message text)")
        for order in (1, 2):
            shop.execute("INSERT INTO orders VALUES (%s)", [order])
            shop.execute("INSERT INTO outbox (message) VALUES (%s)", [f"order {order} was placed"])
        shop.commit()

        # The shop does not wait for it: the next relay takes what this one might leave.
        bg.Client(shop).submit(RELAY, label="outbox relay")

        for notice in listener.notifies(timeout=30, stop_after=2):
            print("sent:", notice.payload)
        (left,) = shop.execute("SELECT count(*) FROM outbox").fetchone() or ()
        print("left in the outbox:", left)


if __name__ == "__main__":
    run(main)
