"""Functions of others that maintenance runs, fenced in by the server, launch no jobs out of that fence."""

from __future__ import annotations

import pytest

from ..support.calls import failure, value
from ..support.fix_db import Connect, Connection, MakeRole

#: Each runs the index's function, or the view's, as the table's owner.
COMMANDS = (
    "REINDEX TABLE mine",
    "ANALYZE mine",
    "CREATE INDEX ON mine (launches(a))",
    "REFRESH MATERIALIZED VIEW seen",
)


@pytest.fixture
def schema(conn: Connection) -> str:
    found: str = value(
        conn,
        "SELECT quote_ident(nspname) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = extnamespace "
        "WHERE extname = 'pg_background'",
    )
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_launches_nothing(
    conn: Connection, connect: Connect, make_role: MakeRole, schema: str, command: str
) -> None:
    role = make_role(member_of=("pgbackground_role",))
    conn.execute(f"GRANT CREATE ON SCHEMA public TO {role}".encode())
    theirs = connect(user=role)
    theirs.execute("CREATE TABLE public.mine AS SELECT 1 AS a")
    theirs.execute(
        "CREATE FUNCTION public.launches(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "'BEGIN RETURN $1; END'"
    )
    theirs.execute("CREATE INDEX ON public.mine (public.launches(a))")
    theirs.execute("CREATE MATERIALIZED VIEW public.seen AS SELECT public.launches(a) FROM public.mine")
    theirs.execute(
        "CREATE OR REPLACE FUNCTION public.launches(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        f"$$ BEGIN PERFORM {schema}.pg_background_submit('SELECT 1'); RETURN $1; END $$".encode()
    )
    conn.execute("SET search_path = public")
    assert failure(conn, command)[:2] == (
        "42501",
        "cannot launch a background job within security-restricted operation",
    )
    # Outside of the fence the same function does.
    theirs.execute("SELECT public.launches(1)")
    theirs.execute("DROP MATERIALIZED VIEW public.seen")
    theirs.execute("DROP TABLE public.mine")
    theirs.execute("DROP FUNCTION public.launches(int)")
    conn.execute(f"REVOKE CREATE ON SCHEMA public FROM {role}".encode())
