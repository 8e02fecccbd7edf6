"""Errors that an agent can do something about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from mcp.server.mcpserver.exceptions import ToolError

from ..client.errors import ConnectionLost, JobLost
from ..client.model import JobError
from .answers import Failure
from .limits import shortened


class Refused(ToolError):
    """A call that was not done, and what to do instead."""

    def __init__(self, what: str, then: str) -> None:
        super().__init__(f"{what}. {then}")


@contextmanager
def told() -> Iterator[None]:
    """Raise errors of the block, whatever they are of, as those that an agent reads."""
    try:
        yield
    except JobLost as error:
        raise Refused(
            _line(error), "Start the job again if its result is still wanted; list_jobs shows what there is."
        ) from error
    except ConnectionLost as error:
        raise Refused(_line(error), "Try again; list_jobs shows whether the job is there.") from error
    except psycopg.OperationalError as error:
        if error.sqlstate is None:
            raise Refused(
                f"the database can't be reached: {_line(error)}", "Tell the user if it goes on."
            ) from error
        raise _of_server(error) from error
    except psycopg.Error as error:
        raise _of_server(error) from error
    except UnicodeEncodeError as error:
        raise Refused(
            f"{_line(error)}", "Leave out characters that are half of a pair: no text of PostgreSQL has them."
        ) from error


def _of_server(error: psycopg.Error) -> Refused:
    diag = error.diag
    parts = [
        f"the server refused it: {shortened(diag.message_primary) or _line(error)}",
        f"SQLSTATE {error.sqlstate}" if error.sqlstate else "",
        shortened(diag.message_detail),
    ]
    hint = shortened(diag.message_hint) or _HINTS.get(error.sqlstate or "", "")
    return Refused("; ".join(filter(None, parts)), hint)


#: What the server's own message leaves to guess.
_HINTS = {
    "53400": "Wait until other jobs have ended: see list_jobs.",
    "42501": "The role of this server lacks the privilege: tell the user.",
}


def failure(error: JobError | None) -> Failure | None:
    """Return a job's error as the tools give it; None if there is none."""
    if error is None or not (error.sqlstate or error.message):
        return None
    return Failure(
        sqlstate=error.sqlstate,
        message=shortened(error.message),
        detail=shortened(error.detail),
        hint=shortened(error.hint),
        context=shortened(error.context),
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
