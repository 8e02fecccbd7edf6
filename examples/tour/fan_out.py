"""Several jobs at once, against the same statements one after the other."""

from __future__ import annotations

import os
from textwrap import indent

from .screen import duration
from .session import Handle, Session

#: By label. Each keeps one process busy for about as long as the others.
QUESTIONS = {
    "median order": """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount)::text
FROM orders
""",
    "products per customer": """
SELECT round(avg(n), 2)::text FROM (
  SELECT count(DISTINCT product_id) FROM orders GROUP BY customer_id
) AS products(n)
""",
    "came back in a month": """
SELECT count(*)::text FROM (
  SELECT FROM orders
  GROUP BY customer_id, date_trunc('month', ordered_at)
  HAVING count(*) > 1)
""",
    "longest pause": """
SELECT max(pause)::text FROM (
  SELECT ordered_at - lag(ordered_at) OVER (
    PARTITION BY customer_id ORDER BY ordered_at) FROM orders
) AS pauses(pause)
""",
}


def fan_out(session: Session) -> None:
    """Ask four questions, one after the other and then all at once."""
    session.say(
        "Four questions about all orders. Parallel query is off, so that each keeps one process busy, "
        "here as in the background: jobs run with the settings of the session that launches them."
    )
    session.run("SET max_parallel_workers_per_gather = 0")
    session.say("One after the other:")
    one_by_one = sum(session.run(question).seconds for question in QUESTIONS.values())
    session.say("All launched by one statement:")
    launched = session.run(
        "SELECT label, pid, cookie FROM (VALUES\n"
        + ",\n".join(f"  ('{label}', $job${_deeper(question)}$job$)" for label, question in QUESTIONS.items())
        + "\n) AS questions(label, sql), pg_background_launch(sql, 0, label)"
    )
    session.say("And gathered by another:")
    gathered = session.run(
        "SELECT label, answer FROM (VALUES\n"
        + ",\n".join(f"  ('{label}', {Handle(pid, cookie)})" for label, pid, cookie in launched.rows)
        + "\n) AS jobs(label, pid, cookie),\n     pg_background_result(pid, cookie) AS (answer text)"
    )
    at_once = launched.seconds + gathered.seconds
    session.say(
        f"One after the other they took {duration(one_by_one)}, at once {duration(at_once)}: "
        f"{one_by_one / at_once:.1f} times as fast, on {os.cpu_count()} cores."
    )
    session.run("RESET max_parallel_workers_per_gather")


def _deeper(question: str) -> str:
    return indent(question, "     ") + "  "
