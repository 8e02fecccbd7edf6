"""`pg-background doctor` on real servers."""

from __future__ import annotations

import pytest

from ..support.fix_cli import Cli
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import launch, result, wait
from ..support.registry import registry
from ..support.server import Server


def lines(output: str) -> dict[str, str]:
    """Return what was printed, by check."""
    found = {}
    for line in output.splitlines():
        grade, check, text = line[:4].strip(), *line[6:].split(": ", 1)
        found[check] = f"{grade} {text}"
    return found


def test_a_server_that_is_well(cli: Cli, server: Server, db: str) -> None:
    done = cli("doctor", server.dsn(db))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    found = lines(done.stdout)
    assert found["connection"].startswith(f"OK {db} on ")
    assert found["library"] == "OK preloaded"
    assert found["extension"] == f'OK version 3.0 in database "{db}"'
    assert found["grants"].startswith("OK nothing for PUBLIC")
    assert found["trial job"] == "OK SELECT 1 ran in the background"
    assert found["worker slots"] == "OK jobs may take 32 of 35 (max_worker_processes)"
    assert "of 1024 jobs" in found["state"]
    assert all(line.startswith(("OK ", "WARN ")) for line in found.values())


def test_the_environment_names_the_server(cli: Cli, server: Server, db: str) -> None:
    assert cli("doctor", PG_BACKGROUND_DSN=server.dsn(db)).returncode == 0
    running = server.cluster.postmaster()
    environment = {"PGHOST": running.socket_directory, "PGPORT": str(running.port), "PGUSER": "postgres"}
    assert cli("doctor", db, **environment).returncode == 0
    assert cli("doctor", PGDATABASE=db, **environment).returncode == 0


def test_no_such_server(cli: Cli, open_tmp_path: object) -> None:
    done = cli("doctor", f"host={open_tmp_path} dbname=shop")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAIL  connection: can't connect: ")
    assert done.stdout.count("\n") == 1
    assert "; fix: " in done.stdout


def test_not_a_dsn(cli: Cli) -> None:
    done = cli("doctor", "colour=blue")
    assert done.returncode == 1
    assert 'FAIL  connection: this is not a DSN: invalid connection option "colour"; fix: ' in done.stdout


def test_database_without_the_extension(cli: Cli, server: Server) -> None:
    done = cli("doctor", server.dsn("template1"))
    assert done.returncode == 1
    found = lines(done.stdout)
    assert found["extension"] == (
        'FAIL not in database "template1"; fix: CREATE SCHEMA background; CREATE EXTENSION pg_background '
        "SCHEMA background; GRANT USAGE ON SCHEMA background TO pgbackground_role, pg_monitor"
    )
    assert "trial job" not in found


def test_library_gone(cli: Cli, server: Server, conn: Connection, db: str) -> None:
    """As after `pg-background uninstall` or pip's, with the extension still created."""
    conn.execute("SET allow_system_table_mods = on")
    conn.execute("UPDATE pg_proc SET probin = 'pg_background_gone' WHERE probin ~ 'pg_background'")
    done = cli("doctor", server.dsn(db))
    assert done.returncode == 1
    found = lines(done.stdout)
    assert found["connection"].startswith("OK")
    assert found["trial job"] == (
        'FAIL SELECT 1 failed in the background: could not access file "pg_background_gone": No such file or '
        "directory; fix: pg-background install --pg-config PATH on the server's machine"
    )


def test_role_without_privileges(cli: Cli, server: Server, db: str, make_role: MakeRole) -> None:
    role = make_role()
    done = cli("doctor", server.dsn(db, user=role))
    assert done.returncode == 1
    found = lines(done.stdout)
    assert found["role"] == f"FAIL {role} may not launch jobs; fix: GRANT pgbackground_role TO {role}"
    assert not {"trial job", "state"} & found.keys()


