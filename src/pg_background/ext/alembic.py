"""Indexes that a migration creates in the background; docs/frameworks.md is the guide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from ..client.client import Client
from .sqlalchemy.cursors import OPTION, Take, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from alembic.operations import Operations
    from sqlalchemy import ColumnElement, Connection, TextClause

    from ..client.bars import ProgressDisplay
    from ..client.job import Job


def create_index_concurrently(
    op: Operations | ModuleType,
    index_name: str | None,
    table_name: str,
    columns: Sequence[str | TextClause | ColumnElement[Any]],
    *,
    wait: bool = True,
    progress: ProgressDisplay = None,
    timeout: float | None = None,
    **index: Any,
) -> Job[Any] | None:
    """Run CREATE INDEX CONCURRENTLY as a job, with role and settings of the migration's session.

    What the migration did before is committed first, as in Alembic's `autocommit_block()`: otherwise the job
    would not see it, or would wait for its locks. Where a migration only prints its SQL, so does this.

    Args:
        op: `alembic.op`.
        index_name: and `table_name`, `columns`, as for `op.create_index()`; so is all else that it takes:
            `schema`, `unique`, `if_not_exists` and PostgreSQL's own, such as `postgresql_include`.
        wait: for its end. Otherwise the migration goes on beside it, and does not fail with it.
        progress: a bar while it waits, see `Job.wait`.
        timeout: the job's time limit, in seconds; by default pg_background.worker_timeout.

    Returns:
        The job, unless it was only printed. It lives on when the migration's connection is closed.

    Raises:
        TypeError: the migration's driver is not psycopg.
        psycopg.Error: the server refused the launch, or the index could not be created. An index that is not
            valid may be left: it is to be dropped before the next attempt.
    """
    context = op.get_context()
    index["postgresql_concurrently"] = True
    with context.autocommit_block():
        if context.as_sql:
            op.create_index(index_name, table_name, list(columns), **index)
            return None
        bind = op.get_bind()
        driver = bind.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(
                f"the driver of the migration is {bind.dialect.driver}: use one for postgresql+psycopg://…"
            )
        taken = _taken(bind, lambda: op.create_index(index_name, table_name, list(columns), **index))
        job = Client(driver).submit(
            taken.statement,
            taken.parameters,
            label=f"index {index_name or table_name}"[:64],
            timeout=timeout,
        )
        if wait:
            with job:
                job.result(progress=progress)
        return job


def _taken(bind: Connection, operation: Callable[[], object]) -> Taken:
    """Return what the operation would have executed: Alembic itself knows what all its arguments mean."""
    bind.execution_options(**{OPTION: Take()})
    try:
        operation()
    except Taken as taken:
        return taken
    finally:
        bind.execution_options(**{OPTION: None})
    raise AssertionError("Alembic has executed nothing")
