"""What went wrong, on stderr, and the exit code that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import typer
from rich.text import Text

from ..client.errors import ConnectionLost, JobLost, JobTimeout
from ..server.errors import DatabaseError, DsnError, NotRunningError, ServerError, UnreachableError
from .exits import Exit
from .output import console, note, report
from .signals import Terminated

#: What libpq puts before the lines that follow the message itself.
_FIELDS = ("DETAIL", "HINT", "QUERY", "CONTEXT", "LINE ")


@contextmanager
def told() -> Iterator[None]:
    """End the command with a message and an exit code when something in the block fails."""
    try:
        yield
    except Terminated as error:
        raise typer.Exit(128 + error.signal) from None
    except KeyboardInterrupt:
        note("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except TimeoutError as error:
        report(ServerError(str(error)))
        raise typer.Exit(Exit.TIMEOUT) from None
    except psycopg.Error as error:
        report_sql(error)
        raise typer.Exit(code_of_call(error)) from None
    except ServerError as error:
        report(error)
        raise typer.Exit(code_of_server(error)) from None


def code_of_server(error: ServerError) -> Exit:
    """Return the exit code for what went wrong with a server."""
    if isinstance(error, (NotRunningError, UnreachableError)):
        return Exit.CONNECTION
    if isinstance(error, DsnError):
        return Exit.USAGE
    return Exit.REFUSED if isinstance(error, DatabaseError) else Exit.FAILED


def code_of_call(error: psycopg.Error) -> Exit:
    """Return the exit code for an error of a call, as against one of the job."""
    if isinstance(error, ConnectionLost):
        return Exit.CONNECTION
    if isinstance(error, JobLost):
        return Exit.UNKNOWN
    if isinstance(error, psycopg.ProgrammingError) and error.diag.sqlstate is None:
        # Placeholders and parameters that don't fit, found before anything was sent.
        return Exit.USAGE
    return Exit.REFUSED


def code_of_job(error: Exception, state: str) -> Exit:
    """Return the exit code for what a job ended with.

    Args:
        state: of the job, as far as it is known.
    """
    if isinstance(error, ConnectionLost):
        return Exit.CONNECTION
    if isinstance(error, JobLost) and state != "lost":
        return Exit.UNKNOWN
    return Exit.TIMEOUT if isinstance(error, JobTimeout) else Exit.FAILED


def code_of_state(state: str) -> Exit:
    """Return the exit code for the state that a job ended in."""
    return {"stopped": Exit.OK, "timed_out": Exit.TIMEOUT}.get(state, Exit.FAILED)


def report_sql(error: Exception) -> None:
    """Print an error of the server with its SQLSTATE, DETAIL, HINT and CONTEXT, and the place in the SQL."""
    message, *others = str(error).strip().splitlines() or [type(error).__name__]
    sqlstate = isinstance(error, psycopg.Error) and error.sqlstate
    output = console()
    known = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    output.print(Text.assemble(("error: ", "bold red"), message, (known, "dim")))
    for line in others:
        name = next((field for field in _FIELDS if line.startswith(field)), None)
        style = "bold cyan" if name == "HINT" else "bold"
        start = line.find(":") + 1 if name else 0
        output.print(Text.assemble((line[:start], style), line[start:]))
