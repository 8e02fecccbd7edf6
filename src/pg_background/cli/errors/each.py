"""The same for each of several jobs, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from .failures import code_of_call, report_sql

if TYPE_CHECKING:
    import psycopg

    from ...client.client import Client
    from ...client.job import Job
    from ...client.model import Handle


def for_each(
    client: Client[Any],
    session: psycopg.Connection[Any],
    handles: Sequence[Handle],
    act: Callable[[Job[Any]], object],
    node: str = "",
) -> None:
    """Do it for each; the exit code is that of the worst.

    Args:
        node: which of several servers it is.
    """
    from psycopg import Error

    from ...client.errors import ConnectionLost
    from ..options.access import telling_forgotten

    worst = 0
    for handle in handles:
        try:
            with telling_forgotten(session, handle):
                act(client.attach(handle))
        except ConnectionLost:
            raise
        except Error as error:
            report_sql(error, node)
            worst = max(worst, code_of_call(error))
    if worst:
        raise typer.Exit(worst)
