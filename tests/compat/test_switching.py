"""What docs/switching.md says to run does what it says, from both versions."""

from __future__ import annotations

import re

import pytest

from ..support.calls import query
from ..support.fix_switch import OLD, SwitchConnect, SwitchDb
from ..support.pages import DOCS, blocks, run_sql
from ..support.server import Server

PAGE = (DOCS / "switching.md").read_text()
BLOCKS = blocks(PAGE, "sql")

PLAIN_LAUNCH = {"1.8": "launching", "2.0": "noting"}

#: For each check something that it has to find.
FOUND = {
    "1.8": """
    CREATE VIEW launching AS SELECT pg_background_launch('SELECT 1');
    CREATE FUNCTION shows_progress() RETURNS void LANGUAGE plpgsql AS $$
    DECLARE p pg_background_progress; BEGIN PERFORM pg_background_progress(1); END $$;
    CREATE FUNCTION harmless() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_background_progress (1); END $$;
    """,
    "2.0": """
    CREATE FUNCTION noting() RETURNS void LANGUAGE sql
      BEGIN ATOMIC SELECT pg_background_record_timeout(); END;
    CREATE FUNCTION shows_progress() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_background_record_timeout(); END $$;
    """,
}
IN_THE_WAY = """
CREATE VIEW pg_background_jobs AS SELECT 1 AS a;
CREATE FUNCTION pg_background_mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
"""


def check(title: str) -> str:
    """Return the block that begins with this comment."""
    block: str
    (block,) = [block for block in BLOCKS if block.startswith(f"-- {title}\n")]
    return block


@pytest.mark.parametrize("version", OLD)
def test_checks(version: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    conn = switch_connect(switch_db(version))
    for title in ("before: dependents", "before: bodies", "before: in the way", "after: what has stayed"):
        assert query(conn, check(title)) == []
    query(conn, FOUND[version])
    dependents = query(conn, check("before: dependents"))
    assert [PLAIN_LAUNCH[version] in dependent for dependent, _ in dependents] == [True]
    assert query(conn, check("before: bodies")) == [("shows_progress()",)]
    query(conn, IN_THE_WAY)
    assert query(conn, check("before: in the way")) == [
        ("function pg_background_mine()",),
        ("view pg_background_jobs",),
    ]
    query(conn, "DROP VIEW pg_background_jobs; ALTER EXTENSION pg_background UPDATE")
    ((_, dependent),) = query(conn, check("after: what has stayed"))
    assert PLAIN_LAUNCH[version] in dependent


@pytest.mark.parametrize("version", OLD)
def test_sql(version: str, switch_server: Server, switch_db: SwitchDb) -> None:
    """All of it, in its order."""
    run_sql("\n".join(BLOCKS), switch_server, switch_db(version))


@pytest.mark.parametrize("catalogue", ["3.0", *(f"{version} updated" for version in OLD)])
def test_python(catalogue: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    """The two columns of a handle, and a pid as 1.8 gave it."""
    conn = switch_connect(switch_db(catalogue))
    ((whole,),) = query(conn, "SELECT pg_background_launch('SELECT 1')")
    assert isinstance(whole, str)
    names: dict[str, object] = {"conn": conn}
    for block in blocks(PAGE, "python"):
        exec(block, names)
    read = "SELECT * FROM pg_background_result({}) AS (answer int)"
    assert query(conn, read.format("%s, %s"), names["pid"], names["cookie"]) == [(42,)]
    assert query(conn, read.format("%s::int4"), names["pid_alone"]) == [(42,)]


def test_names(switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    """Each was in an old version, or is there."""
    known: set[str] = set()
    for catalogue in (*OLD, "3.0"):
        conn = switch_connect(switch_db(catalogue))
        made = "SELECT proname FROM pg_proc UNION SELECT relname FROM pg_class"
        known |= {name for (name,) in query(conn, made) if name.startswith("pg_background_")}
    written = {re.sub(r"_(1_8|2_0)$", "", name) for name in re.findall(r"`(pg_background_\w+)", PAGE)}
    assert written - known == set()
