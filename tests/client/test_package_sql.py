"""The SQL that the package sends calls the extension's own functions, whatever others have made.

Of a call the server takes what fits best, so each argument must be given, in its very type; and a name
without its schema, be it an operator's or a type's, means what the search_path finds first.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psycopg
import pytest

from pg_background.client.functions import DECLARED, call, in_schema
from pg_background.client.statements import FIND_EXTENSION, LIMIT, READ_ONLY, TRACEPARENT, Statements

from ..support import lookalikes, sent, whole_package
from ..support.calls import query
from ..support.fix_cli import Cli, OnPlace
from ..support.fix_client import Place
from ..support.fix_db import Connect, Connection
from ..support.fix_notebook import Notebook
from ..support.routines import routines
from ..support.server import Server

pytestmark = pytest.mark.in_public

SCHEMA = '"Back ground"'

PACKAGE = Path(__file__).parents[2] / "src/pg_background"


@pytest.fixture
def beside(connect: Connect) -> Connection:
    """A database where all that fits calls of the extension somehow is in its own schema too."""
    conn = connect()
    conn.execute("DROP EXTENSION pg_background; CREATE SCHEMA work; CREATE TABLE work.gate ()")
    conn.execute(f"CREATE SCHEMA {SCHEMA}; CREATE EXTENSION pg_background SCHEMA {SCHEMA}".encode())
    conn.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO pg_read_all_stats".encode())
    conn.execute("CREATE TABLE work.stock (item text, amount int CHECK (amount >= 0))")
    lookalikes.set_up(conn)
    lookalikes.overload(conn, SCHEMA, DECLARED)
    return conn


@pytest.fixture
def place(server: Server, db: str) -> Place:
    """Where frameworks, notebooks and the command line connect to."""
    return Place(server, db, "work")


def test_what_is_sent(
    server: Server, beside: Connection, db: str, place: Place, cli: Cli, notebook: Notebook, tmp_path: Path
) -> None:
    """Every call has the types of a member's parameters, and none of the look-alikes is run."""
    beside.execute(f"ALTER DATABASE {db} SET log_statement = 'all'".encode())
    mark = server.log.mark()
    dsn = place.dsn()
    whole_package.use_client(dsn)
    whole_package.use_cluster(dsn)
    asyncio.run(whole_package.use_async_client(dsn))
    whole_package.use_connection(dsn)
    whole_package.use_command_line(OnPlace(cli, dsn))
    asyncio.run(whole_package.use_screen(dsn))
    asyncio.run(whole_package.use_agents(dsn))
    whole_package.use_tracing(dsn)
    whole_package.use_frameworks(place, notebook, tmp_path)
    lookalikes.assert_none_ran(server, mark)

    members = signatures(beside)
    found = sent.statements(server.log.since(mark), db)
    used = {use: statement for statement in found for use in sent.uses(statement)}
    for use, statement in used.items():
        assert use.schema == SCHEMA, statement
        assert use.types is None or (use.name, use.types) in members, statement
    # So that nothing of the package is left out.
    assert {use.name for use in used if use.types is not None} == set(DECLARED)
    assert {use.name for use in used if use.types is None} == {"pg_background_jobs", "pg_background_totals"}
    unsent = [
        name
        for name, statement in vars(Statements(SCHEMA.strip('"'))).items()
        if not name.startswith("_") and numbered(statement.as_string(None)) not in found
    ]
    made = Statements(SCHEMA.strip('"'))
    for settings in ((LIMIT,), (READ_ONLY,), (LIMIT, READ_ONLY, TRACEPARENT)):
        if numbered(made.start_with(settings).as_string(None)) not in found:
            unsent += settings
    assert not unsent


def test_any_search_path(server: Server, beside: Connection, db: str, cli: Cli) -> None:
    """Nothing is looked up there: neither functions nor operators, types or relations."""
    lookalikes.plant(beside, "public", extension=SCHEMA)
    beside.execute(f"ALTER DATABASE {db} SET search_path = public, {SCHEMA}, pg_catalog".encode())
    mark = server.log.mark()
    dsn = server.dsn(db)
    whole_package.use_client(dsn)
    whole_package.use_cluster(dsn)
    asyncio.run(whole_package.use_async_client(dsn))
    whole_package.use_connection(dsn)
    whole_package.use_command_line(OnPlace(cli, dsn))
    asyncio.run(whole_package.use_screen(dsn))
    asyncio.run(whole_package.use_agents(dsn))
    whole_package.use_tracing(dsn)
    whole_package.use_install(dsn)
    lookalikes.assert_none_ran(server, mark)


def test_look_alikes_fit_calls_without_casts(server: Server, beside: Connection) -> None:
    """As a driver sends them, which knows small numbers and text of no certain type."""
    for function, types in DECLARED.items():
        if not types:
            continue
        mark = server.log.mark()
        values = [1 if type_name.startswith("int") else None for type_name in types]
        call = f"SELECT {SCHEMA}.{function}({', '.join(['%s'] * len(types))})"
        with pytest.raises((psycopg.errors.RaiseException, psycopg.errors.AmbiguousFunction)):
            query(beside, call, *values)
        if all(type_name.startswith("int") for type_name in types):
            with pytest.raises(AssertionError):
                lookalikes.assert_none_ran(server, mark)


def test_parameters_with_defaults(server: Server, beside: Connection) -> None:
    """A function that has one more fits as well as ours: then there is an error, and nothing runs."""
    for function, types in DECLARED.items():
        parameters = [*types, "text DEFAULT NULL"]
        beside.execute(
            f"CREATE FUNCTION {SCHEMA}.{function}({', '.join(parameters)}) RETURNS text"
            " LANGUAGE sql AS 'SELECT lookalikes.caught()::text'".encode()
        )
        mark = server.log.mark()
        with pytest.raises(psycopg.errors.AmbiguousFunction):
            beside.execute(in_schema(f"SELECT {call(function)}", SCHEMA.strip('"')), [None] * len(types))
        lookalikes.assert_none_ran(server, mark)


def test_what_is_declared(beside: Connection) -> None:
    assert {(name, types) for name, types in DECLARED.items()} <= signatures(beside)


def test_no_call_is_written_by_hand() -> None:
    """All are made by `call`, which knows the types."""
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"\}\.(\w+\.)?pg_background_\w+\(", path.read_text()), path


def test_every_operator_says_whose_it_is() -> None:
    """In what is sent under the search_path of whoever calls."""
    for statement in (FIND_EXTENSION, *(part.as_string(None) for part in texts())):
        code = re.sub(r"OPERATOR\(pg_catalog\.[=<>]+\)|'[^']*'", "", statement)
        assert not re.search(r"[^:]=|<|>|\b(NOT )?(IN|LIKE)\b", code), statement


def texts() -> list[psycopg.sql.Composed]:
    """Return the client's statements."""
    made = Statements("x")
    settings = made.start_with((LIMIT, READ_ONLY, TRACEPARENT))
    return [settings, *(part for name, part in vars(made).items() if not name.startswith("_"))]


def signatures(conn: Connection) -> set[tuple[str, tuple[str, ...]]]:
    """Return the names and parameters of the extension's functions, with types as pg_type calls them."""
    plain = {"integer": "int4", "bigint": "int8", "boolean": "bool", "double precision": "float8"}
    return {
        (routine.name, tuple(plain.get(type_name, type_name) for type_name in routine.types))
        for routine in routines(conn)
    }


def numbered(statement: str) -> str:
    """Return a statement with its placeholders as they are sent."""
    parts = statement.split("%s")
    return parts[0] + "".join(f"${n}{part}" for n, part in enumerate(parts[1:], start=1))
