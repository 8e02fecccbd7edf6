"""Two operations on one handle at the same time, and whether their answers can be true together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .operations import OPERATIONS, Operation

#: The states in which the job of a pair begins; `ending` is running, and ends at any moment.
BEGINNINGS = ("queued", "running", "ending", "stopped", "error")


class Pair(NamedTuple):
    """The first is done by the session that launched the job, the second by another one of its role."""

    first: Operation
    second: Operation
    beginning: str

    def __str__(self) -> str:
        return f"{self.first.name} and {self.second.name} of a job that is {self.beginning}"


def every_pair() -> Iterator[Pair]:
    """Each operation with each other one, and with itself."""
    for first in OPERATIONS:
        for second in OPERATIONS:
            if not second.own:
                for beginning in BEGINNINGS:
                    yield Pair(first, second, beginning)


def _states(beginning: str) -> set[str]:
    """The states that the job is in if nobody does anything to it."""
    if beginning == "ending":
        return {"running", "stopped"}
    # A queued job begins when a worker is free.
    return {beginning}


def _changed(states: set[str], made: Operation, answer: str, has_committed: bool) -> set[str]:
    """The states in which another may have found the job, given what an operation has done to it."""
    if made.makes is None or answer not in made.when:
        return states
    if made.makes == "canceled":
        # One that has ended stays as it is; one that is canceled may still be on its way.
        ends = not has_committed and states & {"queued", "running"}
        return states | ({"canceled"} if ends else set())
    return states | {"gone"}


def allowed(
    operation: Operation, other: Operation, others_answer: str, states: set[str], has_committed: bool
) -> set[str]:
    """All that an operation may answer."""
    found = _changed(states, other, others_answer, has_committed)
    answers = set[str]().union(*(operation.table[state] for state in found))
    if operation.claims and other.claims:
        answers.add("busy")
    return answers


#: Answers that only one of two can have got: who reads, forgets or purges it leaves nothing to the other.
_TAKES = {
    "result": {"rows", "error", "canceled"},
    "result_json": {"rows", "error", "canceled"},
    "detach": {"done"},
    "detach_all": {"1"},
    "purge": {"1"},
}


def wrong(
    pair: Pair, first: str, second: str, states: set[str] | None = None, *, has_committed: bool = False
) -> str | None:
    """What can't be true of two answers, or None.

    Args:
        states: those that the job may be in by itself, instead of those of the pair's beginning.
        has_committed: no cancel can come in time.
    """
    states = _states(pair.beginning) if states is None else states
    for operation, answer, other, others in (
        (pair.first, first, pair.second, second),
        (pair.second, second, pair.first, first),
    ):
        expected = allowed(operation, other, others, states, has_committed)
        if answer not in expected:
            return (
                f"{pair}: {operation.name} says {answer!r} beside {others!r}, not one of {sorted(expected)}"
            )
    took = [
        answer in _TAKES.get(operation.name, ())
        for operation, answer in ((pair.first, first), (pair.second, second))
    ]
    if all(took) and not _may_both_take(pair):
        return f"{pair}: both have taken it, {first!r} and {second!r}"
    return None


def _may_both_take(pair: Pair) -> bool:
    """A job that is being read may be forgotten, and its reader still gets all rows."""
    reads = [operation.claims for operation in (pair.first, pair.second)]
    return reads[0] != reads[1]
