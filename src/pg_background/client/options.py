"""What a launch may be told beside its query."""

from __future__ import annotations

from typing import TypedDict

from .model import OnFull


class LaunchOptions(TypedDict, total=False):
    """The keyword arguments of `launch` and its like."""

    #: shown in the server's views and in application_name; up to 64 characters
    label: str | None
    #: time limit of the job, in seconds; by default pg_background.worker_timeout
    timeout: float | None
    #: of the job's queue, in bytes; by default pg_background.default_queue_size
    queue_size: int | None
    #: to run in, one that the role may connect to; by default the client's
    database: str | None
    #: whether it can read only, whatever its SQL is: nothing in it can take that back
    read_only: bool
    #: when no worker is to be had: raise an error (the default), wait for one, or queue the job
    on_full: OnFull
    #: how long `on_full="wait"` waits, in seconds; by default for ever. The client's other calls wait too
    wait_timeout: float | None


def milliseconds(seconds: float | None) -> int:
    """Return what the server takes: at least 1, as 0 means no limit, or 0 for None.

    Raises:
        ValueError: it is not a time.
    """
    if seconds is None:
        return 0
    if not 0 <= seconds <= 2_147_483:
        raise ValueError(f"a timeout must be between 0 and 2147483 seconds, not {seconds}")
    return max(round(seconds * 1000), 1)
