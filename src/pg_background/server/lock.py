"""Keep two processes from making the same folder at the same time."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO


def hold_lock(folder: Path) -> TextIO:
    """Wait for the lock of a folder, which need not be there; it is held until the returned file is closed.

    Raises:
        OSError: the lock's file, which is beside the folder, can't be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f"{folder.name}.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
