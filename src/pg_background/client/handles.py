"""Handles in statements, and those that the server does not know: how it says so, and what error that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from .errors import JobLost
from .model import Handle, Outcome


def arrays_of(handles: Sequence[Handle]) -> tuple[list[int], list[int]]:
    """Return the pids and the cookies, for a statement that takes many handles."""
    return [handle.pid for handle in handles], [handle.cookie for handle in handles]


def known(outcome: Outcome) -> Outcome:
    """Return it if it is of a job that the server knows.

    Raises:
        JobLost: it is not.
    """
    if outcome.state is None:
        raise unknown(outcome.handle)
    return outcome


def unknown(handle: Handle) -> JobLost:
    """Return the error for a handle that the server does not know."""
    return JobLost(
        f"the server does not know the job with PID {handle.pid} any more: it was read or detached, "
        "is past its retention, or the server was restarted"
    )


@contextmanager
def telling_unknown(handle: Handle) -> Iterator[None]:
    """Raise JobLost when the server does not know a handle, or has another job of this pid."""
    try:
        yield
    except (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState) as error:
        if not is_about_handle(error):
            raise
        raise unknown(handle) from error


def is_about_handle(error: psycopg.Error) -> bool:
    """Tell it from an error of the job with the same code."""
    said = error.diag.message_primary or ""
    return said.startswith("cookie mismatch for PID") or said.endswith("is not attached to this session")
