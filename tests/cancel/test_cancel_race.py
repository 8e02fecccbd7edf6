"""Cancel against a job's end, thousands of times: whoever wins, no other job is ever hit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import Handle, cancel, detach, launch, result, run, wait
from ..support.registry import registry

#: Each round cancels a short job and then runs another, which must be left alone.
ROUNDS = """
DO $$ DECLARE
  canceled pg_background_handle;
  spared pg_background_handle;
  answer int;
  hit int := 0;
BEGIN
  FOR i IN 1..2000 LOOP
    canceled := pg_background_launch(format('SELECT count(*) FROM generate_series(1, %s)', i % 50 * 20));
    PERFORM pg_background_cancel(canceled);
    spared := pg_background_launch('SELECT 42');
    SELECT a INTO answer FROM pg_background_result(spared) AS (a int);
    IF answer IS DISTINCT FROM 42 THEN
      RAISE EXCEPTION 'round %: %', i, answer;
    END IF;
    PERFORM pg_background_wait(canceled);
    PERFORM pg_background_detach(canceled);
  END LOOP;
END $$
"""


@pytest.mark.parametrize("terminate", [False, True], ids=["cancel", "grace"])
def test_own_cancel_never_hits_the_next_job(conn: Connection, terminate: bool) -> None:
    before = registry(conn)
    # A grace of a millisecond is often over before the cancelled job is.
    rounds = (
        ROUNDS.replace("cancel(canceled)", "cancel(canceled.pid, canceled.cookie, 1)")
        if terminate
        else ROUNDS
    )
    conn.execute(rounds.encode())
    after = registry(conn)
    assert (after.live, after.unread) == (before.live, before.unread)
    # Less when entries of earlier tests were reused.
    assert after.area_bytes <= before.area_bytes
    stats = conn.execute(
        "SELECT workers_launched, workers_completed + workers_canceled, workers_failed "
        "FROM pg_background_stats()"
    ).fetchone()
    assert stats == (4000, 4000, 0)


@pytest.mark.parametrize("terminate", [False, True], ids=["cancel", "grace"])
def test_cancel_by_another_session_never_hits_the_next_job(
    conn: Connection, connect: Connect, terminate: bool
) -> None:
    """The other session cancels the same handle all the time, long after its job's end too."""
    target: list[Handle] = [launch(conn, "SELECT 1")]
    # It ends before anybody cancels it, and is not counted.
    assert wait(conn, target[0])
    stop = threading.Event()
    unexpected: list[BaseException] = []

    def keep_cancelling(other: Connection) -> None:
        while not stop.is_set():
            try:
                other.execute("SELECT pg_background_cancel(%s, %s, %s)", (*target[0], 1 if terminate else 0))
            except (e.UndefinedObject, e.ObjectNotInPrerequisiteState):
                pass
            except psycopg.Error as error:
                unexpected.append(error)
                return

    canceller = threading.Thread(target=keep_cancelling, args=[connect()])
    canceller.start()
    canceled = 0
    try:
        for n in range(1000):
            first = launch(conn, "SELECT 1")
            target[0] = first
            assert run(conn, f"SELECT {n}", "a int") == [(n,)]
            second = launch(conn, f"SELECT {n}")
            assert wait(conn, first)
            assert result(conn, second, "a int") == [(n,)]
            try:
                result(conn, first, "a int")
            except e.QueryCanceled:
                canceled += 1
    finally:
        stop.set()
        canceller.join()
    assert not unexpected
    row = conn.execute("SELECT workers_canceled, workers_failed FROM pg_background_stats()").fetchone()
    assert row == (canceled, 0)


def test_detach_and_cancel_at_once(conn: Connection, connect: Connect) -> None:
    """Two sessions take the job away from each other; its worker never minds."""
    other = connect()

    def cancel_if_there(handle: Handle) -> None:
        with suppress(e.UndefinedObject, e.ObjectNotInPrerequisiteState):
            cancel(other, handle)

    with ThreadPoolExecutor(1) as background:
        for _ in range(300):
            handle = launch(conn, "SELECT 1")
            call = background.submit(cancel_if_there, handle)
            detach(conn, handle)
            assert run(conn, "SELECT 2", "a int") == [(2,)]
            call.result()