def test_role_that_may_launch_and_not_look(cli: Cli, server: Server, db: str, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    done = cli("doctor", server.dsn(db, user=role))
    assert done.returncode == 0
    found = lines(done.stdout)
    assert found["role"] == f"OK {role} may launch jobs"
    assert found["trial job"].startswith("OK ")
    assert "state" not in found


@pytest.mark.in_public
def test_other_schema_and_hostile_search_path(cli: Cli, server: Server, conn: Connection, db: str) -> None:
    conn.execute('CREATE SCHEMA "My Jobs"')
    conn.execute('ALTER EXTENSION pg_background SET SCHEMA "My Jobs"')
    conn.execute("CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 1/0 $$")
    conn.execute("CREATE TABLE public.pg_settings ()")
    conn.execute(f'ALTER DATABASE "{db}" SET search_path = public, pg_catalog')
    done = cli("doctor", server.dsn(db))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK    trial job" in done.stdout


@pytest.mark.in_public
def test_what_public_may_use(cli: Cli, server: Server, conn: Connection, db: str) -> None:
    conn.execute("GRANT EXECUTE ON FUNCTION pg_background_stats() TO PUBLIC")
    conn.execute("GRANT SELECT ON pg_background_list TO PUBLIC")
    done = cli("doctor", server.dsn(db))
    assert done.returncode == 1
    text = lines(done.stdout)["grants"]
    assert text.startswith("FAIL PUBLIC may use ")
    assert "public.pg_background_stats()" in text
    assert "public.pg_background_list" in text


def test_settings_of_the_role(cli: Cli, server: Server, db: str, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    server.execute(f"ALTER ROLE {role} SET statement_timeout = '90s'")
    found = lines(cli("doctor", server.dsn(db, user=role)).stdout)
    assert found["timeouts"].startswith(
        f"WARN jobs launched by {role} are ended by statement_timeout = 90 s (from user)"
    )


def test_unread_results_are_counted(cli: Cli, server: Server, db: str, connect: Connect) -> None:
    conn = connect()
    handle = launch(conn, "SELECT 1")
    wait(conn, handle)
    unread = registry(conn).unread
    assert f" and {unread} unread of 1024 jobs" in lines(cli("doctor", server.dsn(db)).stdout)["state"]
    result(conn, handle, "n int")


def test_drained_server(cli: Cli, server: Server, conn: Connection, db: str) -> None:
    conn.execute("SELECT pg_background_drain_server(0)")
    try:
        done = cli("doctor", server.dsn(db))
    finally:
        conn.execute("SELECT pg_background_resume_server()")
    assert done.returncode == 1
    assert "can call pg_background_resume_server()" in lines(done.stdout)["trial job"]


def test_library_not_preloaded(cli: Cli, fresh_server: FreshServer) -> None:
    fresh = fresh_server()
    fresh.restart({"shared_preload_libraries": ""})
    done = cli("doctor", fresh.dsn())
    assert done.returncode == 1
    found = lines(done.stdout)
    assert found["library"] == (
        "FAIL not preloaded; fix: ALTER SYSTEM SET shared_preload_libraries = pg_background, "
        "then restart the server"
    )
    assert not {"trial job", "state", "worker slots"} & found.keys()
    # The remedy is taken as it is printed.
    fix = found["library"].split("; fix: ")[1].split(", then")[0]
    fresh.execute(fix)
    fresh.execute("ALTER SYSTEM RESET shared_preload_libraries")


@pytest.mark.slow
def test_limits_that_do_not_fit(cli: Cli, fresh_server: FreshServer) -> None:
    fresh = fresh_server(
        {
            "max_worker_processes": 8,
            "temp_file_limit": "100MB",
            "log_min_messages": "fatal",
            "pg_background.max_jobs": 16,
            "pg_background.job_memory": "4MB",
            "pg_background.default_queue_size": "1MB",
        }
    )
    done = cli("doctor", fresh.dsn())
    assert done.returncode == 0, done.stdout
    found = lines(done.stdout)
    for check in ("worker slots", "job memory", "log", "disk"):
        assert found[check].startswith("WARN "), found[check]


def test_roles_that_share_the_server(cli: Cli, fresh_server: FreshServer) -> None:
    server = fresh_server()
    for role in ("ann", "bob"):
        server.execute(f"CREATE ROLE {role} LOGIN IN ROLE pgbackground_role")
        with server.connect(user=role) as session:
            wait(session, launch(session, "SELECT 1"))
        told = [line for line in cli("doctor", server.dsn()).stdout.splitlines() if "sharing" in line]
        assert bool(told) is (role == "bob")
    assert told[0].startswith("WARN  sharing: 2 roles")
    server.execute("ALTER ROLE ann SET pg_background.max_role_workers = 2")
    assert "OK    sharing: 2 roles" in cli("doctor", server.dsn()).stdout
    # Who sees nobody else's jobs can't say.
    assert "sharing" not in cli("doctor", server.dsn(user="ann")).stdout
