"""`pg-background top` without a terminal: jobs that a test makes up, and the screen as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from textual.pilot import Pilot

from pg_background.client.model import Handle, Inspection, JobError, JobInfo, JobState
from pg_background.top import Snapshot, SourceError, TopApp

from .waiting import DEADLINE

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)

BLANK = JobInfo(
    pid=0,
    cookie=0,
    worker_pid=None,
    database="shop",
    role="app",
    label=None,
    state="running",
    queued_at=NOW,
    started_at=None,
    finished_at=None,
    row_count=None,
    command_tag=None,
    sqlstate=None,
    error_message=None,
    sql_preview="SELECT 1",
    progress_pct=None,
    progress_msg=None,
    wait_event_type=None,
    wait_event=None,
    blocked_by=[],
    result_bytes=0,
    temp_bytes=0,
)


def job(pid: int, state: JobState, seconds: float = 1, **fields: Any) -> JobInfo:
    """Return a job that has run, or waited, for so many seconds."""
    began = NOW - timedelta(seconds=seconds)
    known: dict[str, Any] = {
        "pid": pid,
        "cookie": abs(pid) * 1000,
        "state": state,
        "queued_at": began,
        "started_at": None if state == "queued" else began,
        "finished_at": None if state in ("queued", "starting", "running") else NOW,
    }
    return replace(BLANK, **{**known, **fields})


class MadeUp:
    """A source of jobs that a test makes up."""

    def __init__(self, *jobs: JobInfo) -> None:
        self.jobs = list(jobs)
        self.trouble: SourceError | None = None
        self.canceled: list[tuple[Handle, float]] = []
        self.polls = 0
        self.is_closed = False
        #: of several servers: their names, and of those that do not answer why
        self.nodes: tuple[str, ...] = ()
        self.missing: dict[str, SourceError] = {}

    async def poll(self) -> Snapshot:
        self.polls += 1
        if self.trouble is not None:
            raise self.trouble
        return Snapshot(list(self.jobs), NOW, "shop on db:5432 as app", self.nodes, self.missing)

    async def inspect(self, handle: Handle) -> Inspection:
        if self.trouble is not None:
            raise self.trouble
        found = next(job for job in self.jobs if job.handle == handle)
        error = JobError(sqlstate="22012", message="division by zero", detail="by [b]0[/b]", hint="don't")
        return Inspection(f"{found.sql_preview} -- whole", error if found.state == "error" else None)

    async def cancel(self, handle: Handle, grace: float) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.canceled.append((handle, grace))

    async def close(self) -> None:
        self.is_closed = True


def lines(app: TopApp) -> list[str]:
    """Return what is on the screen, without blanks at the ends of lines."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def text(app: TopApp) -> str:
    """Return it as one text."""
    return "\n".join(lines(app))


async def shows(pilot: Pilot[None], app: TopApp, condition: Callable[[str], object]) -> None:
    """Wait until the screen is so."""
    for _ in range(int(DEADLINE / 0.02)):
        if condition(text(app)):
            return
        await pilot.pause(0.02)
    raise AssertionError(text(app))


async def confirmed(pilot: Pilot[None], app: TopApp, key: str) -> None:
    """Press a key that asks for a yes, and say yes when the question is there, as it would be lost before."""
    await pilot.press(key)
    await shows(pilot, app, lambda text: "Cancel job" in text or "Terminate job" in text)
    await pilot.press("y")
