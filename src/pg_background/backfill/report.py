"""What a backfill has done, and what of it is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

#: What a range may have to wait for, in words.
WAITS = {
    "rows": "rows per second",
    "lag": "replication lag",
    "active": "active sessions",
    "retry": "locks and other errors that pass",
    "workers": "free workers",
}


class RangeError(NamedTuple):
    """A range that has failed; nothing in it was changed."""

    #: the shard; empty without Citus
    part: str
    number: int
    #: its rows are above this, and up to `high`; None is no bound
    low: list[str] | None
    high: list[str] | None
    sqlstate: str | None
    message: str | None
    tries: int


@dataclass(frozen=True)
class BackfillReport:
    """What a backfill has done so far, by all that have worked at it."""

    name: str
    #: running, stopping, stopped or done. One whose process died still says running
    state: str
    #: that the statement has changed
    rows: int
    ranges_done: int
    ranges_failed: int
    #: ranges that have begun, and are not done; if not all of the table was cut into ranges there are more
    ranges_open: int
    is_cut: bool
    #: how often a range was tried again
    retries: int
    #: from the first beginning to the last end; None while it runs
    seconds: float | None
    #: seconds that were waited for a ceiling, by its name in `WAITS`
    waited: Mapping[str, float]
    #: of the first ones of those that have failed
    errors: Sequence[RangeError] = ()

    @property
    def is_complete(self) -> bool:
        """Whether all was done, without an error."""
        return self.is_cut and not (self.ranges_failed or self.ranges_open)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, such as for JSON."""
        found = asdict(self)
        return {**found, "errors": [error._asdict() for error in self.errors]}

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return it in words."""
        told = [
            f"backfill {self.name}: {self.state}",
            f"rows changed    {self.rows}",
            f"ranges done     {self.ranges_done}",
            f"ranges failed   {self.ranges_failed}",
            f"ranges open     {self.ranges_open}" + ("" if self.is_cut else ", and the rest of the table"),
            f"tried again     {self.retries}",
        ]
        if self.seconds is not None:
            told.append(f"seconds         {self.seconds:.1f}")
        told += [
            f"waited          {self.waited[kind]:.1f} s for {WAITS[kind]}" for kind in sorted(self.waited)
        ]
        for error in self.errors:
            where = f"shard {error.part}, range {error.number}" if error.part else f"range {error.number}"
            bounds = f"above {_shown(error.low)}, up to {_shown(error.high)}"
            told.append(f"{where} ({bounds}) failed: {error.message} (SQLSTATE {error.sqlstate})")
        return told


def _shown(bound: list[str] | None) -> str:
    return "-" if bound is None else ", ".join(bound)
