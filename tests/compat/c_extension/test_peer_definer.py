"""The hole: a job of a SECURITY DEFINER function stays the definer, whatever its transactions do."""

from __future__ import annotations

import pytest

from ...support.calls import error_of, query, value
from ...support.fix_db import Connect, Connection, MakeRole
from ...support.jobs import launch, wait
from ...support.waiting import wait_until_sql

SEEN = "INSERT INTO seen VALUES ('{}', current_user, session_user)"

#: Jobs that end a transaction and go on in the next; each writes who it is then.
JOBS = {
    "rollback": "CALL step('ROLLBACK')",
    "commit": "CALL step('COMMIT')",
    "nested": "CALL outer_step()",
    "do": f"DO $$ BEGIN ROLLBACK; {SEEN.format('after')}; COMMIT; END $$",
    "do, error caught": "DO $$ BEGIN BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END;"
    f" ROLLBACK; {SEEN.format('after')}; END $$",
    "plain": SEEN.format("after"),
    "error caught": "DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN"
    f" {SEEN.format('after')}; END $$",
    "and chain": f"DO $$ BEGIN ROLLBACK AND CHAIN; {SEEN.format('after')}; END $$",
}

#: Ways to become somebody else.
ESCAPES = [
    "RESET ROLE",
    "SET ROLE postgres",
    "SET ROLE NONE",
    "SET LOCAL ROLE postgres",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT set_config('role', 'none', true)",
    "SET SESSION AUTHORIZATION postgres",
    "RESET SESSION AUTHORIZATION",
]


@pytest.fixture
def definer(conn: Connection, make_role: MakeRole) -> str:
    """An ordinary role, the owner of a function that launches what it is given."""
    role = make_role("NOLOGIN", member_of=("pgbackground_role",))
    query(conn, "CREATE TABLE seen (step text, cu name, su name)")
    query(conn, "GRANT ALL ON seen TO PUBLIC")
    query(
        conn,
        f"""CREATE FUNCTION start(job text) RETURNS pg_background_handle LANGUAGE sql SECURITY DEFINER AS
        'SELECT pg_background_launch(job)';
        ALTER FUNCTION start OWNER TO {role};
        CREATE PROCEDURE step(how text) LANGUAGE plpgsql AS $$ BEGIN
          {SEEN.format("before")};
          IF how = 'COMMIT' THEN COMMIT; ELSE ROLLBACK; END IF;
          {SEEN.format("after")};
          COMMIT;
        END $$;
        CREATE PROCEDURE outer_step() LANGUAGE plpgsql AS $$ BEGIN
          CALL step('ROLLBACK'); CALL step('COMMIT'); ROLLBACK; {SEEN.format("after")};
        END $$""",
    )
    return role


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_of_a_superusers_session(conn: Connection, definer: str, job: str) -> None:
    query(conn, "SELECT pg_background_wait(pid, cookie) FROM start(%s)", job)
    assert query(conn, "SELECT state FROM pg_background_list") == [("stopped",)]
    assert query(conn, "SELECT DISTINCT cu FROM seen") == [(definer,)]


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_of_a_superusers_own_launch(conn: Connection, definer: str, job: str) -> None:
    """And that of a role set by SET ROLE, which the transaction's end must not undo either."""
    query(conn, f"GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA public TO {definer}")
    query(conn, f"SET ROLE {definer}")
    wait(conn, launch(conn, job))
    assert query(conn, "SELECT DISTINCT cu FROM seen") == [(definer,)]


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_way_out(conn: Connection, definer: str, escape: str) -> None:
    job = f"{escape}; {SEEN.format('escaped')}"
    query(conn, "SELECT pg_background_wait(pid, cookie) FROM start(%s)", job)
    assert query(conn, "SELECT state FROM pg_background_list") == [("error",)]
    found = error_of(
        conn, "SELECT r.* FROM pg_background_list l, pg_background_result(l.pid, l.cookie) AS r(a text)"
    )
    assert found.sqlstate == "42501"
    assert query(conn, "SELECT * FROM seen") == []


@pytest.mark.parametrize("ending", ["ROLLBACK", "COMMIT"])
@pytest.mark.parametrize("escape", ["RESET ROLE", "SET ROLE postgres", "RESET SESSION AUTHORIZATION"])
def test_no_way_out_after_a_transactions_end(
    conn: Connection, definer: str, ending: str, escape: str
) -> None:
    job = f"DO $$ BEGIN {ending}; {escape}; {SEEN.format('escaped')}; END $$"
    query(conn, "SELECT pg_background_wait(pid, cookie) FROM start(%s)", job)
    assert query(conn, "SELECT * FROM seen WHERE cu <> %s", definer) == []
    assert query(conn, "SELECT state FROM pg_background_list") == [("error",)]


