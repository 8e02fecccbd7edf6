"""`pg-background wait`: until jobs have ended."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...at_once import at_once
from ...errors.codes import Codes
from ...errors.ending import ProgressOption
from ...errors.exits import Exit
from ...errors.failures import code_of_state
from ...nodes import opened
from ...options.given import command
from ...options.handles import HandleCommand, HandlesGiven, going_on, text_of
from ...options.numbers import seconds
from ...options.servers import NodesGiven
from ...output.console import note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ....client.job import Job

#: Seconds that a server has to answer when the time is up.
PATIENCE = 2

TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        parser=seconds,
        envvar="PG_BACKGROUND_WAIT_TIMEOUT",
        help="How long to wait; by default for ever. The jobs go on.",
    ),
]


@command(
    "wait 4711:8612345678901234567",
    "wait --any --timeout 60 4711:8612345678901234567 4712:1234567890123456789",
    kind=HandleCommand,
)
def wait(
    handles: HandlesGiven,
    servers: NodesGiven,
    timeout: TimeoutOption = None,
    any_of_them: Annotated[
        bool, typer.Option("--any", envvar="PG_BACKGROUND_WAIT_ANY", help="Only until one of them has ended.")
    ] = False,
    progress: ProgressOption = False,
) -> None:
    """Wait until jobs have ended, and print the handle and the state of each that has.

    A job that succeeded is `done`. The exit code is that of the worst: 3 if a node does not answer, 5 if the
    server does not know one of them, 6 if one belongs to another role, 1 if one failed, 4 if one has not
    ended in time. Ctrl-C ends the wait; the jobs go on.
    """
    from ...options.access import refusal

    codes = Codes()
    where = servers.nodes().of(handles)
    with opened([node for node, _ in where], codes) as there:
        nodes: dict[Job[Any], str] = {}
        for node, client, session in there:
            for handle in dict(where)[node]:
                with codes.of(node.name):
                    if error := refusal(session, handle):
                        raise error
                    nodes[client.attach(handle)] = node.name
        jobs = list(nodes)
        with going_on(handles):
            ended = _wait(nodes, timeout, any_of_them=any_of_them, progress=progress)
        for job in ended:
            with codes.of(nodes[job]):
                codes.add(_tell(job, nodes[job]))
    if jobs and ((not any_of_them and len(ended) < len(jobs)) or not ended):
        note(f"{len(jobs) - len(ended)} of {len(jobs)} jobs have not ended in {timeout:g} s, and go on")
        codes.add(Exit.TIMEOUT)
    for worst in (Exit.CONNECTION, Exit.UNKNOWN, Exit.REFUSED, Exit.FAILED, Exit.TIMEOUT):
        if worst in codes:
            raise typer.Exit(worst)


def _wait(
    nodes: Mapping[Job[Any], str], timeout: float | None, *, any_of_them: bool, progress: bool
) -> list[Job[Any]]:
    """Return those that have ended, or of which that can't be learned."""
    from ....client.many import first_of, have_ended
    from ....cluster.outcomes import Progresses

    jobs = list(nodes)
    if not jobs:
        return []
    if any_of_them:
        first = first_of(jobs, timeout)
        return [] if first is None else [first]
    awaited: list[Any] = jobs
    have_ended(Progresses(awaited), jobs, timeout, progress)
    # Asked once more: where time is short, the end may not have been learned. Servers that don't answer do
    # not make the wait longer, and what is wrong with others is told for each.
    left: dict[str, list[Job[Any]]] = defaultdict(list)
    for job, node in nodes.items():
        if not job.is_over:
            left[node].append(job)
    known = {job for job in jobs if job.is_over}

    def ask(node: str) -> None:
        # One after the other: they share a connection.
        known.update(job for job in left[node] if _has_ended(job))

    for _ in at_once(ask, list(left), patience=PATIENCE):
        pass
    return [job for job in jobs if job in known]


def _has_ended(job: Job[Any]) -> bool:
    try:
        return job.done()
    except Exception:
        return True


def _tell(job: Job[Any], node: str) -> Exit:
    from ....client.model import in_words

    job.wait()
    typer.echo(f"{text_of(job.handle, node)} {in_words(job.last_state)}")
    return code_of_state(job.last_state)
