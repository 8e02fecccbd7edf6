"""Jobs of the server as lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import display
from ..client.model import JobInfo
from .formats import Format, print_rows
from .tables import Column, stdout

#: From this width on a terminal has room for all columns; what is no terminal has it anyway.
_WIDE = 140


@dataclass(frozen=True)
class _Column:
    title: str
    text: Callable[[JobInfo, datetime], str]
    is_number: bool = False
    #: there even if nothing is in it
    is_fixed: bool = False
    #: is shortened where there is too little room
    is_cut: bool = False


_HANDLE = _Column("HANDLE", lambda job, _: display.handle(job), is_fixed=True)
_STATE = _Column("STATE", lambda job, _: display.state(job), is_fixed=True)
_TIME = _Column(
    "TIME", lambda job, now: display.duration(display.time_of(job, now)), is_number=True, is_fixed=True
)

_ALL = (
    *(_HANDLE, _STATE, _TIME),
    _Column("PROGRESS", lambda job, _: display.bar(job.progress_pct, 13)),
    _Column("WAIT", lambda job, _: display.wait(job)),
    _Column("BLOCKED BY", lambda job, _: display.blockers(job)),
    _Column("ROWS", lambda job, _: display.rows(job), is_number=True),
    _Column("SPILLED", lambda job, _: display.size(job.temp_bytes), is_number=True),
    _Column("LABEL", lambda job, _: display.label(job)),
    _Column("SQL", lambda job, _: display.sql(job), is_fixed=True, is_cut=True),
)

_FEW = (
    *(_HANDLE, _STATE, _TIME),
    _Column("%", lambda job, _: display.percent(job), is_number=True),
    _Column("WAIT", lambda job, _: display.held_up(job)),
    _Column("JOB", lambda job, _: display.title(job), is_fixed=True, is_cut=True),
)


def print_jobs(jobs: Sequence[JobInfo], now: datetime, format: Format) -> None:
    """Print a line for each job; CSV and JSON have all that is known, and the handle."""
    if format is Format.TABLE:
        console = stdout()
        console.print(table_of_jobs(jobs, now, console), crop=False)
        return
    objects = [as_dict(job) for job in jobs]
    names = ["handle", *(field.name for field in fields(JobInfo))]
    texts = json_text if format is Format.JSON else _plain
    print_rows(
        format, [Column(name) for name in names], [[texts(job[name]) for name in names] for job in objects]
    )


def table_of_jobs(jobs: Sequence[JobInfo], now: datetime, console: Console) -> Table:
    """Return the lines as a table to be drawn, with the columns that have something to say."""
    columns = _ALL if console.width >= _WIDE else _FEW
    texts = [[column.text(job, now) for column in columns] for job in jobs]
    kept = [n for n, column in enumerate(columns) if column.is_fixed or any(line[n] for line in texts)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for n in kept:
        column = columns[n]
        table.add_column(
            column.title, justify="right" if column.is_number else "left", no_wrap=not column.is_cut
        )
    for job, line in zip(jobs, texts, strict=True):
        cells = [Text(line[n], no_wrap=True, overflow="ellipsis") for n in kept]
        cells[kept.index(columns.index(_STATE))].stylize(display.style(job))
        table.add_row(*cells)
    return table


def as_dict(job: JobInfo) -> dict[str, Any]:
    """Return a job's fields by name, with its handle as text."""
    values = {field.name: getattr(job, field.name) for field in fields(JobInfo)}
    return {"handle": None if job.cookie is None else display.handle(job), **values}


def json_text(value: Any) -> str | None:
    """Return a value as JSON; times as PostgreSQL's to_json() writes them."""
    if value is None:
        return None
    return json.dumps(value.isoformat() if isinstance(value, datetime) else value, ensure_ascii=False)


def _plain(value: Any) -> str | None:
    if isinstance(value, list):
        return "{" + ",".join(str(item) for item in value) + "}"
    return None if value is None else str(value)
