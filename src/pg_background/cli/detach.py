"""`pg-background detach`: forget jobs."""

from __future__ import annotations

from .database import DatabaseGiven
from .each import for_each
from .given import command
from .handles import HandlesGiven


@command
def detach(handles: HandlesGiven, database: DatabaseGiven) -> None:
    """Forget jobs: they go on and commit, but their rows are dropped.

    Exit code 5 if the server does not know one of them; the others are forgotten.
    """
    with database.client() as client:
        for_each(client, handles, lambda job: job.detach())
