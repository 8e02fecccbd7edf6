"""The stops of the tour, in order: what the extension is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .fan_out import fan_out
from .screen import duration
from .session import Handle, Session, only

#: Milliseconds between two looks at a job's progress.
LOOK_EVERY = 100


class Stop(NamedTuple):
    """One stop."""

    title: str
    show: Callable[[Session], None]


def heavy_query(session: Session) -> None:
    """Launch, go on working, take the rows."""
    session.say("A slow report is launched: the call returns at once, with a handle of pid and cookie.")
    job = session.launch(
        """
SELECT * FROM pg_background_launch($job$
  SELECT region, category, count(*) AS orders,
         count(DISTINCT customer_id) AS customers, sum(amount) AS revenue,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) AS median
  FROM orders
  JOIN customers USING (customer_id)
  JOIN products USING (product_id)
  GROUP BY region, category
$job$, 0, 'report')
"""
    )
    session.say("Meanwhile the session is free for other work.")
    session.run("SELECT name, region FROM customers WHERE customer_id = 471")
    session.run("SELECT name, price FROM products ORDER BY price DESC LIMIT 3")
    session.run("SELECT pid, label, state FROM pg_background_list")
    session.say("Taking the rows waits for as long as the job still needs.")
    session.run(
        f"""
SELECT * FROM pg_background_result({job}) AS (
  region text, category text, orders bigint, customers bigint,
  revenue numeric, median double precision)
ORDER BY revenue DESC LIMIT 5
"""
    )


def autonomous_transaction(session: Session) -> None:
    """Write what the caller's ROLLBACK can't take back."""
    session.say("A table for what must be remembered whatever happens:")
    session.run(
        """
CREATE TABLE audit_log (
  logged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  event text NOT NULL)
"""
    )
    session.say("A transaction changes an order and submits an audit row, which is a transaction of its own.")
    session.run("BEGIN")
    session.run("UPDATE orders SET amount = 0 WHERE order_id = 4711")
    job = session.launch(
        """
SELECT * FROM pg_background_submit($job$
  INSERT INTO audit_log (event) VALUES ('tried to give order 4711 away')
$job$, 0, 'audit')
"""
    )
    session.run("ROLLBACK")
    session.say("The change is undone, and the audit row is there.")
    session.run(f"SELECT pg_background_wait({job}) AS finished")
    session.run("SELECT amount FROM orders WHERE order_id = 4711")
    session.run("SELECT * FROM audit_log")


def maintenance(session: Session) -> None:
    """VACUUM and CREATE INDEX, which keep a session busy for long."""
    session.say("VACUUM can't run inside a transaction; as a job it can, even when its launcher is in one.")
    session.run("BEGIN")
    job = session.launch("SELECT * FROM pg_background_launch('VACUUM (ANALYZE) orders')")
    session.run("COMMIT")
    session.say("A job that has no rows gives its command tag.")
    session.run(f"SELECT * FROM pg_background_result({job})\n  AS (done text)")
    session.say("To find a customer's last orders the whole table is read.")
    last_orders = """
SELECT order_id, ordered_at, amount FROM orders
WHERE customer_id = 471 ORDER BY ordered_at DESC LIMIT 3
"""
    slow = session.run(last_orders)
    session.say("An index is built in the background; PostgreSQL's own view shows how far it is.")
    job = session.launch(
        """
SELECT * FROM pg_background_submit($job$
  CREATE INDEX ON orders (customer_id, ordered_at)
$job$, 0, 'index')
"""
    )
    session.run("SELECT pid, command, phase FROM pg_stat_progress_create_index")
    session.run(f"SELECT pg_background_wait({job}) AS finished")
    session.run(last_orders, after=f"; {duration(slow.seconds)} before")


def backfill(session: Session) -> None:
    """Fill a new column in batches, and watch."""
    session.say("A new column is filled in batches, each committed, so that no row stays locked for long.")
    session.run("ALTER TABLE orders ADD COLUMN points int")
    session.run(
        """
CREATE PROCEDURE backfill_points(batch int) LANGUAGE plpgsql AS $$
DECLARE
  total bigint := (SELECT max(order_id) FROM orders);
  done bigint := 0;
BEGIN
  WHILE done < total LOOP
    UPDATE orders SET points = amount / 10
    WHERE order_id > done AND order_id <= done + batch;
    COMMIT;
    done := least(done + batch, total);
    PERFORM pg_background_progress(100 * done / total,
                                   done || ' of ' || total || ' orders');
  END LOOP;
