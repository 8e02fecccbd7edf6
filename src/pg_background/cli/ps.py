"""`pg-background ps`: the jobs of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, get_args

import typer
from rich.live import Live

from ..client.model import JobInfo, JobState
from ..display import is_live
from .database import DatabaseArgument, now_of
from .formats import Format, FormatGiven
from .given import command
from .listing import print_jobs, table_of_jobs
from .numbers import seconds_between
from .tables import stdout

Look = Callable[[], tuple[Sequence[JobInfo], datetime]]


@command
def ps(
    database: DatabaseArgument,
    format: FormatGiven,
    all: Annotated[
        bool,
        typer.Option("--all", "-a", envvar="PG_BACKGROUND_ALL", help="Also jobs that have ended."),
    ] = False,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            envvar="PG_BACKGROUND_STATE",
            help="Only jobs in this state: queued, starting, running, stopped, error, canceled, timed_out or "
            "lost. May be given several times.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", envvar="PG_BACKGROUND_WATCH", help="Look again and again, until Ctrl-C."),
    ] = False,
    interval: Annotated[
        float,
        typer.Option(
            "--interval",
            "-n",
            metavar="SECONDS",
            parser=seconds_between,
            envvar="PG_BACKGROUND_INTERVAL",
            help="How long --watch waits between two looks.",
        ),
    ] = 2,
) -> None:
    """List the jobs of the server, of all sessions and databases, that have not ended.

    Of other roles' jobs only the processes are shown; to members of pg_read_all_stats also their SQL.
    """
    wanted = _wanted(state, all=all)
    with database.client_and_session() as (client, session):

        def look() -> tuple[Sequence[JobInfo], datetime]:
            return [job for job in client.jobs() if wanted(job)], now_of(session)

        if watch:
            _watch(look, format, interval)
        else:
            print_jobs(*look(), format)


def _wanted(states: Sequence[str] | None, *, all: bool) -> Callable[[JobInfo], bool]:
    for state in states or ():
        if state not in get_args(JobState):
            raise typer.BadParameter(f"{state!r} is not a state: {', '.join(get_args(JobState))}")
    if states:
        return lambda job: job.state in states
    return lambda job: all or is_live(job)


def _watch(look: Look, format: Format, interval: float) -> None:
    console = stdout()
    if format is not Format.TABLE or not console.is_terminal:
        while True:
            print_jobs(*look(), format)
            time.sleep(interval)
    with Live(table_of_jobs(*look(), console), console=console, auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(interval)
            live.update(table_of_jobs(*look(), console), refresh=True)
