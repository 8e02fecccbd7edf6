"""A backfill that commits batch by batch and tells how far it is; a terminal shows it as a bar.

The procedure runs in the server: the program may end, and find the job again by its label.

Prints:

    backfill: stopped, 100 % (10000 orders)
    orders without a total: 0
"""

from __future__ import annotations

import pg_background as bg
from examples.scratch import run

SCHEMA = """
    CREATE TABLE orders AS
    SELECT n AS id, n % 9 + 1 AS items, NULL::numeric AS total FROM generate_series(1, 10000) AS n;
    CREATE PROCEDURE fill_totals(batch int) LANGUAGE plpgsql AS $$
    DECLARE
        last bigint := (SELECT max(id) FROM orders);
        done bigint;
    BEGIN
        FOR low IN 1..last BY batch LOOP
            done := least(low + batch - 1, last);
            UPDATE orders SET total = items * 9.90 WHERE id BETWEEN low AND done AND total IS NULL;
            COMMIT;
            PERFORM pg_background_progress((done * 100 / last)::int, done || ' orders');
        END LOOP;
    END $$;
"""


def main(dsn: str) -> None:
    with bg.connect(dsn) as client:
        client.run(SCHEMA)

        job = client.launch("CALL fill_totals(1000)", label="backfill")
        job.wait(progress=True)

        percent, message = job.progress
        print(f"{job.label}: {job.state}, {percent} % ({message})")
        job.result()  # raises what the procedure may have raised
        print(
            "orders without a total:", client.run("SELECT count(*) FROM orders WHERE total IS NULL").value()
        )


if __name__ == "__main__":
    run(main)
