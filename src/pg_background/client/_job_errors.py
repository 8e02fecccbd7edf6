"""A job's own error, as the exception that it means."""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from .errors import JobCancelled, JobLost, JobTimeout
from .handles import is_about_handle, unknown
from .model import Outcome

_BECOMES: dict[str, type[JobCancelled | JobTimeout | JobLost]] = {
    "canceled": JobCancelled,
    "timed_out": JobTimeout,
    "lost": JobLost,
}


class ErrorFields(NamedTuple):
    """What the server keeps of a job's error, as far as it goes into an exception; None what it has not."""

    sqlstate: str | None
    message: str | None
    detail: str | None
    hint: str | None


def as_error_of_job(outcome: Outcome, error: psycopg.Error) -> psycopg.Error:
    """Return what reading a job has raised, as what it means.

    Raises:
        psycopg.Error: it is not the job's, but one of reading it.
    """
    if is_about_handle(error):
        raise unknown(outcome.handle) from error
    if outcome.state == "stopped" or error.sqlstate != outcome.sqlstate:
        raise error
    kind = _BECOMES.get(outcome.state or "")
    return error if kind is None else kind(*error.args, info=error.pgresult)


def error_of(outcome: Outcome, fields: ErrorFields) -> psycopg.Error:
    """Return the error of a job that has failed, made of what the server keeps of it."""
    lines = [fields.message or f"the job ended as {outcome.state}"]
    lines += [f"DETAIL:  {fields.detail}"] if fields.detail else []
    lines += [f"HINT:  {fields.hint}"] if fields.hint else []
    kind: type[psycopg.Error] = _BECOMES.get(outcome.state or "") or _class_of(fields.sqlstate)
    error = kind("\n".join(lines))
    if fields.sqlstate is not None:
        # Of those that are not the server's own psycopg's classes know nothing.
        error.sqlstate = fields.sqlstate
    return error


def _class_of(sqlstate: str | None) -> type[psycopg.Error]:
    try:
        return psycopg.errors.lookup(sqlstate or "")
    except KeyError:
        return psycopg.DatabaseError
