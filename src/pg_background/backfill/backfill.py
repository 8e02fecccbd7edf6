# Made from backfill_async.py by tools/async_to_sync.py: edit that one.
"""A backfill as its user has it: planned, run, stopped, gone on with, and reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from psycopg import sql

from .display import BackfillProgress, BackfillShow, shown
from .errors import BackfillError
from .options import BackfillOptions
from .pace import Rate
from .part import Part
from .plan import BackfillPlan
from .planning import explain, first_range, key_names, measure, table_of
from .report import BackfillReport
from .runner import Runner, Work
from .state import State
from .template import Template
from .throttle import Throttle

if TYPE_CHECKING:
    from ..client.client import Client

#: A statement with `{range}`, or anything of `psycopg.sql` that becomes one.
BackfillStatement = str | sql.Composable


class Backfill:
    """A statement over a big table, in small jobs that commit by themselves. Made by `Client.backfill`.

    What was done is kept in two tables of the role's own in the database; each range is noted there by the
    transaction that does it. So none is done twice or left out, whatever dies, and any process of the same
    role goes on with it.

    Attributes:
        name: by which it is found again.
    """

    def __init__(
        self,
        client: Client[Any],
        statement: BackfillStatement | None = None,
        table: str | None = None,
        *,
        name: str | None = None,
        key: Sequence[str] | str | None = None,
        schema: str | None = None,
        **options: Any,
    ) -> None:
        """
        Args:
            client: whose jobs do it.
            statement: and the others, see `Client.backfill`.
        """
        if (statement is None) != (table is None):
            raise TypeError("a backfill needs a statement and a table")
        if name is None and table is None:
            raise TypeError("a backfill needs a statement and a table, or the name of one that was begun")
        self._client = client
        self._statement = statement
        self._table = table
        self._key = [key] if isinstance(key, str) else key
        self._given = options
        self._options = BackfillOptions().changed(options)
        self.name: str = name if name is not None else str(table)
        self._state = State(client, schema)

    def plan(self) -> BackfillPlan:
        """Return what it is going to do; nothing is begun, and nothing written.

        Raises:
            BackfillError: it can't be done.
        """
        part, schema, warnings = self._planned()
        example = part.statement_of(first_range(part))
        return BackfillPlan(
            name=self.name,
            table=part.source,
            key=key_names(part.key),
            estimated_rows=part.estimated_rows,
            example=example,
            explain=explain(self._client, example),
            schema=schema,
            options=self._options,
            warnings=warnings,
        )

    def run(self, *, progress: BackfillShow = None) -> BackfillReport:
        """Do it, from the beginning to the end, and return what was done.

        An interruption cancels the jobs that run, whose ranges are rolled back; `resume` goes on.

        Args:
            progress: True for a bar, or a function that is called with a `BackfillProgress`.

        Raises:
            BackfillError: it can't be done, or there is one of this name.
            psycopg.Error: the server refused something that is not a range's.
        """
        part, schema, _ = self._planned()
        explain(self._client, part.statement_of(first_range(part)))
        self._state.provide(schema)
        self._state.add(part)
        return self._work([part], progress)

    def resume(self, *, progress: BackfillShow = None) -> BackfillReport:
        """Go on with one that was stopped, or whose process died; ranges that have failed are tried again.

        Options that were given are new; the others are as they were.

        Raises:
            BackfillError: there is none of this name.
            psycopg.Error: as `run`.
        """
        parts = self._parts()
        for part in parts:
            part.options = part.options.changed(self._given)
            if "batch_size" in self._given:
                part.batch_size = part.options.batch_size
            self._state.go_on(part)
            part.open = self._state.left(part)
        self._options = parts[0].options
        return self._work(parts, progress)

    def stop(self) -> bool:
        """Ask whoever runs it to stop when the ranges that run are done; tell whether it was said to run.

        Raises:
            BackfillError: there is none of this name.
        """
        self._parts()
        return self._state.ask_to_stop(self.name)

    def report(self) -> BackfillReport:
        """Return what was done so far.

        Raises:
            BackfillError: there is none of this name.
        """
        parts = self._parts()
        return report_of(parts[0], [self._state])

    def forget(self) -> bool:
        """Delete what is kept of it, and tell whether there was something. What it has done stays."""
        return self._state.forget(self.name)

    # ---- inside

    def _planned(self) -> tuple[Part, str, list[str]]:
        """Return its only part, the schema for its state, and what is to be said about it."""
        if self._statement is None or self._table is None:
            raise BackfillError(
                f"for {self.name} no statement was given", hint="resume goes on with what was begun"
            )
        if self._client.session.is_in_transaction:
            raise BackfillError("a backfill can't be run inside of a transaction: its jobs don't see it")
        template = Template(text_of(self._client, self._statement))
        table = table_of(self._client, self._table)
        key, warnings, can_be_null = table.key(self._key)
        part = Part(
            run=str(uuid4()),
            name=self.name,
            part="",
            place="",
            statement=template.statement,
            source=table.quoted,
            key=key,
            estimated_rows=table.rows,
            options=self._options,
            batch_size=self._options.batch_size,
        )
        measure(self._client, part, can_be_null)
        # A ceiling that can't be seen is said now, not when the first range is to begin.
        Throttle(self._client, self._options, Rate(None)).wait()
        found = self._state.find()
        return part, (self._state.schema if found else None) or self._state.schema or table.schema, warnings

    def _parts(self) -> list[Part]:
        parts = self._state.parts(self.name)
        if not parts:
            raise BackfillError(f"this role has no backfill of the name {self.name} here")
        return parts

    def _work(self, parts: Sequence[Part], progress: BackfillShow) -> BackfillReport:
        rate = Rate(self._options.max_rows_per_second)
        throttle = Throttle(self._client, self._options, rate)
        works = []
        for part in parts:
            work = Work(part, self._state, throttle)
            work.ready.extend(part.open)
            works.append(work)
        run_all(works, self._options, rate, progress)
        return report_of(parts[0], [self._state])


def run_all(
    works: Sequence[Work],
    options: BackfillOptions,
    rate: Rate,
    progress: BackfillShow,
    move: Any = None,
) -> None:
    """Work at all parts, and show how far they are."""
    known = [work.part.estimated_rows for work in works]
    total = None if None in known else sum(rows or 0 for rows in known)
    states = list({id(work.state): work.state for work in works}.values())
    seen = 0
    for state in states:
        seen += (state.totals(works[0].part.run))[5]
    with shown(progress, BackfillProgress(works[0].part.name, seen, total)) as display:
        Runner(works, options, rate, display, move).run()


def report_of(part: Part, states: Sequence[State]) -> BackfillReport:
    """Return what was done, by what is kept of it in one or several places.

    Args:
        part: any part of it.

    Raises:
        BackfillError: it was forgotten meanwhile.
    """
    totals = [0] * 6
    waited: dict[str, float] = {}
    summary: list[tuple[str, bool, float | None, dict[str, float]]] = []
    errors: list[Any] = []
    for state in states:
        totals = [a + b for a, b in zip(totals, state.totals(part.run), strict=True)]
        summary += [row for row in state.summary(part.run) if row[0] != "moved"]
        errors += state.errors(part.run)
    if not summary:
        raise BackfillError(
            f"the backfill {part.name} was forgotten meanwhile", hint="what it has done stays"
        )
    for row in summary:
        for kind, seconds in row[3].items():
            waited[kind] = waited.get(kind, 0) + seconds
    done, failed, still_open, rows, retries, _ = totals
    reached = {row[0] for row in summary}
    times = [row[2] for row in summary]
    return BackfillReport(
        name=part.name,
        # Of its parts the one that is least far tells.
        state=next(
            state for state in ("planned", "stopping", "running", "stopped", "done") if state in reached
        ),
        rows=rows,
        ranges_done=done,
        ranges_failed=failed,
        ranges_open=still_open,
        is_cut=all(row[1] for row in summary),
        retries=retries,
        seconds=None if None in times else max((time or 0 for time in times), default=0.0),
        waited=waited,
        errors=tuple(errors[:100]),
    )


def text_of(client: Client[Any], statement: BackfillStatement) -> str:
    """Return a statement as text."""
    if isinstance(statement, str):
        return statement
    with client.session.connection() as connection:
        return statement.as_string(connection)
