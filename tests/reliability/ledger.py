"""What sessions were told of their jobs, compared with what the server has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..support.calls import query
from ..support.jobs import Connection, Handle
from .kinds import FINAL, Kind
from .tally import Tally


@dataclass
class Job:
    """A job that a session has asked for."""

    number: int
    kind: Kind
    #: the role that it has to run as
    who: str
    #: the server's life in which it was asked for: at a crash or restart its handles end
    life: int
    handle: Handle | None = None
    #: its launch raised an error that says so
    refused: bool = False
    #: what was told at its end, None when nobody could tell any more
    state: str | None = None
    #: a fault may have met it, which may change how it ends
    disturbed: bool = False
    #: its session has begun to read or forget it, after which it need not be known
    is_taken: bool = False

    def tell(self, state: str) -> None:
        """Take down how it has ended: there is one way."""
        assert state in FINAL, f"{self} ended as {state}"
        assert self.state in (None, state), f"{self} was told before, and is {state} now"
        self.state = state

    def may_have_effects(self) -> set[int]:
        """How often it may have committed its row, by what its session was told."""
        every = self.kind.effects
        if self.refused:
            return {0}
        if self.state == "stopped":
            return {every}
        if self.state is not None:
            return {0} if self.kind.is_atomic else set(range(every + 1))
        if not self.disturbed:
            return {every}
        return {0, every} if self.kind.is_atomic else set(range(every + 1))


@dataclass
class Ledger:
    """All jobs of a run."""

    jobs: list[Job] = field(default_factory=list)
    #: stages of a job at which a session was interrupted, and the codes of refused launches
    interrupted: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    #: see `Job.life`; odd while one ends and the next begins
    life: int = 0

    def check_effects(self, conn: Connection, tally: Tally) -> None:
        """Each job has committed what its session was told, as who it had to be."""
        found = {
            number: (count, who, roles)
            for number, count, who, roles in query(
                conn, "SELECT job, count(*), min(who), count(DISTINCT who) FROM effects GROUP BY job"
            )
        }
        wrong = []
        for job in self.jobs:
            count, who, roles = found.pop(job.number, (0, job.who, 1))
            if count not in job.may_have_effects() or (who, roles) != (job.who, 1):
                wrong.append(f"{job} has {count} effects, as {who} and {roles} roles in all")
        assert not wrong, "\n".join(wrong[:20])
        assert not found, f"nobody asked for {found}"
        tally.jobs(sum(job.handle is not None for job in self.jobs))
        tally.effects(len(self.jobs))
        tally.add("launches refused", sum(job.refused for job in self.jobs))
        for state, jobs in Counter(job.state for job in self.jobs if job.handle).items():
            tally.add(f"ended: {state or 'not asked, or not to be known any more'}", jobs)

    def check_ends(self) -> None:
        """What nobody has disturbed ended as it must."""
        told = [job for job in self.jobs if job.state is not None and not job.disturbed]
        wrong = [job for job in told if job.state not in job.kind.ends]
        assert not wrong, "\n".join(map(str, wrong[:20]))

    def check_totals(self, conn: Connection) -> None:
        """The server has counted each job once, in the way in which it has ended.

        Only while it has lived through all of them: its counters begin with it.
        """
        columns = ("launched", "completed", "failed", "canceled", "timed_out", "lost")
        ((*counts,),) = query(
            conn,
            "SELECT "
            + ", ".join(f"coalesce(sum({name}), 0)::int8" for name in columns)
            + " FROM pg_background_totals WHERE database = current_database() AND role <> 'greedy'",
        )
        launched, *ends = counts
        assert launched == sum(ends), dict(zip(columns, counts, strict=True))
        if self.life:
            return
        known = sum(job.handle is not None for job in self.jobs)
        unknown = sum(job.handle is None and not job.refused for job in self.jobs)
        assert known <= launched <= known + unknown
        states = ("stopped", "error", "canceled", "timed_out", "lost")
        untold = unknown + sum(job.handle is not None and job.state is None for job in self.jobs)
        for state, count in zip(states, ends, strict=True):
            told = sum(job.state == state for job in self.jobs)
            assert told <= count <= told + untold, (state, told, untold, count)
