"""A report whose parts are computed at the same time, each in a job, and printed in its order.

Prints:

    customers by country: 3 rows
    busiest day: 1 row
    revenue: 1 row
    3 of 3 parts, 764250.00 in total
"""

from __future__ import annotations

import pg_background as bg
from examples.scratch import run

SCHEMA = """
    CREATE TABLE orders AS
    SELECT n % 100 AS customer, n % 3 AS country, DATE '2026-01-01' + n % 30 AS day,
        1.50 * (n % 1000 + 10) AS amount
    FROM generate_series(1, 1000) AS n
"""

PARTS = {
    "customers by country": "SELECT country, count(DISTINCT customer) FROM orders GROUP BY country",
    "busiest day": "SELECT day, count(*) FROM orders GROUP BY day ORDER BY 2 DESC, 1 LIMIT 1",
    "revenue": "SELECT sum(amount) FROM orders",
}


def main(dsn: str) -> None:
    with bg.connect(dsn) as client:
        client.run(SCHEMA)

        jobs = {name: client.launch(query, label=name) for name, query in PARTS.items()}

        # In the order of the report; client.as_completed(jobs.values()) gives them as they end.
        for name, job in jobs.items():
            count = len(job.result(timeout=60))
            print(f"{name}: {count} {'row' if count == 1 else 'rows'}")
        done = sum(job.done() for job in jobs.values())
        print(f"{done} of {len(jobs)} parts, {jobs['revenue'].result().value()} in total")


if __name__ == "__main__":
    run(main)
