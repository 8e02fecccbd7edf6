"""What `pg-background doctor` says of the extension's schema, and of what is there beside it."""

from __future__ import annotations

import pytest

from pg_background import doctor
from pg_background.doctor.place import CREATE

from ..support.calls import query
from ..support.fix_cli import Cli
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.pages import DOCS, blocks
from ..support.server import Server
from .test_cli_doctor import lines

pytestmark = pytest.mark.in_public

OVERLOAD = "pg_background_cancel(pid int4, cookie int8, grace int2) RETURNS void LANGUAGE sql AS ''"


def found(cli: Cli, server: Server, db: str) -> dict[str, str]:
    """Return what the doctor says, by check."""
    return lines(cli("doctor", server.dsn(db)).stdout)


def test_the_remedies(cli: Cli, server: Server, conn: Connection, db: str, make_role: MakeRole) -> None:
    """Of a schema where others create: moved as is said, the extension is out of their reach."""
    role = make_role()
    conn.execute(f"GRANT CREATE ON SCHEMA public TO {role}; GRANT CREATE ON SCHEMA public TO PUBLIC".encode())
    said = found(cli, server, db)["schema"]
    assert said.startswith(f"WARN PUBLIC, {role} may create in public ")
    conn.execute(said.split("; fix: as a superuser ")[1].encode())
    said = found(cli, server, db)["schema"]
    assert said == "OK only superusers may create in background"
    conn.execute(f"GRANT CREATE ON SCHEMA background TO {role}".encode())
    said = found(cli, server, db)["schema"]
    conn.execute(said.split("; fix: ")[1].encode())
    assert found(cli, server, db)["schema"] == "OK only superusers may create in background"


def test_as_it_is_recommended(
    cli: Cli, server: Server, conn: Connection, db: str, connect: Connect, make_role: MakeRole
) -> None:
    """By docs/reference/administration.md, and by what the doctor and `install` print."""
    page = (DOCS / "reference/administration.md").read_text()
    script = blocks(page.partition("## A schema of its own")[2].partition("\n## ")[0], "sql")[0]
    assert script.strip().removesuffix(";").split(";\n") == CREATE.split("; ")
    conn.execute("DROP EXTENSION pg_background")
    conn.execute(script.encode())
    said = found(cli, server, db)
    assert {said[name].partition(" ")[0] for name in ("schema", "look-alikes", "grants", "role")} == {"OK"}
    user = connect(user=make_role(member_of=("pgbackground_role",)))
    assert query(user, "SELECT state FROM background.pg_background_run('SELECT 1')") == [("stopped",)]
    conn.execute("REVOKE USAGE ON SCHEMA background FROM pgbackground_role")
    assert found(cli, server, db)["grants"] == (
        "WARN pgbackground_role may not use the schema background, nor may its members; "
        "fix: GRANT USAGE ON SCHEMA background TO pgbackground_role"
    )


@pytest.mark.pg(">= 15")
def test_the_owner_of_the_database(
    cli: Cli, server: Server, conn: Connection, db: str, make_role: MakeRole
) -> None:
    """He owns public, though another role stands there for him."""
    assert found(cli, server, db)["schema"] == "OK only superusers may create in public"
    role = make_role()
    conn.execute(f'ALTER DATABASE "{db}" OWNER TO {role}'.encode())
    said = found(cli, server, db)["schema"]
    assert said.startswith(f"WARN {role}, its owner may create in public ")
    conn.execute(f'ALTER DATABASE "{db}" OWNER TO postgres'.encode())


@pytest.mark.pg("== 14")
def test_everybody_may_create_in_public(cli: Cli, server: Server, db: str) -> None:
    assert found(cli, server, db)["schema"].startswith("WARN PUBLIC may create in public ")


def test_lookalikes(cli: Cli, server: Server, conn: Connection, db: str) -> None:
    """In its schema and wherever the session looks; not elsewhere."""
    assert found(cli, server, db)["look-alikes"].startswith("OK ")
    conn.execute("CREATE SCHEMA other; CREATE SCHEMA farther")
    conn.execute(f'ALTER DATABASE "{db}" SET search_path = other, public'.encode())
    conn.execute("CREATE VIEW farther.pg_background_jobs AS SELECT 1; CREATE FUNCTION farther." + OVERLOAD)
    assert found(cli, server, db)["look-alikes"].startswith("OK ")
    conn.execute("CREATE FUNCTION public." + OVERLOAD)
    conn.execute("CREATE VIEW other.pg_background_list AS SELECT 1")
    conn.execute("CREATE DOMAIN other.pg_background_handle AS int")
    conn.execute(
        "CREATE FUNCTION other.pg_background_launch(sql text) RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    said = found(cli, server, db)["look-alikes"]
    assert said.startswith(
        "WARN calls may take these for the extension's: other.pg_background_handle, "
        "other.pg_background_launch(text), other.pg_background_list and 1 more; fix: "
    )
    conn.execute("DROP SCHEMA other CASCADE")
    assert "public.pg_background_cancel(integer,bigint,smallint)" in found(cli, server, db)["look-alikes"]


def test_the_connection_stays_as_it_was(connect: Connect) -> None:
    conn = connect()
    conn.execute("SET search_path = public, pg_temp")
    doctor.collect(conn)
    assert query(conn, "SHOW search_path") == [("public, pg_temp",)]
