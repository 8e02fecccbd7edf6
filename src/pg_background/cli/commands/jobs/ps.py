"""`pg-background ps`: the jobs of the server."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ...options.database import DatabaseArgument, now_of
from ...options.given import command
from ...options.numbers import seconds_between
from ...output.formats import Format, FormatGiven
from ...output.terminal import screen_size

if TYPE_CHECKING:
    from datetime import datetime

    from ....client.model import JobInfo

    Poll = Callable[[], tuple[Sequence[JobInfo], datetime]]

#: Another screen, without the cursor, and back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
#: The first place; the rest of a line; the rest of the screen.
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


@command("ps", "ps --all --json", "ps --state error --state lost", "ps --watch --interval 5")
def ps(
    database: DatabaseArgument,
    format: FormatGiven,
    all: Annotated[
        bool,
        typer.Option(
            "--all",
            "-a",
            envvar="PG_BACKGROUND_ALL",
            help="Also jobs that have ended, with their end and error.",
        ),
    ] = False,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            envvar="PG_BACKGROUND_STATE",
            help="Only jobs in this state: queued, starting, running, done, error, canceled, timed_out or "
            "lost. May be given several times.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", envvar="PG_BACKGROUND_WATCH", help="List the jobs again and again, until Ctrl-C."
        ),
    ] = False,
    interval: Annotated[
        float,
        typer.Option(
            "--interval",
            "-n",
            metavar="SECONDS",
            parser=seconds_between,
            envvar="PG_BACKGROUND_INTERVAL",
            help="How long --watch waits between two polls.",
        ),
    ] = 2,
) -> None:
    """List the jobs of the server that have not ended, of all sessions and databases.

    Of other roles' jobs only the processes are shown; to members of pg_read_all_stats also their SQL.
    """
    from ...output.listing import print_jobs

    wanted = _wanted(state, all=all)
    with database.client_and_session() as (client, session):

        def poll() -> tuple[Sequence[JobInfo], datetime]:
            return [job for job in client.jobs() if wanted(job)], now_of(session)

        if watch:
            _watch(poll, format, interval)
        else:
            print_jobs(*poll(), format)


def _wanted(words: Sequence[str] | None, *, all: bool) -> Callable[[JobInfo], bool]:
    from ....client.model import JobState
    from ....display import is_live

    known = get_args(JobState)
    # For people success is called done; SQL's word for it is understood too.
    states = ["stopped" if word == "done" else word for word in words or ()]
    for word, state in zip(words or (), states, strict=True):
        if state not in known:
            named = ", ".join("done" if each == "stopped" else each for each in known)
            raise typer.BadParameter(f"{word!r} is not a state: {named}")
    if states:
        return lambda job: job.state in states
    return lambda job: all or is_live(job)


def _watch(poll: Poll, format: Format, interval: float) -> None:
    from ...output.listing import lines_of_jobs, print_jobs

    if format is not Format.TABLE or screen_size() is None:
        while True:
            print_jobs(*poll(), format)
            time.sleep(interval)
    try:
        # in the block: an interrupt may come as soon as it is written
        sys.stdout.write(_ENTER)
        while True:
            columns, rows = screen_size() or (80, 24)
            lines = lines_of_jobs(*poll(), columns)[:rows]
            sys.stdout.write(_HOME + f"{_CLEAR_LINE}\n".join(lines) + _CLEAR_LINE + _CLEAR_BELOW)
            sys.stdout.flush()
            time.sleep(interval)
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