#: Expressions that PL/pgSQL evaluates by itself, without starting a statement.
BARE = {
    "RESET": "was := set_config('role', NULL, false)",
    "NONE": "was := set_config('role', 'none', false)",
    "LOCAL": "IF set_config('role', 'postgres', true) IS NOT NULL THEN was := 'yes'; END IF",
    "session": "was := set_config('session_authorization', 'postgres', false)",
}


@pytest.mark.parametrize("endings", ["ROLLBACK", "COMMIT", "COMMIT AND CHAIN", "ROLLBACK; COMMIT; ROLLBACK"])
@pytest.mark.parametrize("escape", BARE.values(), ids=BARE)
def test_no_way_out_before_the_first_statement(
    conn: Connection, definer: str, endings: str, escape: str
) -> None:
    """The second time with the plans of the first."""
    job = f"""DO $$ DECLARE was text; refused int := 0; BEGIN
      FOR n IN 1..2 LOOP
        {endings};
        BEGIN
          {escape};
        EXCEPTION WHEN insufficient_privilege THEN
          refused := refused + 1;
        END;
      END LOOP;
      INSERT INTO seen VALUES (refused, current_user, session_user);
    END $$"""
    query(conn, "SELECT pg_background_wait(pid, cookie) FROM start(%s)", job)
    assert query(conn, "SELECT last_error FROM pg_background_list") == [(None,)]
    assert query(conn, "SELECT step, cu FROM seen") == [("2", definer)]


def test_a_job_of_the_job_is_the_definers_too(conn: Connection, definer: str) -> None:
    """It inherits what its launcher may not leave, also in a later transaction."""
    inner = SEEN.format("inner").replace("'", "''")
    job = f"""DO $$ DECLARE h pg_background_handle; BEGIN
      COMMIT;
      h := pg_background_launch('RESET ROLE; {inner}');
      PERFORM pg_background_wait(h.pid, h.cookie);
      COMMIT;
      h := pg_background_launch('{inner}');
      PERFORM pg_background_wait(h.pid, h.cookie);
    END $$"""
    query(conn, "SELECT pg_background_wait(pid, cookie) FROM start(%s)", job)
    assert query(conn, "SELECT state, last_error FROM pg_background_list") == [("stopped", None)]
    assert query(conn, "SELECT step, cu FROM seen") == [("inner", definer)]


@pytest.mark.parametrize(
    ("job", "tag"),
    [
        ("VACUUM own", "VACUUM"),
        ("CREATE INDEX CONCURRENTLY ON own (n)", "CREATE INDEX"),
        ("REINDEX TABLE CONCURRENTLY own", "REINDEX"),
    ],
)
def test_statements_of_several_transactions(conn: Connection, definer: str, job: str, tag: str) -> None:
    query(conn, f"CREATE TABLE public.own (n int PRIMARY KEY); ALTER TABLE own OWNER TO {definer}")
    query(conn, f"GRANT CREATE ON SCHEMA public TO {definer}")
    query(conn, "SELECT start(%s)", job)
    ((pid, cookie),) = query(conn, "SELECT pid, cookie FROM pg_background_list")
    query(conn, "CALL pg_background_await(%s, %s)", pid, cookie)
    assert query(conn, "SELECT * FROM pg_background_result(%s, %s) AS (tag text)", pid, cookie) == [(tag,)]


def test_the_next_job_of_the_worker_is_nobody_elses(conn: Connection, definer: str) -> None:
    """What a job was goes with it, in a process that serves several."""
    for _ in range(5):
        query(conn, "SELECT pg_background_wait(pid, cookie) FROM start(%s)", JOBS["rollback"])
        query(conn, "DELETE FROM seen")
        wait(conn, launch(conn, SEEN.format("mine")))
        assert query(conn, "SELECT cu, su FROM seen") == [("postgres", "postgres")]
        query(conn, "DELETE FROM seen")


def test_an_ordinary_caller_gets_the_definers_rights_in_the_job_only(
    conn: Connection, definer: str, connect: Connect, make_role: MakeRole
) -> None:
    caller = make_role()
    query(conn, f"CREATE TABLE secret (); GRANT SELECT ON secret TO {definer}")
    session = connect(user=caller)
    query(session, "SELECT start(%s)", f"SELECT FROM secret; {SEEN.format('after')}")
    wait_until_sql(conn, "SELECT cu FROM seen", expected=definer)
    assert value(session, "SELECT current_user::text") == caller
    assert query(conn, "SELECT su FROM seen") == [(caller,)]
