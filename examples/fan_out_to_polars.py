"""A large query cut into slices that run at the same time, their rows put together as one polars data frame.

Prints:

    100000 rows of id, region, amount
    north 5000100000
    south 5000000000
"""

from __future__ import annotations

import polars

import pg_background as bg
from examples.scratch import run

SCHEMA = """
    CREATE TABLE sales AS
    SELECT n AS id, CASE n % 2 WHEN 0 THEN 'north' ELSE 'south' END AS region, n::bigint * 2 AS amount
    FROM generate_series(1, 100000) AS n
"""

SLICE = "SELECT id, region, amount FROM sales WHERE id > %s AND id <= %s"


def main(dsn: str) -> None:
    with bg.connect(dsn) as client:
        client.run(SCHEMA)

        slices = [(first, first + 25_000) for first in range(0, 100_000, 25_000)]
        frame = polars.concat(result.to_polars() for result in client.map(SLICE, slices, concurrency=4))

        print(f"{len(frame)} rows of {', '.join(frame.columns)}")
        for region, amount in frame.group_by("region").agg(polars.col("amount").sum()).sort("region").rows():
            print(region, amount)


if __name__ == "__main__":
    run(main)
