"""Who may do what with another session's job, as a table; and who may launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import FOREVER, Handle, cancel, detach, launch, result, state, wait, wait_until_asleep
from ..support.routines import Routine, routines, views

# yes: may. -: is refused, with 42501. ?: is told as if there were no such job. x: may not even call it.
#
# owner:     another session of the launching role            stats:    member of pg_read_all_stats
# member:    of the launching role, with INHERIT              monitor:  member of pg_monitor
# noinherit: a member whose rights wait for SET ROLE          signal:   member of pg_signal_backend
# set role:  the same after SET ROLE                          super:    a superuser
# definer:   a stranger, in a function that the owner has     as other: a superuser after SET ROLE stranger
#            made SECURITY DEFINER                            nobody:   a role without pgbackground_role
TABLE = """
                  | owner | member | noinherit | set role | definer | stranger | stats | monitor | signal | super | as other | nobody
wait              | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
wait_timeout      | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
await             | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
wait_any          | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
drain             | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
result            | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
result_json       | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
result_typed      | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
describe          | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
detach            | yes   | yes    | -         | yes      | yes     | -        | -     | -       | yes    | yes   | -        | x
cancel            | yes   | yes    | -         | yes      | yes     | -        | -     | -       | yes    | yes   | -        | x
get_progress      | yes   | yes    | -         | yes      | yes     | -        | yes   | yes     | -      | yes   | -        | x
result_info       | yes   | yes    | -         | yes      | yes     | -        | yes   | yes     | -      | yes   | -        | x
error_info        | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
full_sql          | yes   | yes    | -         | yes      | yes     | -        | -     | -       | -      | yes   | -        | x
outcome           | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
pid               | yes   | yes    | yes       | yes      | yes     | yes      | yes   | yes     | yes    | yes   | yes      | x
worker_pid        | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
view jobs         | yes   | yes    | yes       | yes      | yes     | yes      | yes   | yes     | yes    | yes   | yes      | x
jobs.state         | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
jobs.queued_at     | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
jobs.row_count     | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
jobs.result_bytes  | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
jobs.blocked_by    | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
jobs.sql_preview   | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
jobs.label        | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
jobs.progress_msg | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
jobs.cookie       | yes   | yes    | ?         | yes      | yes     | ?        | ?     | ?       | yes    | yes   | ?        | x
view totals       | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
view histograms   | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
view resources    | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
view usage        | yes   | yes    | ?         | yes      | yes     | ?        | yes   | yes     | ?      | yes   | ?        | x
view list         | ?     | ?      | ?         | ?        | ?       | ?        | ?     | ?       | ?      | ?     | ?        | x
view activity     | ?     | ?      | ?         | ?        | ?       | ?        | ?     | ?       | ?      | ?     | ?        | x
registry          | x     | x      | x         | x        | x       | x        | x     | yes     | x      | yes   | x        | x
cancel_all        | ?     | ?      | ?         | ?        | ?       | ?        | ?     | ?       | ?      | ?     | ?        | x
cancel_by_label   | ?     | ?      | ?         | ?        | ?       | ?        | ?     | ?       | ?      | ?     | ?        | x
detach_all        | ?     | ?      | ?         | ?        | ?       | ?        | ?     | ?       | ?      | ?     | ?        | x
purge             | ?     | ?      | ?         | ?        | ?       | ?        | ?     | ?       | ?      | ?     | ?        | x
"""  # noqa: E501

# The same for a job of a superuser: of a job that a superuser runs, nobody else may end it.
SUPERUSER_TABLE = """
                  | super | member | definer | stranger | stats | monitor | signal
