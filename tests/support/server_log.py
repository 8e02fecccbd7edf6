"""Read a server's log from a point on."""

from __future__ import annotations

import re
from pathlib import Path

from .waiting import DEADLINE, wait_until

#: What the log says when a process died that must not.
_CRASH = re.compile(
    r"was terminated by signal|exited with exit code 2\b|\bPANIC:|\bTRAP:|"
    r"terminating any other active server processes"
)


class ServerLog:
    """A growing log file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> int:
        """Return the present end of the log, for `since`."""
        return self.path.stat().st_size if self.path.exists() else 0

    def since(self, mark: int) -> str:
        """Return what was written after a mark."""
        if not self.path.exists():
            return ""
        with self.path.open(errors="replace") as file:
            file.seek(mark)
            return file.read()

    def wait_for(self, pattern: str, since: int, *, deadline: float = DEADLINE) -> re.Match[str]:
        """Wait until a regular expression is found after a mark.

        Raises:
            AssertionError: it is not there after `deadline` seconds.
        """
        found = wait_until(
            lambda: re.search(pattern, self.since(since)),
            deadline=deadline,
            what=f"{pattern!r} in the server's log",
        )
        assert found is not None
        return found

    def logged_by(self, pid: int, since: int) -> list[str]:
        """Return the messages of level LOG that a process wrote after a mark."""
        return re.findall(rf"\[{pid}\].* LOG:  (.*)\n", self.since(since))

    def crashes(self, since: int) -> list[str]:
        """Return the lines after a mark that tell of a crash."""
        return [line for line in self.since(since).splitlines() if _CRASH.search(line)]
