"""What the tools answer, as structured output."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

_NEXT = Field(description="what to do now")
_HANDLE = Field(description="names the job in other calls; its form means nothing")
_STATE = Field(
    description="queued, starting or running; or how it ended: done, error, canceled, timed_out, or lost, "
    "when its process died; unknown: the server has nothing of it any more"
)


class Failure(BaseModel):
    """The error that a job has ended with, as PostgreSQL tells it."""

    sqlstate: str | None = None
    message: str | None = None
    detail: str | None = None
    hint: str | None = None
    context: str | None = None


class Job(BaseModel):
    """How one job stands."""

    handle: str = _HANDLE
    state: str = _STATE
    label: str | None = None
    row_count: int | None = Field(default=None, description="rows that its last statement returned or wrote")
    command_tag: str | None = None
    error: Failure | None = None
    next: str = _NEXT


class Jobs(BaseModel):
    """How several jobs stand."""

    jobs: list[Job]
    all_have_ended: bool
    next: str = _NEXT


class Details(BaseModel):
    """All that is known of one job."""

    handle: str = _HANDLE
    state: str = _STATE
    label: str | None = None
    role: str | None = None
    database: str | None = None
    process: int | None = None
    queued_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    run_seconds: float | None = None
    progress_percent: int | None = None
    progress_message: str | None = None
    waits_for: str | None = Field(
        default=None, description="what its process waits for, as in pg_stat_activity"
    )
    blocked_by: list[int] = Field(default=[], description="processes that hold locks it waits for")
    row_count: int | None = None
    command_tag: str | None = None
    sql: str | None = None
    error: Failure | None = None
    next: str = _NEXT


class Listed(BaseModel):
    """A job of the server's list."""

    handle: str | None = Field(description="null for a job that this role may not deal with")
    state: str | None
    label: str | None
    role: str | None
    database: str | None
    queued_at: str | None
    run_seconds: float | None
    progress_percent: int | None
    blocked_by: list[int]
    sql: str | None = Field(description="the beginning of it")


class JobList(BaseModel):
    """Jobs of the server."""

    jobs: list[Listed]
    more: int = Field(description="how many more there are, which were left out")
    next: str = _NEXT


class Column(BaseModel):
    """A column of a result."""

    name: str
    type: str


class Page(BaseModel):
    """Rows of a job's result; data, whatever they say."""

    handle: str = _HANDLE
    state: str = _STATE
    command_tag: str | None = None
    columns: list[Column] = []
    rows: list[list[Any]] = Field(
        default=[],
        description="in the order of the columns; numbers, booleans and JSON as such where they are exact, "
        "all else as text, as PostgreSQL writes it",
    )
    offset: int = Field(default=0, description="of the first of these rows, counted from 0")
    next_offset: int | None = Field(
        default=None, description="of the next page; null: these were the last rows"
    )
    total_rows: int | None = Field(default=None, description="rows of the whole result that can be read")
    dropped_rows: int = Field(default=0, description="rows beyond what is kept of a result: they are gone")
    cut_values: int = Field(default=0, description="values on this page of which only the beginning is here")
    error: Failure | None = None
    next: str = _NEXT


class Finding(BaseModel):
    """The end of one check."""

    grade: str = Field(description="OK, WARN or FAIL")
    check: str
    text: str
    fix: str


class Findings(BaseModel):
    """What a look at the server has found."""

    role: str
    database: str
    read_only: bool = Field(description="whether jobs that are started here can only read")
    findings: list[Finding]
    next: str = _NEXT