wait              | yes   | yes    | yes     | -        | -     | -       | -
result            | yes   | yes    | yes     | -        | -     | -       | -
detach            | yes   | yes    | yes     | -        | -     | -       | -
cancel            | yes   | yes    | yes     | -        | -     | -       | -
get_progress      | yes   | yes    | yes     | -        | yes   | yes     | -
outcome           | yes   | yes    | yes     | ?        | yes   | yes     | ?
jobs.sql_preview  | yes   | yes    | yes     | ?        | yes   | yes     | ?
jobs.cookie       | yes   | yes    | yes     | ?        | ?     | ?       | ?
"""

#: These see the caller's own session only.
OWN_SESSION = {"cancel_all", "cancel_by_label", "detach_all", "purge"}

#: Not for pgbackground_role.
RESTRICTED = {"pgbg_registry", "pgbg_drain_server", "pgbg_resume_server"}

#: Tried on a finished job, as a wait without a limit is; all others on one that runs.
READERS = {"result", "result_json", "result_typed", "describe"}

REPORTS = f"SELECT pg_background_progress(7, 'said'); {FOREVER}"

Matrix = dict[str, dict[str, str]]


def read_table(table: str) -> Matrix:
    """Return the cells by row and column."""
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in table.strip("\n").splitlines())
    return {name: dict(zip(head[1:], cells, strict=True)) for name, *cells in lines}


MATRIX, SUPERUSER_MATRIX = read_table(TABLE), read_table(SUPERUSER_TABLE)


class Caller:
    """A session of somebody, who asks about a job of another session."""

    def __init__(self, conn: Connection, wrap: str = "") -> None:
        """
        Args:
            wrap: a function that runs a query with the rights of its owner.
        """
        self._conn = conn
        self._wrap = wrap

    def rows(self, statement: str) -> list[Any]:
        """Run it; each row of a query comes as one value."""
        if not statement.startswith("CALL"):
            statement = f"SELECT r::text FROM ({statement}) AS r"
        if self._wrap:
            return self._conn.execute(f"SELECT {self._wrap}(%s)".encode(), [statement]).fetchall()
        return self._conn.execute(statement.encode()).fetchall()


@pytest.fixture
def owner(make_role: MakeRole) -> str:
    """A role that launches."""
    return make_role(member_of=("pgbackground_role",))


def define_wrap(conn: Connection, role: str) -> None:
    """Make as_owner(query), which has the rights of a role."""
    conn.execute(
        "CREATE FUNCTION as_owner(query text) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS $$"
        " BEGIN IF query LIKE 'CALL%' THEN EXECUTE query; ELSE RETURN QUERY EXECUTE query; END IF; END $$"
    )
    conn.execute(f"ALTER FUNCTION as_owner(text) OWNER TO {role}".encode())


@pytest.fixture
def caller(connect: Connect, make_role: MakeRole) -> Callable[[str, str], Caller]:
    """Opens a session of the somebody of a column."""

    def other(*groups: str, attributes: str = "LOGIN") -> Connection:
        return connect(user=make_role(attributes, member_of=("pgbackground_role", *groups)))

    def not_inheriting(owner: str) -> Connection:
        """One that may call the functions, but has the owner's rights only after SET ROLE."""
        name = make_role("LOGIN NOINHERIT", member_of=(owner,))
        with connect() as admin:
            for routine in routines(admin):
                if routine.symbol not in RESTRICTED:
                    admin.execute(f"GRANT EXECUTE ON ROUTINE {routine.schema}.{routine} TO {name}".encode())
            for view in views(admin).values():
                admin.execute(f"GRANT SELECT ON {view} TO {name}".encode())
        return connect(user=name)

    def make(column: str, owner: str) -> Caller:
        if column == "noinherit":
            return Caller(not_inheriting(owner))
        if column == "set role":
            return Caller(as_role(not_inheriting(owner), owner))
        if column == "as other":
            return Caller(as_role(connect(), make_role(member_of=("pgbackground_role",))))
        if column == "definer":
            with connect() as admin:
                define_wrap(admin, owner)
            return Caller(other(), "as_owner")
        sessions: dict[str, Callable[[], Connection]] = {
            "owner": lambda: connect(user=owner),
            "member": lambda: other(owner),
            "stranger": other,
            "stats": lambda: other("pg_read_all_stats"),
            "monitor": lambda: other("pg_monitor"),
            "signal": lambda: other("pg_signal_backend"),
            "super": connect,
            "nobody": lambda: connect(user=make_role()),
        }
        return Caller(sessions[column]())

    return make


def as_role(session: Connection, role: str) -> Connection:
    """Set the role of a session."""
    session.execute(f"SET ROLE {role}".encode())
    return session


