"""The same for each of several jobs, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import typer

from ..client.client import Client
from ..client.errors import ConnectionLost
from ..client.job import Job
from ..client.model import Handle
from .failures import code_of_call, report_sql


def for_each(client: Client[Any], handles: Sequence[Handle], act: Callable[[Job[Any]], object]) -> None:
    """Do it for each; the exit code is that of the worst."""
    worst = 0
    for handle in handles:
        try:
            act(client.attach(handle))
        except ConnectionLost:
            raise
        except psycopg.Error as error:
            report_sql(error)
            worst = max(worst, code_of_call(error))
    if worst:
        raise typer.Exit(worst)
