"""A session that launches jobs of all kinds one after the other, and sees each through to its end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
from psycopg import errors as e

from pg_background.server import ServerError

from ..support.calls import Rows, query
from ..support.jobs import Connection, Handle
from .kinds import FINAL, KINDS
from .ledger import Job, Ledger

#: By which its sessions are told from others in pg_stat_activity.
APPLICATION = "driver"

#: No place, limit or memory for a job; no disk for the results that have to make room for it.
REFUSALS = frozenset({"53400", "53000", "53200", "53100"})

#: What a session is told that was interrupted, or whose server goes; 58P01 is for a library that is missing.
INTERRUPTIONS = frozenset({"57014", "57P01", "57P02", "57P03", "57P05", "25P04", "55P03", "58P01"})

#: Seconds until a server that was ended by a fault must accept connections again.
RECOVERY = 120.0

_UNKNOWN = (e.UndefinedObject, e.ObjectNotInPrerequisiteState)

Connect = Callable[..., Connection]


class Interrupted(Exception):
    """A fault met the session in a call: what it has done is not known."""


class JobFailed(Exception):
    """The job's own error."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(str(error))
        self.sqlstate = error.sqlstate
        self.message = error.diag.message_primary or ""

    @property
    def state(self) -> str:
        """The state that the job has, if nothing but its session's cancel has come to it."""
        if self.sqlstate == "08006":
            return "lost"
        if self.sqlstate == "57014":
            return "timed_out" if "worker_timeout" in self.message else "canceled"
        return "error"


def is_of_the_job(error: psycopg.Error) -> bool:
    """Whether an error that result has raised is that of the job."""
    return "background worker, pid" in (error.diag.context or "") or "lost connection to worker process" in (
        error.diag.message_primary or ""
    )


