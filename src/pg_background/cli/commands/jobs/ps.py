"""`pg-background ps`: the jobs of the server."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn, get_args

import typer

from ...errors.exits import Exit
from ...nodes import Node, Nodes
from ...options.database import now_of
from ...options.given import command
from ...options.numbers import seconds_between
from ...options.servers import NodesArgument
from ...output.formats import Format, FormatGiven
from ...output.terminal import screen_size

if TYPE_CHECKING:
    from ....client.model import JobInfo
    from ...output.listing import Listing

    Poll = Callable[[], Listing]

    IsWanted = Callable[[JobInfo], bool]

#: Another screen, without the cursor, and back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
#: The first place; the rest of a line; the rest of the screen.
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


@command("ps", "ps --all --json", "ps --state error --state lost", "ps --watch --interval 5", "ps --cluster")
def ps(
    servers: NodesArgument,
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

    Of other roles' jobs only the processes are shown; to members of pg_read_all_stats also their SQL. With
    --cluster or --server each job has its node. A node that does not answer is a line with the state
    `unreachable`, and the exit code is 3; it is 6 if all that are missing have refused.
    """
    from ...output.listing import print_jobs

    wanted = _wanted(state, all=all)
    nodes = servers.nodes()
    with (
        _polls_of_many(nodes, wanted, again=watch)
        if nodes.are_named
        else _polls_of_one(nodes.chosen[0], wanted)
    ) as poll:
        if watch:
            _watch(poll, format, interval)
        listing = poll()
    print_jobs(listing, format)
    if listing.missing:
        raise typer.Exit(Exit.REFUSED if listing.are_refused else Exit.CONNECTION)


@contextmanager
def _polls_of_one(node: Node, wanted: IsWanted) -> Iterator[Poll]:
    from ...output.listing import Listing

    with node.session() as (client, session):
        yield lambda: Listing([job for job in client.jobs() if wanted(job)], now_of(session))


@contextmanager
def _polls_of_many(nodes: Nodes, wanted: IsWanted, *, again: bool) -> Iterator[Poll]:
    """What it yields raises DatabaseError when no node answers.

    Args:
        again: another poll will follow, which takes what one that is slow has answered meanwhile.
    """
    import asyncio

    from ....server.errors import DatabaseError, UnreachableError
    from ....watching import ClusterSource, SourceError, SourceLost
    from ....watching.cluster_source import PATIENCE as PATIENCE_BETWEEN
    from ....watching.server_source import PATIENCE
    from ...ended import silence
    from ...output.listing import Listing

    silence()
    with asyncio.Runner() as runner:
        # A moment more than each has by itself.
        patience = PATIENCE_BETWEEN if again else PATIENCE + 1
        source = ClusterSource({node.name: node.database.conninfo for node in nodes}, patience=patience)

        def poll() -> Listing:
            try:
                seen = runner.run(source.poll())
            except SourceError as error:
                kind = UnreachableError if isinstance(error, SourceLost) else DatabaseError
                raise kind(f"no node answers: {error}") from error
            missing = {name: str(reason) for name, reason in seen.missing.items()}
            refused = not any(isinstance(reason, SourceLost) for reason in seen.missing.values())
            return Listing([job for job in seen.jobs if wanted(job)], seen.now, True, missing, refused)

        try:
            yield poll
        finally:
            runner.run(source.close())


def _wanted(words: Sequence[str] | None, *, all: bool) -> IsWanted:
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


def _watch(poll: Poll, format: Format, interval: float) -> NoReturn:
    from ...output.listing import lines_of_jobs, print_jobs

    if format is not Format.TABLE or screen_size() is None:
        while True:
            print_jobs(poll(), format)
            time.sleep(interval)
    try:
        # in the block: an interrupt may come as soon as it is written
        sys.stdout.write(_ENTER)
        while True:
            columns, rows = screen_size() or (80, 24)
            lines = lines_of_jobs(poll(), columns)[:rows]
            sys.stdout.write(_HOME + f"{_CLEAR_LINE}\n".join(lines) + _CLEAR_LINE + _CLEAR_BELOW)
            sys.stdout.flush()
            time.sleep(interval)
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