def probe(caller: Caller, statement: str, told_nothing: Callable[[list[Any]], bool]) -> str:
    """Run a statement and return the cell that it stands for."""
    try:
        found = caller.rows(statement)
    except e.InsufficientPrivilege as error:
        return "-" if "background worker with PID" in str(error) else "x"
    return "?" if told_nothing(found) else "yes"


def is_bare(routine: Routine) -> bool:
    """Whether it takes a pid alone, which means a job of the caller's own session."""
    return routine.arguments == ("pid",)


class Statement(NamedTuple):
    """One that a row of the table stands for."""

    of: Callable[[Handle], str]
    wants_end: bool


def statements(conn: Connection, row: str) -> list[Statement]:
    """Return each overload of a function, or the query of a view."""
    view, _, column = row.partition(".")
    named = views(conn)
    if row.startswith("view "):
        name = named[f"pg_background_{row.removeprefix('view ')}"]
        return [Statement(lambda _: f"SELECT * FROM {name}", False)]
    if column:
        name = named[f"pg_background_{view}"]
        query = f"SELECT {column} FROM {name} WHERE worker_pid = pid AND pid ="
        return [Statement(lambda handle: f"{query} {handle.pid}", False)]

    def call(routine: Routine) -> Statement:
        endless = row == "wait" and "timeout_ms" not in routine.arguments
        return Statement(
            lambda handle: routine.call(
                pid=handle.pid, cookie=handle.cookie, timeout_ms=1, grace_ms=0, pattern="%"
            ),
            endless or row in READERS,
        )

    return [
        call(routine)
        for routine in routines(conn)
        if routine.symbol == f"pgbg_{row}" and not is_bare(routine)
    ]


def told_nothing(row: str, handle: Handle) -> Callable[[list[Any]], bool]:
    """What tells, in the rows of a call, that there is no such job."""
    if row == "outcome":
        return lambda found: found == [(f"({handle.pid},{handle.cookie},,,,,,,,,,)",)]
    if "." in row or row == "worker_pid":
        return lambda found: found in ([("()",)], [('("<insufficient privilege>")',)])
    if row.startswith("view"):
        return lambda found: found == []
    if row in OWN_SESSION:
        return lambda found: found == [("(0)",)]
    return lambda found: False


def check(column: str, matrix: Matrix, launcher: Connection, admin: Connection, caller: Caller) -> None:
    """Try all of a column, and compare what came out with what the table says."""
    found = {row: set[str]() for row in matrix}
    for row, cells in found.items():
        for statement in statements(admin, row):
            handle = launch(launcher, "SELECT 'x'" if statement.wants_end else REPORTS, label="mine")
            if statement.wants_end:
                assert wait(admin, handle)
            else:
                wait_until_asleep(admin, handle.pid)
            cell = probe(caller, statement.of(handle), told_nothing(row, handle))
            cells.add(cell)
            if row == "cancel" and cell == "yes":
                assert wait(launcher, handle)
            assert state(launcher, handle) == expected_state(row, cell, statement.wants_end)
            end(admin, handle)
    assert found == {row: {cells[column]} for row, cells in matrix.items()}


def expected_state(row: str, cell: str, finished: bool) -> str | None:
    """Return what the launcher then sees: what was refused has changed nothing."""
    if cell == "yes" and row == "cancel":
        return "canceled"
    if cell == "yes" and (row == "detach" or (row in READERS and row != "describe")):
        return None
    return "stopped" if finished else "running"


def end(admin: Connection, handle: Handle) -> None:
    """End a job and leave nothing of it; one that is detached has no handle any more."""
    try:
        cancel(admin, handle)
    except e.UndefinedObject:
        admin.execute("SELECT pg_cancel_backend(%s)", [handle.pid])
    else:
        wait(admin, handle)
        detach(admin, handle)


@pytest.mark.parametrize("column", MATRIX["wait"])
def test_the_job_of_a_role(
    connect: Connect, owner: str, caller: Callable[[str, str], Caller], column: str
) -> None:
    check(column, MATRIX, connect(user=owner), connect(), caller(column, owner))


@pytest.mark.parametrize("column", SUPERUSER_MATRIX["wait"])
def test_the_job_of_a_superuser(
    connect: Connect, make_role: MakeRole, caller: Callable[[str, str], Caller], column: str
) -> None:
    owner = make_role("LOGIN SUPERUSER")
    check(column, SUPERUSER_MATRIX, connect(user=owner), connect(), caller(column, owner))


