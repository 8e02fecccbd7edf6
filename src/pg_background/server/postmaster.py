"""What a running server says about itself in its data directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Postmaster:
    """The contents of postmaster.pid."""

    pid: int
    port: int
    #: empty when the server has no Unix socket
    socket_directory: str
    #: `starting`, `stopping`, `ready`, `standby`; empty very early in a start
    state: str

    @classmethod
    def of(cls, data_directory: Path) -> Postmaster | None:
        """Return the server that runs on a data directory, or None.

        Raises:
            PermissionError: the data directory is somebody else's.
        """
        try:
            lines = (data_directory / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            found = cls(
                pid=int(lines[0]),
                port=int(lines[3]),
                socket_directory=lines[4].strip(),
                state=lines[7].strip() if len(lines) > 7 else "",
            )
        except (IndexError, ValueError):
            # Being written at this moment.
            return None
        return found if _runs_on(found.pid, data_directory) else None


def _runs_on(pid: int, data_directory: Path) -> bool:
    """Tell whether a process is the server of a data directory, and not one that got its pid later."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Alive, and another user's.
        return True
    if not Path("/proc/self/cwd").exists():
        return True
    try:
        # A postmaster's working folder is its data directory; a zombie's is gone.
        return Path(f"/proc/{pid}/cwd").samefile(data_directory)
    except PermissionError:
        return True
    except OSError:
        return False
