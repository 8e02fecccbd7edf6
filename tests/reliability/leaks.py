"""What a server holds: nothing may be left of jobs that have ended, and no process may grow."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..support.calls import value
from ..support.jobs import Connection
from ..support.processes import anonymous_bytes, children
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.waiting import wait_until

#: What a process may have more of after it has seen all kinds of jobs: a page of an allocator here and
#: there, and files of tables that were not open before. A byte or a file lost in each job is far more.
BYTES = 2 << 20
DESCRIPTORS = 8

#: Seconds until all that was begun has ended, on a busy machine.
PATIENCE = 120.0


#: Also those of which nobody knows: their session was cut off before it had the handle.
FORGET_ALL = """
DO $$ DECLARE job record; BEGIN
  FOR job IN SELECT pid, cookie FROM pg_background_jobs LOOP
    BEGIN
      PERFORM pg_background_detach(job.pid, job.cookie);
    EXCEPTION WHEN undefined_object OR object_not_in_prerequisite_state THEN
      NULL;
    END;
  END LOOP;
END $$
"""


#: In the titles of workers and keeper, and of sessions; PostgreSQL's own processes grow as they like.
OURS = ("pg_background", "[local]", "127.0.0.1")


class Held(NamedTuple):
    """What a process has."""

    title: str
    bytes: int
    descriptors: int


def held(server: Server) -> dict[int, Held]:
    """What each process has in which the extension's code runs, by its pid."""
    found = {}
    for pid in (server.pid, *children(server.pid)):
        # It may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            title = Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ")
            if pid != server.pid and not any(mark in title for mark in OURS):
                continue
            descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            found[pid] = Held(title, anonymous_bytes(pid), descriptors)
    return found


def assert_not_grown(before: dict[int, Held], after: dict[int, Held]) -> int:
    """Compare the processes that are still there; return how many."""
    grown = [
        f"{pid}: {before[pid]} -> {now}"
        for pid, now in after.items()
        if pid in before
        and (now.bytes > before[pid].bytes + BYTES or now.descriptors > before[pid].descriptors + DESCRIPTORS)
    ]
    assert not grown, "\n".join(grown)
    return len(before.keys() & after.keys())


def assert_nothing_is_left(conn: Connection) -> None:
    """No job, unread output, busy worker, memory or file is left, once unread results are detached."""
    wait_until(lambda: registry(conn).live == 0, deadline=PATIENCE, what=f"no live job of {registry(conn)}")
    conn.execute(FORGET_ALL)
    wait_until_quiet(conn, area_bytes=0, deadline=PATIENCE)
    assert registry(conn).entries == 0
    assert value(conn, "SELECT count(*) FROM pg_ls_tmpdir()") == 0
