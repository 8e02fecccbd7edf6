"""All that can be done with a handle, and what each may answer in each state of the job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import errors as e

from ..support import jobs as calls
from ..support import outcomes
from ..support.calls import query, value
from ..support.jobs import Connection, Handle

#: Milliseconds for which an operation waits for a job that does not end.
PATIENCE = 8

#: What a call says to which the handle is unknown.
UNKNOWN = "unknown"

#: The session's own statement_timeout, without which it would wait for ever.
INTERRUPTED = "interrupted"

_CODES = {"42704": UNKNOWN, "55000": UNKNOWN, "55006": "busy", "22012": "error", "08006": "lost"}

#: The rows of a job that succeeds.
ROWS = [(str(n),) for n in range(1, 4)]


def answer(conn: Connection, call: Callable[[Connection, Handle], object], handle: Handle) -> str:
    """What an operation says, in one word."""
    try:
        return str(call(conn, handle))
    except e.QueryCanceled as error:
        of_job = "background worker, pid" in (error.diag.context or "")
        return "canceled" if of_job else INTERRUPTED
    except psycopg.Error as error:
        return _CODES.get(error.sqlstate or "", f"{error.sqlstate} {error}")


def _wait(conn: Connection, handle: Handle) -> object:
    return "ended" if calls.wait(conn, handle, PATIENCE) else "not yet"


def _poll(conn: Connection, handle: Handle) -> object:
    return "ended" if calls.has_ended(conn, handle) else "not yet"


def _await(conn: Connection, handle: Handle) -> object:
    ended = value(conn, "CALL pg_background_await(%s, %s, %s)", *handle, PATIENCE)
    return "ended" if ended else "not yet"


def _wait_any(conn: Connection, handle: Handle) -> object:
    return "ended" if outcomes.wait_any(conn, outcomes.handles(handle), PATIENCE) else "not yet"


def _drain(conn: Connection, handle: Handle) -> object:
    (row,) = outcomes.drain(conn, outcomes.handles(handle), PATIENCE)
    return row.state if row.completed else "not yet"


def _result(conn: Connection, handle: Handle) -> object:
    rows = calls.result(conn, handle)
    return "rows" if rows == ROWS else rows


def _result_json(conn: Connection, handle: Handle) -> object:
    rows = query(conn, "SELECT r->>'value' FROM pg_background_result_json(%s, %s) r", *handle)
    return "rows" if rows == ROWS else rows


def _describe(conn: Connection, handle: Handle) -> object:
    rows = query(conn, "SELECT name, type_name FROM pg_background_describe(%s, %s)", *handle)
    # A job that ends before its last statement has begun has none.
    return {(("value", "text"),): "columns", (): "no columns"}.get(tuple(rows), rows)


def _cancel(conn: Connection, handle: Handle) -> object:
    calls.cancel(conn, handle)
    return "done"


def _cancel_with_grace(conn: Connection, handle: Handle) -> object:
    calls.cancel(conn, handle, PATIENCE)
    return "done"


def _detach(conn: Connection, handle: Handle) -> object:
    calls.detach(conn, handle)
    return "done"


def _outcome(conn: Connection, handle: Handle) -> object:
    return outcomes.outcome(conn, handle).state or "nothing"


def _error_info(conn: Connection, handle: Handle) -> object:
    return outcomes.error_info(conn, handle).sqlstate or "nothing"


def _result_info(conn: Connection, handle: Handle) -> object:
    told = outcomes.result_info(conn, handle)
    return "ended" if told.completed else "not yet"


def _full_sql(conn: Connection, handle: Handle) -> object:
    return "text" if outcomes.full_sql(conn, handle) else "nothing"


def _get_progress(conn: Connection, handle: Handle) -> object:
    return calls.progress(conn, handle)[0]


def _list(conn: Connection, handle: Handle) -> object:
    return calls.state(conn, handle) or "nothing"


def _own(function: str) -> Callable[[Connection, Handle], object]:
    """One of those that act on all jobs of the session, of which it has this one."""

    def call(conn: Connection, handle: Handle) -> object:
        return value(conn, f"SELECT pg_background_{function}()")

    return call


#: The states in which a job is found, in the words of the table.
STATES = ("queued", "running", "stopped", "error", "canceled", "gone")


@dataclass(frozen=True)
class Operation:
    """Something that a session does with a handle."""

    name: str
    call: Callable[[Connection, Handle], object]
    #: what it may answer to a job in a state, where nothing else is done to it meanwhile
    table: dict[str, frozenset[str]]
    #: what it does to a job if it gives one of these answers: the state in which the other then finds it
    makes: str | None = None
    when: frozenset[str] = frozenset()
    #: only the session that has launched the job can
    own: bool = False
    #: while it is under way another reader is refused
    claims: bool = False


def _table(**answers: str) -> dict[str, frozenset[str]]:
    """A row of the table, in which the answers are parted by commas; `ended` is for all three ends."""
    ended = answers.pop("ended", "")
    full = {"stopped": ended, "error": ended, "canceled": ended, **answers}
    assert full.keys() == set(STATES), full
    return {state: frozenset(text.split(", ")) for state, text in full.items()}


_WAITS = _table(queued="not yet", running="not yet", ended="ended", gone=UNKNOWN)

_READS = _table(
    queued=INTERRUPTED,
    running=INTERRUPTED,
    stopped="rows",
    error="error",
    canceled="canceled",
    gone=UNKNOWN,
)

_CANCELS = _table(queued="done", running="done", ended="done", gone=UNKNOWN)

_COUNTS = _table(queued="1", running="1", ended="1", gone="0")

_LOOKS = {"stopped": "stopped", "error": "error", "canceled": "canceled"}

#: What becomes of a job whose reader has got an answer, or was interrupted: half-read is read.
_READ = frozenset({"rows", "error", "canceled", INTERRUPTED})

#: Of a job that nobody tracks any more all may still be known, until its entry is used again.
_ANY_STATE = "queued, starting, running, stopped, error, canceled, nothing"

OPERATIONS = (
    Operation("wait", _wait, _WAITS),
    Operation("poll", _poll, _WAITS),
    Operation("await", _await, _WAITS),
    Operation("wait_any", _wait_any, _WAITS),
    Operation(
        "drain",
        _drain,
        _table(queued="not yet", running="not yet", gone=UNKNOWN, **_LOOKS),
        makes="gone",
        when=frozenset(_LOOKS),
    ),
    Operation(
        "result",
        _result,
        _READS,
        makes="gone",
        when=_READ,
        claims=True,
    ),
    Operation(
        "result_json",
        _result_json,
        _READS,
        makes="gone",
        when=_READ,
        claims=True,
    ),
    Operation(
        "describe",
        _describe,
        _table(
            queued=INTERRUPTED,
            running=f"{INTERRUPTED}, columns",
            stopped="columns",
            error="columns, no columns",
            canceled="columns, no columns",
            gone=UNKNOWN,
        ),
        claims=True,
    ),
    Operation("cancel", _cancel, _CANCELS, makes="canceled", when=frozenset({"done"})),
    Operation("cancel with grace", _cancel_with_grace, _CANCELS, makes="canceled", when=frozenset({"done"})),
    Operation("detach", _detach, _CANCELS, makes="gone", when=frozenset({"done"})),
    Operation(
        "outcome",
        _outcome,
        _table(
            queued="queued",
            running="queued, starting, running",
            gone=_ANY_STATE,
            **_LOOKS,
        ),
    ),
    Operation(
        "error_info",
        _error_info,
        _table(
            queued="nothing",
            running="nothing",
            stopped="nothing",
            error="22012",
            canceled="57014",
            gone=f"{UNKNOWN}, nothing, 22012, 57014",
        ),
    ),
    Operation(
        "result_info",
        _result_info,
        _table(queued="not yet", running="not yet", ended="ended", gone=f"{UNKNOWN}, ended, not yet"),
    ),
    Operation(
        "full_sql",
        _full_sql,
        _table(queued="text", running="text", ended="text", gone=f"{UNKNOWN}, text, nothing"),
    ),
    Operation(
        "get_progress", _get_progress, _table(queued="None", running="None", ended="None", gone="None")
    ),
    Operation(
        "list",
        _list,
        _table(queued="queued", running="queued, starting, running", gone="nothing", **_LOOKS),
        own=True,
    ),
    Operation(
        "purge",
        _own("purge"),
        _table(queued="0", running="0", ended="1", gone="0"),
        makes="gone",
        when=frozenset("1"),
        own=True,
    ),
    Operation("detach_all", _own("detach_all"), _COUNTS, makes="gone", when=frozenset("1"), own=True),
    Operation(
        "cancel_all",
        _own("cancel_all"),
        _table(queued="1", running="1", ended="0", gone="0"),
        makes="canceled",
        when=frozenset("1"),
        own=True,
    ),
)
