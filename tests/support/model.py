"""What sessions, jobs and counters must be, without a server: the machine of test_properties compares."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .jobs import Handle

#: pg_background.max_workers of each session.
LIMIT = 2

#: The states that a job of each kind ends in by itself.
KINDS = {
    "rows": "stopped",
    "parameters": "stopped",
    "gate": "stopped",
    "insert": "stopped",
    "error": "error",
    "insert, error": "error",
    "insert; error": "error",
}

FINAL = ("stopped", "error", "canceled", "lost")

#: What reading a job raises that ended in a state.
SQLSTATES = {"error": "22012", "canceled": "57014", "lost": "08006"}


@dataclass
class Job:
    """A job as its handles see it."""

    number: int
    kind: str
    owner: Session
    submitted: bool
    handle: Handle = field(default_factory=lambda: Handle(0, 0))
    state: str = "queued"
    tracked: bool = True
    consumed: bool = False
    known: bool = True
    gate_is_open: bool = False

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL

    @property
    def columns(self) -> str:
        """The column list that its rows have."""
        return "tag text" if self.kind == "insert" else "n int"

    @property
    def rows(self) -> list[tuple[object, ...]]:
        """What it returns when it succeeds."""
        if self.kind == "insert":
            return [("INSERT 0 1",)]
        return [(n,) for n in range(self.number % 5)] if self.kind == "rows" else [(self.number,)]

    @property
    def sqlstate(self) -> str | None:
        """The code that it ended with."""
        return SQLSTATES.get(self.state)


@dataclass(eq=False)
class Session:
    """A session, also after its end: its jobs go on under its limit."""

    role: str
    counters: Counter[str] = field(default_factory=Counter)
    jobs: list[Job] = field(default_factory=list)

    @property
    def running(self) -> int:
        """How many jobs it runs."""
        return sum(job.state == "running" for job in self.jobs)

    @property
    def listed(self) -> list[Job]:
        """What its list shows."""
        return [job for job in self.jobs if job.tracked]

    def may_use(self, job: Job) -> bool:
        """Whether its role is that of the job, or a member of it."""
        return self.role == job.owner.role or (self.role, job.owner.role) == ("member", "owner")


class Model:
    """The whole server."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.totals: dict[str, Counter[str]] = {}
        self.inserted: set[int] = set()

    def add(self, job: Job) -> None:
        """Take in a job that was accepted, and let it go as far as it can."""
        self.jobs.append(job)
        job.owner.jobs.append(job)
        self._count(job, "launched")
        self.advance(job.owner)

    def advance(self, session: Session) -> None:
        """Begin what waits, first come first served, while the session's limit lets it."""
        for job in session.jobs:
            if job.state == "queued" and session.running < LIMIT:
                job.state = "running"
                if job.kind != "gate" or job.gate_is_open:
                    self._end(job, KINDS[job.kind])

    def finish(self, job: Job, state: str) -> None:
        """End a job, and let those behind it begin."""
        self._end(job, state)
        self.advance(job.owner)

    def restart(self) -> None:
        """Forget everything but what was committed."""
        for job in self.jobs:
            job.known = job.tracked = False
            if not job.is_final:
                job.state = "lost"
        self.jobs.clear()
        self.totals.clear()

    def _end(self, job: Job, state: str) -> None:
        job.state = state
        self._count(job, state)
        if job.kind in ("insert", "insert; error") and state == KINDS[job.kind]:
            self.inserted.add(job.number)

    def _count(self, job: Job, what: str) -> None:
        job.owner.counters[what] += 1
        self.totals.setdefault(job.owner.role, Counter())[what] += 1

    @property
    def live(self) -> int:
        """Jobs that have not ended."""
        return sum(not job.is_final for job in self.jobs)

    @property
    def unread(self) -> int:
        """Results that wait for a reader."""
        return sum(job.is_final and job.tracked and not job.submitted for job in self.jobs)
