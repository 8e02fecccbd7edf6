"""`pg-background cancel`: end jobs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors.each import for_each
from ...options.database import DatabaseGiven
from ...options.given import command
from ...options.handles import AnyHandlesGiven, HandleCommand, text_of
from ...options.numbers import seconds_of_grace
from ...output.console import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....client.client import Client
    from ....client.model import Handle


@command(
    "cancel 4711:8612345678901234567",
    "cancel --grace 10 --label 'report %'",
    "cancel --all",
    kind=HandleCommand,
)
def cancel(
    handles: AnyHandlesGiven,
    database: DatabaseGiven,
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
    told to stop. Exit code 5 if the server does not know a handle; the others are canceled.
    """
    if bool(handles) + (label is not None) + all != 1:
        raise typer.BadParameter("say which jobs: by handles, by --label or by --all")
    with database.client_and_session() as (client, session):
        chosen = handles or _chosen(client, label)
        for_each(client, session, chosen, lambda job: job.cancel(grace))
        if not handles:
            for handle in chosen:
                typer.echo(text_of(handle))
            if not chosen:
                note("no job that this role may cancel " + ("is running" if all else "has such a label"))


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
