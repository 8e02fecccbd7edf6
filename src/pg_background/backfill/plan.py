"""What a backfill is going to do, shown before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .options import BackfillOptions


@dataclass(frozen=True)
class BackfillPlan:
    """What would be done. `print` it."""

    name: str
    #: with its schema, as SQL writes it
    table: str
    #: the columns that ranges go by
    key: Sequence[str]
    #: by the server's statistics; None if the table was never analyzed
    estimated_rows: int | None
    #: the statement as it is for the first range
    example: str
    #: how the server would run that, as EXPLAIN shows it
    explain: Sequence[str]
    #: where its state is to be kept
    schema: str
    options: BackfillOptions
    #: the shards, each with its node; empty without Citus
    shards: Sequence[str] = ()
    warnings: Sequence[str] = field(default=())

    @property
    def estimated_ranges(self) -> int | None:
        """How many jobs it takes, about, with the batch size of its beginning."""
        if self.estimated_rows is None:
            return None
        return max(-(-self.estimated_rows // self.options.batch_size), 1)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return it in words."""
        options = self.options
        rows, ranges = self.estimated_rows, self.estimated_ranges
        size = (
            "" if options.target_seconds is None else f", then so that one takes {options.target_seconds:g} s"
        )
        each = " on each node" if self.shards else ""
        told = [
            f"backfill        {self.name}",
            f"table           {self.table}, "
            + ("never analyzed" if rows is None else f"about {rows} rows in {ranges} ranges"),
            f"ranges of       {', '.join(self.key)}, {options.batch_size} rows each{size}",
            f"jobs at once    {options.jobs}{each}",
            f"locks           {options.lock_timeout:g} s, then tried again up to {options.retries} times",
            f"on an error     {'go on with the other ranges' if options.on_error == 'continue' else 'stop'}",
            f"state kept in   schema {self.schema}",
        ]
        told += [f"ceiling         {text}" for text in _ceilings(options)]
        told += [f"shard           {shard}" for shard in self.shards]
        told += ["first range", *(f"  {line}" for line in self.example.splitlines())]
        told += ["is run as", *(f"  {line}" for line in self.explain)] if self.explain else []
        told += [f"warning: {warning}" for warning in self.warnings]
        return told


def _ceilings(options: BackfillOptions) -> list[str]:
    found = []
    if options.max_rows_per_second is not None:
        found.append(f"{options.max_rows_per_second:g} rows per second")
    if options.max_lag is not None:
        found.append(f"{options.max_lag} bytes that a standby has not replayed")
    if options.max_active is not None:
        found.append(f"{options.max_active} active sessions of others")
    return found
