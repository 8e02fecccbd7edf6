"""`pg-background cancel`: end jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from .database import DatabaseGiven
from .each import for_each
from .given import command
from .handles import HandlesGiven
from .numbers import seconds_of_grace


@command
def cancel(
    handles: HandlesGiven,
    database: DatabaseGiven,
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
    """Cancel jobs; what they have done is rolled back. Those that have ended stay as they are.

    Exit code 5 if the server does not know one of them; the others are canceled.
    """
    with database.client() as client:
        for_each(client, handles, lambda job: job.cancel(grace))
