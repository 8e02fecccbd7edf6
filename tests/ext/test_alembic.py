"""Indexes in the background, in migrations that Alembic itself runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.migrations import upgrade
from ..support.waiting import wait_until_sql

MIGRATION = """
from alembic import op
import sqlalchemy as sa

from pg_background.ext.alembic import create_index_concurrently

revision = "1"
down_revision = None


def upgrade():
    op.create_table("orders", sa.Column("id", sa.Integer), sa.Column("code", sa.Text))
    op.execute("INSERT INTO orders VALUES (1, 'a'), (2, 'a')")
    {}
    op.execute("INSERT INTO orders VALUES (3, 'b')")
"""

INDEXES = "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid = 'orders'::regclass"


Migrate = Callable[..., str]


@pytest.fixture
def migrate(tmp_path: Path, place: Place) -> Migrate:
    """Runs one migration, and returns what it would have printed."""

    def run(statement: str, *, offline: bool = False, url: str | None = None) -> str:
        return upgrade(
            tmp_path, MIGRATION.format(statement), url or place.url("postgresql+psycopg"), offline=offline
        )

    return run


def test_it_waits(migrate: Migrate, side: Connection) -> None:
    migrate(
        "job = create_index_concurrently(op, 'by_code', 'orders', ['code', sa.text('lower(code)')],"
        " postgresql_where=sa.text(\"code LIKE 'a%'\"))\n"
        "    assert job.done()"
    )
    ((definition, is_valid),) = side.execute(INDEXES).fetchall()
    assert is_valid
    assert re.search(r"by_code ON \S+ USING btree \(code, lower\(code\)\) WHERE .*'a%'", definition)
    assert side.execute("SELECT count(*) FROM orders").fetchone() == (3,)
    assert side.execute("SELECT version_num FROM alembic_version").fetchone() == ("1",)


def test_whatever_an_index_may_have(migrate: Migrate, side: Connection) -> None:
    migrate(
        "create_index_concurrently(op, 'by_code', 'orders', ['code'], unique=True, schema=None,"
        " postgresql_using='btree', postgresql_include=['id'], postgresql_with={'fillfactor': 50},"
        " postgresql_ops={'code': 'text_pattern_ops'}, postgresql_where=sa.text(\"code = '100%'\"),"
        " info={'a': 1})"
    )
    ((definition, is_valid),) = side.execute(INDEXES).fetchall()
    assert is_valid
    assert "UNIQUE INDEX" in definition
    assert "USING btree (code text_pattern_ops) INCLUDE (id) WITH (fillfactor='50')" in definition
    assert "'100%'" in definition


@pytest.mark.pg(">= 15")
def test_an_index_whose_nulls_are_alike(migrate: Migrate, side: Connection) -> None:
    migrate(
        "create_index_concurrently(op, 'by_id', 'orders', ['id'], unique=True,"
        " postgresql_nulls_not_distinct=True)"
    )
    ((definition, _),) = side.execute(INDEXES).fetchall()
    assert "NULLS NOT DISTINCT" in definition


def test_it_does_not_wait(migrate: Migrate, side: Connection) -> None:
    # What is held here lets the migration through, and not the index.
    side.execute("SELECT pg_advisory_lock(70707)")
    migrate(
        'op.execute("""CREATE FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN'
        ' PERFORM pg_advisory_xact_lock(70707); RETURN $1; END $$""")\n'
        "    create_index_concurrently(op, 'later', 'orders', [sa.text('slow(code)')], wait=False)\n"
        "    return"
    )
    assert side.execute("SELECT version_num FROM alembic_version").fetchone() == ("1",)
    mine = "SELECT count(*) FROM pg_index WHERE indrelid = 'orders'::regclass AND indisvalid"
    assert side.execute(mine).fetchone() == (0,)
    side.execute("SELECT pg_advisory_unlock_all()")
    wait_until_sql(side, mine, expected=1)


def test_one_that_fails(migrate: Migrate, side: Connection) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation, match="Key .code.=.a. is duplicated"):
        migrate("create_index_concurrently(op, 'by_code', 'orders', ['code'], unique=True)")
    assert side.execute("SELECT count(*) FROM alembic_version").fetchone() == (0,)
    assert [is_valid for _, is_valid in side.execute(INDEXES)] == [False]


def test_one_that_is_there(migrate: Migrate, side: Connection) -> None:
    statement = "create_index_concurrently(op, 'by_id', 'orders', ['id'], if_not_exists=True)"
    migrate(f"{statement}\n    {statement}")
    assert len(side.execute(INDEXES).fetchall()) == 1


def test_sql_that_is_only_printed(migrate: Migrate, side: Connection) -> None:
    printed = migrate("assert create_index_concurrently(op, 'by_id', 'orders', ['id']) is None", offline=True)
    before, after = printed.split("CREATE INDEX CONCURRENTLY by_id ON orders (id);")
    assert before.rstrip().endswith("COMMIT;")
    assert "BEGIN;" in after
    assert side.execute("SELECT to_regclass('orders')").fetchone() == (None,)


def test_another_driver(migrate: Migrate) -> None:
    with pytest.raises(TypeError, match="is pysqlite: use one for postgresql.psycopg"):
        migrate("create_index_concurrently(op, 'by_id', 'orders', ['id'])", url="sqlite://")