END $$
"""
    )
    batch = only(session.quietly("SELECT max(order_id) FROM orders")) // 20
    job = session.launch(
        f"SELECT * FROM pg_background_launch(\n  'CALL backfill_points({batch})', 0, 'backfill')"
    )
    session.say("These two statements, again and again, tell how far it is and whether it has ended:")
    watch(session, job)
    session.run(f"SELECT * FROM pg_background_result({job})\n  AS (done text)")
    session.run("SELECT count(points) AS filled, count(*) AS orders FROM orders")
    session.say("Each row has left its old version behind; they are cleared away, in the background too.")
    job = session.launch("SELECT * FROM pg_background_submit('VACUUM (ANALYZE) orders', 0, 'vacuum')")
    session.run(f"SELECT pg_background_wait({job}) AS finished")


def watch(session: Session, job: Handle) -> None:
    """Show a job's progress until it ends."""
    look = f"SELECT * FROM pg_background_get_progress({job})"
    wait = f"SELECT pg_background_wait({job}, {LOOK_EVERY})"
    session.screen.sql(f"{look};\n{wait};")
    with session.screen.progress("backfill") as show:
        finished = False
        while not finished:
            finished = only(session.quietly(wait))
            for percent, message in session.quietly(look):
                if percent is not None:
                    show(percent, message)


def cancel_detach_and_errors(session: Session) -> None:
    """What can be done to a job, and what a job's failure tells."""
    session.say("A join condition was forgotten: this job would count a million times a million rows.")
    job = session.launch(
        """
SELECT * FROM pg_background_launch($job$
  SELECT count(*) FROM orders AS a, orders AS b
$job$, 0, 'no join condition')
"""
    )
    session.say("After half a second it still runs, for all the server to see.")
    session.run(f"SELECT pg_background_wait({job}, 500) AS finished")
    session.run(
        """
SELECT pid, backend_type, application_name FROM pg_stat_activity
WHERE state = 'active' AND backend_type = 'pg_background'
"""
    )
    session.say("Cancel ends it, and whoever asks for its rows is told so.")
    session.run(f"SELECT pg_background_cancel({job})")
    session.fails(f"SELECT * FROM pg_background_result({job})\n  AS (count bigint)")
    session.say("Detach only gives up the handle: the job goes on and commits.")
    job = session.launch(
        """
SELECT * FROM pg_background_launch($job$
  CREATE TABLE monthly_sales AS
  SELECT date_trunc('month', ordered_at) AS month, sum(amount) AS sales
  FROM orders GROUP BY month
$job$)
"""
    )
    session.run(f"SELECT pg_background_detach({job})")
    session.fails(f"SELECT pg_background_wait({job})")
    while only(session.quietly("SELECT to_regclass('monthly_sales') IS NULL")):
        session.quietly("SELECT pg_sleep(0.05)")
    session.run("SELECT * FROM monthly_sales ORDER BY month LIMIT 3")
    session.say("A job that fails raises its own error where its rows are asked for: code, detail and hint.")
    job = session.launch("SELECT * FROM pg_background_launch('DROP TABLE customers')")
    session.fails(f"SELECT * FROM pg_background_result({job})\n  AS (done text)")


def list_and_statistics(session: Session) -> None:
    """What the session's jobs did and do."""
    session.say("Three more jobs: one that takes long, one that is soon done, one that fails.")
    slow = session.launch("SELECT * FROM pg_background_launch('SELECT pg_sleep(600)', 0, 'slow')")
    done = session.launch("SELECT * FROM pg_background_launch('SELECT 6 * 7', 0, 'done')")
    typo = session.launch("SELECT * FROM pg_background_launch('SELECT amont FROM orders', 0, 'typo')")
    for job in (done, typo):
        session.run(f"SELECT pg_background_wait({job}) AS finished")
    session.say("The list tells how this session's jobs are, before anyone has asked for their rows.")
    session.run("SELECT pid, label, state, last_error FROM pg_background_list")
    session.say("Jobs outlive their session: what is not wanted any more is cancelled or detached.")
    session.run(f"SELECT pg_background_cancel({slow})")
    for job in (slow, done, typo):
        session.run(f"SELECT pg_background_detach({job})")
    session.say("What became of all the jobs of this tour:")
    session.run("SELECT * FROM pg_background_stats()")


ALL = (
    Stop("A heavy query in the background", heavy_query),
    Stop("A row that survives the ROLLBACK", autonomous_transaction),
    Stop("VACUUM and CREATE INDEX in the background", maintenance),
    Stop("A backfill that reports its progress", backfill),
    Stop("Cancel, detach, and a job that fails", cancel_detach_and_errors),
    Stop("Four aggregates at once", fan_out),
    Stop("List and statistics", list_and_statistics),
)
