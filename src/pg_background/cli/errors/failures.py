"""What went wrong, on stderr, and the exit code that it makes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ...backfill.errors import BackfillError
from ...errors import UserError
from ...server.errors import DatabaseError, DsnError, NotRunningError, UnreachableError
from ..output.console import drop, note, of_node, report, say
from ..signals import Terminated
from .exits import Exit

if TYPE_CHECKING:
    import psycopg

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
    except BrokenPipeError:
        drop(sys.stdout)
        raise typer.Exit(Exit.PIPE) from None
    except TimeoutError as error:
        report(UserError(str(error)))
        raise typer.Exit(Exit.TIMEOUT) from None
    except UserError as error:
        report(error)
        raise typer.Exit(code_of_user_error(error)) from None
    except OSError as error:
        # Of stdout there is no name.
        what = "write the output" if error.filename is None else f'use "{error.filename}"'
        report(UserError(f"can't {what}: {error.strerror or error}"))
        raise typer.Exit(Exit.FAILED) from None
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            # It came while a class was made, for which Python before 3.12 has an error of its own.
            note("interrupted")
            raise typer.Exit(Exit.INTERRUPTED) from None
        # A command that has not loaded psycopg can't have raised an error of it.
        if "psycopg" not in sys.modules or not is_sql_error(error):
            raise
        report_sql(error)
        raise typer.Exit(code_of_call(error)) from None


def is_sql_error(error: object) -> bool:
    """Tell an error of psycopg's."""
    import psycopg

    return isinstance(error, psycopg.Error)


def is_of_server(error: Exception) -> bool:
    """Tell an error that a server, or its absence, has caused."""
    return isinstance(error, DatabaseError) or is_sql_error(error)


def code_of_user_error(error: UserError) -> Exit:
    """Return the exit code for what the user can do something about."""
    if isinstance(error, (NotRunningError, UnreachableError)):
        return Exit.CONNECTION
    if isinstance(error, (DsnError, BackfillError)):
        return Exit.USAGE
    return Exit.REFUSED if isinstance(error, DatabaseError) else Exit.FAILED


def code_of_call(error: object) -> Exit:
    """Return the exit code for an error of a call, as against one of the job."""
    import psycopg

    from ...client.errors import ConnectionLost, JobLost

    if isinstance(error, JobLost):
        return Exit.UNKNOWN
    if isinstance(error, ConnectionLost) or is_of_connection(error):
        return Exit.CONNECTION
    if isinstance(error, psycopg.ProgrammingError) and error.diag.sqlstate is None:
        # Placeholders and parameters that don't fit, found before anything was sent.
        return Exit.USAGE
    return Exit.REFUSED


def is_of_connection(error: object) -> bool:
    """Tell whether the connection itself has failed, or the server has ended it."""
    import psycopg

    # Without a code it is libpq's own; 57P is that the server, or the session, was ended.
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "57P").startswith(("57P", "08"))


def code_of_job(error: Exception, state: str) -> Exit:
    """Return the exit code for what a job ended with.

    Args:
        state: of the job, as far as it is known.
    """
    from ...client.errors import ConnectionLost, JobLost, JobTimeout

    if isinstance(error, ConnectionLost):
        return Exit.CONNECTION
    if isinstance(error, JobLost) and state != "lost":
        return Exit.UNKNOWN
    return Exit.TIMEOUT if isinstance(error, JobTimeout) else Exit.FAILED


def code_of_state(state: str) -> Exit:
    """Return the exit code for the state that a job ended in."""
    return {"stopped": Exit.OK, "timed_out": Exit.TIMEOUT}.get(state, Exit.FAILED)


def report_sql(error: object, node: str = "") -> None:
    """Print an error of the server with its SQLSTATE, DETAIL, HINT and CONTEXT, and the place in the SQL.

    Args:
        node: which of several servers it is.
    """
    message, *others = str(error).strip().splitlines() or [type(error).__name__]
    sqlstate = getattr(error, "sqlstate", None)
    known = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    say(("error: ", "error"), f"{of_node(node)}{message}", (known, "dim"))
    for line in others:
        name = next((field for field in _FIELDS if line.startswith(field)), None)
        start = line.find(":") + 1 if name else 0
        say((line[:start], "hint" if name == "HINT" else "name"), line[start:])
    if hint := _own_hint(error):
        say(("HINT:", "hint"), f"  {hint}")


def _own_hint(error: object) -> str:
    """Return what the server's message leaves to guess: who may use the extension, what runs scripts."""
    diag: psycopg.errors.Diagnostic | None = getattr(error, "diag", None)
    if diag is None or diag.message_hint:
        return ""
    message = diag.message_primary or ""
    if diag.sqlstate == "42501" and message.startswith("permission denied for function pg_background_"):
        return "A superuser grants the use of the extension: GRANT pgbackground_role TO the role."
    if diag.sqlstate == "0A000" and message.startswith("transaction control statements are not allowed"):
        return (
            "Leave out BEGIN and COMMIT: the statements are one transaction as they are, "
            "and with --each-statement each has its own."
        )
    return ""
