"""What the tools do, with one client for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import anyio
import psycopg
from psycopg.rows import tuple_row

from ..client.client_async import AsyncClient
from ..client.errors import JobLost
from ..client.job_async import AsyncJob
from ..client.launching_async import start
from ..client.model import FINAL, Handle, JobError, JobInfo, Outcome, in_words
from ..client.query import BoundQuery
from . import handles, values
from .answers import Details, Job, JobList, Jobs, Listed
from .errors import Refused, failure
from .limits import Limits, shortened

#: Begins the labels of jobs that were started by an agent: whoever looks at the server sees it, and it tells
#: them from others, also when this process was started anew.
MARK = "mcp"
_LABEL_LENGTH = 64

_SQL_CHARS = 4000
_PREVIEW_CHARS = 200


class AgentJobs:
    """Starts jobs, and finds them again by their handles."""

    def __init__(self, client: AsyncClient[Any], limits: Limits) -> None:
        self.client = client
        self._limits = limits
        self._is_checked = limits.allow_writes
        self._checking = anyio.Lock()

    async def start(
        self,
        sql: str,
        params: Sequence[Any] | None,
        label: str | None,
        timeout: float | None,
        database: str | None,
    ) -> AsyncJob[Any]:
        """Start a job; it is queued where there is no worker for it.

        Raises:
            Refused: the server can't keep it from writing, or has refused it.
        """
        await self._check_read_only()
        bound = BoundQuery(sql, [values.to_text(value) for value in params] if params else None)
        return await start(
            self.client.session,
            bound,
            None,
            tuple_row,
            label=MARK if label is None else f"{MARK}:{label}"[:_LABEL_LENGTH],
            timeout=_least(timeout, self._limits.timeout),
            database=database,
            on_full="queue",
            read_only=not self._limits.allow_writes,
        )

    async def require_own(self, handle: Handle) -> None:
        """See that a job may be dealt with: those of others, who may need their results, only if allowed.

        Raises:
            Refused: it was not started by an agent.
        """
        if self._limits.allow_writes:
            return
        label = await self._label(handle)
        if label is None or label.partition(":")[0] != MARK:
            raise Refused(
                f"the job {handles.text_of(handle)} was not started by start_job, or is not known any more",
                "This server is read-only: jobs of others can be looked at by get_job, and no more.",
            )

    async def wait(self, wanted: Sequence[Handle], seconds: float, *, for_any: bool) -> None:
        """Wait until they have ended, or one of them has, or the time is up."""
        known = [
            handle
            for handle in wanted
            if (await self.client.session.outcome(handle)).state not in (None, *FINAL)
        ]
        if not known or (for_any and len(known) < len(wanted)):
            return
        jobs = [self.client.attach(handle) for handle in known]
        # Those that nobody could tell of any more end the wait too.
        if for_any:
            await self.client.wait_any(jobs, seconds)
        else:
            await self.client.wait_all(jobs, seconds)

    async def look(self, handle: Handle) -> Job:
        """Return how a job stands."""
        outcome = await self.client.session.outcome(handle)
        label = await self._label(handle)
        state = _state(outcome)
        return Job(
            handle=handles.text_of(handle),
            state=state,
            label=label,
            row_count=outcome.row_count if outcome.state == "stopped" else None,
            command_tag=outcome.command_tag,
            error=failure(JobError(outcome.sqlstate, outcome.error_message)),
            next=next_step(state),
        )

    async def look_at_all(self, wanted: Sequence[Handle]) -> Jobs:
        """Return how several stand."""
        jobs = [await self.look(handle) for handle in wanted]
        running = sum(job.state in _RUNNING for job in jobs)
        return Jobs(
            jobs=jobs,
            all_have_ended=not running,
            next=f"{running} go on: call wait_for_jobs again, do something else meanwhile, or cancel_job."
            if running
            else "All have ended: read_result gives the rows of those that are done.",
        )

    async def details(self, handle: Handle) -> Details:
        """Return all that is known of a job."""
        outcome = await self.client.session.outcome(handle)
        state = _state(outcome)
        info = next((job for job in await self.client.session.jobs() if job.handle == handle), None)
        found: JobError | None = JobError(outcome.sqlstate, outcome.error_message)
        sql = None if info is None else info.sql_preview
        try:
            inspection = await self.client.session.inspect(handle)
        except JobLost:
            # It was read or detached; how it ended is known still.
            pass
        else:
            sql, found = inspection.sql or sql, inspection.error or found
        return Details(
            handle=handles.text_of(handle),
            state=state,
            row_count=outcome.row_count if outcome.state == "stopped" else None,
            command_tag=outcome.command_tag,
            sql=shortened(sql, _SQL_CHARS),
            error=failure(found),
            next=next_step(state),
            **({} if info is None else _of_list(info)),
        )

    async def list(self, states: Sequence[str], text: str | None, only_own: bool, most: int) -> JobList:
        """Return the server's jobs that the role may see, the newest first."""
        found = [job for job in await self.client.session.jobs() if _fits(job, states, text, only_own)]
        found.reverse()
        listed = [
            Listed(
                handle=None if job.handle is None else handles.text_of(job.handle),
                state=None if job.state is None else in_words(job.state),
                label=job.label,
                role=job.role,
                database=job.database,
                queued_at=_moment(job.queued_at),
                run_seconds=_run_seconds(job),
                progress_percent=job.progress_pct,
                blocked_by=job.blocked_by or [],
                sql=shortened(job.sql_preview, _PREVIEW_CHARS),
            )
            for job in found[:most]
        ]
        more = len(found) - len(listed)
        return JobList(
            jobs=listed,
            more=more,
            next="Narrow it by states or text to see the others." if more else "get_job tells more of one.",
        )

    async def _label(self, handle: Handle) -> str | None:
        async with self.client.session.connection() as connection:
            cursor = psycopg.AsyncCursor(connection)
            await cursor.execute(self.client.session.statements.label, handle)
            row = await cursor.fetchone()
        return None if row is None else row[0]

    async def _check_read_only(self) -> None:
        """See once that the server keeps jobs from writing: an older one does not."""
        async with self._checking:
            if self._is_checked:
                return
            try:
                job = await self.client.launch(
                    "SET TRANSACTION READ WRITE", label=MARK, on_full="queue", read_only=True
                )
                error = await job.exception(timeout=20)
            except psycopg.errors.UndefinedObject as unknown:
                error = unknown
            except TimeoutError as late:
                raise Refused("the server has no worker for a job now", "Try again later.") from late
            if getattr(error, "sqlstate", None) != "25001":
                raise Refused(
                    "this server can't keep jobs from writing",
                    "Tell the user: its extension pg_background is to be updated, or this server "
                    "started with --allow-writes.",
                )
            self._is_checked = True