@pytest.mark.pg(">= 16")
@pytest.mark.parametrize(
    ("options", "cell"), [("INHERIT TRUE, SET FALSE", "yes"), ("INHERIT FALSE, SET TRUE", "-")]
)
def test_rights_are_what_a_membership_inherits(
    connect: Connect, make_role: MakeRole, owner: str, options: str, cell: str
) -> None:
    member = make_role(member_of=("pgbackground_role",))
    connect().execute(f"GRANT {owner} TO {member} WITH {options}".encode())
    matrix = {row: {"member": cell} for row in ("wait", "cancel", "detach", "result", "full_sql")}
    check("member", matrix, connect(user=owner), connect(), Caller(connect(user=member)))


def test_handles_work_in_another_database(
    connect: Connect, owner: str, make_db: Callable[[str], str], make_role: MakeRole
) -> None:
    other = make_db("other")
    groups = ("pgbackground_role",)
    for user, cell in ((owner, "yes"), (make_role(member_of=groups), "-")):
        matrix = {row: {"there": cell} for row in ("wait", "cancel", "detach", "result", "full_sql")}
        check("there", matrix, connect(user=owner), connect(), Caller(connect(other, user=user)))


def test_the_tables_have_all_that_takes_a_handle(conn: Connection) -> None:
    taking = {routine.symbol for routine in routines(conn) if routine.takes_handle and not is_bare(routine)}
    assert {symbol.removeprefix("pgbg_") for symbol in taking} <= set(MATRIX)
    # What is there some time later, or after the end, has tests of its own.
    later = {"view waits", "view history"}
    assert {f"view {name.removeprefix('pg_background_')}" for name in views(conn)} - later <= set(MATRIX)


# Who may launch, and as whom the job runs, or the error.
LAUNCHES = """
                | here  | there | here, without CONNECT | there, without CONNECT
login           | login | login | 42501                 | 42501
set role        | group | group | 42501                 | 42501
definer         | group | group | 42501                 | 42501
super           | super | super | super                 | super
super as group  | group | group | group                 | 42501
nobody          | 42501 | 42501 | 42501                 | 42501
NOLOGIN by now  | 28000 | 28000 | 28000                 | 28000
"""

LAUNCHES_BY_ROW = read_table(LAUNCHES)


@pytest.mark.parametrize("row", LAUNCHES_BY_ROW)
def test_who_may_launch(
    connect: Connect, db: str, make_db: Callable[[str], str], make_role: MakeRole, row: str
) -> None:
    """The group can't log in, and launches all the same for those who can."""
    there = make_db("there")
    group = make_role("NOLOGIN", member_of=("pgbackground_role",))
    login = make_role(member_of=() if row == "nobody" else ("pgbackground_role", group))
    admin = connect()
    start = "SELECT h.* FROM pg_background_start('SELECT current_user::text', database => {}) AS h"
    wrapped = start.format("$1").replace("'", "''")
    admin.execute(
        "CREATE FUNCTION start_as_group(name) RETURNS pg_background_handle LANGUAGE sql SECURITY DEFINER"
        f" AS '{wrapped}'; ALTER FUNCTION start_as_group(name) OWNER TO {group}".encode()
    )
    session = connect() if row.startswith("super") else connect(user=login)
    if row in ("set role", "super as group"):
        session.execute(f"SET ROLE {group}".encode())
    if row.startswith("NOLOGIN"):
        admin.execute(f"ALTER ROLE {login} NOLOGIN".encode())
    query = "SELECT * FROM start_as_group(%s)" if row == "definer" else start.format("%s")

    def attempt(database: str) -> str:
        try:
            handle = Handle(*session.execute(query.encode(), [database]).fetchone() or (0, 0))
        except psycopg.Error as error:
            return error.sqlstate or ""
        ((user,),) = result(admin, handle)
        return {group: "group", login: "login", "postgres": "super"}[user]

    found = {"here": attempt(db), "there": attempt(there)}
    for name in (db, there):
        admin.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC'.encode())
    found |= {"here, without CONNECT": attempt(db), "there, without CONNECT": attempt(there)}
    assert found == LAUNCHES_BY_ROW[row]
