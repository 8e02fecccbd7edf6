"""What the server tells about jobs, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

#: `stopped` is success; `lost` means that the job's process died.
JobState = Literal["queued", "starting", "running", "stopped", "error", "canceled", "timed_out", "lost"]

#: The states that do not change any more.
FINAL: frozenset[JobState | None] = frozenset(("stopped", "error", "canceled", "timed_out", "lost"))


def in_words(state: str) -> str:
    """Return a state as people call it: success is `done`, while `stopped` is the word of SQL."""
    return "done" if state == "stopped" else state


#: What a launch does when no worker is to be had.
OnFull = Literal["error", "wait", "queue"]

#: The tags that tell how many rows there were.
_COUNTED = frozenset(("COPY", "DELETE", "FETCH", "INSERT", "MERGE", "MOVE", "SELECT", "UPDATE"))


class Handle(NamedTuple):
    """What identifies a job in every session of the same role, and in SQL."""

    #: negative while, and for ever if, the job was queued at its launch
    pid: int
    cookie: int


class Progress(NamedTuple):
    """What a job has reported by pg_background_progress()."""

    #: 0 to 100; None if it has reported nothing
    percent: int | None
    message: str | None


class JobColumn(NamedTuple):
    """A column of a job's result."""

    name: str
    #: as SQL writes it, with modifiers
    type_name: str
    type_oid: int
    #: schema and name of the type, as its result is read by; text for what only the job's own database knows
    type_path: tuple[str, str]

    @classmethod
    def of(cls, row: Sequence[Any]) -> JobColumn:
        """Return what a row of the statement `describe` says."""
        name, type_name, type_oid, local_schema, local_name = row
        path = ("pg_catalog", "text") if local_name is None else (local_schema, local_name)
        return cls(name, type_name, type_oid, path)


class Notice(NamedTuple):
    """What a job said by RAISE NOTICE and the like."""

    severity: str | None
    sqlstate: str | None
    message: str | None
    detail: str | None
    hint: str | None
    context: str | None


class Times(NamedTuple):
    """When a job was launched, was begun and has ended, in microseconds since 1970 by the server's clock."""

    queued: int
    #: None: it never began
    started: int | None
    finished: int | None

    @classmethod
    def of(cls, seconds: Sequence[float | None]) -> Times | None:
        """Return what a row of the statement `ended` says, in seconds; None if nothing is known."""
        queued, started, finished = (None if each is None else round(each * 1e6) for each in seconds)
        if queued is None or started is finished is None:
            return None
        return cls(queued, started, finished)


class Outcome(NamedTuple):
    """How far a job is, or how it ended."""

    handle: Handle
    #: None: the server does not know the handle
    state: JobState | None
    row_count: int | None
    #: without the count
    command_tag: str | None
    sqlstate: str | None
    error_message: str | None
    #: of a job that somebody follows
    times: Times | None = None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Outcome:
        """Return what a row of the statements `outcome` and `finished` says."""
        pid, cookie, *rest = row
        return cls(Handle(pid, cookie), *rest)

    @property
    def statusmessage(self) -> str | None:
        """The command tag as psycopg gives it, such as `INSERT 0 1`."""
        return statusmessage(self.command_tag, self.row_count)


def statusmessage(tag: str | None, rows: int | None) -> str | None:
    """Return a command tag as a server sends it to clients, with its count."""
    if tag not in _COUNTED:
        return tag
    return f"{tag} 0 {rows}" if tag == "INSERT" else f"{tag} {rows}"


@dataclass(frozen=True)
class JobInfo:
    """A job of the server, as the view pg_background_jobs shows it to this role.

    Of the jobs of others it has the processes, with their roles and databases, and None for the rest.
    """

    pid: int
    #: None for a job that this role may not cancel
    cookie: int | None
    worker_pid: int | None
    database: str | None
    role: str | None
    label: str | None
    state: JobState | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    row_count: int | None
    command_tag: str | None
    sqlstate: str | None
    error_message: str | None
    sql_preview: str | None
    progress_pct: int | None
    progress_msg: str | None
    wait_event_type: str | None
    wait_event: str | None
    #: processes that hold the job up
    blocked_by: list[int] | None
    #: unread output, in bytes: all of it, and what of it is on disk
    result_bytes: int | None
    temp_bytes: int | None

    @property
    def handle(self) -> Handle | None:
        """To be attached to; None for a job that this role may not cancel."""
        return None if self.cookie is None else Handle(self.pid, self.cookie)


@dataclass(frozen=True)
class JobError:
    """An error, as pg_background_error_info() tells it."""

    sqlstate: str | None = None
    message: str | None = None
    detail: str | None = None
    hint: str | None = None
    context: str | None = None
    schema_name: str | None = None
    table_name: str | None = None
    column_name: str | None = None
    constraint_name: str | None = None


@dataclass(frozen=True)
class Inspection:
    """What the server keeps of one job: its whole SQL, and every field of its error."""

    #: None for a role that may look at the job, and at nothing that may have data in it
    sql: str | None
    #: None for such a role, and for a job without an error
    error: JobError | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Inspection:
        """Return what a row of the statement `inspect` says."""
        text, *error = row
        return cls(text, JobError(*error) if any(error) else None)


@dataclass(frozen=True)
class Load:
    """How busy a server is."""

    #: those that have not ended
    jobs: int
    #: how many it runs at once, at most
    capacity: int

    @property
    def of_a_job(self) -> float:
        """What one job is of all that it runs at once."""
        return 1 / max(self.capacity, 1)

    @property
    def used(self) -> float:
        """The jobs that have not ended, as a share of those that it runs at once."""
        return self.jobs * self.of_a_job


@dataclass(frozen=True)
class Stats:
    """Counters of one session's jobs."""

    workers_launched: int
    workers_completed: int
    workers_failed: int
    workers_canceled: int
    workers_timed_out: int
    workers_active: int
    avg_execution_ms: float
    max_workers: int
