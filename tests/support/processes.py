"""A server's processes, as the operating system shows them."""

from __future__ import annotations

from pathlib import Path

from .server import Server
from .waiting import wait_until


def pids_titled(server: Server, title: str) -> list[int]:
    """Return the server's processes whose title has this in it."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
            command = (directory / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == server.pid and title in command:
            found.append(int(directory.name))
    return found


def keeper_pid(server: Server, *, other_than: int = 0) -> int:
    """Return the pid of the keeper, waiting for it to come."""
    return wait_until(
        lambda: next((pid for pid in pids_titled(server, "pg_background keeper") if pid != other_than), 0),
        what="a keeper",
    )