class Driver:
    """One session, which comes back when it is cut off."""

    def __init__(
        self,
        connect: Connect,
        ledger: Ledger,
        numbers: Iterator[int],
        identity: tuple[str, str | None],
        chance: random.Random,
        *,
        faults: bool,
    ) -> None:
        """
        Args:
            connect: opens a session; takes libpq's parameters.
            numbers: of the jobs, shared by all drivers.
            identity: who logs in, and whom it becomes.
            faults: it may be interrupted, and is prepared for it.
        """
        self._connect = connect
        self._ledger = ledger
        self._numbers = numbers
        self._chance = chance
        self._faults = faults
        self._login, self._role = identity
        self._conn: Connection | None = None
        #: launches in a row
        self._refused = 0
        #: done to its session before each job, as a timeout that comes and goes
        self.before_job: Callable[[Connection, random.Random], None] | None = None

    def close(self) -> None:
        """End the session."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def do_one(self) -> bool:
        """Do one job; False if its launch was refused."""
        kind = self._chance.choices(KINDS, [kind.weight for kind in KINDS])[0]
        who = "definer" if kind.as_definer else self._role or self._login
        job = Job(next(self._numbers), kind, who, self._ledger.life, disturbed=self._faults)
        self._ledger.jobs.append(job)
        try:
            self._launch(job)
            if not job.refused:
                self._follow(job)
        except Interrupted:
            self._settle(job)
        self._refused = self._refused + 1 if job.refused else 0
        if self._refused:
            # Ever longer: many that try again at once leave no time to those who work.
            time.sleep(self._chance.uniform(0, min(0.5, 0.002 * 2 ** min(self._refused, 10))))
        return not job.refused

    # ---- the stages of a job

    def _launch(self, job: Job) -> None:
        if self._conn is not None and self.before_job is not None:
            with suppress(psycopg.Error):
                self.before_job(self._conn, self._chance)
        sql = f"SELECT pid, cookie FROM {job.kind.call} -- launch"
        try:
            ((*handle,),) = self._ask("launch", sql, job.kind.sql.format(n=job.number))
        except psycopg.Error as error:
            if error.sqlstate not in REFUSALS:
                raise
            job.refused = True
            self._ledger.refusals[error.sqlstate] += 1
            return
        job.handle = Handle(*handle)

    def _follow(self, job: Job) -> None:
        use = job.kind.use
        if use == "none":
            return
        if use == "forget":
            self._forget(job)
            return
        if use == "cancel soon":
            time.sleep(self._chance.uniform(0, 0.004))
        if use.startswith("cancel"):
            grace = self._chance.choice([0, 0, 0, 200])
            self._ask("cancel", "SELECT pg_background_cancel(%s, %s, %s)", *self._handle(job), grace)
        if use == "wait" or self._chance.random() < 0.5:
            if not self._wait(job):
                return
            self._note(job)
        if use == "wait":
            self._forget(job)
        else:
            self._read(job)
            self._note(job)

    def _wait(self, job: Job) -> bool:
        """Wait for its end; False if it is known no more, as one may be that nobody will read."""
        try:
            ((ended,),) = self._ask("wait", "SELECT pg_background_wait(%s, %s)", *self._handle(job))
        except _UNKNOWN:
            self._check_unknown(job)
            return False
        assert ended is True
        return True

    def _read(self, job: Job) -> None:
        job.is_taken = True
        sql = "SELECT * FROM pg_background_result(%s, %s) AS (value text)"
        try:
            rows = self._ask("read", sql, *self._handle(job))
        except JobFailed as failed:
            # A signal from outside makes a cancel the job's error.
            if failed.sqlstate != "57014" or not self._faults:
                job.tell(failed.state)
            return
        except _UNKNOWN:
            self._check_unknown(job)
            return
        assert len(rows) == job.kind.rows, f"{job} has {len(rows)} rows"
        job.tell("stopped")

    def _note(self, job: Job) -> None:
        """Take down how it has ended."""
        ((state,),) = self._ask(
            "outcome", "SELECT state FROM pg_background_outcome(%s, %s)", *self._handle(job)
        )
        if state is None:
            self._check_unknown(job)
        elif not self._faults or state in FINAL:
            job.tell(state)

    def _forget(self, job: Job) -> None:
        job.is_taken = True
        try:
            self._ask("detach", "SELECT pg_background_detach(%s, %s)", *self._handle(job))
        except _UNKNOWN:
            self._check_unknown(job)

    # ---- when something has gone wrong

    def _settle(self, job: Job) -> None:
        """Learn how a job ends at which the session was interrupted, and leave nothing of it."""
        end = time.monotonic() + RECOVERY
        while job.handle is not None:
            assert time.monotonic() < end, f"{job} can not be settled"
            try:
                if job.kind.use.startswith("cancel"):
                    self._ask("settle", "SELECT pg_background_cancel(%s, %s)", *job.handle)
                self._ask("settle", "SELECT pg_background_wait(%s, %s)", *job.handle)
                self._note(job)
                self._forget(job)
            except Interrupted:
                continue
            except _UNKNOWN:
                with suppress(Interrupted):
                    self._note(job)
                self._check_unknown(job)
            return

    def _check_unknown(self, job: Job) -> None:
        """A handle ends with the server's life, or when nobody needs it any more."""
        life = self._ledger.life
        assert job.life != life or life % 2 or job.is_taken or not job.kind.is_kept, f"{job} is unknown"

    # ---- calls

    def _handle(self, job: Job) -> tuple[int, int]:
        assert job.handle is not None
        return job.handle

    def _ask(self, stage: str, sql: str, *parameters: object) -> Rows:
        try:
            conn = self._session()
            return query(conn, sql, *parameters)
        except psycopg.Error as error:
            if is_of_the_job(error):
                raise JobFailed(error) from error
            gone = self._conn is None or self._conn.closed
            if self._faults and (gone or error.sqlstate in INTERRUPTIONS):
                self._ledger.interrupted[stage] += 1
                if gone:
                    self.close()
                raise Interrupted from error
            raise

    def _session(self) -> Connection:
        """The session, which is opened if need be."""
        end = time.monotonic() + RECOVERY
        while self._conn is None:
            try:
                conn = self._connect(user=self._login, application_name=APPLICATION)
                conn.execute("SET client_min_messages = error")
                if self._role is not None:
                    conn.execute(f"SET ROLE {self._role}".encode())
                self._conn = conn
            except (psycopg.Error, ServerError):
                if not self._faults or time.monotonic() > end:
                    raise
                self._ledger.interrupted["connect"] += 1
                time.sleep(0.01)
        return self._conn
