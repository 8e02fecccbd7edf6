"""`pg-background cancel`: end jobs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...at_once import at_once
from ...errors.codes import Codes
from ...errors.each import for_each
from ...options.given import command
from ...options.handles import AnyHandlesGiven, HandleCommand, text_of
from ...options.numbers import seconds_of_grace
from ...options.servers import NodesGiven
from ...output.console import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....client.client import Client
    from ....client.job import Job
    from ....client.model import Handle
    from ...nodes import Node


@command(
    "cancel 4711:8612345678901234567",
    "cancel --grace 10 --label 'report %'",
    "cancel --all",
    "cancel --cluster --node 3 --label 'report %'",
    kind=HandleCommand,
)
def cancel(
    handles: AnyHandlesGiven,
    servers: NodesGiven,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            "-l",
            metavar="PATTERN",
            help="Cancel the jobs whose label is LIKE this: % stands for any text, _ for any character.",
        ),
    ] = None,
    all: Annotated[
        bool, typer.Option("--all", help="Cancel all jobs of the server that this role may cancel.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(
            "--grace",
            metavar="SECONDS",
            parser=seconds_of_grace,
            envvar="PG_BACKGROUND_GRACE",
            help="End the process of a job that has not stopped by then, and wait for that.",
        ),
    ] = 0,
) -> None:
    """Cancel jobs: what they have done is rolled back.

    Those that have ended stay as they are. With --label or --all it prints the handles of the jobs that were
    told to stop. Exit code 5 if the server does not know a handle, 3 if a node does not answer; the others
    are canceled.
    """
    if bool(handles) + (label is not None) + all != 1:
        raise typer.BadParameter("say which jobs: by handles, by --label or by --all")
    codes = Codes()
    nodes = servers.nodes()
    where = nodes.of(handles) if handles else [(node, None) for node in nodes]
    told = 0
    for (node, _), answer in at_once(lambda each: _cancel(*each, label, grace), where):
        if isinstance(answer, Exception):
            codes.tell(answer, node.name)
        else:
            told += answer
    if not handles and not told and not codes:
        note("no job that this role may cancel " + ("is running" if all else "has such a label"))
    codes.leave()


def _cancel(node: Node, handles: Sequence[Handle] | None, label: str | None, grace: float) -> int:
    """Cancel jobs on a node, and return how many they are; those that were not named are printed."""
    with node.session() as (client, session):
        chosen = _chosen(client, label) if handles is None else handles

        def end(job: Job[Any]) -> None:
            job.cancel(grace)
            if handles is None:
                typer.echo(text_of(job.handle, node.name))

        for_each(client, session, chosen, end, node.name)
    return len(chosen)


def _chosen(client: Client[Any], label: str | None) -> Sequence[Handle]:
    """Return live jobs that this role may cancel: all, or those with such a label."""
    from ....display import is_live

    wanted = None if label is None else _like(label)
    return [
        job.handle
        for job in client.jobs()
        if is_live(job)
        and job.handle is not None
        and (wanted is None or (job.label is not None and wanted.fullmatch(job.label)))
    ]


def _like(pattern: str) -> re.Pattern[str]:
    """Return what SQL's LIKE means, as for pg_background_cancel_by_label()."""
    wildcards = {"%": ".*", "_": "."}
    parts = [
        wildcards.get(part) or re.escape(part.removeprefix("\\") or part)
        for part in re.findall(r"\\?.", pattern, re.DOTALL)
    ]
    return re.compile("".join(parts), re.DOTALL)
