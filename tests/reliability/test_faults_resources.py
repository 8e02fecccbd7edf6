"""What jobs need is used up at random moments: launches are refused or jobs fail, and none is lost."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from psycopg import errors as e

from ..support.calls import query
from ..support.fix_server import FreshServer, fills_job_memory
from ..support.jobs import FOREVER, Connection, launch
from ..support.server import Server
from ..support.tablespaces import make_tablespace
from .extent import Extent
from .leaks import assert_nothing_is_left
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: Seconds for which a resource stays away.
AWAY = 0.03


@pytest.fixture
def small_disk(open_tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte: two large results at once are too much."""
    folder = open_tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k,mode=755", "tmpfs", str(folder)]
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    if (done := subprocess.run(mount, capture_output=True, check=False)).returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_disk_full(fresh_server: FreshServer, extent: Extent, tally: Tally, small_disk: Path) -> None:
    """The job whose output finds no room fails; when there is room again, so do no others."""
    server = fresh_server({"log_min_messages": "fatal"})
    make_tablespace(server, small_disk, "small")
    filler = small_disk / "filler"

    def fill() -> int:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        time.sleep(5 * AWAY)
        filler.unlink()
        return 1

    with server.alter_system({"temp_tablespaces": "small"}):
        with under_load(server, "disk", tally) as (crew, injector):
            tally.faults("disk full", injector.inject(extent.faults, fill))
        full = sum(job.state == "error" and "error" not in job.kind.ends for job in crew.ledger.jobs)
        tally.add("jobs that found the disk full", full)
        assert full > 0
        with server.connect() as watcher:
            query(
                watcher,
                "SELECT * FROM pg_background_result(pg_background_launch("
                "'SELECT repeat(''x'', 1000) FROM generate_series(1, 200)')) AS (a text)",
            )
            assert_nothing_is_left(watcher)
    assert not list(small_disk.rglob("pgsql_tmp_*"))


def take_all(conn: Connection, *jobs: str) -> int:
    """Launch each job until there is no room for another, hold that for a moment, and let all go."""
    refused = 0
    for job in jobs:
        with suppress(e.OutOfMemory, e.InsufficientResources, e.ConfigurationLimitExceeded):
            while True:
                launch(conn, job, queue_size=64)
        refused = 1
    time.sleep(AWAY)
    query(conn, "SELECT pg_background_cancel_all(), pg_background_detach_all()")
    return refused


@fills_job_memory
def test_job_memory_exhausted(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    server = fresh_server({"log_min_messages": "fatal", "pg_background.job_memory": "4MB"})
    with under_load(server, "memory", tally) as (crew, injector), server.connect(user="greedy") as greedy:
        # Their SQL is what stays in memory: it can not move to a file, as unread output can.
        jobs = [f"{FOREVER} /* {'x' * size} */" for size in (600_000, 30_000)]
        # Few enough for workers to be left to the others.
        query(greedy, "SET pg_background.max_workers = 20")
        take = partial(take_all, greedy, *jobs)
        tally.faults("job memory exhausted", injector.inject(extent.faults, take))
        tally.add("launches refused for memory", crew.ledger.refusals["53200"])


def test_no_slot(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """All the server's processes are taken, by other jobs; queued jobs wait, and begin afterwards."""
    server = fresh_server(
        {"log_min_messages": "fatal", "max_worker_processes": 8, "pg_background.max_total_workers": 8}
    )
    with under_load(server, "slots", tally) as (crew, injector), server.connect(user="greedy") as greedy:
        query(greedy, "SET pg_background.max_workers = 1000")
        tally.faults("no slot", injector.inject(extent.faults, partial(take_all, greedy, FOREVER)))
        refused = sum(crew.ledger.refusals[code] for code in ("53000", "53400"))
        tally.add("launches refused for slots", refused)


@contextmanager
def no_new_process(server: Server) -> Iterator[None]:
    """The operating system refuses the postmaster's forks."""
    # The postmaster was started with what this process has.
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    _limit_processes(server, 1, hard)
    try:
        yield
    finally:
        _limit_processes(server, soft, hard)


def _limit_processes(server: Server, soft: int, hard: int) -> None:
    # As the server's user: root may lack the right to change another's limits.
    limits = ":".join(
        "unlimited" if limit == resource.RLIM_INFINITY else str(limit) for limit in (soft, hard)
    )
    done = server.cluster.os_user.run(["prlimit", f"--pid={server.pid}", f"--nproc={limits}"])
    assert done.returncode == 0, done.stdout


def test_fork_refused(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """A launch that gets no process is refused, or its job waits for the next one."""
    server = fresh_server({"log_min_messages": "log", "pg_background.worker_idle_timeout": 0})
    mark = server.log.mark()

    def refuse() -> int:
        with no_new_process(server):
            time.sleep(AWAY)
        return 1

    with under_load(server, "fork", tally) as (_, injector):
        tally.faults("fork refused", injector.inject(extent.faults, refuse))
    refused = server.log.since(mark).count("could not fork")
    tally.add("forks refused", refused)
    assert refused > 0


def test_library_missing(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """Between two packages of an upgrade there is none: new processes can't begin, jobs are not lost."""
    server = fresh_server({"log_min_messages": "log", "pg_background.worker_idle_timeout": 0})
    library = library_of(server)
    away = library.with_suffix(".away")

    def miss() -> int:
        library.rename(away)
        try:
            time.sleep(AWAY)
        finally:
            away.rename(library)
        return 1

    with under_load(server, "library", tally) as (_, injector):
        tally.faults("library missing", injector.inject(extent.faults, miss))


def library_of(server: Server) -> Path:
    """The library that the server's processes load; it is a copy of the tests' own."""
    runtime = server.cluster.runtime
    named = runtime.settings.get("dynamic_library_path", "").partition(":")[0]
    return Path(named or runtime.installation.pkglibdir) / "pg_background.so"
