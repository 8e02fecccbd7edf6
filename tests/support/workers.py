"""Worker processes, as pg_stat_activity shows them, and what keeps them busy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .jobs import Connection, Handle, launch, progress
from .server import Server
from .waiting import wait_until

#: Catches every cancel and starts a new statement.
SWALLOWS_CANCELS = """
DO $$ BEGIN
  LOOP
    BEGIN
      PERFORM pg_sleep(3600);
    EXCEPTION WHEN query_canceled THEN
      NULL;
    END;
  END LOOP;
END $$
"""

#: Catches every cancel and never starts a statement again, once it has reported progress.
SWALLOWS_CANCELS_AND_COUNTS = """
DO $$ DECLARE
  n bigint := 0;
BEGIN
  LOOP
    BEGIN
      n := n + 1;
      IF n = 1 THEN
        PERFORM pg_background_progress(1);
      END IF;
      LOOP
        n := n + 1;
      END LOOP;
    EXCEPTION WHEN query_canceled THEN
      NULL;
    END;
  END LOOP;
END $$
"""


def pids(conn: Connection, *, only_idle: bool = False) -> set[int]:
    """Return the workers of the session's database."""
    rows = conn.execute(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_background' "
        "AND datname = current_database() AND (state = 'idle' OR NOT %s)",
        [only_idle],
    )
    return {pid for (pid,) in rows}


def wait_until_idle(conn: Connection, pid: int) -> None:
    """Wait until a worker of the session's database waits for its next job."""
    wait_until(lambda: pid in pids(conn, only_idle=True), what=f"worker {pid} idle")


def launch_in(conn: Connection, pid: int, sql: str) -> Handle:
    """Launch a job in a worker that is or will be idle; one that is long about its reset would not get it."""
    wait_until_idle(conn, pid)
    handle = launch(conn, sql)
    assert handle.pid == pid
    return handle


@contextmanager
def only_worker(server: Server) -> Iterator[None]:
    """Let the server have one worker: jobs that sessions opened in the block launch all run in that one."""
    with server.alter_system({"pg_background.max_total_workers": 1}):
        yield


def launch_counting(conn: Connection, *, label: str | None = None) -> Handle:
    """Launch SWALLOWS_CANCELS_AND_COUNTS, and return when it counts."""
    handle = launch(conn, SWALLOWS_CANCELS_AND_COUNTS, label=label)
    wait_until(lambda: progress(conn, handle)[0] == 1, what="progress")
    return handle
