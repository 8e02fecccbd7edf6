"""`pg-background detach`: forget jobs."""

from __future__ import annotations

from ...errors.each import for_each
from ...options.database import DatabaseGiven
from ...options.given import command
from ...options.handles import HandleCommand, HandlesGiven


@command("detach 4711:8612345678901234567", kind=HandleCommand)
def detach(handles: HandlesGiven, database: DatabaseGiven) -> None:
    """Forget jobs: they go on and commit, but their rows are dropped.

    Exit code 5 if the server does not know one of them; the others are forgotten.
    """
    with database.client_and_session() as (client, session):
        for_each(client, session, handles, lambda job: job.detach())
