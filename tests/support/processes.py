"""A server's processes, as the operating system shows them."""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from .server import Server
from .waiting import wait_until


def children(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        # It may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            if int((directory / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(directory.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended; one that has may wait for its parent to notice."""
    try:
        return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def private_bytes(pid: int) -> int:
    """Memory that only this process has."""
    fields = Counter[str]()
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, amount = line.split()[:2]
        fields[name] = int(amount) * 1024
    return fields["Private_Clean:"] + fields["Private_Dirty:"]


def anonymous_bytes(pid: int) -> int:
    """Memory that is no file's and not the server's shared memory.

    Unlike `private_bytes` it does not change when a process ends that was forked from the same one.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    # One that has ended has none.
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def pids_titled(server: Server, title: str) -> list[int]:
    """Return the server's processes whose title has this in it."""
    found = []
    for pid in children(server.pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            if title in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
    return found


def keeper_pid(server: Server, *, other_than: int = 0) -> int:
    """Return the pid of the keeper, waiting for it to come."""
    return wait_until(
        lambda: next((pid for pid in pids_titled(server, "pg_background keeper") if pid != other_than), 0),
        what="a keeper",
    )


def does_not_wake(pid: int) -> bool:
    """Tell whether a process slept for the time of several samples."""
    first = times_slept(pid)
    time.sleep(0.5)
    return times_slept(pid) == first


def times_slept(pid: int) -> int:
    """Return how often a process has gone to sleep."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("voluntary_ctxt_switches:")[2].split()[0])