_RUNNING = ("queued", "starting", "running")


def next_step(state: str) -> str:
    """Return what to do with a job in a state."""
    if state in _RUNNING:
        return "It goes on: call wait_for_jobs, do something else meanwhile, or cancel_job."
    if state == "done":
        return "Call read_result for its rows, or detach_job if they are not wanted."
    if state == "unknown":
        return "It was read or detached long ago, or the server was restarted: start it again if need be."
    return "It has changed nothing. Correct the SQL as its error says, and start it again, or tell the user."


def _state(outcome: Outcome) -> str:
    return "unknown" if outcome.state is None else in_words(outcome.state)


def _fits(job: JobInfo, states: Sequence[str], text: str | None, only_own: bool) -> bool:
    if states and (job.state is None or in_words(job.state) not in states):
        return False
    if only_own and (job.label or "").partition(":")[0] != MARK:
        return False
    return not text or any(
        text.lower() in (part or "").lower() for part in (job.label, job.sql_preview, job.role, job.database)
    )


def _of_list(job: JobInfo) -> dict[str, Any]:
    waits = ": ".join(filter(None, (job.wait_event_type, job.wait_event)))
    return {
        "label": job.label,
        "role": job.role,
        "database": job.database,
        "process": job.worker_pid,
        "queued_at": _moment(job.queued_at),
        "started_at": _moment(job.started_at),
        "finished_at": _moment(job.finished_at),
        "run_seconds": _run_seconds(job),
        "progress_percent": job.progress_pct,
        "progress_message": shortened(job.progress_msg),
        "waits_for": waits or None,
        "blocked_by": job.blocked_by or [],
    }


def _run_seconds(job: JobInfo) -> float | None:
    if job.started_at is None:
        return None
    end = job.finished_at or datetime.now(UTC)
    return max(round((end - job.started_at).total_seconds(), 3), 0.0)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _least(one: float | None, other: float | None) -> float | None:
    given = [limit for limit in (one, other) if limit is not None]
    return min(given) if given else None
