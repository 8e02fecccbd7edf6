"""What the doctor makes of what it is told; `test_cli_doctor` asks real servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pg_background.doctor import Finding, Grade, ServerInfo, examine
from pg_background.doctor.limits import size
from pg_background.doctor.preloading import Configured
from pg_background.doctor.server_info import Extension, Registry, Setting, Sharing, Trial

EXTENSION = Extension(version="3.0", schema="public", available="3.0")

WELL = ServerInfo(
    version="18.6",
    major=18,
    database="shop",
    role="ann",
    settings={
        "max_worker_processes": Setting("35"),
        "temp_file_limit": Setting("-1", "kB"),
        "log_min_messages": Setting("warning"),
        "log_line_prefix": Setting("%m [%p] "),
        "statement_timeout": Setting("0", "ms"),
        "lock_timeout": Setting("0", "ms"),
        "pg_background.max_workers": Setting("16"),
        "pg_background.max_total_workers": Setting("0"),
        "pg_background.default_queue_size": Setting("65536", "B"),
        "pg_background.worker_timeout": Setting("0", "ms"),
        "pg_background.max_jobs": Setting("1024"),
        "pg_background.job_memory": Setting("32768", "kB"),
        "pg_background.max_result_size": Setting("1048576", "kB"),
    },
    extension=EXTENSION,
    available="3.0",
    keeper=True,
    user_role_logs_in=False,
    registry=Registry(3, 1, 2, 1, 1, 200_000, 0),
    trial=Trial(),
)

#: As a role that may see little finds a server where nothing was done yet.
BARE = ServerInfo(
    version="15.20",
    major=15,
    database="shop",
    role="ann",
    settings={name: value for name, value in WELL.settings.items() if "pg_background" not in name},
)


def with_settings(server: ServerInfo, **values: str | Setting) -> ServerInfo:
    """Change settings; in their names `__` stands for the dot."""
    changed = {}
    for name, value in values.items():
        name = name.replace("__", ".")
        old = server.settings.get(name, Setting(""))
        changed[name] = value if isinstance(value, Setting) else replace(old, value=value)
    return replace(server, settings={**server.settings, **changed})


def with_preload(
    server: ServerInfo, value: str, *, running: str, by_command_line: bool = False
) -> ServerInfo:
    """Change what is preloaded: now, and at the next start."""
    changed = with_settings(server, shared_preload_libraries=running)
    return replace(changed, preload=Configured(value, by_command_line))


def found(server: ServerInfo, check: str) -> Finding:
    (finding,) = (finding for finding in examine(server) if finding.check == check)
    return finding


def test_all_well() -> None:
    findings = examine(WELL)
    assert {finding.grade for finding in findings} == {Grade.OK}
    assert len(findings) == len({finding.check for finding in findings}) == 15
    assert not any(finding.fix for finding in findings)


def test_nothing_done_yet() -> None:
    lines = [str(finding) for finding in examine(BARE)]
    assert lines == [
        "OK    server: PostgreSQL 15.20",
        "FAIL  library: not preloaded; fix: ALTER SYSTEM SET shared_preload_libraries = …, pg_background, "
        "then restart the server",
        "FAIL  extension: its files are not installed; fix: pg-background install --pg-config PATH on the "
        "server's machine",
        "OK    log: log_min_messages = warning",
    ]


#: The server, the check, its grade, and what its line says.
CASES = {
    "old server": (replace(WELL, version="13.9", major=13), "server", "FAIL", "upgrade to 14"),
    "minor version that loses memory": (
        replace(WELL, version="14.8 (Debian 14.8-1)", major=14),
        "server",
        "WARN",
        "upgrade to 14.9",
    ),
    "minor version that gives it back": (replace(WELL, version="14.9", major=14), "server", "OK", "14.9"),
    "first minor version of a newer major": (replace(WELL, version="16.0", major=16), "server", "OK", "16.0"),
    "new server": (replace(WELL, version="19beta1", major=19), "server", "WARN", "19beta1 is newer than"),
    "libraries are kept": (
        with_settings(BARE, shared_preload_libraries='auto_explain,"Odd"'),
        "library",
        "FAIL",
        "shared_preload_libraries = auto_explain, 'Odd', pg_background, then restart",
    ),
    "no libraries": (
        with_settings(BARE, shared_preload_libraries=""),
        "library",
        "FAIL",
        "shared_preload_libraries = pg_background, then restart",
    ),
    "restart pending": (
        with_settings(BARE, shared_preload_libraries=Setting("", pending_restart=True)),
        "library",
        "FAIL",
        "fix: restart the server",
    ),
    "other library": (
        with_settings(BARE, shared_preload_libraries="pg_background"),
        "library",
        "FAIL",
        "the extension in C",
    ),
    "other library, with its folder": (
        with_settings(BARE, shared_preload_libraries="$libdir/pg_background"),
        "library",
        "FAIL",
        "the extension in C",
    ),
    "changed, not reloaded": (
        with_preload(BARE, "auto_explain, pg_background", running="auto_explain"),
        "library",
        "FAIL",
        "fix: restart the server",
    ),
    "changed to something else": (
        with_preload(BARE, "auto_explain", running=""),
        "library",
        "FAIL",
        "shared_preload_libraries = auto_explain, pg_background, then restart",
    ),
    "on the command line": (
        with_preload(BARE, "auto_explain", running="auto_explain", by_command_line=True),
        "library",
        "FAIL",
        "-c 'shared_preload_libraries=auto_explain, pg_background' on the server's command line, then",
    ),
    "not at the next start": (
        with_preload(WELL, "auto_explain", running="auto_explain, pg_background"),
        "library",
        "WARN",
        "not at the next start; fix: ALTER SYSTEM SET shared_preload_libraries = auto_explain, pg_background",
    ),
    "Citus is first": (
        with_settings(WELL, shared_preload_libraries="citus, pg_background"),
        "citus",
        "OK",
        "first in shared_preload_libraries",
    ),
    "Citus is not first": (
        with_preload(WELL, "pg_background,citus", running="citus,pg_background"),
        "citus",
        "FAIL",
        "will not start again; fix: ALTER SYSTEM SET shared_preload_libraries = citus, pg_background",
    ),
    "not created": (
        replace(WELL, extension=None),
        "extension",
        "FAIL",
        'not in database "shop"; fix: CREATE SCHEMA background; CREATE EXTENSION pg_background SCHEMA ',
    ),
    "to be updated": (
        replace(WELL, available="3.1"),
        "extension",
        "WARN",
        "the files of 3.1; fix: ALTER EXTENSION pg_background UPDATE",
    ),
    "to be restarted first": (
        with_settings(replace(WELL, available="3.10"), pg_background__library_version="3.9"),
        "extension",
        "WARN",
        "fix: restart the server, then ALTER EXTENSION pg_background UPDATE",
    ),
    "restarted": (
        with_settings(replace(WELL, available="3.10"), pg_background__library_version="3.10"),
        "extension",
        "WARN",
        "the files of 3.10; fix: ALTER EXTENSION pg_background UPDATE",
    ),
    "older library": (
        with_settings(
            replace(WELL, extension=replace(EXTENSION, version="3.10")), pg_background__library_version="3.9"
        ),
        "extension",
        "FAIL",
        "needs a newer library than that of 3.9, which the server runs; fix: restart the server",
    ),
    "older files": (
        replace(WELL, extension=replace(EXTENSION, version="3.1")),
        "extension",
        "OK",
        "version 3.1",
    ),
    "files are gone": (
        replace(WELL, available=None),
        "extension",
        "WARN",
        "but its files are gone; fix: pg-background install --pg-config PATH on the server's machine, or",
    ),
    "C extension": (
        replace(WELL, extension=replace(EXTENSION, version="1.8"), available="1.8"),
        "extension",
        "FAIL",
        "is the extension in C; fix: pg-background install",
    ),
    "C extension, files exchanged": (
        replace(WELL, extension=replace(EXTENSION, version="2.0")),
        "extension",
        "FAIL",
        "fix: ALTER EXTENSION pg_background UPDATE",
    ),
    "dead keeper": (replace(WELL, keeper=False), "keeper", "FAIL", "its process is not there"),
    "one for public": (
        replace(WELL, extension=replace(EXTENSION, public=("a()",))),
        "grants",
        "FAIL",
        "PUBLIC may use a(); fix: REVOKE ALL",
    ),
    "public": (
        replace(WELL, extension=replace(EXTENSION, public=("a()", "b()", "c()", "d()"))),
        "grants",
        "FAIL",
        "PUBLIC may use a(), b(), c() and 1 more",
    ),
    "no user role": (
        replace(WELL, user_role_logs_in=None),
        "grants",
        "WARN",
        "CREATE ROLE pgbackground_role",
    ),
    "user role logs in": (
        replace(WELL, user_role_logs_in=True),
        "grants",
        "WARN",
        "ALTER ROLE pgbackground_role NOLOGIN",
    ),
    "user role without functions": (
        replace(WELL, extension=replace(EXTENSION, user_role_may_launch=False)),
        "grants",
        "WARN",
        "nor may its members",
    ),
    "user role out of the schema": (
        replace(WELL, extension=replace(EXTENSION, schema="My jobs", user_role_may_enter=False)),
        "grants",
        "WARN",
        'GRANT USAGE ON SCHEMA "My jobs" TO pgbackground_role',
    ),
    "public is open": (
        replace(WELL, extension=replace(EXTENSION, creators=("PUBLIC",))),
        "schema",
        "WARN",
        "PUBLIC may create in public functions that calls take for the extension's; fix: as a superuser "
        "CREATE SCHEMA background; ALTER EXTENSION pg_background SET SCHEMA background; "
        "GRANT USAGE ON SCHEMA background",
    ),
    "the owner of the database": (
        replace(WELL, extension=replace(EXTENSION, schema_owner="bob")),
        "schema",
        "WARN",
        "bob, its owner may create in public",
    ),
    "an open schema of its own": (
        replace(WELL, extension=replace(EXTENSION, schema="jobs", schema_owner="bob", creators=("al", "bo"))),
        "schema",
        "WARN",
        "fix: REVOKE CREATE ON SCHEMA jobs FROM al, bo; ALTER SCHEMA jobs OWNER TO a superuser",
    ),
    "look-alikes": (
        replace(WELL, extension=replace(EXTENSION, lookalikes=("a(integer)", "b", "c", "d"))),
        "look-alikes",
        "WARN",
        "calls may take these for the extension's: a(integer), b, c and 1 more",
    ),
    "no schema": (
        replace(WELL, extension=replace(EXTENSION, may_enter=False)),
        "role",
        "FAIL",
        "GRANT USAGE ON SCHEMA public TO ann",
    ),
    "no launch": (
        replace(WELL, extension=replace(EXTENSION, may_launch=False)),
        "role",
        "FAIL",
        "GRANT pgbackground_role TO ann",
    ),
    "failed trial": (
        replace(WELL, trial=Trial("too many", "Raise it.")),
        "trial job",
        "FAIL",
        "in the background: too many; fix: Raise it",
    ),
    "no slots": (with_settings(WELL, max_worker_processes="1"), "worker slots", "FAIL", "= 19 and a restart"),
    "least slots": (
        with_settings(WELL, max_worker_processes="3"),
        "worker slots",
        "WARN",
        "1 of 3 (max_worker_processes): too few are left",
    ),
    "all slots": (
        with_settings(WELL, pg_background__max_total_workers="35"),
        "worker slots",
        "WARN",
        "max_total_workers = 0, or max_worker_processes = 38",
    ),
    "default slots": (
        with_settings(WELL, max_worker_processes="8"),
        "worker slots",
        "WARN",
        "jobs may take 5 of 8 (max_worker_processes), and one session alone may want 16",
    ),
    "low cap": (
        with_settings(WELL, pg_background__max_total_workers="4"),
        "worker slots",
        "WARN",
        "pg_background.max_total_workers = 16",
    ),
    "large queues": (
        with_settings(WELL, pg_background__default_queue_size="2097152"),
        "job memory",
        "WARN",
        "32 jobs at once with queues of 2MB need 64MB; fix: pg_background.job_memory = '65MB'",
    ),
    "many jobs": (
        with_settings(WELL, pg_background__max_jobs="100000"),
        "job memory",
        "WARN",
        "pg_background.job_memory = '391MB'",
    ),
    "few jobs": (
        with_settings(WELL, pg_background__max_jobs="40"),
        "job memory",
        "WARN",
        "pg_background.max_jobs = 1024",
    ),
    "no errors in the log": (
        with_settings(WELL, log_min_messages="log"),
        "log",
        "WARN",
        "hides the errors of jobs",
    ),
    "hardly a log": (
        with_settings(WELL, log_min_messages="panic"),
        "log",
        "WARN",
        "fix: log_min_messages = warning",
    ),
    "log without pids": (with_settings(WELL, log_line_prefix="%t "), "log", "WARN", "lacks the process id"),
    "small disk": (
        with_settings(WELL, temp_file_limit="10240"),
        "disk",
        "WARN",
        "temp_file_limit = 10MB ends a job before pg_background.max_result_size = 1GB does",
    ),
    "no disk": (
        with_settings(WELL, temp_file_limit="0"),
        "disk",
        "WARN",
        "temp_file_limit = 0B ends a job before pg_background.max_result_size = 1GB does",
    ),
    "timeouts": (
        with_settings(
            WELL,
            statement_timeout=Setting("1500", "ms", "user"),
            transaction_timeout=Setting("60000", "ms", "database"),
        ),
        "timeouts",
        "WARN",
        "statement_timeout = 1.5 s (from user), transaction_timeout = 60 s (from database)",
    ),
    "own timeout": (
        with_settings(WELL, pg_background__worker_timeout="5000"),
        "timeouts",
        "OK",
        "a job may take 5 s",
    ),
    "several roles without limits": (
        replace(WELL, sharing=Sharing(3, limited=False)),
        "sharing",
        "WARN",
        "3 roles launch jobs, and nothing keeps one",
    ),
    "several roles with limits": (
        replace(WELL, sharing=Sharing(3, limited=True)),
        "sharing",
        "OK",
        "3 roles launch jobs, and there are limits",
    ),
    "no entry left": (
        replace(WELL, registry=Registry(1024, 4, 1020, 0, 4, 200_000, 0)),
        "state",
        "FAIL",
        "4 running and 1020 unread of 1024 jobs",
    ),
    "few entries left": (
        replace(WELL, registry=Registry(1024, 4, 900, 0, 4, 200_000, 0)),
        "state",
        "WARN",
        "raise pg_background.max_jobs",
    ),
    "little memory left": (
        replace(WELL, registry=Registry(9, 4, 5, 0, 4, 30 * 1024**2, 0)),
        "state",
        "WARN",
        "raise pg_background.job_memory",
    ),
}


@pytest.mark.parametrize(("info", "check", "grade", "text"), CASES.values(), ids=CASES.keys())
def test_finding(info: ServerInfo, check: str, grade: str, text: str) -> None:
    line = str(found(info, check))
    assert line.startswith(f"{grade:<4}  {check}: ")
    assert text in line
    assert "\n" not in line
    # Whatever is not right comes with a remedy.
    assert ("; fix: " in line) is (grade != "OK")


def test_nothing_is_said_of_what_can_not_be_seen() -> None:
    unseen = replace(WELL, keeper=None, registry=None, trial=None)
    assert {finding.check for finding in examine(WELL)} - {finding.check for finding in examine(unseen)} == {
        "keeper",
        "state",
        "trial job",
    }


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1000, "1000B"), (65536, "64kB"), (70_000, "68kB"), (1024**3, "1GB"), (10**12, "931GB")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
