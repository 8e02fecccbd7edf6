"""A column list that does not fit the list of jobs is an error, never a crash."""

from __future__ import annotations

import pytest

from ...support.calls import failure, query
from ...support.fix_db import Connect, Connection, MakeRole
from ...support.jobs import FOREVER, cancel, launch, run

COLUMNS = {
    "pid": "int4",
    "cookie": "int8",
    "launched_at": "timestamptz",
    "user_id": "oid",
    "queue_size": "int4",
    "state": "text",
    "sql_preview": "text",
    "last_error": "text",
    "consumed": "bool",
    "label": "text",
}


def declared(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {type_}" for name, type_ in columns.items())


def without_last(n: int) -> dict[str, str]:
    return dict(list(COLUMNS.items())[: len(COLUMNS) - n])


WRONG = {
    "one text": "pid text",
    "one int": "pid int4",
    "eight": declared(without_last(2)),
    "eleven": declared(COLUMNS) + ", more text",
    "ten of text": ", ".join(f"{name} text" for name in COLUMNS),
    "nine of text": ", ".join(f"{name} text" for name in without_last(1)),
    "other order": declared(dict(reversed(list(COLUMNS.items())))),
    **{f"other type of {name}": declared({**COLUMNS, name: "point"}) for name in COLUMNS},
    **{f"wider {name}": declared({**COLUMNS, name: "int8[]"}) for name in COLUMNS},
}


@pytest.fixture(params=["superuser", "member of pgbackground_role"])
def session(request: pytest.FixtureRequest, connect: Connect, make_role: MakeRole) -> Connection:
    if request.param == "superuser":
        return connect()
    return connect(user=make_role(member_of=("pgbackground_role",)))


@pytest.mark.parametrize("function", ["pg_background_list", "pg_background_list_v2"])
def test_wrong_column_lists(session: Connection, function: str) -> None:
    """With a live handle, a failed one and a canceled one in the list."""
    live = launch(session, FOREVER)
    cancel(session, launch(session, FOREVER, label="canceled"), grace_ms=10_000)
    launch(session, "SELECT 1/0")
    for title, columns in WRONG.items():
        found = failure(session, f"SELECT * FROM {function}() AS ({columns})")
        assert found.sqlstate == "42804", title
        assert found.detail, title
    assert failure(session, f"SELECT {function}()").sqlstate == "0A000"
    rows = query(session, f"SELECT pid, cookie, state FROM {function}() AS ({declared(COLUMNS)})")
    assert (*live, "running") in rows or (*live, "starting") in rows
    assert len(rows) == 3
    cancel(session, live)


def test_wrong_column_list_without_jobs(session: Connection) -> None:
    assert failure(session, "SELECT * FROM pg_background_list_v2() AS (pid text)").sqlstate == "42804"


@pytest.mark.parametrize("function", ["pg_background_list", "pg_background_list_v2"])
def test_the_two_lists_that_callers_use(session: Connection, function: str) -> None:
    handle = launch(session, "SELECT 1", label="mine")
    of_1_8 = query(session, f"SELECT * FROM {function}() AS ({declared(without_last(1))})")
    of_2_0 = query(session, f"SELECT * FROM {function}() AS ({declared(COLUMNS)})")
    assert [row[:2] for row in of_1_8] == [row[:2] for row in of_2_0] == [handle]
    assert of_2_0[0][9] == "mine"


def test_names_of_columns_are_free(session: Connection) -> None:
    handle = launch(session, "SELECT 1")
    names = "a int4, b int8, c timestamptz, d oid, e int4, f text, g text, h text, i bool"
    assert query(session, f"SELECT a, b FROM pg_background_list() AS ({names})") == [handle]


def test_list_read_by_a_job(session: Connection) -> None:
    """Its session has no jobs."""
    launch(session, "SELECT 1")
    assert run(session, "SELECT count(*) FROM pg_background_list", "n int8") == [(0,)]
