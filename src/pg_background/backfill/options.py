"""What a backfill may be told: how fast it goes, and what it does about errors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from .errors import BackfillError

OnError = Literal["continue", "stop"]


@dataclass(frozen=True)
class BackfillOptions:
    """The keyword arguments of `backfill`; they are kept with it, so that whoever goes on has the same."""

    #: rows of the table in a range; with `target_seconds` those of the first one
    batch_size: int = 1000
    #: how long a range should take: the batch size follows what the last ones took
    target_seconds: float | None = None
    #: how many run at once; on a cluster on each node
    jobs: int = 1
    #: ceilings. None begins while one is exceeded: rows that are changed in a second …
    max_rows_per_second: float | None = None
    #: … bytes of WAL that a standby has not replayed …
    max_lag: int | None = None
    #: … sessions of others that are at work
    max_active: int | None = None
    #: seconds that a range waits for a lock; then it is rolled back and tried again
    lock_timeout: float = 1.0
    #: how often a range is tried again after a lock timeout, a deadlock, or what else may pass
    retries: int = 10
    #: whether the others go on after the error of a range
    on_error: OnError = "continue"

    def __post_init__(self) -> None:
        for name in ("batch_size", "jobs"):
            if getattr(self, name) < 1:
                raise BackfillError(f"{name} must be at least 1")
        for name in ("target_seconds", "max_rows_per_second", "lock_timeout"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 2_147_483:
                raise BackfillError(f"{name} must be above 0, and at most 2147483")
        for name in ("max_lag", "max_active", "retries"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise BackfillError(f"{name} must not be negative")
        if self.on_error not in get_args(OnError):
            raise BackfillError(f"on_error must be 'continue' or 'stop', not {self.on_error!r}")

    def changed(self, given: dict[str, Any]) -> BackfillOptions:
        """Return them with others in their place.

        Raises:
            TypeError: there is no such option.
        """
        unknown = given.keys() - {field.name for field in fields(self)}
        if unknown:
            raise TypeError(f"a backfill has no option {', '.join(sorted(unknown))}")
        return replace(self, **given)

    def as_json(self) -> str:
        """Write them, for the table in which they are kept."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BackfillOptions:
        """Read them; what another version has written, and this one does not know, is left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in json.loads(text).items() if name in known})
