"""What memory the extension takes: a section of `make bench`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pg_background.server import StartError

from .context import Bench
from .figures import KB, Figure
from .ways import C_EXTENSION, DBLINK_ASYNC, FLOOR, WARM, Clock, Way, host_of, measured, opened

TITLE = "Memory"
NOTE = """\
Processes: memory that a process shares with no other (`Private_Clean` and `Private_Dirty` of `smaps`, without
the server's shared memory). An idle worker has run one job; *floor* is a session that has run two empty
statements. A launcher is measured by what it has more after so many jobs; *floor* ran as many empty
statements as they have. Unread results are those of `SELECT 1`: what they hold of `job_memory`, and on disk
where that has no room for their queues."""

_JOBS = 20_000
_WARM_UP = 500
_UNREAD = 1_000
_IDLE_SECONDS = 30

#: An area of memory: its addresses, and whether what is written there is shared.
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ...([ps]) ")

_LAUNCH = b"SELECT pid, cookie FROM public.pg_background_launch('SELECT 1'::text, 0)"
_RESULT = b"SELECT * FROM public.pg_background_result(%s::int4, %s::int8) AS (n int)"
_WAIT = b"SELECT public.pg_background_wait(%s::int4, %s::int8)"
_REGISTRY = b"SELECT area_bytes, spill_bytes, idle_workers, busy_workers FROM public.pg_background_registry()"


def for_bench(bench: Bench) -> Sequence[Figure]:
    """See `Section`."""
    return [_idle(bench), _launcher(bench), *_unread(bench)]


def private_kb(smaps: str) -> int:
    """Return a process's memory of its own, from its `smaps`.

    A page of shared memory that no other process has touched yet is none.
    """
    found = 0
    is_shared = False
    for line in smaps.splitlines():
        if mapping := _MAPPING.match(line):
            is_shared = mapping[1] == "s"
        elif not is_shared and line.startswith(("Private_Clean:", "Private_Dirty:")):
            found += int(line.split()[1])
    return found


def _private(pid: int) -> int:
    return private_kb(Path(f"/proc/{pid}/smaps").read_text())


def _backend(way: Way) -> int:
    pid: int = way.clock.run(b"SELECT pg_catalog.pg_backend_pid()")[0][0]
    return pid


def _idle(bench: Bench) -> Figure:
    """A worker that has run a job and waits for the next, beside a session that has run the same."""
    with opened(bench.hosts, WARM) as way:
        pid, cookie = way.clock.run(_LAUNCH)[0]
        way.clock.run(_RESULT, (pid, cookie))
        _until_idle(way.clock)
        worker = _private(pid)
    with opened(bench.hosts, FLOOR) as way:
        way.launch_result()
        return Figure("an idle worker", KB, {FLOOR: _private(_backend(way)), WARM: worker}, TITLE)


def _until_idle(clock: Clock) -> None:
    deadline = time.monotonic() + _IDLE_SECONDS
    while clock.run(_REGISTRY)[0][3]:
        if time.monotonic() > deadline:
            raise StartError("a worker does not become idle")
        time.sleep(0.01)


def _launcher(bench: Bench) -> Figure:
    jobs = bench.times(_JOBS)
    figure = Figure(f"a launcher, more after {jobs:,} jobs", KB, chart=TITLE)
    with ExitStack() as stack:
        for name in measured(bench.hosts):
            # Those that start a process for each job would take minutes, and do the same in the launcher.
            if name not in (FLOOR, WARM, DBLINK_ASYNC, C_EXTENSION):
                continue
            bench.say(f"launcher, {name}")
            way = stack.enter_context(opened(bench.hosts, name))
            pid = _backend(way)
            if not _is_here(bench, name, pid):
                bench.notes.append(f"The processes of {name} are on another machine: no memory of them.")
                continue
            for _ in range(min(_WARM_UP, jobs)):
                way.launch_result()
            before = _private(pid)
            for _ in range(jobs):
                way.launch_result()
            figure.values[name] = _private(pid) - before
    return figure


def _is_here(bench: Bench, way: str, pid: int) -> bool:
    """Tell whether a session's process is on this machine, where only its server's is known to be."""
    if way != C_EXTENSION:
        return True
    host = host_of(bench.hosts, way)
    try:
        return host is not None and b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _unread(bench: Bench) -> Sequence[Figure]:
    results = bench.times(_UNREAD)
    # Workers that start and end meanwhile would be in it: each server counts its own.
    with opened(bench.hosts, WARM) as way:
        memory, disk, *_ = way.clock.run(_REGISTRY)[0]
        handles = []
        for _ in range(results):
            handles.append(way.clock.run(_LAUNCH)[0])
            way.clock.run(_WAIT, handles[-1])
        more_memory, more_disk, *_ = way.clock.run(_REGISTRY)[0]
        for handle in handles:
            way.clock.run(_RESULT, handle)
    return [
        Figure(f"{results:,} unread results, job_memory", KB, {WARM: (more_memory - memory) / 1024}, TITLE),
        Figure(f"{results:,} unread results, disk", KB, {WARM: (more_disk - disk) / 1024}, TITLE),
    ]
