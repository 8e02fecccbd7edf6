"""`pg-background detach`: forget jobs."""

from __future__ import annotations

from .database import DatabaseGiven
from .each import for_each
from .given import command
from .handles import HandleCommand, HandlesGiven


@command("detach 4711:8612345678901234567", kind=HandleCommand)
def detach(handles: HandlesGiven, database: DatabaseGiven) -> None:
    """Forget jobs: they go on and commit, but their rows are dropped.

    Exit code 5 if the server does not know one of them; the others are forgotten.
    """
    with database.client_and_session() as (client, session):
        for_each(client, session, handles, lambda job: job.detach())
